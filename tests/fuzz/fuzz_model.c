/* Promise: a model file is loaded as a sound network, or refused with a reason; a network that was
 * loaded is saved as bytes that load and save as the very same bytes; and refusing takes memory in
 * proportion to the file. */
#include "fuzz.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum {
    BUFFERS = 1 << 20,    /* bytes of memory that do not depend on the file */
    EXPANSION = 256,      /* "0," is two bytes, and a node of 64 with what malloc and the list add;
                             a row of weights may be padded to 16 numbers for one */
    LENGTH_BYTES = 8,     /* the header's length, little-endian */
    MAX_FORWARD = 1 << 16 /* parameters of a network that is tried out */
};

/* ---- what is checked ---------------------------------------------------------------------- */

/* Whether text is UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
static bool is_utf8(const char *text)
{
    for (const uint8_t *at = (const uint8_t *)text; *at;) {
        const size_t more = *at < 0x80 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        uint32_t code = more == 0 ? *at : *at & (0x3fU >> more);
        if ((*at >= 0x80 && *at < 0xc0) || *at >= 0xf8) {
            return false;
        }
        at++;
        for (size_t k = 0; k < more; k++, at++) {
            if ((*at & 0xc0) != 0x80) {
                return false;
            }
            code = code << 6 | (*at & 0x3fU);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
            return false;
        }
    }
    return true;
}

static void check_meta(const nn_meta *meta)
{
    for (size_t k = 0; k < meta->n; k++) {
        require(is_utf8(meta->items[k].key) && is_utf8(meta->items[k].value));
        require(nn_meta_get(meta, meta->items[k].key) == meta->items[k].value); /* no key twice */
    }
}

static void check_config(const nn_config *config)
{
    require(config->inputs >= 1 && config->inputs <= NN_MAX_UNITS);
    require(config->n_layers >= 1 && config->n_layers <= NN_MAX_LAYERS);
    require(nn_loss_name(config->loss) && nn_initialiser_name(config->initialiser));
    require(config->input_dropout >= 0 && config->input_dropout < 1);
    for (size_t l = 0; l < config->n_layers; l++) {
        const nn_layer *layer = &config->layers[l];
        require(layer->units >= 1 && layer->units <= NN_MAX_UNITS);
        require(nn_activation_name(layer->activation));
        require(layer->activation != NN_SOFTMAX || l + 1 == config->n_layers);
        require(layer->dropout >= 0 && layer->dropout < 1);
    }
}

/* Finite parameters give an answer; a softmax layer's is a distribution, unless sums overflow. */
static void check_forward(const nn_net *net)
{
    const nn_config *config = nn_net_config(net);
    nn_state *state;
    uint8_t *pixels = calloc(2, config->inputs);
    require(pixels);
    memset(pixels, 255, config->inputs);
    const nn_data data = {
        .n = 2, .inputs = config->inputs, .outputs = nn_net_outputs(net), .pixels = pixels};
    const nn_batch batch = {.data = &data, .n = 2};
    require(nn_state_new(&state, net, 2, false) == NN_OK);
    nn_forward(net, state, &batch);
    for (size_t b = 0; b < 2; b++) {
        double sum = 0;
        for (size_t k = 0; k < nn_net_outputs(net); k++) {
            sum += (double)nn_output(state, b)[k];
        }
        require(config->layers[config->n_layers - 1].activation != NN_SOFTMAX || isnan(sum) ||
                fabs(sum - 1) < 1e-3);
    }
    nn_state_free(state);
    free(pixels);
}

static void check_saves_the_same(const nn_net *net, const nn_meta *meta)
{
    nn_net *again;
    nn_meta meta_again;
    size_t n, n_again;
    require(nn_model_save(net, meta, fuzz_path("first")) == NN_OK);
    require(nn_model_load(&again, &meta_again, fuzz_path("first")) == NN_OK);
    require(nn_net_n_params(again) == nn_net_n_params(net) && meta_again.n == meta->n);
    require(nn_model_save(again, &meta_again, fuzz_path("second")) == NN_OK);
    uint8_t *first = fuzz_read("first", &n), *second = fuzz_read("second", &n_again);
    require(n == n_again && memcmp(first, second, n) == 0);
    free(first);
    free(second);
    nn_net_free(again);
    nn_meta_release(&meta_again);
}

/* As the program has it. */
static void through_the_door(void)
{
    cJSON_Hooks hooks = {nn_alloc, nn_free};
    cJSON_InitHooks(&hooks);
}

void fuzz_one(const uint8_t *data, size_t n)
{
    nn_net *net = NULL;
    nn_meta meta = {0};
    const char *path = fuzz_write("model", data, n);
    through_the_door();
    fuzz_memory_begin();
    const nn_status status = nn_model_load(&net, &meta, path);
    require(fuzz_memory_peak() <= BUFFERS + EXPANSION * n);
    require(status == NN_OK || status == NN_ERR_MODEL);
    if (status != NN_OK) {
        require(*nn_error_text() && !net && meta.n == 0);
        return;
    }
    require(nn_net_is_finite(net));
    require(nn_net_n_params(net) < n / 4);
    check_config(nn_net_config(net));
    check_meta(&meta);
    if (nn_net_n_params(net) < MAX_FORWARD) {
        check_forward(net);
    }
    check_saves_the_same(net, &meta);
    nn_net_free(net);
    nn_meta_release(&meta);
}

/* ---- inputs ------------------------------------------------------------------------------- */

static void seed_net(fuzz_seed *seed, const nn_config *config, const nn_meta *meta)
{
    nn_net *net;
    size_t n;
    require(nn_net_new(&net, config, 1) == NN_OK);
    require(nn_model_save(net, meta, fuzz_path("seed")) == NN_OK);
    uint8_t *data = fuzz_read("seed", &n);
    seed(data, n);
    free(data);
    nn_net_free(net);
}

/* A header that is not what nn_model_save writes, with the data of one weight and one bias. */
static void seed_text(fuzz_seed *seed, const char *header)
{
    uint8_t file[2048] = {(uint8_t)strlen(header), (uint8_t)(strlen(header) >> 8)};
    require(strlen(header) + 16 <= sizeof file);
    memcpy(file + LENGTH_BYTES, header, strlen(header));
    seed(file, LENGTH_BYTES + strlen(header) + 8);
}

static void seed_texts(fuzz_seed *seed)
{
#define NETWORK                                                                                    \
    "{\\\"inputs\\\":1,\\\"input_dropout\\\":0,\\\"layers\\\":[{\\\"units\\\":1,"                  \
    "\\\"activation\\\":\\\"tanh\\\",\\\"dropout\\\":0}],\\\"loss\\\":\\\"squared-error\\\","      \
    "\\\"initialiser\\\":\\\"he\\\"}"
#define METADATA(more)                                                                             \
    "\"__metadata__\":{\"format_version\":\"1\",\"network\":\"" NETWORK                            \
    "\",\"crc32\":\"6522df69\"" more "}" /* of eight zeros, by python3 -c 'import zlib; ...' */
#define TENSORS                                                                                    \
    ",\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},\"fc1.bias\":"     \
    "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}"
    seed_text(seed, "{" METADATA("") TENSORS);
    seed_text(seed, "{" METADATA(",\"name\":\"\\u00e9 \xc3\xa9 \\ud83d\\ude00\"") TENSORS "   ");
    seed_text(seed, "{" METADATA(",\"nul\":\"a\\u0000b\"") TENSORS);
    seed_text(seed, "{" METADATA(",\"latin-1\":\"\xe9\"") TENSORS);
    seed_text(seed, "{" METADATA(",\"slash\":\"\\\\u0000 \\n \\\"\"") TENSORS);
    seed_text(seed, "{\"fc1.bias\":{\"shape\":[1],\"dtype\":\"F32\",\"data_offsets\":[0,4]},"
                    "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]}," //
              METADATA("") "}");
    seed_text(seed, "{\"__metadata__\":{\"format_version\":\"1\"}" TENSORS);
    seed_text(seed, "{\"a\":[[[[[[[[[[[[{}]]]]]]]]]]]],\"b\":1e400,\"c\":-0.0,\"d\":null}");
}

void fuzz_seeds(fuzz_seed *seed)
{
    through_the_door();
    for (int activation = 0; activation < NN_N_ACTIVATIONS; activation++) {
        const bool softmax = activation == NN_SOFTMAX;
        const nn_layer layers[] = {
            {3, softmax ? NN_TANH : (nn_activation)activation, 0.25},
            {2, (nn_activation)activation, 0},
        };
        const nn_config config = {.inputs = 4,
                                  .n_layers = 2,
                                  .layers = layers,
                                  .loss = softmax ? NN_CROSS_ENTROPY : NN_SQUARED_ERROR,
                                  .initialiser = (nn_initialiser)(activation % NN_N_INITIALISERS),
                                  .input_dropout = 0.125};
        nn_meta meta = {0};
        require(nn_meta_set(&meta, "seed", "1") == NN_OK);
        require(nn_meta_set(&meta, "classes", "zero,\"one\",zw\xc3\xb6lf") == NN_OK);
        seed_net(seed, &config, activation % 2 == 0 ? &meta : NULL);
        nn_meta_release(&meta);
    }
    const nn_layer one = {1, NN_SIGMOID, 0};
    seed_net(
        seed,
        &(nn_config){.inputs = 1, .n_layers = 1, .layers = &one, .loss = NN_BINARY_CROSS_ENTROPY},
        NULL);
    seed_texts(seed);
    seed("\x02\0\0\0\0\0\0\0{}", 10);
    seed("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    seed("\x89PNG\r\n\x1a\n", 8);
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    return fuzz_mutate_safetensors(data, n, max, random);
}
