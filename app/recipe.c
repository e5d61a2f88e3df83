#include "recipe.h"

#include "text.h"

#include <string.h>

const char *recipe_activation(unsigned k)
{
    return k < NN_SOFTMAX ? nn_activation_name((nn_activation)k) : NULL;
}

const char *recipe_output(unsigned k)
{
    return nn_activation_name((nn_activation)k);
}

const char *recipe_loss(unsigned k)
{
    return k == RECIPE_LOSS_AUTO ? "auto" : nn_loss_name((nn_loss)k);
}

const char *recipe_initialiser(unsigned k)
{
    return nn_initialiser_name((nn_initialiser)k);
}

const char *recipe_mask(unsigned k)
{
    static const char *const names[] = {[NN_MASK_SAMPLE] = "sample", [NN_MASK_EPOCH] = "epoch"};
    return k < sizeof names / sizeof names[0] ? names[k] : NULL;
}

static nn_loss loss_for(nn_activation output)
{
    switch (output) {
    case NN_SOFTMAX:
        return NN_CROSS_ENTROPY;
    case NN_SIGMOID:
        return NN_BINARY_CROSS_ENTROPY;
    default:
        return NN_SQUARED_ERROR;
    }
}

/* The library knows what goes with what: the smallest network of the kind is tried. */
nn_status recipe_settle(recipe *steps)
{
    nn_layer layer = {1, (nn_activation)steps->output, 0};
    if (steps->loss == RECIPE_LOSS_AUTO) {
        steps->loss = loss_for(layer.activation);
    }
    nn_config config = {.inputs = 1, .n_layers = 1, .layers = &layer, .loss = (nn_loss)steps->loss};
    nn_net *probe = NULL;
    nn_status status = nn_net_new(&probe, &config, 0);
    nn_net_free(probe);
    return status;
}

nn_status recipe_network(nn_net **out, const recipe *steps, size_t inputs, size_t outputs)
{
    nn_layer layers[OPTION_SIZES_MAX + 1];
    size_t n = steps->hidden.n;
    for (size_t l = 0; l < n; l++) {
        layers[l] =
            (nn_layer){steps->hidden.items[l], (nn_activation)steps->activation, steps->dropout};
    }
    layers[n] = (nn_layer){outputs, (nn_activation)steps->output, 0};
    nn_config config = {
        .inputs = inputs,
        .n_layers = n + 1,
        .layers = layers,
        .loss = (nn_loss)steps->loss,
        .initialiser = (nn_initialiser)steps->initialiser,
        .input_dropout = steps->input_dropout,
    };
    return nn_net_new(out, &config, steps->seed);
}

nn_train_options recipe_train_options(const recipe *steps)
{
    return (nn_train_options){
        .epochs = steps->epochs,
        .batch = steps->batch,
        .learning_rate = steps->learning_rate,
        .momentum = steps->momentum,
        .decay = steps->decay,
        .l2 = steps->l2,
        .mask = (nn_mask)steps->mask,
        .seed = steps->seed,
        .patience = steps->patience,
    };
}

/* ---- networks in words -------------------------------------------------------------------- */

static char *dropout_text(double dropout)
{
    char number[TEXT_NUMBER_SIZE];
    return dropout > 0 ? text_format(" (dropout %s)", text_real(number, dropout))
                       : text_format("%s", "");
}

/* Returns start followed by a layer's part, and frees start; NULL when there is no memory. */
static char *append_layer(char *start, const nn_layer *layer)
{
    char *dropout = dropout_text(layer->dropout), *text = NULL;
    if (start && dropout) {
        text = text_format("%s -> %zu %s%s", start, layer->units,
                           nn_activation_name(layer->activation), dropout);
    }
    nn_free(dropout);
    nn_free(start);
    return text;
}

char *network_text(const nn_config *config)
{
    char *dropout = dropout_text(config->input_dropout);
    char *text = dropout ? text_format("%zu%s", config->inputs, dropout) : NULL;
    for (size_t l = 0; l < config->n_layers; l++) {
        text = append_layer(text, &config->layers[l]);
    }
    nn_free(dropout);
    return text;
}

void network_print_parameters(FILE *to, const nn_net *net, const char *label)
{
    const nn_config *config = nn_net_config(net);
    char number[TEXT_NUMBER_SIZE], units[TEXT_NUMBER_SIZE];
    fprintf(to, "%s%s\n", label, text_count(number, nn_net_n_params(net)));
    size_t inputs = config->inputs;
    for (size_t l = 0; l < config->n_layers; l++) {
        size_t outputs = config->layers[l].units;
        fprintf(to, "%*s  %zu*%zu = %s + %s\n", (int)strlen(label), "", inputs, outputs,
                text_counted(number, inputs * outputs, "weight"),
                text_counted(units, outputs, "bias"));
        inputs = outputs;
    }
}

/* ---- what is recorded --------------------------------------------------------------------- */

static void sizes_json(json *document, cJSON *parent, const char *name, const option_sizes *sizes)
{
    cJSON *list = json_array(document, parent, name);
    for (size_t i = 0; i < sizes->n; i++) {
        json_size(document, list, NULL, sizes->items[i]);
    }
}

static void value_json(json *document, cJSON *parent, const option_spec *spec, const void *values)
{
    const void *value = (const char *)values + spec->offset;
    char text[OPTION_TEXT_SIZE];
    switch (spec->kind) {
    case OPTION_FLAG:
        json_bool(document, parent, spec->name, *(const bool *)value);
        break;
    case OPTION_SIZE:
        json_size(document, parent, spec->name, *(const size_t *)value);
        break;
    case OPTION_SEED:
        json_u64(document, parent, spec->name, *(const uint64_t *)value);
        break;
    case OPTION_REAL:
        json_number(document, parent, spec->name, *(const double *)value);
        break;
    case OPTION_SIZES:
        sizes_json(document, parent, spec->name, value);
        break;
    case OPTION_CHOICE:
    case OPTION_TEXT:
        json_text(document, parent, spec->name, option_text(spec, values, text));
        break;
    case OPTION_GROUP:
    case OPTION_END:
        break;
    }
}

void recorded_json(json *document, cJSON *parent, const option_spec *specs, const void *values)
{
    for (const option_spec *spec = specs; spec->kind != OPTION_END; spec++) {
        if (spec->recorded) {
            value_json(document, parent, spec, values);
        }
    }
}

nn_status recorded_meta(nn_meta *meta, const option_spec *specs, const void *values)
{
    char text[OPTION_TEXT_SIZE];
    nn_status status = NN_OK;
    for (const option_spec *spec = specs; spec->kind != OPTION_END && status == NN_OK; spec++) {
        if (spec->recorded) {
            status = nn_meta_set(meta, spec->name, option_text(spec, values, text));
        }
    }
    return status;
}
