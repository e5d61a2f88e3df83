/*
 * Trains networks of many shapes on data that it makes itself, and prints a digest of each: two
 * CRC-32 sums, one of the parameters, one of the outputs.
 *
 * The promise under test: the same seed, data and options give the same bits, whatever compiled
 * the program and wherever it runs. So every build must print what golden/digest.txt holds;
 * scripts/same_bytes.sh makes the builds. The program needs nothing but the C library and the
 * files of nnlib that train, so that it can be built for processors that are not at hand.
 *
 * usage: digest [-t THREADS] [-s] [-c FILE] [-i IMAGES -l LABELS] [EXPECTED]
 *
 *   -t THREADS   train with so many threads
 *   -s           stop each training after batch 1, 2, 4, 8, ... and go on
 *   -c FILE      the same, and go on from a checkpoint in FILE, which is removed at the end; only
 *                where the whole library is there (DIGEST_CHECKPOINT)
 *   -i, -l       IDX files, not compressed: networks that take pictures learn from these, 5 times
 *                as many of them
 *   EXPECTED     compare with this file and print only what differs
 *
 * Exit codes: 0 the digests are as expected, 1 they differ or something failed, 2 wrong usage, 77
 * the kernels that NN_KERNEL names cannot run here. A new configuration is one row of the table;
 * afterwards, `digest > golden/digest.txt`.
 */
#include "nnlib.h"
#include "synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MANY = 1003, /* samples; no batch size divides it: the last batch is short */
    FEW = 203,
    N_CLASSES = 10,
    N_PIXELS = SYNTH_SIDE * SYNTH_SIDE,
    N_VALUES = 57, /* a number of inputs that fills no vector */
    MORE = 5,      /* times as many samples from files */
    MAX_HIDDEN = 3,
    LINE_SIZE = 256,
    EXIT_SKIPPED = 77
};

/* ---- what is trained ---------------------------------------------------------------------- */

typedef enum {
    PIXELS, /* bytes, labels: softmax and cross-entropy */
    VALUES, /* numbers, labels: the same */
    TARGETS /* numbers, target vectors: sigmoid and squared error */
} kind;

typedef struct {
    kind kind;
    size_t n; /* samples */
    size_t batch, epochs;
    nn_activation activation;
    size_t hidden[MAX_HIDDEN];
    nn_initialiser initialiser; /* NN_GLOROT unless told */
    double dropout, input_dropout;
    nn_mask mask;
    size_t patience; /* with the last tenth of the samples for validation */
} configuration;

static const configuration table[] = {
    {PIXELS, 103, 1, 1, NN_SIGMOID, .hidden = {15}},
    {PIXELS, FEW, 10, 2, NN_SIGMOID, .hidden = {15}},
    {PIXELS, FEW, 32, 2, NN_SIGMOID, .hidden = {15}},
    {PIXELS, MANY, 1000, 2, NN_SIGMOID, .hidden = {15}},
    {PIXELS, 103, 1, 1, NN_TANH, .hidden = {15}},
    {PIXELS, FEW, 10, 2, NN_TANH, .hidden = {15}},
    {PIXELS, FEW, 32, 2, NN_TANH, .hidden = {15}, .initialiser = NN_LECUN},
    {PIXELS, MANY, 1000, 1, NN_TANH, .hidden = {15}},
    {PIXELS, 103, 1, 1, NN_RELU, .hidden = {15}},
    {PIXELS, FEW, 10, 2, NN_RELU, .hidden = {15}, .initialiser = NN_HE},
    {PIXELS, FEW, 32, 2, NN_RELU, .hidden = {15}},
    {PIXELS, MANY, 1000, 1, NN_RELU, .hidden = {15}},
    {PIXELS, 103, 1, 1, NN_LEAKY_RELU, .hidden = {15}},
    {PIXELS, FEW, 10, 2, NN_LEAKY_RELU, .hidden = {15}},
    {PIXELS, FEW, 32, 2, NN_LEAKY_RELU, .hidden = {15}},
    {PIXELS, MANY, 1000, 1, NN_LEAKY_RELU, .hidden = {15}, .initialiser = NN_HE},

    /* No hidden layer, two, three. */
    {PIXELS, FEW, 10, 1, NN_IDENTITY, .hidden = {0}},
    {PIXELS, FEW, 10, 1, NN_SIGMOID, .hidden = {33, 20}},
    {PIXELS, FEW, 32, 1, NN_LEAKY_RELU, .hidden = {20, 17, 12}},
    {VALUES, MANY, 10, 1, NN_TANH, .hidden = {20, 17, 12}},

    /* Units left out. */
    {PIXELS, FEW, 32, 2, NN_SIGMOID, .hidden = {15}, .dropout = 0.02},
    {PIXELS, FEW, 10, 1, NN_RELU, .hidden = {33, 20}, .dropout = 0.3, .input_dropout = 0.2},
    {PIXELS, FEW, 10, 2, NN_TANH, .hidden = {30}, .dropout = 0.3, .input_dropout = 0.2,
     .mask = NN_MASK_EPOCH},
    {VALUES, MANY, 32, 2, NN_LEAKY_RELU, .hidden = {30, 20}, .dropout = 0.5, .mask = NN_MASK_EPOCH},

    /* Layers wide enough for packed products, in batches that need more than one block. */
    {PIXELS, 70, 32, 1, NN_RELU, .hidden = {150, 100}},
    {PIXELS, 40, 32, 1, NN_SIGMOID, .hidden = {130}, .dropout = 0.25},
    {PIXELS, 20, 1, 1, NN_TANH, .hidden = {130, 20}},
    {VALUES, 403, 400, 1, NN_LEAKY_RELU, .hidden = {150, 15, 130}},
    {VALUES, FEW, 32, 1, NN_SIGMOID, .hidden = {100}, .input_dropout = 0.1},

    /* Other data, and the best of several epochs. */
    {VALUES, FEW, 1, 1, NN_SIGMOID, .hidden = {15}},
    {VALUES, MANY, 32, 2, NN_RELU, .hidden = {15}},
    {TARGETS, MANY, 10, 2, NN_TANH, .hidden = {15}},
    {TARGETS, FEW, 32, 2, NN_SIGMOID, .hidden = {100, 15}},
    {PIXELS, FEW, 10, 20, NN_RELU, .hidden = {15}, .patience = 1},
};

enum {
    N_CONFIGURATIONS = sizeof table / sizeof table[0]
};

/* Writes what tells a configuration from the others. */
static void describe(char text[LINE_SIZE], const configuration *c, size_t n)
{
    static const char *const kinds[] = {"pixels", "values", "targets"};
    snprintf(text, LINE_SIZE,
             "%zu %s, hidden %zu %zu %zu, %s, %s, batch %zu, epochs %zu, dropout %g %g %s, "
             "patience %zu",
             n, kinds[c->kind], c->hidden[0], c->hidden[1], c->hidden[2],
             nn_activation_name(c->activation), nn_initialiser_name(c->initialiser), c->batch,
             c->epochs, c->input_dropout, c->dropout, c->mask == NN_MASK_EPOCH ? "epoch" : "sample",
             c->patience);
}

/* ---- data --------------------------------------------------------------------------------- */

typedef struct {
    nn_data of[TARGETS + 1];
} samples;

static nn_status no_memory(void)
{
    return nn_fail(NN_ERR_MEMORY, "out of memory");
}

static nn_status make_pixels(nn_data *out, nn_rng *rng)
{
    uint8_t *pixels = nn_alloc_array(MANY, N_PIXELS);
    uint8_t *labels = nn_alloc(MANY);
    *out = (nn_data){.n = MANY,
                     .inputs = N_PIXELS,
                     .outputs = N_CLASSES,
                     .pixels = pixels,
                     .labels = labels,
                     .owned = {pixels, labels}};
    for (size_t b = 0; b < MANY && pixels && labels; b++) {
        labels[b] = (uint8_t)nn_rng_below(rng, N_CLASSES);
        synth_digit(rng, labels[b], pixels + b * N_PIXELS);
    }
    return pixels && labels ? NN_OK : no_memory();
}

/* Numbers in -1..1, one in five of them 0; the label is the largest of the first ten. */
static nn_status make_values(nn_data *out, nn_rng *rng)
{
    float *values = nn_alloc_array((size_t)MANY * N_VALUES, sizeof *values);
    uint8_t *labels = nn_alloc(MANY);
    *out = (nn_data){.n = MANY,
                     .inputs = N_VALUES,
                     .outputs = N_CLASSES,
                     .values = values,
                     .labels = labels,
                     .owned = {values, labels}};
    for (size_t b = 0; b < MANY && values && labels; b++) {
        float *x = values + b * N_VALUES;
        for (size_t i = 0; i < N_VALUES; i++) {
            x[i] = nn_rng_below(rng, 5) == 0 ? 0 : (float)(2 * nn_rng_uniform(rng) - 1);
        }
        labels[b] = (uint8_t)nn_argmax(x, N_CLASSES);
    }
    return values && labels ? NN_OK : no_memory();
}

/* The same numbers, to be answered by their first ten, moved into 0..1. */
static nn_status make_targets(nn_data *out, const nn_data *data)
{
    float *targets = nn_alloc_array((size_t)MANY * N_CLASSES, sizeof *targets);
    *out = *data;
    out->labels = NULL;
    out->targets = targets;
    out->owned[0] = targets;
    out->owned[1] = NULL;
    for (size_t k = 0; k < (size_t)MANY * N_CLASSES && targets; k++) {
        targets[k] = 0.5f + 0.5f * data->values[k / N_CLASSES * N_VALUES + k % N_CLASSES];
    }
    return targets ? NN_OK : no_memory();
}

/* Reads all elements of an IDX file of bytes; count is the first dimension. */
static uint8_t *read_idx(const char *path, size_t item, size_t *count)
{
    uint8_t header[16], *bytes = NULL;
    size_t header_size = item > 1 ? sizeof header : 8;
    FILE *file = fopen(path, "rb");
    if (file && fread(header, 1, header_size, file) == header_size && header[2] == NN_IDX_U8) {
        *count = (size_t)header[4] << 24 | (size_t)header[5] << 16 | (size_t)header[6] << 8 |
                 (size_t)header[7];
        bytes = nn_alloc_array(*count, item);
        if (bytes && fread(bytes, item, *count, file) != *count) {
            nn_free(bytes);
            bytes = NULL;
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return bytes;
}

static nn_status read_pixels(nn_data *out, const char *images, const char *labels)
{
    size_t n = 0, n_labels = 0;
    uint8_t *pixels = read_idx(images, N_PIXELS, &n), *classes = read_idx(labels, 1, &n_labels);
    *out = (nn_data){.n = n,
                     .inputs = N_PIXELS,
                     .outputs = N_CLASSES,
                     .pixels = pixels,
                     .labels = classes,
                     .owned = {pixels, classes}};
    return pixels && classes && n == n_labels
               ? NN_OK
               : nn_fail(NN_ERR_DATA, "cannot read '%s' and '%s'", images, labels);
}

static nn_status make_samples(samples *all, const char *images, const char *labels)
{
    nn_rng rng;
    nn_rng_seed(&rng, 1);
    nn_status status = images ? read_pixels(&all->of[PIXELS], images, labels)
                              : make_pixels(&all->of[PIXELS], &rng);
    if (status == NN_OK) {
        status = make_values(&all->of[VALUES], &rng);
    }
    return status == NN_OK ? make_targets(&all->of[TARGETS], &all->of[VALUES]) : status;
}

static void release_samples(samples *all)
{
    for (size_t k = 0; k <= TARGETS; k++) {
        nn_free(all->of[k].owned[0]);
        nn_free(all->of[k].owned[1]);
    }
}

/* ---- digests ------------------------------------------------------------------------------ */

/* Goes on with the CRC-32 of gzip and of model files (0 at the start), through the bytes of x, the
 * lowest first. */
static uint32_t crc_add(uint32_t crc, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    crc = ~crc ^ bits;
    for (int k = 0; k < 32; k++) {
        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

/* That of the parameters, as a model file's metadata have it. */
static uint32_t crc_params(nn_net *net)
{
    uint32_t crc = 0;
    for (size_t k = 0; k < nn_net_n_params(net); k++) {
        crc = crc_add(crc, *nn_net_param(net, k));
    }
    return crc;
}

static nn_status crc_outputs(uint32_t *crc, const nn_net *net, const nn_data *data)
{
    size_t n = data->n * data->outputs;
    float *outputs = nn_alloc_array(n, sizeof *outputs);
    nn_status status = outputs ? nn_predict(outputs, net, data) : no_memory();
    *crc = 0;
    for (size_t k = 0; k < n && status == NN_OK; k++) {
        *crc = crc_add(*crc, outputs[k]);
    }
    nn_free(outputs);
    return status;
}

/* ---- training ----------------------------------------------------------------------------- */

static nn_status make_net(nn_net **out, const configuration *c, const nn_data *data)
{
    nn_layer layers[MAX_HIDDEN + 1];
    size_t n = 0;
    for (; n < MAX_HIDDEN && c->hidden[n] > 0; n++) {
        layers[n] = (nn_layer){c->hidden[n], c->activation, c->dropout};
    }
    bool targets = c->kind == TARGETS;
    layers[n] = (nn_layer){data->outputs, targets ? NN_SIGMOID : NN_SOFTMAX, 0};
    nn_config config = {
        .inputs = data->inputs,
        .n_layers = n + 1,
        .layers = layers,
        .loss = targets ? NN_SQUARED_ERROR : NN_CROSS_ENTROPY,
        .initialiser = c->initialiser,
        .input_dropout = c->input_dropout,
    };
    return nn_net_new(out, &config, 1);
}

typedef struct {
    size_t threads;
    bool stop;
    const char *checkpoint;
    const char *images, *labels, *expected;
} request;

/* Counts a training's batches, and stops it at some. */
typedef struct {
    bool stop;
    size_t batches;
} stopper;

/* Stops after batch 1, 2, 4, 8, ... */
static bool on_batch(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    stopper *s = context;
    (void)epoch;
    (void)images_done;
    (void)mean_loss;
    s->batches++;
    return !s->stop || (s->batches & (s->batches - 1)) != 0;
}

/* Writes a training down, forgets it, and makes it again from the file. */
static nn_status renew(nn_trainer **trainer, nn_net *net, const nn_data *learn,
                       const nn_data *validate, const nn_train_options *how, const char *path)
{
#ifdef DIGEST_CHECKPOINT
    nn_status status = nn_checkpoint_save(*trainer, path);
    if (status != NN_OK) {
        return status;
    }
    nn_trainer_free(*trainer);
    *trainer = NULL;
    for (size_t k = 0; k < nn_net_n_params(net); k++) {
        *nn_net_param(net, k) = 0;
    }
    status = nn_trainer_new(trainer, net, learn, validate, how);
    return status == NN_OK ? nn_checkpoint_load(*trainer, path) : status;
#else
    (void)trainer, (void)net, (void)learn, (void)validate, (void)how;
    return nn_fail(NN_ERR_ARGUMENT, "no checkpoint '%s' in this build", path);
#endif
}

static nn_status train(nn_net *net, const configuration *c, const nn_data *data, const request *r)
{
    stopper s = {r->stop, 0};
    nn_trainer *trainer = NULL;
    nn_train_options how = {
        .epochs = c->epochs,
        .batch = c->batch,
        .learning_rate = c->batch == 1 ? 0.01 : 0.1,
        .momentum = 0.9,
        .decay = 0.1,
        .l2 = 1e-4,
        .mask = c->mask,
        .seed = 1,
        .patience = c->patience,
        .threads = r->threads,
        .context = &s,
        .on_batch = on_batch,
    };
    nn_data learn = nn_data_slice(data, 0, c->patience > 0 ? data->n - data->n / 10 : data->n);
    nn_data validate = nn_data_slice(data, learn.n, data->n);
    const nn_data *held_out = validate.n > 0 ? &validate : NULL;
    nn_status status = nn_trainer_new(&trainer, net, &learn, held_out, &how);
    while (status == NN_OK && (status = nn_trainer_run(trainer, NULL)) == NN_ERR_STOPPED) {
        status =
            r->checkpoint ? renew(&trainer, net, &learn, held_out, &how, r->checkpoint) : NN_OK;
        if (status != NN_OK) {
            break;
        }
    }
    nn_trainer_free(trainer);
    return status;
}

/* Writes a configuration's digest as a line. */
static nn_status digest(char line[2 * LINE_SIZE], const configuration *c, const nn_data *data,
                        const request *r)
{
    nn_net *net = NULL;
    uint32_t outputs = 0;
    char name[LINE_SIZE];
    nn_status status = make_net(&net, c, data);
    if (status == NN_OK) {
        status = train(net, c, data, r);
    }
    if (status == NN_OK) {
        status = crc_outputs(&outputs, net, data);
    }
    if (status == NN_OK) {
        describe(name, c, data->n);
        snprintf(line, 2 * LINE_SIZE, "%08lx %08lx  %s\n", (unsigned long)crc_params(net),
                 (unsigned long)outputs, name);
    }
    nn_net_free(net);
    return status;
}

/* ---- the program -------------------------------------------------------------------------- */

/* Compares a line with the next one of a file, or prints it. Returns whether it is as expected. */
static bool report(const char *line, FILE *expected)
{
    char other[2 * LINE_SIZE];
    if (!expected) {
        return fputs(line, stdout) >= 0 && fflush(stdout) == 0;
    }
    if (!fgets(other, sizeof other, expected)) {
        snprintf(other, sizeof other, "nothing\n");
    }
    if (strcmp(line, other) == 0) {
        return true;
    }
    printf("expected %sfound    %s", other, line);
    return false;
}

static int run_table(const request *r, const samples *all, FILE *expected)
{
    bool same = true;
    for (size_t k = 0; k < N_CONFIGURATIONS; k++) {
        const configuration *c = &table[k];
        char line[2 * LINE_SIZE];
        nn_data data = nn_data_slice(&all->of[c->kind], 0,
                                     c->kind == PIXELS && r->images ? MORE * c->n : c->n);
        nn_status status = digest(line, c, &data, r);
        if (status != NN_OK) {
            fprintf(stderr, "digest: %s\n", nn_error_text());
            return EXIT_FAILURE;
        }
        same = report(line, expected) && same;
    }
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Whether the kernels that NN_KERNEL asks for are there. */
static bool has_kernels(void)
{
    nn_net *net = NULL;
    nn_layer layer = {1, NN_IDENTITY, 0};
    nn_config config = {.inputs = 1, .n_layers = 1, .layers = &layer, .loss = NN_SQUARED_ERROR};
    nn_status status = nn_net_new(&net, &config, 1);
    nn_net_free(net);
    return status == NN_OK;
}

static bool parse(request *r, int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "t:sc:i:l:")) != -1;) {
        switch (option) {
        case 't':
            r->threads = (size_t)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            r->checkpoint = optarg;
            r->stop = true;
            break;
        case 's':
            r->stop = true;
            break;
        case 'i':
            r->images = optarg;
            break;
        case 'l':
            r->labels = optarg;
            break;
        default:
            return false;
        }
    }
    r->expected = argv[optind];
    return argc - optind <= 1 && !r->images == !r->labels;
}

int main(int argc, char **argv)
{
    request r = {.threads = 1};
    samples all = {0};
    FILE *expected = NULL;
    int code = EXIT_FAILURE;
    if (!parse(&r, argc, argv)) {
        fprintf(stderr,
                "usage: digest [-t THREADS] [-s] [-c FILE] [-i IMAGES -l LABELS] [EXPECTED]\n");
        return 2;
    }
    if (!has_kernels()) {
        fprintf(stderr, "digest: %s\n", nn_error_text());
        return EXIT_SKIPPED;
    }
    if (r.expected && !(expected = fopen(r.expected, "r"))) {
        perror(r.expected);
    } else if (make_samples(&all, r.images, r.labels) != NN_OK) {
        fprintf(stderr, "digest: %s\n", nn_error_text());
    } else {
        code = run_table(&r, &all, expected);
    }
    if (r.checkpoint) {
        (void)unlink(r.checkpoint);
    }
    release_samples(&all);
    if (expected) {
        (void)fclose(expected);
    }
    return code;
}
