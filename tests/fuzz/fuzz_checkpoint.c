/* Promise: a checkpoint is taken by the training that it is of, and by no other; once taken, the
 * training goes on soundly to its end and writes down what another one takes and writes down as the
 * very same bytes; refused, the training stands where it stood; and refusing takes memory in
 * proportion to the file. */
#include "fuzz.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum {
    BUFFERS = 1 << 20, /* bytes of memory that do not depend on the file */
    EXPANSION = 256,   /* a node of JSON of 64 bytes, with what malloc and the list add, for two */
    SAMPLES = 7,
    BATCH = 2,
    STOPS = 9 /* batches after which seeds are taken */
};

static const uint8_t pixels[SAMPLES * 4] = {1, 2, 3, 4, 250, 9, 80, 7, 0, 0, 255, 255, 6, 7, 8};
static const uint8_t labels[SAMPLES] = {0, 1, 2, 0, 1, 2, 0};

/* A training of four epochs, and what it needs. */
typedef struct {
    nn_net *net;
    nn_data train, validation;
    nn_trainer *trainer;
    size_t batches_left; /* until it is stopped */
} training;

static bool count_down(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    training *t = context;
    (void)epoch;
    (void)images_done;
    (void)mean_loss;
    return t->batches_left == 0 || --t->batches_left > 0;
}

static void begin(training *t, size_t batches)
{
    static const nn_layer layers[] = {{2, NN_TANH, 0.25}, {3, NN_SOFTMAX, 0}};
    const nn_config config = {.inputs = 4, .n_layers = 2, .layers = layers};
    const nn_train_options options = {.epochs = 4,
                                      .batch = BATCH,
                                      .learning_rate = 0.1,
                                      .momentum = 0.9,
                                      .decay = 0.1,
                                      .mask = NN_MASK_EPOCH,
                                      .seed = 1,
                                      .patience = 2,
                                      .context = t,
                                      .on_batch = count_down};
    t->train =
        (nn_data){.n = SAMPLES, .inputs = 4, .outputs = 3, .pixels = pixels, .labels = labels};
    t->validation = nn_data_slice(&t->train, 2, 3);
    t->batches_left = batches;
    require(nn_net_new(&t->net, &config, 1) == NN_OK);
    require(nn_trainer_new(&t->trainer, t->net, &t->train, &t->validation, &options) == NN_OK);
}

static void end(training *t)
{
    nn_trainer_free(t->trainer);
    nn_net_free(t->net);
}

/* Writes down where a training stands and compares that with data[n]. */
static bool stands_at(training *t, const uint8_t *data, size_t n)
{
    size_t size;
    require(nn_checkpoint_save(t->trainer, fuzz_path("here")) == NN_OK);
    uint8_t *here = fuzz_read("here", &size);
    const bool same = size == n && memcmp(here, data, n) == 0;
    free(here);
    return same;
}

static void check_taken(training *t)
{
    size_t n;
    const nn_position at = nn_trainer_position(t->trainer);
    require(at.epochs <= 4 && at.images <= SAMPLES);
    require(nn_net_is_finite(t->net));
    require(nn_checkpoint_save(t->trainer, fuzz_path("first")) == NN_OK);
    uint8_t *first = fuzz_read("first", &n);
    training other;
    begin(&other, 0);
    require(nn_checkpoint_load(other.trainer, fuzz_path("first")) == NN_OK);
    require(stands_at(&other, first, n));
    end(&other);
    free(first);
    const nn_status status = nn_trainer_run(t->trainer, NULL);
    require(status == NN_OK || status == NN_ERR_DIVERGED);
    require(nn_net_is_finite(t->net));
}

static void through_the_door(void)
{
    cJSON_Hooks hooks = {nn_alloc, nn_free};
    cJSON_InitHooks(&hooks);
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static uint8_t *start; /* where a training stands that has just begun */
    static size_t start_size;
    training t;
    through_the_door();
    const char *path = fuzz_write("checkpoint", data, n);
    begin(&t, 0);
    if (!start) {
        require(nn_checkpoint_save(t.trainer, fuzz_path("start")) == NN_OK);
        start = fuzz_read("start", &start_size);
    }
    fuzz_memory_begin();
    const nn_status status = nn_checkpoint_load(t.trainer, path);
    require(fuzz_memory_peak() <= BUFFERS + EXPANSION * n);
    if (status == NN_OK) {
        check_taken(&t);
    } else {
        require(status == NN_ERR_MODEL || status == NN_ERR_ARGUMENT || status == NN_ERR_DATA);
        require(*nn_error_text());
        require(stands_at(&t, start, start_size));
    }
    end(&t);
}

/* ---- inputs ------------------------------------------------------------------------------- */

void fuzz_seeds(fuzz_seed *seed)
{
    through_the_door();
    for (size_t batches = 0; batches < STOPS; batches++) {
        training t;
        size_t n;
        begin(&t, batches);
        if (batches > 0) {
            require(nn_trainer_run(t.trainer, NULL) == NN_ERR_STOPPED);
        }
        require(nn_checkpoint_save(t.trainer, fuzz_path("seed")) == NN_OK);
        uint8_t *data = fuzz_read("seed", &n);
        seed(data, n);
        free(data);
        end(&t);
    }
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    return fuzz_mutate_safetensors(data, n, max, random);
}
