/*
 * Checkpoints: a training that was stopped, as safetensors. Beside the parameters stand velocities,
 * the parameters to fall back to, the order of the samples, and a tensor for each number that
 * training carries along (see nn_progress); metadata say what training it is, so that another one
 * does not go on from it. What a run can work out again is not stored: gradients, activations, and
 * the masks of NN_MASK_EPOCH, which are drawn again from the generator's state before them.
 */
#include "clocale.h"
#include "safetensors.h"
#include "train.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_TRAINING "training"
#define KEY_DATA "data"

#define REAL_DTYPE (sizeof(nn_real) == 8 ? "F64" : "F32")

/* One number or several of nn_progress, 64 bits each. */
typedef struct {
    const char *name, *dtype;
    size_t count, offset;
} field;

#define AT(member) offsetof(nn_progress, member)

static const field fields[] = {
    {"generator", "U64", 4, AT(rng)},           {"mask_generator", "U64", 4, AT(mask_rng)},
    {"epochs_done", "U64", 1, AT(epochs_done)}, {"images", "U64", 1, AT(images)},
    {"correct", "U64", 1, AT(correct)},         {"best_epoch", "U64", 1, AT(best_epoch)},
    {"loss_sum", "F64", 1, AT(loss_sum)},       {"learning_rate", "F64", 1, AT(learning_rate)},
    {"first_loss", "F64", 1, AT(first_loss)},   {"best_validation", "F64", 1, AT(best_validation)},
};

enum {
    N_FIELDS = sizeof fields / sizeof fields[0],
    N_BLOCKS = 3, /* parameters, velocities, kept parameters */
    N_OTHERS = N_FIELDS + 1
};

static const nn_file_kind checkpoint = {
    .name = "checkpoint",
    .version = "1",
    .keys = {NN_KEY_CHECKPOINT, NN_KEY_NETWORK, KEY_TRAINING, KEY_DATA, NN_KEY_CRC, NULL},
    .other_key = "format_version",
    .other_text = "it is a model",
    .max_tensors = (size_t)2 * N_BLOCKS * NN_MAX_LAYERS + N_OTHERS,
};

/* ---- what a checkpoint consists of ---- */

/* Returns block k of numbers in the layout of the parameters. */
static nn_real *block_of(const nn_trainer *t, size_t k)
{
    nn_real *const blocks[N_BLOCKS] = {t->swapped ? t->kept->params : t->net->params,
                                       nn_sgd_velocity(t->sgd),
                                       t->swapped ? t->net->params : t->kept->params};
    return blocks[k];
}

static nn_status describe_tensors(nn_tensors *out, const nn_trainer *t)
{
    static const char *const prefixes[N_BLOCKS] = {"", "velocity.", "kept."};
    const nn_config *config = &t->net->config;
    nn_tensors tensors;
    nn_status status = nn_tensors_new(&tensors, (size_t)2 * N_BLOCKS * config->n_layers + N_OTHERS);
    if (status != NN_OK) {
        return status;
    }
    for (size_t k = 0; k < N_FIELDS; k++) {
        nn_tensor *one = nn_tensors_add(&tensors, fields[k].dtype, fields[k].count, 0);
        (void)snprintf(one->name, sizeof one->name, "%s", fields[k].name);
    }
    for (size_t k = 0; k < N_BLOCKS; k++) {
        nn_tensors_add_params(&tensors, config, REAL_DTYPE, prefixes[k]);
    }
    nn_tensor *order = nn_tensors_add(&tensors, "U32", t->train->n, 0);
    (void)snprintf(order->name, sizeof order->name, "order");
    *out = tensors;
    return NN_OK;
}

static uint64_t bits_of(nn_real value)
{
    uint64_t bits = 0;
    uint32_t half;
    if (sizeof value == sizeof bits) {
        memcpy(&bits, &value, sizeof value);
        return bits;
    }
    memcpy(&half, &value, sizeof half);
    return half;
}

static nn_real real_of(uint64_t bits)
{
    nn_real value;
    const uint32_t half = (uint32_t)bits;
    if (sizeof value == sizeof bits) {
        memcpy(&value, &bits, sizeof value);
    } else {
        memcpy(&value, &half, sizeof value);
    }
    return value;
}

/* ---- which training it is ---- */

static uint32_t crc_of_reals(uint32_t crc, const nn_real *values, size_t n)
{
    uint8_t bytes[sizeof *values];
    for (size_t k = 0; k < n; k++) {
        nn_put_word(bytes, bits_of(values[k]), sizeof bytes);
        crc = nn_crc32(crc, bytes, sizeof bytes);
    }
    return crc;
}

static uint32_t crc_of_data(const nn_data *data)
{
    uint32_t crc = 0;
    if (!data) {
        return crc;
    }
    crc = data->pixels ? nn_crc32(crc, data->pixels, data->n * data->inputs)
                       : crc_of_reals(crc, data->values, data->n * data->inputs);
    return data->labels ? nn_crc32(crc, data->labels, data->n)
                        : crc_of_reals(crc, data->targets, data->n * data->outputs);
}

static bool add_hex(cJSON *object, const char *key, uint32_t value)
{
    char text[9];
    (void)snprintf(text, sizeof text, "%08lx", (unsigned long)value);
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

/* Adds a number in as many digits as tell it from all others: cJSON's own texts allow for
 * rounding. */
static bool add_real(cJSON *object, const char *key, double value)
{
    char text[32];
    nn_clocale saved;
    if (!nn_clocale_set(&saved)) {
        return false;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    nn_clocale_restore(&saved);
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static char *print_and_delete(cJSON *object, bool ok)
{
    char *text = ok ? nn_json_print(object) : NULL;
    cJSON_Delete(object);
    return text;
}

/* Describes the data as JSON in a string; NULL when memory runs out. */
static char *data_text(nn_trainer *t)
{
    if (!t->has_crc) {
        t->crc[0] = crc_of_data(t->train);
        t->crc[1] = crc_of_data(t->validation);
        t->has_crc = true;
    }
    cJSON *object = cJSON_CreateObject();
    double held_out = t->validation ? (double)t->validation->n : 0;
    return print_and_delete(object,
                            cJSON_AddNumberToObject(object, "training", (double)t->train->n) &&
                                add_hex(object, "training-crc32", t->crc[0]) &&
                                cJSON_AddNumberToObject(object, "validation", held_out) &&
                                add_hex(object, "validation-crc32", t->crc[1]));
}

/* Describes all options but the number of epochs, which a continued training may change. */
static char *training_text(const nn_trainer *t)
{
    const nn_train_options *o = &t->options;
    char seed[24];
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    cJSON *object = cJSON_CreateObject();
    return print_and_delete(
        object, cJSON_AddStringToObject(object, "version", NN_VERSION) &&
                    cJSON_AddNumberToObject(object, "batch", (double)o->batch) &&
                    add_real(object, "learning rate", o->learning_rate) &&
                    add_real(object, "momentum", o->momentum) &&
                    add_real(object, "decay", o->decay) && add_real(object, "l2", o->l2) &&
                    cJSON_AddStringToObject(object, "mask",
                                            o->mask == NN_MASK_EPOCH ? "epoch" : "sample") &&
                    cJSON_AddStringToObject(object, "seed", seed) &&
                    cJSON_AddNumberToObject(object, "patience", (double)o->patience));
}

/* The three descriptions, in the order of the file's entries. */
typedef struct {
    char *of[3];
} descriptions;

static nn_status describe(descriptions *out, nn_trainer *t, const char *path)
{
    *out = (descriptions){
        {nn_network_text(&t->net->config), training_text(t), data_text(t)},
    };
    if (out->of[0] && out->of[1] && out->of[2]) {
        return NN_OK;
    }
    return nn_fail(NN_ERR_MEMORY, "out of memory for the checkpoint '%s'", path);
}

static void release_descriptions(descriptions *d)
{
    for (size_t k = 0; k < 3; k++) {
        cJSON_free(d->of[k]);
    }
}

/* ---- saving ---- */

static bool block_is_finite(const nn_trainer *t, size_t k)
{
    const nn_real *block = block_of(t, k);
    for (size_t i = 0; i < t->net->block_size; i++) {
        if (!isfinite(block[i])) {
            return false;
        }
    }
    return true;
}

static bool is_finite(const nn_trainer *t)
{
    for (size_t k = 0; k < N_BLOCKS; k++) {
        if (!block_is_finite(t, k)) {
            return false;
        }
    }
    return true;
}

/* Returns the bytes of all tensors, or NULL; the caller frees them. */
static uint8_t *encode(const nn_trainer *t, const nn_tensors *tensors)
{
    uint8_t *data = nn_alloc(tensors->size), *at = data;
    if (!data) {
        return NULL;
    }
    for (size_t k = 0; k < N_FIELDS; k++) {
        for (size_t i = 0; i < fields[k].count; i++, at += 8) {
            uint64_t word;
            memcpy(&word, (const uint8_t *)&t->now + fields[k].offset + 8 * i, 8);
            nn_put_word(at, word, 8);
        }
    }
    for (size_t k = 0; k < N_BLOCKS; k++) {
        const nn_real *block = block_of(t, k);
        for (size_t i = 0; i < t->net->n_params; i++, at += sizeof *block) {
            nn_put_word(at, bits_of(block[nn_net_place(t->net, i)]), sizeof *block);
        }
    }
    for (size_t k = 0; k < t->train->n; k++, at += 4) {
        nn_put_word(at, t->order[k], 4);
    }
    return data;
}

static nn_status save(nn_trainer *t, const nn_tensors *tensors, const char *path)
{
    descriptions texts;
    nn_status status = describe(&texts, t, path);
    uint8_t *data = status == NN_OK ? encode(t, tensors) : NULL;
    if (status == NN_OK) {
        status = data ? nn_safetensors_save(path, &checkpoint, (const char *const *)texts.of, NULL,
                                            tensors, data)
                      : nn_fail(NN_ERR_MEMORY, "out of memory for the checkpoint '%s'", path);
    }
    nn_free(data);
    release_descriptions(&texts);
    return status;
}

nn_status nn_checkpoint_save(nn_trainer *t, const char *path)
{
    if (t->diverged || !is_finite(t)) {
        return nn_fail(NN_ERR_DIVERGED, "not saving '%s': the training has diverged", path);
    }
    nn_tensors tensors;
    const nn_fpenv before = nn_fpenv_set();
    nn_status status = describe_tensors(&tensors, t);
    if (status == NN_OK) {
        status = save(t, &tensors, path);
        nn_tensors_release(&tensors);
    }
    nn_fpenv_restore(&before);
    return status;
}

/* ---- is it the same training? ---- */

/* Differences between two descriptions, in words. */
typedef struct {
    size_t n, used;
    bool no_memory;
    char text[400];
} differences;

/* Adds text, cut to what there is room for. */
static void append(differences *d, const char *text)
{
    size_t room = sizeof d->text - 1 - d->used, n = strlen(text);
    n = n < room ? n : room;
    memcpy(d->text + d->used, text, n);
    d->used += n;
}

static void append_value(differences *d, const cJSON *value)
{
    char *text = value && !cJSON_IsString(value) ? nn_json_print(value) : NULL;
    if (!value) {
        append(d, "nothing");
    } else if (cJSON_IsString(value)) {
        append(d, value->valuestring);
    } else if (text) {
        append(d, text);
    } else {
        d->no_memory = true;
    }
    cJSON_free(text);
}

static void note(differences *d, const char *where, const cJSON *theirs, const cJSON *ours)
{
    append(d, d->n++ > 0 ? "; " : "");
    append(d, where);
    append(d, " ");
    append_value(d, theirs);
    append(d, ", not ");
    append_value(d, ours);
}

/* Compares what a file says with what this training says; `where` names it. Lists and objects are
 * compared member by member: "layer 1 units 15, not 30". */
static void compare(differences *d, const char *where, const cJSON *theirs, const cJSON *ours)
{
    char place[80];
    int size = cJSON_GetArraySize(ours);
    if (!theirs || !ours->child || (theirs->type & 0xff) != (ours->type & 0xff) ||
        cJSON_GetArraySize(theirs) != size) {
        if (!cJSON_Compare(theirs, ours, true)) {
            note(d, where, theirs, ours);
        }
        return;
    }
    for (int k = 0; k < size; k++) {
        const cJSON *child = cJSON_GetArrayItem(ours, k);
        if (cJSON_IsArray(ours)) {
            (void)snprintf(place, sizeof place, "layer %d ", k + 1);
            compare(d, place, cJSON_GetArrayItem(theirs, k), child);
        } else {
            (void)snprintf(place, sizeof place, "%s%s", where, child->string);
            compare(d, place, nn_json_member(theirs, child->string), child);
        }
    }
}

static nn_status compare_texts(differences *d, const nn_safetensors *file, const char *key,
                               const char *text)
{
    const char *found = nn_safetensors_text(file, key);
    cJSON *ours = nn_json_object(text, strlen(text), 100);
    cJSON *theirs = nn_json_object(found, found ? strlen(found) : 0, 100);
    nn_status status = NN_OK;
    if (!ours) {
        status = nn_fail(NN_ERR_MEMORY, "out of memory for the checkpoint '%s'", file->path);
    } else if (!found || !theirs) {
        status = nn_safetensors_unparsed(file, "its metadata do not say what training it is of");
    } else {
        compare(d, "", theirs, ours);
        if (d->no_memory) {
            status = nn_fail(NN_ERR_MEMORY, "out of memory for the checkpoint '%s'", file->path);
        } else if (d->n == 0 && strcmp(found, text) != 0) {
            status = nn_safetensors_damaged(file, "its metadata are not as they were written");
        }
    }
    cJSON_Delete(ours);
    cJSON_Delete(theirs);
    return status;
}

/* NN_ERR_ARGUMENT: other options; NN_ERR_DATA: the same on other data. */
static nn_status check_training(const nn_safetensors *file, const descriptions *texts)
{
    static const char *const keys[] = {NN_KEY_NETWORK, KEY_TRAINING, KEY_DATA};
    differences d = {.n = 0};
    bool other_options = false;
    const cJSON *entries = nn_json_member(file->json, "__metadata__");
    for (size_t k = 0; k < 3; k++) {
        nn_status status = compare_texts(&d, file, keys[k], texts->of[k]);
        if (status != NN_OK) {
            return status;
        }
        other_options = d.n > 0 && k < 2 ? true : other_options;
    }
    if (d.n > 0) {
        return nn_fail(other_options ? NN_ERR_ARGUMENT : NN_ERR_DATA,
                       "'%s' is a checkpoint of another training%s: %s", file->path,
                       other_options ? "" : ", on other data", d.text);
    }
    return cJSON_GetArraySize(entries) == 5
               ? NN_OK
               : nn_safetensors_damaged(file, "its metadata have more entries than there are");
}

/* ---- loading: everything is checked before the training is touched ---- */

static void decode_progress(nn_progress *out, const nn_safetensors *file, const nn_tensors *tensors)
{
    for (size_t k = 0; k < N_FIELDS; k++) {
        for (size_t i = 0; i < fields[k].count; i++) {
            uint64_t word = nn_get_word(file->data + tensors->items[k].begin + 8 * i, 8);
            memcpy((uint8_t *)out + fields[k].offset + 8 * i, &word, 8);
        }
    }
}

static bool can_be_drawn_from(const nn_rng *rng)
{
    return rng->s[0] || rng->s[1] || rng->s[2] || rng->s[3];
}

/* Whether a training can have come to these numbers. */
static bool is_possible(const nn_progress *p, const nn_trainer *t)
{
    bool whole_batches = p->images % t->options.batch == 0 || p->images == t->train->n;
    bool begun = p->epochs_done > 0 || p->images > 0;
    return can_be_drawn_from(&p->rng) && can_be_drawn_from(&p->mask_rng) &&
           p->images <= t->train->n && whole_batches && p->correct <= p->images &&
           p->best_epoch <= p->epochs_done && (t->validation || p->best_epoch == 0) &&
           isfinite(p->loss_sum) && (p->images > 0 || p->loss_sum == 0) &&
           isfinite(p->first_loss) && (begun || p->first_loss == 0) &&
           isfinite(p->best_validation) && (p->best_epoch > 0 || p->best_validation == 0) &&
           p->learning_rate >= 0 && p->learning_rate <= t->options.learning_rate;
}

/* Reads a permutation of 0..n-1. seen has room for n. */
static bool decode_order(uint32_t *order, uint8_t *seen, size_t n, const uint8_t *bytes)
{
    for (size_t k = 0; k < n; k++) {
        uint64_t sample = nn_get_word(bytes + 4 * k, 4);
        if (sample >= n || seen[sample]) {
            return false;
        }
        seen[sample] = 1;
        order[k] = (uint32_t)sample;
    }
    return true;
}

static bool blocks_are_finite(const nn_safetensors *file, const nn_tensors *tensors)
{
    for (size_t t = N_FIELDS; t + 1 < tensors->n; t++) {
        const nn_tensor *one = &tensors->items[t];
        for (size_t k = 0; k < one->count; k++) {
            const uint8_t *bytes = file->data + one->begin + k * one->item_size;
            if (!isfinite(real_of(nn_get_word(bytes, one->item_size)))) {
                return false;
            }
        }
    }
    return true;
}

static void decode_blocks(nn_trainer *t, const nn_safetensors *file, const nn_tensors *tensors)
{
    const nn_tensor *one = &tensors->items[N_FIELDS];
    for (size_t b = 0; b < N_BLOCKS; b++) {
        nn_real *block = block_of(t, b);
        for (size_t place = 0; place < t->net->n_params; one++) {
            for (size_t k = 0; k < one->count; k++) {
                const uint8_t *bytes = file->data + one->begin + k * one->item_size;
                block[nn_net_place(t->net, place++)] = real_of(nn_get_word(bytes, one->item_size));
            }
        }
    }
}

/* Puts what the file holds in place of what the training had come to. */
static void take_over(nn_trainer *t, const nn_progress *now, uint32_t *order,
                      const nn_safetensors *file, const nn_tensors *tensors)
{
    t->swapped = false;
    t->diverged = false;
    t->now = *now;
    nn_free(t->order);
    t->order = order;
    decode_blocks(t, file, tensors);
    if (t->options.mask == NN_MASK_EPOCH && now->images > 0) {
        nn_rng rng = now->mask_rng;
        nn_draw_masks(t->net, t->state, &rng);
    }
}

static nn_status decode(nn_trainer *t, const nn_safetensors *file, const nn_tensors *tensors)
{
    const size_t n = t->train->n;
    nn_progress now;
    decode_progress(&now, file, tensors);
    if (!is_possible(&now, t)) {
        return nn_safetensors_damaged(file, "no training can have come to its numbers");
    }
    if (now.epochs_done > t->options.epochs) {
        return nn_fail(NN_ERR_ARGUMENT,
                       "'%s' is the checkpoint of a training that has been through %llu epochs "
                       "already, more than the %zu asked for",
                       file->path, (unsigned long long)now.epochs_done, t->options.epochs);
    }
    if (!blocks_are_finite(file, tensors)) {
        return nn_safetensors_damaged(file, "it holds a number that is not finite");
    }
    uint32_t *order = nn_alloc_array(n, sizeof *order);
    uint8_t *seen = nn_alloc(n);
    nn_status status =
        order && seen ? NN_OK
                      : nn_fail(NN_ERR_MEMORY, "out of memory for the checkpoint '%s'", file->path);
    if (status == NN_OK &&
        !decode_order(order, seen, n, file->data + tensors->items[tensors->n - 1].begin)) {
        status = nn_safetensors_damaged(file, "its order of the samples is none");
    }
    nn_free(seen);
    if (status != NN_OK) {
        nn_free(order);
        return status;
    }
    take_over(t, &now, order, file, tensors);
    return NN_OK;
}

static nn_status load(nn_trainer *t, nn_safetensors *file)
{
    descriptions texts;
    nn_tensors tensors = {0};
    nn_status status = describe(&texts, t, file->path);
    if (status == NN_OK) {
        status = check_training(file, &texts);
    }
    if (status == NN_OK) {
        status = describe_tensors(&tensors, t);
    }
    if (status == NN_OK) {
        status = nn_safetensors_read(file, &tensors);
    }
    if (status == NN_OK) {
        status = decode(t, file, &tensors);
    }
    nn_tensors_release(&tensors);
    release_descriptions(&texts);
    return status;
}

nn_status nn_checkpoint_load(nn_trainer *t, const char *path)
{
    nn_safetensors file;
    const nn_fpenv before = nn_fpenv_set();
    nn_status status = nn_safetensors_open(&file, &checkpoint, path);
    if (status == NN_OK) {
        status = load(t, &file);
        nn_safetensors_close(&file);
    }
    nn_fpenv_restore(&before);
    return status;
}
