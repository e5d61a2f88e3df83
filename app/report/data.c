#include "data.h"

#include "eval_json.h"
#include "pack.h"
#include "picture/shape.h"

#include <math.h>
#include <string.h>

enum {
    MOST_EPOCHS = 1000 /* drawn; of more, an even selection */
};

/* ---- confidence --------------------------------------------------------------------------- */

calibration calibration_of(const nn_report *result, const uint8_t *labels)
{
    calibration c = {.error = 0};
    for (size_t i = 0; i < result->total; i++) {
        size_t guess = result->predicted[i];
        double confidence = (double)result->outputs[i * result->classes + guess];
        double place = fmax(confidence, 0) * CALIBRATION_BINS; /* fmax: NaN goes into bin 0 */
        size_t bin = place < CALIBRATION_BINS ? (size_t)place : CALIBRATION_BINS - 1;
        c.bins[bin].n++;
        c.bins[bin].correct += guess == labels[i];
        c.bins[bin].confidence += confidence;
    }
    for (size_t b = 0; b < CALIBRATION_BINS; b++) {
        c.error += fabs((double)c.bins[b].correct - c.bins[b].confidence) / (double)result->total;
    }
    return c;
}

static bool gives_probabilities(const nn_net *net)
{
    const nn_config *config = nn_net_config(net);
    nn_activation last = config->layers[config->n_layers - 1].activation;
    return last == NN_SOFTMAX || last == NN_SIGMOID;
}

static void add_calibration(json *document, const report_source *source)
{
    if (!gives_probabilities(source->model->net)) {
        json_text(document, document->root, "calibration", NULL);
        return;
    }
    calibration c = calibration_of(source->result, source->set->data.labels);
    cJSON *object = json_object(document, document->root, "calibration");
    json_number(document, object, "error", c.error);
    cJSON *bins = json_array(document, object, "bins");
    for (size_t b = 0; b < CALIBRATION_BINS; b++) {
        cJSON *bin = json_object(document, bins, NULL);
        double n = (double)c.bins[b].n;
        json_size(document, bin, "images", c.bins[b].n);
        json_size(document, bin, "correct", c.bins[b].correct);
        json_number(document, bin, "confidence", n > 0 ? c.bins[b].confidence / n : (double)NAN);
    }
}

/* ---- where it comes from ------------------------------------------------------------------ */

static void add_model(json *document, const report_source *source)
{
    const trained *model = source->model;
    cJSON *object = json_object(document, document->root, "model");
    json_text(document, object, "file", model->path);
    json_text(document, object, "sha256", source->model_sha256);
    json_text(document, object, "network", source->network);
    json_size(document, object, "parameters", nn_net_n_params(model->net));
    json_text(document, object, "trained_on", nn_meta_get(&model->facts, FACT_DATA));
    json_text(document, object, "train_command", source->train_command);
    cJSON *facts = json_array(document, object, "facts");
    for (size_t i = 0; i < model->facts.n; i++) {
        cJSON *fact = json_array(document, facts, NULL);
        json_text(document, fact, NULL, model->facts.items[i].key);
        json_text(document, fact, NULL, model->facts.items[i].value);
    }
}

static void add_set(json *document, const report_source *source)
{
    const dataset *set = source->set;
    cJSON *object = json_object(document, document->root, "data");
    json_text(document, object, "name", dataset_name(set->kind));
    json_text(document, object, "set", source->set_name);
    json_text(document, object, "images_sha256", set->sha256[FILE_IMAGES]);
    json_text(document, object, "labels_sha256", set->sha256[FILE_LABELS]);
    json_size(document, object, "rows", set->data.rows);
    json_size(document, object, "columns", set->data.columns);
}

static void add_classes(json *document, const report_source *source)
{
    cJSON *list = json_array(document, document->root, "classes");
    for (size_t k = 0; k < source->result->classes; k++) {
        char name[CLASS_NAME_SIZE];
        json_add(document, list, NULL, cJSON_CreateString(trained_class(source->model, k, name)));
    }
}

/* ---- learning curves ---------------------------------------------------------------------- */

static void add_epoch(json *document, cJSON *list, const nn_epoch *epoch)
{
    cJSON *item = json_object(document, list, NULL);
    json_size(document, item, "epoch", epoch->epoch);
    json_number(document, item, "loss", epoch->loss);
    json_number(document, item, "accuracy", epoch->accuracy);
    json_number(document, item, "validation_loss", epoch->validation_loss);
    json_number(document, item, "validation_accuracy", epoch->validation_accuracy);
    json_number(document, item, "learning_rate", epoch->learning_rate);
}

static void add_history(json *document, const train_history *history)
{
    if (!history) {
        json_text(document, document->root, "history", NULL);
        return;
    }
    cJSON *object = json_object(document, document->root, "history");
    json_size(document, object, "epochs", history->n);
    cJSON *list = json_array(document, object, "points");
    size_t shown = history->n < MOST_EPOCHS ? history->n : MOST_EPOCHS;
    for (size_t i = 0; i < shown; i++) {
        add_epoch(document, list, &history->epochs[(i + 1) * history->n / shown - 1]);
    }
}

/* ---- digits ------------------------------------------------------------------------------- */

/* The samples whose pictures are shown. */
typedef struct {
    size_t n;
    uint32_t *index; /* [n] */
    uint8_t *pixels; /* [n][inputs] */
    float *outputs;  /* [n][classes] */
} selection;

static void selection_release(selection *chosen)
{
    nn_free(chosen->index);
    nn_free(chosen->pixels);
    nn_free(chosen->outputs);
}

/* Chooses all samples of a cell of the confusion matrix, or `most` of them, evenly spread: the
 * j-th of a cell's T is taken where j most / T passes a whole number. */
static void choose(selection *chosen, size_t *seen, const report_source *source)
{
    const nn_report *result = source->result;
    size_t most = source->per_cell;
    for (size_t i = 0; i < result->total; i++) {
        size_t cell = source->set->data.labels[i] * result->classes + result->predicted[i];
        size_t j = seen[cell]++, total = result->confusion[cell];
        if (total <= most || (j + 1) * most / total > j * most / total) {
            chosen->index[chosen->n++] = (uint32_t)i;
        }
    }
}

static void copy_chosen(selection *chosen, const report_source *source)
{
    const nn_data *data = &source->set->data;
    size_t classes = source->result->classes;
    for (size_t i = 0; i < chosen->n; i++) {
        size_t from = chosen->index[i];
        memcpy(chosen->pixels + i * data->inputs, data->pixels + from * data->inputs, data->inputs);
        memcpy(chosen->outputs + i * classes, source->result->outputs + from * classes,
               classes * sizeof *chosen->outputs);
    }
}

/* Returns false when there is no memory. */
static bool select_digits(selection *chosen, const report_source *source)
{
    size_t classes = source->result->classes;
    size_t *seen = nn_alloc_array(classes * classes, sizeof *seen);
    chosen->index = nn_alloc_array(source->result->total, sizeof *chosen->index);
    if (seen && chosen->index) {
        choose(chosen, seen, source);
        chosen->pixels = nn_alloc_array(chosen->n, source->set->data.inputs);
        chosen->outputs = nn_alloc_array(chosen->n, classes * sizeof *chosen->outputs);
    }
    nn_free(seen);
    if (!chosen->pixels || !chosen->outputs) {
        return false;
    }
    copy_chosen(chosen, source);
    return true;
}

/* Adds a text made by one of the pack functions, and frees it. */
static void add_packed(json *document, cJSON *parent, const char *name, char *text)
{
    json_add(document, parent, name, text ? cJSON_CreateString(text) : NULL);
    nn_free(text);
}

/* Floats are little-endian in the page, whatever they are here. */
static char *pack_floats(const float *values, size_t n)
{
    uint8_t *bytes = nn_alloc_array(n, 4);
    if (!bytes) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (size_t k = 0; k < 4; k++) {
            bytes[4 * i + k] = (uint8_t)(bits >> (8 * k));
        }
    }
    char *text = pack_base64(bytes, 4 * n);
    nn_free(bytes);
    return text;
}

static void add_digits(json *document, const report_source *source)
{
    selection chosen = {0};
    const nn_data *data = &source->set->data;
    size_t classes = source->result->classes;
    cJSON *object = json_object(document, document->root, "digits");
    if (!select_digits(&chosen, source)) {
        document->failed = true;
        selection_release(&chosen);
        return;
    }
    json_size(document, object, "per_cell", source->per_cell);
    cJSON *index = json_array(document, object, "index");
    cJSON *labels = json_array(document, object, "label");
    cJSON *read = json_array(document, object, "read_as");
    for (size_t i = 0; i < chosen.n; i++) {
        json_size(document, index, NULL, chosen.index[i]);
        json_size(document, labels, NULL, data->labels[chosen.index[i]]);
        json_size(document, read, NULL, source->result->predicted[chosen.index[i]]);
    }
    add_packed(document, object, "pixels", pack_deflated(chosen.pixels, chosen.n * data->inputs));
    add_packed(document, object, "outputs", pack_floats(chosen.outputs, chosen.n * classes));
    selection_release(&chosen);
}

/* ---- the network -------------------------------------------------------------------------- */

static char *pack_parameters(nn_net *net)
{
    size_t n = nn_net_n_params(net);
    float *values = nn_alloc_array(n, sizeof *values);
    char *text = NULL;
    if (values) {
        for (size_t k = 0; k < n; k++) {
            values[k] = *nn_net_param(net, k);
        }
        text = pack_floats(values, n);
    }
    nn_free(values);
    return text;
}

static void add_network(json *document, const trained *model)
{
    const nn_config *config = nn_net_config(model->net);
    if (nn_net_n_params(model->net) > REPORT_MAX_PARAMETERS) {
        json_text(document, document->root, "network", NULL);
        return;
    }
    cJSON *object = json_object(document, document->root, "network");
    cJSON *layers = json_array(document, object, "layers");
    for (size_t l = 0; l < config->n_layers; l++) {
        cJSON *layer = json_object(document, layers, NULL);
        json_size(document, layer, "units", config->layers[l].units);
        json_text(document, layer, "activation", nn_activation_name(config->layers[l].activation));
    }
    add_packed(document, object, "parameters", pack_parameters(model->net));
}

void report_data(json *document, const report_source *source)
{
    json_text(document, document->root, "program", "digits " NN_VERSION);
    add_model(document, source);
    add_set(document, source);
    add_classes(document, source);
    eval_json(document, document->root, source->model, source->result);
    add_calibration(document, source);
    add_history(document, source->history);
    add_digits(document, source);
    json_number(document, document->root, "sure_from", (double)SURE_FROM);
    add_network(document, source->model);
}
