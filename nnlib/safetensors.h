/*
 * safetensors, which NumPy, PyTorch and others read without our code:
 *
 *   8 bytes   length of the header, little-endian
 *   header    JSON: {"__metadata__": {strings}, "fc1.weight": {dtype, shape, data_offsets}, ...}
 *   data      the tensors, little-endian, row-major, one behind the other
 *
 * The one reader and the one writer of such files; model.c and checkpoint.c say what is in them.
 */
#ifndef NN_SAFETENSORS_H
#define NN_SAFETENSORS_H

#include "file.h"
#include "net.h"

#include <cjson/cJSON.h>

/* A kind of file: what messages call it, and the entries of __metadata__ that belong to the file
 * and not to the caller. The first of these is the kind's version, the last the CRC-32 of the
 * data. */
typedef struct {
    const char *name;
    const char *version;
    const char *keys[6];                /* ends with NULL */
    const char *other_key, *other_text; /* an entry of the other kind, and what it tells */
    size_t max_tensors;
} nn_file_kind;

#define NN_KEY_CRC "crc32"
#define NN_KEY_NETWORK "network"               /* its shape, JSON in a string */
#define NN_KEY_CHECKPOINT "checkpoint_version" /* of a checkpoint, never of a model */

typedef struct {
    char name[40];
    const char *dtype; /* "F32", "F64", "U32" or "U64" */
    size_t item_size;  /* bytes: 4 or 8 */
    size_t n_dims, dims[2];
    size_t count; /* the product of dims */
    size_t begin; /* offset in the data, in bytes */
} nn_tensor;

/* The tensors of a file, in order. */
typedef struct {
    size_t n;
    size_t size; /* bytes of all */
    nn_tensor *items;
} nn_tensors;

/* Makes room for n tensors. NN_ERR_MEMORY. */
nn_status nn_tensors_new(nn_tensors *out, size_t n);
void nn_tensors_release(nn_tensors *tensors);

/* Appends a tensor [rows][columns], or [rows] if columns is 0, behind the others; there must be
 * room. Returns it, so that the caller can write its name. */
nn_tensor *nn_tensors_add(nn_tensors *tensors, const char *dtype, size_t rows, size_t columns);

/* Appends a network's parameters, two tensors a layer, each name after `prefix`: fc1.weight
 * [units][inputs], fc1.bias [units], ... */
void nn_tensors_add_params(nn_tensors *tensors, const nn_config *config, const char *dtype,
                           const char *prefix);

/* Put and get a number of 4 or 8 bytes, little-endian. */
void nn_put_word(uint8_t *bytes, uint64_t word, size_t size);
uint64_t nn_get_word(const uint8_t *bytes, size_t size);

uint32_t nn_crc32(uint32_t crc, const uint8_t *bytes, size_t n);

/* ---- writing ---- */

/* Writes a file. texts are the values of the kind's own entries between its version and its CRC;
 * meta, which may be NULL, comes behind them. data holds tensors->size bytes. NN_ERR_IO,
 * NN_ERR_MEMORY; NN_ERR_MODEL: the header becomes too long. */
nn_status nn_safetensors_save(const char *path, const nn_file_kind *kind, const char *const *texts,
                              const nn_meta *meta, const nn_tensors *tensors, const uint8_t *data);

/* ---- reading ---- */

typedef struct {
    const nn_file_kind *kind;
    const char *path;
    nn_reader reader;
    char *header;  /* [header_size], then NUL */
    uint8_t *data; /* [data_size], after nn_safetensors_read */
    uint64_t header_size, data_size;
    cJSON *json;
} nn_safetensors;

/* Opens a file and checks its header as far as all kinds are alike. To be closed on NN_OK. */
nn_status nn_safetensors_open(nn_safetensors *out, const nn_file_kind *kind, const char *path);

/* Checks that the file holds just these tensors, in whatever order, without gap or overlap; reads
 * the data; checks their CRC. Sets where each tensor begins. */
nn_status nn_safetensors_read(nn_safetensors *file, nn_tensors *tensors);

void nn_safetensors_close(nn_safetensors *file);

/* Returns the value of an entry of __metadata__, or NULL. */
const char *nn_safetensors_text(const nn_safetensors *file, const char *key);

/* Collects the entries of __metadata__ that are the caller's. NN_ERR_MEMORY. */
nn_status nn_safetensors_meta(nn_meta *out, const nn_safetensors *file);

/* Is NN_ERR_MODEL, with a text that says why the file cannot be used. */
nn_status nn_safetensors_damaged(const nn_safetensors *file, const char *why);

/* Likewise, for what nn_json_object did not take; NN_ERR_MEMORY if that was for want of memory. */
nn_status nn_safetensors_unparsed(const nn_safetensors *file, const char *why);

/* ---- JSON, the same in all locales ---- */

/* Returns an item as text without blanks; NULL when memory runs out. cJSON_free gives it back. */
char *nn_json_print(const cJSON *item);

/* Parses text as one JSON object of at most so many distinct keys, with nothing before it and only
 * spaces behind it; NULL if it is anything else or NULL, or if memory runs out, with ENOMEM in
 * errno. */
cJSON *nn_json_object(const char *text, size_t size, size_t most);

const cJSON *nn_json_member(const cJSON *object, const char *key);
const char *nn_json_string(const cJSON *object, const char *key);

/* Whether item is an object of just n keys. Where n are asked for by name, none can be there twice
 * or be unknown. */
bool nn_json_is_object_of(const cJSON *item, int n);

/* Takes a whole number in [0, limit]. */
bool nn_json_whole_number(size_t *out, const cJSON *item, double limit);

/* Describes a network's shape as JSON in a string; NULL when memory runs out. cJSON_free gives it
 * back. */
char *nn_network_text(const nn_config *config);

#endif
