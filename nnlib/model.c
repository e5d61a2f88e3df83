/*
 * Model files: safetensors, which NumPy, PyTorch and others read without our code.
 *
 *   8 bytes   length of the header, little-endian
 *   header    JSON: {"__metadata__": {strings}, "fc1.weight": {dtype, shape, data_offsets}, ...}
 *   data      the tensors, F32 little-endian, row-major, one behind the other
 *
 * The metadata entry "network" (JSON in a string) rebuilds the network's shape; "crc32" is that of
 * the data.
 */
#include "file.h"
#include "net.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <zlib.h>

#define FORMAT_VERSION "1"
#define MAX_HEADER ((uint64_t)1 << 20)
#define LENGTH_BYTES 8
#define MAX_TENSORS ((size_t)2 * NN_MAX_LAYERS)
#define MAX_ENTRIES ((size_t)1000) /* of __metadata__ */

/* The entries of __metadata__ that belong to the file and not to the caller. */
#define KEY_FORMAT "format_version"
#define KEY_NETWORK "network"
#define KEY_CRC "crc32"
#define OWN_KEYS 3

static bool own_key(const char *key)
{
    return strcmp(key, KEY_FORMAT) == 0 || strcmp(key, KEY_NETWORK) == 0 ||
           strcmp(key, KEY_CRC) == 0;
}

/* ---- tensors: two a layer ---- */

/* Tensor t of a network: layer t/2's weights [units][inputs] (t even) or biases [units]. */
typedef struct {
    char name[32];
    size_t n_dims, dims[2];
    size_t first; /* its first parameter, in nn_net_param's order */
    size_t count;
} tensor;

static tensor describe_tensor(const nn_config *config, size_t t)
{
    tensor result = {.n_dims = 0};
    size_t inputs = config->inputs;
    for (size_t l = 0; l < t / 2; l++) {
        result.first += (inputs + 1) * config->layers[l].units;
        inputs = config->layers[l].units;
    }
    size_t units = config->layers[t / 2].units;
    result.dims[0] = units;
    result.dims[1] = inputs;
    result.n_dims = t % 2 == 0 ? 2 : 1;
    result.count = t % 2 == 0 ? units * inputs : units;
    result.first += t % 2 == 0 ? 0 : units * inputs;
    (void)snprintf(result.name, sizeof result.name, "fc%zu.%s", t / 2 + 1,
                   t % 2 == 0 ? "weight" : "bias");
    return result;
}

static void put_float(uint8_t bytes[4], float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (size_t k = 0; k < 4; k++) {
        bytes[k] = (uint8_t)(bits >> (8 * k));
    }
}

static float get_float(const uint8_t bytes[4])
{
    uint32_t bits = 0;
    float value;
    for (size_t k = 0; k < 4; k++) {
        bits |= (uint32_t)bytes[k] << (8 * k);
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- saving ---- */

/* Returns all parameters as the bytes of the file, or NULL; the caller frees them. */
static uint8_t *encode_params(const nn_net *net)
{
    uint8_t *data = nn_alloc_array(net->n_params, 4);
    for (size_t k = 0; data && k < net->n_params; k++) {
        put_float(data + 4 * k, (float)net->params[nn_net_place(net, k)]);
    }
    return data;
}

static uint32_t crc_of(const uint8_t *bytes, size_t n)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, n);
}

/* Describes the network as JSON in a string; NULL when memory runs out. */
static char *describe_network(const nn_config *config)
{
    char *text = NULL;
    cJSON *network = cJSON_CreateObject();
    bool ok = cJSON_AddNumberToObject(network, "inputs", (double)config->inputs) &&
              cJSON_AddNumberToObject(network, "input_dropout", config->input_dropout);
    cJSON *layers = ok ? cJSON_AddArrayToObject(network, "layers") : NULL;
    for (size_t l = 0; layers && ok && l < config->n_layers; l++) {
        const nn_layer *layer = &config->layers[l];
        cJSON *item = cJSON_CreateObject();
        ok = cJSON_AddNumberToObject(item, "units", (double)layer->units) &&
             cJSON_AddStringToObject(item, "activation", nn_activation_name(layer->activation)) &&
             cJSON_AddNumberToObject(item, "dropout", layer->dropout) &&
             cJSON_AddItemToArray(layers, item);
        if (!ok) {
            cJSON_Delete(item);
        }
    }
    if (layers && ok && cJSON_AddStringToObject(network, "loss", nn_loss_name(config->loss)) &&
        cJSON_AddStringToObject(network, "initialiser", nn_initialiser_name(config->initialiser))) {
        text = cJSON_PrintUnformatted(network);
    }
    cJSON_Delete(network);
    return text;
}

static bool add_metadata(cJSON *header, const nn_net *net, const nn_meta *meta, uint32_t crc)
{
    char crc_text[9];
    (void)snprintf(crc_text, sizeof crc_text, "%08lx", (unsigned long)crc);
    char *network = describe_network(&net->config);
    cJSON *object = cJSON_AddObjectToObject(header, "__metadata__");
    bool ok = network && object && cJSON_AddStringToObject(object, KEY_FORMAT, FORMAT_VERSION) &&
              cJSON_AddStringToObject(object, KEY_NETWORK, network) &&
              cJSON_AddStringToObject(object, KEY_CRC, crc_text);
    for (size_t k = 0; ok && meta && k < meta->n; k++) {
        if (!own_key(meta->items[k].key)) {
            ok = cJSON_AddStringToObject(object, meta->items[k].key, meta->items[k].value);
        }
    }
    cJSON_free(network);
    return ok;
}

static bool add_tensor(cJSON *header, const tensor *t)
{
    const double offsets[2] = {4.0 * (double)t->first, 4.0 * (double)(t->first + t->count)};
    const double dims[2] = {(double)t->dims[0], (double)t->dims[1]};
    cJSON *object = cJSON_AddObjectToObject(header, t->name);
    cJSON *shape = cJSON_CreateDoubleArray(dims, (int)t->n_dims);
    cJSON *range = cJSON_CreateDoubleArray(offsets, 2);
    bool ok = object && cJSON_AddStringToObject(object, "dtype", "F32");
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
static char *make_header(const nn_net *net, const nn_meta *meta, uint32_t crc)
{
    char *text = NULL;
    cJSON *header = cJSON_CreateObject();
    bool ok = header && add_metadata(header, net, meta, crc);
    for (size_t t = 0; ok && t < 2 * net->config.n_layers; t++) {
        const tensor described = describe_tensor(&net->config, t);
        ok = add_tensor(header, &described);
    }
    if (ok) {
        text = cJSON_PrintUnformatted(header);
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
    for (size_t k = 0; k < LENGTH_BYTES; k++) {
        length[k] = (uint8_t)((uint64_t)(text + pad) >> (8 * k));
    }
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

nn_status nn_model_save(const nn_net *net, const nn_meta *meta, const char *path)
{
    if (!nn_net_is_finite(net)) {
        return nn_fail(NN_ERR_MODEL, "not saving '%s': a parameter is not a finite number", path);
    }
    if (meta && meta->n > MAX_ENTRIES - OWN_KEYS) {
        return nn_fail(NN_ERR_MODEL, "the metadata of '%s' have too many entries: %zu", path,
                       meta->n);
    }
    const size_t size = 4 * net->n_params;
    nn_status status;
    uint8_t *data = encode_params(net);
    char *header = data ? make_header(net, meta, crc_of(data, size)) : NULL;
    if (header) {
        status = write_file(path, header, data, size);
    } else {
        status = nn_fail(NN_ERR_MEMORY, "out of memory for saving '%s'", path);
    }
    cJSON_free(header);
    nn_free(data);
    return status;
}

/* ---- loading: everything is checked before a network is made ---- */

/* What loading holds on to. */
typedef struct {
    const char *path;
    char *header;  /* [header_size], then NUL */
    uint8_t *data; /* [data_size] */
    uint64_t header_size, data_size;
    cJSON *json, *network;
    nn_config config;
    nn_layer layers[NN_MAX_LAYERS];
} model_file;

static nn_status damaged(const model_file *file, const char *why)
{
    return nn_fail(NN_ERR_MODEL, "'%s' is not a usable model: %s", file->path, why);
}

static nn_status read_exactly(model_file *file, nn_reader *reader, void *bytes, uint64_t n)
{
    size_t got;
    nn_status status = nn_reader_read(reader, bytes, (size_t)n, &got);
    return status == NN_OK && got < n ? damaged(file, "it ends early") : status;
}

static nn_status out_of_memory(const model_file *file)
{
    return nn_fail(NN_ERR_MEMORY, "out of memory for the model '%s'", file->path);
}

static nn_status read_parts(model_file *file, nn_reader *reader)
{
    uint8_t length[LENGTH_BYTES];
    if (reader->size < LENGTH_BYTES + 2) {
        return damaged(file, "it is too short for a safetensors file");
    }
    nn_status status = read_exactly(file, reader, length, sizeof length);
    if (status != NN_OK) {
        return status;
    }
    for (size_t k = LENGTH_BYTES; k-- > 0;) {
        file->header_size = file->header_size << 8 | length[k];
    }
    if (file->header_size > MAX_HEADER || file->header_size > reader->size - LENGTH_BYTES) {
        return damaged(file, "its first 8 bytes are not the length of a safetensors header");
    }
    file->data_size = reader->size - LENGTH_BYTES - file->header_size;
    if (file->data_size > SIZE_MAX || file->data_size == 0) {
        return damaged(file, "it holds no tensors");
    }
    file->header = nn_alloc((size_t)file->header_size + 1);
    if (!file->header) {
        return out_of_memory(file);
    }
    return read_exactly(file, reader, file->header, file->header_size);
}

/* Reads the data, once the header has promised as many bytes as there are. */
static nn_status read_data(model_file *file, nn_reader *reader)
{
    char more;
    size_t got = 0;
    file->data = nn_alloc((size_t)file->data_size);
    if (!file->data) {
        return out_of_memory(file);
    }
    nn_status status = read_exactly(file, reader, file->data, file->data_size);
    if (status == NN_OK) {
        status = nn_reader_read(reader, &more, 1, &got);
    }
    return status == NN_OK && got > 0 ? damaged(file, "it grew while it was read") : status;
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

/* Whether item is an object of just n keys. Where n are asked for by name, none can be there twice
 * or be unknown. */
static bool is_object_of(const cJSON *item, int n)
{
    return cJSON_IsObject(item) && cJSON_GetArraySize(item) == n;
}

/* Takes a whole number in [0, limit]. */
static bool whole_number(size_t *out, const cJSON *item, double limit)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= limit) ||
        item->valuedouble != floor(item->valuedouble)) {
        return false;
    }
    *out = (size_t)item->valuedouble;
    return true;
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *string_member(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(member(object, key));
}

/* Parses text as one JSON object of at most so many distinct keys, with nothing before it and only
 * spaces behind it. */
static cJSON *parse_object(const char *text, size_t size, size_t most)
{
    const char *end;
    cJSON *json = *text == '{' ? cJSON_ParseWithLengthOpts(text, size, &end, false) : NULL;
    bool whole = json && strspn(end, " ") == size - (size_t)(end - text);
    if (!whole || !has_distinct_keys(json, most)) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

static nn_status parse_metadata(model_file *file)
{
    if (memchr(file->header, '\0', (size_t)file->header_size)) {
        return damaged(file, "its header is not JSON text");
    }
    file->json = parse_object(file->header, (size_t)file->header_size, MAX_TENSORS + 1);
    if (!file->json) {
        return damaged(file, "its header is not a JSON object, or has too many keys or one twice");
    }
    const cJSON *meta = member(file->json, "__metadata__");
    if (!cJSON_IsObject(meta) || !has_distinct_keys(meta, MAX_ENTRIES)) {
        return damaged(
            file,
            "its header has no object '__metadata__', or one with too many keys or one twice");
    }
    for (const cJSON *item = meta->child; item; item = item->next) {
        if (!cJSON_IsString(item)) {
            return damaged(file, "an entry of its metadata is not a string");
        }
    }
    const char *version = string_member(meta, KEY_FORMAT);
    if (!version || strcmp(version, FORMAT_VERSION) != 0) {
        return damaged(file, "it was not written by this program, or by a version to come: "
                             "format_version is not " FORMAT_VERSION);
    }
    return NN_OK;
}

/* ---- the network's shape ---- */

static bool parse_layer(nn_layer *layer, const cJSON *json)
{
    const cJSON *dropout = member(json, "dropout");
    const char *activation = string_member(json, "activation");
    if (!is_object_of(json, 3) || !cJSON_IsNumber(dropout) || !activation ||
        !whole_number(&layer->units, member(json, "units"), (double)NN_MAX_UNITS)) {
        return false;
    }
    layer->dropout = dropout->valuedouble;
    return nn_activation_find(&layer->activation, activation) == NN_OK;
}

#define NETWORK_KEYS 5 /* all of these, so that there is room for no other */

static bool parse_config(model_file *file)
{
    nn_config *config = &file->config;
    const cJSON *dropout = member(file->network, "input_dropout");
    const cJSON *layers = member(file->network, "layers");
    const char *loss = string_member(file->network, "loss");
    const char *initialiser = string_member(file->network, "initialiser");
    if (!cJSON_IsNumber(dropout) || !cJSON_IsArray(layers) || !loss || !initialiser ||
        !whole_number(&config->inputs, member(file->network, "inputs"), (double)NN_MAX_UNITS)) {
        return false;
    }
    config->input_dropout = dropout->valuedouble;
    config->layers = file->layers;
    for (const cJSON *layer = layers->child; layer; layer = layer->next) {
        if (config->n_layers == NN_MAX_LAYERS ||
            !parse_layer(&file->layers[config->n_layers++], layer)) {
            return false;
        }
    }
    return config->n_layers > 0 && nn_loss_find(&config->loss, loss) == NN_OK &&
           nn_initialiser_find(&config->initialiser, initialiser) == NN_OK;
}

static nn_status parse_network(model_file *file)
{
    const char *text = string_member(member(file->json, "__metadata__"), KEY_NETWORK);
    file->network = text ? parse_object(text, strlen(text), NETWORK_KEYS) : NULL;
    if (!file->network || !parse_config(file)) {
        return damaged(file, "its metadata entry 'network' does not describe a network");
    }
    return NN_OK;
}

/* ---- tensors ---- */

/* Finds where a tensor begins in the data, if its header entry is what the network asks for. */
static bool find_tensor(const model_file *file, const tensor *t, size_t *begin)
{
    const cJSON *entry = member(file->json, t->name);
    const char *dtype = string_member(entry, "dtype");
    const cJSON *shape = member(entry, "shape"), *offsets = member(entry, "data_offsets");
    size_t value, end;
    if (!is_object_of(entry, 3) || !dtype || strcmp(dtype, "F32") != 0 || !cJSON_IsArray(shape) ||
        cJSON_GetArraySize(shape) != (int)t->n_dims || !cJSON_IsArray(offsets) ||
        cJSON_GetArraySize(offsets) != 2) {
        return false;
    }
    for (size_t d = 0; d < t->n_dims; d++) {
        if (!whole_number(&value, cJSON_GetArrayItem(shape, (int)d), (double)NN_MAX_UNITS) ||
            value != t->dims[d]) {
            return false;
        }
    }
    const double limit = (double)file->data_size;
    return whole_number(begin, cJSON_GetArrayItem(offsets, 0), limit) &&
           whole_number(&end, cJSON_GetArrayItem(offsets, 1), limit) && end >= *begin &&
           (end - *begin) / 4 == t->count && (end - *begin) % 4 == 0;
}

static bool disjoint(size_t begin, size_t size, size_t other_begin, size_t other_size)
{
    return begin + size <= other_begin || other_begin + other_size <= begin;
}

/* No tensor may overlap another one, in whatever order they lie. */
static nn_status check_overlap(const model_file *file)
{
    const size_t n_tensors = 2 * file->config.n_layers;
    for (size_t t = 0; t < n_tensors; t++) {
        const tensor one = describe_tensor(&file->config, t);
        for (size_t u = 0; u < t; u++) {
            const tensor other = describe_tensor(&file->config, u);
            size_t begin, other_begin;
            if (!find_tensor(file, &one, &begin) || !find_tensor(file, &other, &other_begin) ||
                !disjoint(begin, 4 * one.count, other_begin, 4 * other.count)) {
                return nn_fail(NN_ERR_MODEL,
                               "'%s' is not a usable model: the tensors '%s' and '%s' overlap",
                               file->path, other.name, one.name);
            }
        }
    }
    return NN_OK;
}

/* Each tensor is there, in its shape; together they are as large as the data and do not overlap: so
 * they leave no gap either. */
static nn_status check_tensors(const model_file *file)
{
    const size_t n_tensors = 2 * file->config.n_layers;
    uint64_t total = 0;
    if ((size_t)cJSON_GetArraySize(file->json) != n_tensors + 1) {
        return damaged(file, "it holds more or fewer tensors than its network has");
    }
    for (size_t t = 0; t < n_tensors; t++) {
        const tensor described = describe_tensor(&file->config, t);
        size_t begin;
        if (!find_tensor(file, &described, &begin)) {
            return nn_fail(NN_ERR_MODEL,
                           "'%s' is not a usable model: the tensor '%s' is missing, or not F32 of "
                           "the shape and place that its network asks for",
                           file->path, described.name);
        }
        total += 4 * (uint64_t)described.count;
    }
    if (total != file->data_size) {
        return nn_fail(NN_ERR_MODEL,
                       "'%s' is not a usable model: its tensors need %llu bytes, it holds %llu",
                       file->path, (unsigned long long)total, (unsigned long long)file->data_size);
    }
    return check_overlap(file);
}

static nn_status check_crc(const model_file *file)
{
    const char *expected = string_member(member(file->json, "__metadata__"), KEY_CRC);
    char found[9];
    (void)snprintf(found, sizeof found, "%08lx",
                   (unsigned long)crc_of(file->data, (size_t)file->data_size));
    if (!expected || strcmp(expected, found) != 0) {
        return nn_fail(NN_ERR_MODEL,
                       "'%s' is damaged: the CRC-32 of its tensors is %s, its header says %s",
                       file->path, found, expected ? expected : "nothing");
    }
    return NN_OK;
}

/* Puts the tensors into a network of that shape. */
static nn_status decode_params(nn_net *net, const model_file *file)
{
    for (size_t t = 0; t < 2 * file->config.n_layers; t++) {
        const tensor described = describe_tensor(&file->config, t);
        size_t begin = 0;
        (void)find_tensor(file, &described, &begin); /* check_tensors has found it */
        for (size_t k = 0; k < described.count; k++) {
            float value = get_float(file->data + begin + 4 * k);
            if (!isfinite(value)) {
                return damaged(file, "it holds a number that is not finite");
            }
            *nn_net_param(net, described.first + k) = (nn_real)value;
        }
    }
    return NN_OK;
}

static nn_status make_net(nn_net **out, const model_file *file)
{
    nn_config config = file->config;
    config.initialiser = NN_ZERO; /* the weights are read, not drawn */
    nn_net *net;
    const nn_kernels *kernels;
    nn_status status = nn_kernels_choose(&kernels);
    if (status != NN_OK) {
        return status; /* not the model's fault */
    }
    status = nn_net_new(&net, &config, 0);
    if (status == NN_ERR_ARGUMENT) {
        return nn_fail(NN_ERR_MODEL, "'%s' is not a usable model: %s", file->path, nn_error_text());
    }
    if (status != NN_OK) {
        return status;
    }
    net->config.initialiser = file->config.initialiser;
    status = decode_params(net, file);
    if (status != NN_OK) {
        nn_net_free(net);
        return status;
    }
    *out = net;
    return NN_OK;
}

static nn_status collect_meta(nn_meta *meta, const model_file *file)
{
    const cJSON *object = member(file->json, "__metadata__");
    for (const cJSON *item = object->child; item; item = item->next) {
        if (!own_key(item->string)) {
            nn_status status = nn_meta_set(meta, item->string, item->valuestring);
            if (status != NN_OK) {
                return status;
            }
        }
    }
    return NN_OK;
}

static nn_status load(nn_net **out, nn_meta *meta, model_file *file, nn_reader *reader)
{
    nn_meta found = {0};
    nn_net *net = NULL;
    nn_status status = read_parts(file, reader);
    if (status == NN_OK) {
        status = parse_metadata(file);
    }
    if (status == NN_OK) {
        status = parse_network(file);
    }
    if (status == NN_OK) {
        status = check_tensors(file);
    }
    if (status == NN_OK) {
        status = read_data(file, reader);
    }
    if (status == NN_OK) {
        status = check_crc(file);
    }
    if (status == NN_OK) {
        status = collect_meta(&found, file);
    }
    if (status == NN_OK) {
        status = make_net(&net, file);
    }
    if (status == NN_OK) {
        *out = net;
    }
    if (status == NN_OK && meta) {
        *meta = found;
    } else {
        nn_meta_release(&found);
    }
    return status;
}

nn_status nn_model_load(nn_net **out, nn_meta *meta, const char *path)
{
    nn_reader reader;
    nn_status status = nn_reader_open(&reader, path);
    if (status != NN_OK) {
        return status;
    }
    model_file file = {.path = path};
    status = load(out, meta, &file, &reader);
    cJSON_Delete(file.network);
    cJSON_Delete(file.json);
    nn_free(file.data);
    nn_free(file.header);
    nn_reader_close(&reader);
    return status;
}
