#include "safetensors.h"

#include "clocale.h"
#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <zlib.h>

#define MAX_HEADER ((uint64_t)1 << 20)
#define LENGTH_BYTES 8
#define MAX_DIM 4294967295.0       /* as many samples as there may be */
#define MAX_ENTRIES ((size_t)1000) /* of __metadata__ */

/* ---- tensors ---- */

nn_status nn_tensors_new(nn_tensors *out, size_t n)
{
    nn_tensor *items = nn_alloc_array(n, sizeof *items);
    if (!items) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for a list of %zu tensors", n);
    }
    *out = (nn_tensors){.items = items};
    return NN_OK;
}

void nn_tensors_release(nn_tensors *tensors)
{
    nn_free(tensors->items);
    *tensors = (nn_tensors){0};
}

nn_tensor *nn_tensors_add(nn_tensors *tensors, const char *dtype, size_t rows, size_t columns)
{
    nn_tensor *t = &tensors->items[tensors->n++];
    t->dtype = dtype;
    t->item_size = strcmp(dtype + 1, "64") == 0 ? 8 : 4;
    t->n_dims = columns > 0 ? 2 : 1;
    t->dims[0] = rows;
    t->dims[1] = columns;
    t->count = columns > 0 ? rows * columns : rows;
    t->begin = tensors->size;
    tensors->size += t->count * t->item_size;
    return t;
}

void nn_tensors_add_params(nn_tensors *tensors, const nn_config *config, const char *dtype,
                           const char *prefix)
{
    size_t inputs = config->inputs;
    for (size_t l = 0; l < config->n_layers; l++) {
        size_t units = config->layers[l].units;
        nn_tensor *weights = nn_tensors_add(tensors, dtype, units, inputs);
        nn_tensor *biases = nn_tensors_add(tensors, dtype, units, 0);
        (void)snprintf(weights->name, sizeof weights->name, "%sfc%zu.weight", prefix, l + 1);
        (void)snprintf(biases->name, sizeof biases->name, "%sfc%zu.bias", prefix, l + 1);
        inputs = units;
    }
}

void nn_put_word(uint8_t *bytes, uint64_t word, size_t size)
{
    for (size_t k = 0; k < size; k++) {
        bytes[k] = (uint8_t)(word >> (8 * k));
    }
}

uint64_t nn_get_word(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;
    for (size_t k = 0; k < size; k++) {
        word |= (uint64_t)bytes[k] << (8 * k);
    }
    return word;
}

uint32_t nn_crc32(uint32_t crc, const uint8_t *bytes, size_t n)
{
    return n > 0 ? (uint32_t)crc32_z(crc, bytes, n) : crc;
}

/* ---- writing ---- */

/* Whether an entry of __metadata__ belongs to the file. */
static bool own_key(const nn_file_kind *kind, const char *key)
{
    for (size_t k = 0; kind->keys[k]; k++) {
        if (strcmp(key, kind->keys[k]) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_metadata(cJSON *header, const nn_file_kind *kind, const char *const *texts,
                         const nn_meta *meta, uint32_t crc)
{
    char crc_text[9];
    (void)snprintf(crc_text, sizeof crc_text, "%08lx", (unsigned long)crc);
    cJSON *object = cJSON_AddObjectToObject(header, "__metadata__");
    bool ok = object && cJSON_AddStringToObject(object, kind->keys[0], kind->version);
    size_t k = 1;
    for (; ok && kind->keys[k + 1]; k++) {
        ok = cJSON_AddStringToObject(object, kind->keys[k], texts[k - 1]);
    }
    ok = ok && cJSON_AddStringToObject(object, kind->keys[k], crc_text);
    for (size_t i = 0; ok && meta && i < meta->n; i++) {
        if (!own_key(kind, meta->items[i].key)) {
            ok = cJSON_AddStringToObject(object, meta->items[i].key, meta->items[i].value);
        }
    }
    return ok;
}

static bool add_tensor(cJSON *header, const nn_tensor *t)
{
    const double offsets[2] = {(double)t->begin, (double)(t->begin + t->count * t->item_size)};
    const double dims[2] = {(double)t->dims[0], (double)t->dims[1]};
    cJSON *object = cJSON_AddObjectToObject(header, t->name);
    cJSON *shape = cJSON_CreateDoubleArray(dims, (int)t->n_dims);
    cJSON *range = cJSON_CreateDoubleArray(offsets, 2);
    bool ok = object && cJSON_AddStringToObject(object, "dtype", t->dtype);
    if (!ok || !cJSON_AddItemToObject(object, "shape", shape)) {
        cJSON_Delete(shape);
        cJSON_Delete(range);
        return false;
    }
    if (!cJSON_AddItemToObject(object, "data_offsets", range)) {
        cJSON_Delete(range);
        return false;
    }
    return true;
}

/* Returns the header's text, or NULL when memory runs out; cJSON_free gives it back. */
static char *make_header(const nn_file_kind *kind, const char *const *texts, const nn_meta *meta,
                         const nn_tensors *tensors, uint32_t crc)
{
    char *text = NULL;
    cJSON *header = cJSON_CreateObject();
    bool ok = header && add_metadata(header, kind, texts, meta, crc);
    for (size_t t = 0; ok && t < tensors->n; t++) {
        ok = add_tensor(header, &tensors->items[t]);
    }
    if (ok) {
        text = nn_json_print(header);
    }
    cJSON_Delete(header);
    return text;
}

/* Writes length, header (padded with spaces so that the data are aligned) and data. */
static nn_status write_file(const char *path, const char *header, const uint8_t *data, size_t size)
{
    static const char padding[LENGTH_BYTES] = "        ";
    size_t text = strlen(header), pad = (LENGTH_BYTES - text % LENGTH_BYTES) % LENGTH_BYTES;
    uint8_t length[LENGTH_BYTES];
    nn_writer *writer;
    if (text + pad > MAX_HEADER) {
        return nn_fail(NN_ERR_MODEL, "the metadata of '%s' are too long: %zu bytes", path, text);
    }
    nn_put_word(length, text + pad, LENGTH_BYTES);
    nn_status status = nn_writer_open(&writer, path);
    if (status != NN_OK) {
        return status;
    }
    (void)nn_writer_write(writer, length, sizeof length); /* a failure sticks until the commit */
    (void)nn_writer_write(writer, header, text);
    (void)nn_writer_write(writer, padding, pad);
    (void)nn_writer_write(writer, data, size);
    return nn_writer_commit(writer);
}

/* JSON is UTF-8, and others read it more strictly than it is written here. */
static nn_status check_encoding(const nn_meta *meta, const char *path)
{
    for (size_t k = 0; meta && k < meta->n; k++) {
        const struct nn_meta_item *item = &meta->items[k];
        if (!nn_is_utf8(item->key, strlen(item->key)) ||
            !nn_is_utf8(item->value, strlen(item->value))) {
            return nn_fail(NN_ERR_MODEL, "not saving '%s': the metadata entry '%s' is not UTF-8",
                           path, item->key);
        }
    }
    return NN_OK;
}

nn_status nn_safetensors_save(const char *path, const nn_file_kind *kind, const char *const *texts,
                              const nn_meta *meta, const nn_tensors *tensors, const uint8_t *data)
{
    size_t own = 0;
    while (kind->keys[own]) {
        own++;
    }
    if (meta && meta->n > MAX_ENTRIES - own) {
        return nn_fail(NN_ERR_MODEL, "the metadata of '%s' have too many entries: %zu", path,
                       meta->n);
    }
    nn_status status = check_encoding(meta, path);
    if (status != NN_OK) {
        return status;
    }
    char *header = make_header(kind, texts, meta, tensors, nn_crc32(0, data, tensors->size));
    if (!header) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for saving '%s'", path);
    }
    status = write_file(path, header, data, tensors->size);
    cJSON_free(header);
    return status;
}

/* ---- JSON ---- */

/* Whether an object has no key twice, and at most so many that comparing each with each is quick: a
 * header of 1 MiB can hold 100,000. */
static bool has_distinct_keys(const cJSON *object, size_t most)
{
    size_t n = 0;
    for (const cJSON *item = object->child; item; item = item->next) {
        if (++n > most) {
            return false;
        }
        for (const cJSON *other = object->child; other != item; other = other->next) {
            if (strcmp(item->string, other->string) == 0) {
                return false;
            }
        }
    }
    return true;
}

bool nn_json_is_object_of(const cJSON *item, int n)
{
    return cJSON_IsObject(item) && cJSON_GetArraySize(item) == n;
}

bool nn_json_whole_number(size_t *out, const cJSON *item, double limit)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= limit) ||
        item->valuedouble != floor(item->valuedouble)) {
        return false;
    }
    *out = (size_t)item->valuedouble;
    return true;
}

const cJSON *nn_json_member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *nn_json_string(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(nn_json_member(object, key));
}

/* Whether JSON text is UTF-8 and no string in it has the character U+0000, where C would see the
 * end: what stands behind it would pass unseen. */
static bool is_plain_text(const char *text, size_t size)
{
    for (size_t k = 0; k < size; k++) {
        if (text[k] == '\\') {
            if (size - k >= 6 && memcmp(text + k, "\\u0000", 6) == 0) {
                return false;
            }
            k++; /* what is escaped escapes nothing */
        }
    }
    return !memchr(text, '\0', size) && nn_is_utf8(text, size);
}

char *nn_json_print(const cJSON *item)
{
    nn_clocale saved;
    if (!nn_clocale_set(&saved)) {
        return NULL;
    }
    char *text = cJSON_PrintUnformatted(item);
    nn_clocale_restore(&saved);
    return text;
}

static cJSON *parse(const char *text, size_t size, const char **end)
{
    nn_clocale saved;
    if (!nn_clocale_set(&saved)) {
        return NULL;
    }
    cJSON *json = cJSON_ParseWithLengthOpts(text, size, end, false);
    nn_clocale_restore(&saved);
    return json;
}

cJSON *nn_json_object(const char *text, size_t size, size_t most)
{
    const char *end = NULL;
    const bool object = text && *text == '{' && is_plain_text(text, size);
    errno = 0;
    cJSON *json = object ? parse(text, size, &end) : NULL;
    bool whole = json && strspn(end, " ") == size - (size_t)(end - text);
    if (!whole || !has_distinct_keys(json, most)) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

/* ---- reading ---- */

nn_status nn_safetensors_damaged(const nn_safetensors *file, const char *why)
{
    return nn_fail(NN_ERR_MODEL, "'%s' is not a usable %s: %s", file->path, file->kind->name, why);
}

static nn_status read_exactly(nn_safetensors *file, void *bytes, uint64_t n)
{
    size_t got;
    nn_status status = nn_reader_read(&file->reader, bytes, (size_t)n, &got);
    return status == NN_OK && got < n ? nn_safetensors_damaged(file, "it ends early") : status;
}

static nn_status out_of_memory(const nn_safetensors *file)
{
    return nn_fail(NN_ERR_MEMORY, "out of memory for the %s '%s'", file->kind->name, file->path);
}

nn_status nn_safetensors_unparsed(const nn_safetensors *file, const char *why)
{
    return errno == ENOMEM ? out_of_memory(file) : nn_safetensors_damaged(file, why);
}

static nn_status read_parts(nn_safetensors *file)
{
    uint8_t length[LENGTH_BYTES];
    if (file->reader.size < LENGTH_BYTES + 2) {
        return nn_safetensors_damaged(file, "it is too short for a safetensors file");
    }
    nn_status status = read_exactly(file, length, sizeof length);
    if (status != NN_OK) {
        return status;
    }
    file->header_size = nn_get_word(length, LENGTH_BYTES);
    if (file->header_size > MAX_HEADER || file->header_size > file->reader.size - LENGTH_BYTES) {
        return nn_safetensors_damaged(
            file, "its first 8 bytes are not the length of a safetensors header");
    }
    file->data_size = file->reader.size - LENGTH_BYTES - file->header_size;
    if (file->data_size > SIZE_MAX || file->data_size == 0) {
        return nn_safetensors_damaged(file, "it holds no tensors");
    }
    file->header = nn_alloc((size_t)file->header_size + 1);
    if (!file->header) {
        return out_of_memory(file);
    }
    return read_exactly(file, file->header, file->header_size);
}

/* Reads the data, once the header has promised as many bytes as there are. */
static nn_status read_data(nn_safetensors *file)
{
    char more;
    size_t got = 0;
    file->data = nn_alloc((size_t)file->data_size);
    if (!file->data) {
        return out_of_memory(file);
    }
    nn_status status = read_exactly(file, file->data, file->data_size);
    if (status == NN_OK) {
        status = nn_reader_read(&file->reader, &more, 1, &got);
    }
    return status == NN_OK && got > 0 ? nn_safetensors_damaged(file, "it grew while it was read")
                                      : status;
}

static nn_status check_version(const nn_safetensors *file, const cJSON *meta)
{
    const nn_file_kind *kind = file->kind;
    const char *version = nn_json_string(meta, kind->keys[0]);
    if (version && strcmp(version, kind->version) == 0) {
        return NN_OK;
    }
    if (!version && nn_json_member(meta, kind->other_key)) {
        return nn_safetensors_damaged(file, kind->other_text);
    }
    return nn_fail(NN_ERR_MODEL,
                   "'%s' is not a usable %s: it was not written by this program, or by a version "
                   "to come: %s is not %s",
                   file->path, kind->name, kind->keys[0], kind->version);
}

static nn_status parse_metadata(nn_safetensors *file)
{
    file->json =
        nn_json_object(file->header, (size_t)file->header_size, file->kind->max_tensors + 1);
    if (!file->json) {
        return nn_safetensors_unparsed(
            file, "its header is not a JSON object in UTF-8, has a zero character, or has too many "
                  "keys or one twice");
    }
    const cJSON *meta = nn_json_member(file->json, "__metadata__");
    if (!cJSON_IsObject(meta) || !has_distinct_keys(meta, MAX_ENTRIES)) {
        return nn_safetensors_damaged(
            file,
            "its header has no object '__metadata__', or one with too many keys or one twice");
    }
    for (const cJSON *item = meta->child; item; item = item->next) {
        if (!cJSON_IsString(item)) {
            return nn_safetensors_damaged(file, "an entry of its metadata is not a string");
        }
    }
    return check_version(file, meta);
}

/* ---- tensors in a file ---- */

/* Finds where a tensor begins in the data, if its header entry is what was asked for. */
static bool find_tensor(const nn_safetensors *file, nn_tensor *t)
{
    const cJSON *entry = nn_json_member(file->json, t->name);
    const char *dtype = nn_json_string(entry, "dtype");
    const cJSON *shape = nn_json_member(entry, "shape");
    const cJSON *offsets = nn_json_member(entry, "data_offsets");
    size_t value, begin, end;
    if (!nn_json_is_object_of(entry, 3) || !dtype || strcmp(dtype, t->dtype) != 0 ||
        !cJSON_IsArray(shape) || cJSON_GetArraySize(shape) != (int)t->n_dims ||
        !cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2) {
        return false;
    }
    for (size_t d = 0; d < t->n_dims; d++) {
        if (!nn_json_whole_number(&value, cJSON_GetArrayItem(shape, (int)d), MAX_DIM) ||
            value != t->dims[d]) {
            return false;
        }
    }
    const double limit = (double)file->data_size;
    if (!nn_json_whole_number(&begin, cJSON_GetArrayItem(offsets, 0), limit) ||
        !nn_json_whole_number(&end, cJSON_GetArrayItem(offsets, 1), limit) || end < begin ||
        (end - begin) / t->item_size != t->count || (end - begin) % t->item_size != 0) {
        return false;
    }
    t->begin = begin;
    return true;
}

static bool disjoint(const nn_tensor *a, const nn_tensor *b)
{
    return a->begin + a->count * a->item_size <= b->begin ||
           b->begin + b->count * b->item_size <= a->begin;
}

/* No tensor may overlap another one, in whatever order they lie. */
static nn_status check_overlap(const nn_safetensors *file, const nn_tensors *tensors)
{
    for (size_t t = 0; t < tensors->n; t++) {
        for (size_t u = 0; u < t; u++) {
            if (!disjoint(&tensors->items[t], &tensors->items[u])) {
                return nn_fail(
                    NN_ERR_MODEL, "'%s' is not a usable %s: the tensors '%s' and '%s' overlap",
                    file->path, file->kind->name, tensors->items[u].name, tensors->items[t].name);
            }
        }
    }
    return NN_OK;
}

/* Each tensor is there, in its shape; together they are as large as the data and do not overlap: so
 * they leave no gap either. */
static nn_status check_tensors(const nn_safetensors *file, nn_tensors *tensors)
{
    if ((size_t)cJSON_GetArraySize(file->json) != tensors->n + 1) {
        return nn_safetensors_damaged(file, "it holds more or fewer tensors than its network has");
    }
    for (size_t t = 0; t < tensors->n; t++) {
        if (!find_tensor(file, &tensors->items[t])) {
            return nn_fail(NN_ERR_MODEL,
                           "'%s' is not a usable %s: the tensor '%s' is missing, or not %s of "
                           "the shape and place that its network asks for",
                           file->path, file->kind->name, tensors->items[t].name,
                           tensors->items[t].dtype);
        }
    }
    if (tensors->size != file->data_size) {
        return nn_fail(
            NN_ERR_MODEL, "'%s' is not a usable %s: its tensors need %zu bytes, it holds %llu",
            file->path, file->kind->name, tensors->size, (unsigned long long)file->data_size);
    }
    return check_overlap(file, tensors);
}

static nn_status check_crc(const nn_safetensors *file)
{
    const char *expected = nn_safetensors_text(file, NN_KEY_CRC);
    char found[9];
    (void)snprintf(found, sizeof found, "%08lx",
                   (unsigned long)nn_crc32(0, file->data, (size_t)file->data_size));
    if (!expected || strcmp(expected, found) != 0) {
        return nn_fail(NN_ERR_MODEL,
                       "'%s' is damaged: the CRC-32 of its tensors is %s, its header says %s",
                       file->path, found, expected ? expected : "nothing");
    }
    return NN_OK;
}

/* ---- the whole ---- */

nn_status nn_safetensors_open(nn_safetensors *out, const nn_file_kind *kind, const char *path)
{
    nn_safetensors file = {.kind = kind, .path = path};
    nn_status status = nn_reader_open(&file.reader, path);
    if (status != NN_OK) {
        return status;
    }
    status = read_parts(&file);
    if (status == NN_OK) {
        status = parse_metadata(&file);
    }
    if (status != NN_OK) {
        nn_safetensors_close(&file);
        return status;
    }
    *out = file;
    return NN_OK;
}

nn_status nn_safetensors_read(nn_safetensors *file, nn_tensors *tensors)
{
    nn_status status = check_tensors(file, tensors);
    if (status == NN_OK) {
        status = read_data(file);
    }
    return status == NN_OK ? check_crc(file) : status;
}

void nn_safetensors_close(nn_safetensors *file)
{
    cJSON_Delete(file->json);
    nn_free(file->data);
    nn_free(file->header);
    nn_reader_close(&file->reader);
}

const char *nn_safetensors_text(const nn_safetensors *file, const char *key)
{
    return nn_json_string(nn_json_member(file->json, "__metadata__"), key);
}

nn_status nn_safetensors_meta(nn_meta *out, const nn_safetensors *file)
{
    nn_meta found = {0};
    const cJSON *item = nn_json_member(file->json, "__metadata__")->child;
    for (; item; item = item->next) {
        if (own_key(file->kind, item->string)) {
            continue;
        }
        nn_status status = nn_meta_set(&found, item->string, item->valuestring);
        if (status != NN_OK) {
            nn_meta_release(&found);
            return status;
        }
    }
    *out = found;
    return NN_OK;
}
