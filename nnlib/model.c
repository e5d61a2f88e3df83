/*
 * Model files: a network's parameters as safetensors. The metadata entry "network" (JSON in a
 * string) rebuilds its shape.
 */
#include "safetensors.h"

static const nn_file_kind model = {
    .name = "model",
    .version = "1",
    .keys = {"format_version", NN_KEY_NETWORK, NN_KEY_CRC, NULL},
    .other_key = NN_KEY_CHECKPOINT,
    .other_text = "it is a checkpoint of a training",
    .max_tensors = (size_t)2 * NN_MAX_LAYERS,
};

/* ---- saving ---- */

char *nn_network_text(const nn_config *config)
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
        text = nn_json_print(network);
    }
    cJSON_Delete(network);
    return text;
}

static uint64_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Returns all parameters as the bytes of the file, or NULL; the caller frees them. */
static uint8_t *encode_params(const nn_net *net)
{
    uint8_t *data = nn_alloc_array(net->n_params, 4);
    for (size_t k = 0; data && k < net->n_params; k++) {
        nn_put_word(data + 4 * k, float_bits((float)net->params[nn_net_place(net, k)]), 4);
    }
    return data;
}

static nn_status save(const nn_net *net, const nn_meta *meta, const char *path)
{
    if (!nn_net_is_finite(net)) {
        return nn_fail(NN_ERR_MODEL, "not saving '%s': a parameter is not a finite number", path);
    }
    nn_tensors tensors;
    nn_status status = nn_tensors_new(&tensors, 2 * net->config.n_layers);
    if (status != NN_OK) {
        return status;
    }
    nn_tensors_add_params(&tensors, &net->config, "F32", "");
    uint8_t *data = encode_params(net);
    char *network = data ? nn_network_text(&net->config) : NULL;
    const char *const texts[] = {network};
    status = network ? nn_safetensors_save(path, &model, texts, meta, &tensors, data)
                     : nn_fail(NN_ERR_MEMORY, "out of memory for saving '%s'", path);
    cJSON_free(network);
    nn_free(data);
    nn_tensors_release(&tensors);
    return status;
}

nn_status nn_model_save(const nn_net *net, const nn_meta *meta, const char *path)
{
    const nn_fpenv before = nn_fpenv_set();
    nn_status status = save(net, meta, path);
    nn_fpenv_restore(&before);
    return status;
}

/* ---- the network's shape ---- */

static bool parse_layer(nn_layer *layer, const cJSON *json)
{
    const cJSON *dropout = nn_json_member(json, "dropout");
    const char *activation = nn_json_string(json, "activation");
    if (!nn_json_is_object_of(json, 3) || !cJSON_IsNumber(dropout) || !activation ||
        !nn_json_whole_number(&layer->units, nn_json_member(json, "units"), (double)NN_MAX_UNITS)) {
        return false;
    }
    layer->dropout = dropout->valuedouble;
    return nn_activation_find(&layer->activation, activation) == NN_OK;
}

#define NETWORK_KEYS 5 /* all of these, so that there is room for no other */

/* A network's shape as a file gives it. */
typedef struct {
    nn_config config;
    nn_layer layers[NN_MAX_LAYERS]; /* which config points at */
} shape;

static bool parse_config(shape *out, const cJSON *network)
{
    nn_config *config = &out->config;
    const cJSON *dropout = nn_json_member(network, "input_dropout");
    const cJSON *layers = nn_json_member(network, "layers");
    const char *loss = nn_json_string(network, "loss");
    const char *initialiser = nn_json_string(network, "initialiser");
    if (!cJSON_IsNumber(dropout) || !cJSON_IsArray(layers) || !loss || !initialiser ||
        !nn_json_whole_number(&config->inputs, nn_json_member(network, "inputs"),
                              (double)NN_MAX_UNITS)) {
        return false;
    }
    config->input_dropout = dropout->valuedouble;
    config->layers = out->layers;
    for (const cJSON *layer = layers->child; layer; layer = layer->next) {
        if (config->n_layers == NN_MAX_LAYERS ||
            !parse_layer(&out->layers[config->n_layers++], layer)) {
            return false;
        }
    }
    return config->n_layers > 0 && nn_loss_find(&config->loss, loss) == NN_OK &&
           nn_initialiser_find(&config->initialiser, initialiser) == NN_OK;
}

static nn_status parse_network(shape *out, const nn_safetensors *file)
{
    const char *text = nn_safetensors_text(file, NN_KEY_NETWORK);
    cJSON *network = nn_json_object(text, text ? strlen(text) : 0, NETWORK_KEYS);
    bool ok = network && parse_config(out, network);
    nn_status status = ok ? NN_OK
                          : nn_safetensors_unparsed(
                                file, "its metadata entry 'network' does not describe a network");
    cJSON_Delete(network);
    return status;
}

/* ---- loading: everything is checked before a network is made ---- */

static float float_of(uint64_t word)
{
    const uint32_t bits = (uint32_t)word;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Puts the tensors into a network of that shape. */
static nn_status decode_params(nn_net *net, const nn_safetensors *file, const nn_tensors *tensors)
{
    size_t place = 0;
    for (size_t t = 0; t < tensors->n; t++) {
        for (size_t k = 0; k < tensors->items[t].count; k++) {
            float value = float_of(nn_get_word(file->data + tensors->items[t].begin + 4 * k, 4));
            if (!isfinite(value)) {
                return nn_safetensors_damaged(file, "it holds a number that is not finite");
            }
            *nn_net_param(net, place++) = (nn_real)value;
        }
    }
    return NN_OK;
}

static nn_status make_net(nn_net **out, const shape *found, const nn_safetensors *file,
                          const nn_tensors *tensors)
{
    nn_config config = found->config;
    config.initialiser = NN_ZERO; /* the weights are read, not drawn */
    nn_net *net;
    const nn_kernels *kernels;
    nn_status status = nn_kernels_choose(&kernels);
    if (status != NN_OK) {
        return status; /* not the model's fault */
    }
    status = nn_net_new(&net, &config, 0);
    if (status == NN_ERR_ARGUMENT) {
        return nn_safetensors_damaged(file, nn_error_text());
    }
    if (status != NN_OK) {
        return status;
    }
    net->config.initialiser = found->config.initialiser;
    status = decode_params(net, file, tensors);
    if (status != NN_OK) {
        nn_net_free(net);
        return status;
    }
    *out = net;
    return NN_OK;
}

static nn_status load(nn_net **out, nn_meta *meta, nn_safetensors *file)
{
    shape found = {.config = {0}};
    nn_tensors tensors = {0};
    nn_meta facts = {0};
    nn_status status = parse_network(&found, file);
    if (status == NN_OK) {
        status = nn_tensors_new(&tensors, 2 * found.config.n_layers);
    }
    if (status == NN_OK) {
        nn_tensors_add_params(&tensors, &found.config, "F32", "");
        status = nn_safetensors_read(file, &tensors);
    }
    if (status == NN_OK && meta) {
        status = nn_safetensors_meta(&facts, file);
    }
    if (status == NN_OK) {
        status = make_net(out, &found, file, &tensors);
    }
    nn_tensors_release(&tensors);
    if (status != NN_OK) {
        nn_meta_release(&facts);
    } else if (meta) {
        *meta = facts;
    }
    return status;
}

nn_status nn_model_load(nn_net **out, nn_meta *meta, const char *path)
{
    nn_safetensors file;
    const nn_fpenv before = nn_fpenv_set();
    nn_status status = nn_safetensors_open(&file, &model, path);
    if (status == NN_OK) {
        status = load(out, meta, &file);
        nn_safetensors_close(&file);
    }
    nn_fpenv_restore(&before);
    return status;
}
