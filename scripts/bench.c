/*
 * bench: how fast nnlib is, against what the processor can do at all.
 *
 * Times are CPU times, so that other programs disturb them as little as may be, on one core. The
 * yardstick is the peak rate of independent fused multiply-adds in the widest vectors, measured
 * before and after each repeat: a core that slows down slows both, and the ratio stays.
 *
 *   limit ratio = time / (FLOP / peak), where FLOP counts every product of the dense network
 *
 * scripts/bench.sh builds this program and runs it. It prints a table, or with --json one object.
 */
#define _GNU_SOURCE /* CPU_SET, wait4 */

#include "common.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <getopt.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum {
    INPUTS = 784,
    CLASSES = 10,
    MAX_REPEATS = 99,
    MAX_PEAKS = 4096,
    N_FILES = 4
};

/* More than this, of the median, and a measurement is not worth much. */
#define NOISY_SPREAD 0.10
#define NOISY_SWITCHES 100.0 /* a CPU second */

typedef struct {
    const char *folder, *program, *only;
    size_t repeats;
    int core; /* -1: whichever */
    bool json, growth;
} settings;

/* What one kind of work came to: medians over the repeats. */
typedef struct {
    double seconds, spread; /* of CPU time; the quartiles' distance / median */
    double ratio;           /* the limit ratio; 0 where nothing is counted */
    double images;          /* done in that time */
} result;

static settings set = {.repeats = 5, .core = -1};
static nn_data train_data, test_data;
static cJSON *document;

static double peaks[MAX_PEAKS]; /* every peak rate measured so far, FLOP/s */
static size_t n_peaks;

/* Prints a line of the table; with --json there is none. */
static void line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void line(const char *format, ...)
{
    if (!set.json) {
        va_list arguments;
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
        fflush(stdout);
    }
}

/* ---- time --------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which the share q of values[n] lies; sorts them. */
static double quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, compare);
    double place = q * (double)(n - 1);
    size_t low = (size_t)place, high = low + 1 < n ? low + 1 : low;
    return values[low] + (place - (double)low) * (values[high] - values[low]);
}

static double median(double *values, size_t n)
{
    return quantile(values, n, 0.5);
}

static double spread(double *values, size_t n)
{
    return (quantile(values, n, 0.75) - quantile(values, n, 0.25)) / median(values, n);
}

/* ---- the yardstick ------------------------------------------------------------------------ */

/*
 * A fused multiply-add takes 4 cycles and two or more start in each, so 8 to 16 chains that do not
 * wait for one another fill the units; the chains stay in registers. Each runs x <- x / 2 + 1 from
 * a start of its own, lest the compiler see that two are the same; all stay near 2.
 */
#define CHAINS_16 16
#define CHAINS_12 12

#define FMA_LOOP(VECTOR, CHAINS, SET, FMA, STORE)                                                  \
    VECTOR x[CHAINS];                                                                              \
    const VECTOR half = SET(0.5f), one = SET(1.0f);                                                \
    for (size_t c = 0; c < (CHAINS); c++) {                                                        \
        x[c] = SET(start[c]);                                                                      \
    }                                                                                              \
    for (size_t k = 0; k < n; k++) {                                                               \
        _Pragma("GCC unroll 16") for (size_t c = 0; c < (CHAINS); c++) x[c] = FMA(x[c]);           \
    }                                                                                              \
    for (size_t c = 0; c < (CHAINS); c++) {                                                        \
        STORE(out + 16 * c, x[c]);                                                                 \
    }

typedef struct {
    const char *name;
    size_t flop; /* a round of the loop */
    void (*run)(float *out, const float *start, size_t n);
} fma_loop;

/* For processors without vectors that we know: what the compiler makes of it. */
static void plain_loop(float *out, const float *start, size_t n)
{
    float x[CHAINS_16];
    memcpy(x, start, sizeof x);
    for (size_t k = 0; k < n; k++) {
        for (size_t c = 0; c < CHAINS_16; c++) {
            x[c] = x[c] * 0.5f + 1.0f;
        }
    }
    memcpy(out, x, sizeof x);
}

#if defined(__x86_64__)
#define FMA_512(v) _mm512_fmadd_ps(v, half, one)
#define FMA_256(v) _mm256_fmadd_ps(v, half, one)

__attribute__((target("avx512f"))) static void avx512_loop(float *out, const float *start, size_t n)
{
    FMA_LOOP(__m512, CHAINS_16, _mm512_set1_ps, FMA_512, _mm512_storeu_ps)
}

__attribute__((target("avx2,fma"))) static void avx2_loop(float *out, const float *start, size_t n)
{
    FMA_LOOP(__m256, CHAINS_12, _mm256_set1_ps, FMA_256, _mm256_storeu_ps)
}

static fma_loop widest_loop(void)
{
    if (__builtin_cpu_supports("avx512f")) {
        return (fma_loop){"avx512", 2 * 16 * CHAINS_16, avx512_loop};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return (fma_loop){"avx2", 2 * 8 * CHAINS_12, avx2_loop};
    }
    return (fma_loop){"plain", 2 * CHAINS_16, plain_loop};
}
#elif defined(__aarch64__)
#define FMA_NEON(v) vfmaq_f32(one, v, half)

static void neon_loop(float *out, const float *start, size_t n)
{
    FMA_LOOP(float32x4_t, CHAINS_16, vdupq_n_f32, FMA_NEON, vst1q_f32)
}

static fma_loop widest_loop(void)
{
    return (fma_loop){"neon", 2 * 4 * CHAINS_16, neon_loop};
}
#else
static fma_loop widest_loop(void)
{
    return (fma_loop){"plain", 2 * CHAINS_16, plain_loop};
}
#endif

/* Measures the peak rate, FLOP/s, over some milliseconds, and remembers it. */
static double measure_peak(void)
{
    static float start[CHAINS_16], out[16 * CHAINS_16];
    const fma_loop loop = widest_loop();
    const double flop = strcmp(loop.name, "plain") == 0 ? 1e8 : 8e8;
    const size_t n = (size_t)(flop / (double)loop.flop);
    for (size_t c = 0; c < CHAINS_16; c++) {
        start[c] = (float)c;
    }
    loop.run(out, start, n / 16); /* wide vectors take a moment to wake up */
    double before = cpu_seconds();
    loop.run(out, start, n);
    double rate = (double)n * (double)loop.flop / (cpu_seconds() - before);
    __asm__ volatile("" : : "r"(out) : "memory"); /* the results are wanted */
    if (n_peaks < MAX_PEAKS) {
        peaks[n_peaks++] = rate;
    }
    return rate;
}

static double median_peak(double *peak_spread)
{
    double sorted[MAX_PEAKS];
    memcpy(sorted, peaks, sizeof sorted);
    *peak_spread = spread(sorted, n_peaks);
    return median(sorted, n_peaks);
}

/* ---- measuring ---------------------------------------------------------------------------- */

/* Collects the repeats of one kind of work. */
typedef struct {
    double flop, images; /* in each repeat */
    double seconds[MAX_REPEATS], ratio[MAX_REPEATS];
    size_t n;
    double before, peak; /* when the repeat began, and the peak rate then */
} series;

static void series_start(series *s)
{
    s->peak = measure_peak();
    s->before = cpu_seconds();
}

/* Ends a repeat of `times` rounds and starts the next. */
static void series_stop(series *s, size_t times)
{
    double seconds = (cpu_seconds() - s->before) / (double)times;
    double before = s->peak;
    s->peak = measure_peak();
    if (s->n < MAX_REPEATS) {
        s->seconds[s->n] = seconds;
        s->ratio[s->n++] = s->flop > 0 ? seconds / (s->flop / ((before + s->peak) / 2)) : 0;
    }
    s->before = cpu_seconds();
}

static result series_result(series *s)
{
    return (result){.seconds = median(s->seconds, s->n),
                    .spread = spread(s->seconds, s->n),
                    .ratio = median(s->ratio, s->n),
                    .images = s->images};
}

/* Repeats some work, each time so often that it takes 20 ms or more. */
static result measure(void (*work)(void *), void *context, double flop, double images)
{
    series s = {.flop = flop, .images = images};
    double before = cpu_seconds();
    work(context);
    double once = cpu_seconds() - before;
    size_t times = once > 0.02 ? 1 : (size_t)(0.02 / (once + 1e-7)) + 1;
    for (size_t r = 0; r < set.repeats; r++) {
        series_start(&s);
        for (size_t k = 0; k < times; k++) {
            work(context);
        }
        series_stop(&s, times);
    }
    return series_result(&s);
}

/* ---- reporting ---------------------------------------------------------------------------- */

static cJSON *json_list(const char *section)
{
    cJSON *list = cJSON_GetObjectItem(document, section);
    return list ? list : cJSON_AddArrayToObject(document, section);
}

/* Adds an object to the list of a section. */
static cJSON *json_row(const char *section, const char *name)
{
    cJSON *row = need_memory(cJSON_CreateObject());
    cJSON_AddItemToArray(json_list(section), row);
    cJSON_AddStringToObject(row, "work", name);
    return row;
}

static void heading(const char *title)
{
    line("\n%-44s %10s %7s %11s %8s %6s", title, "CPU ms", "spread", "images/s", "of peak",
         "limit");
    line("%-44s %10s %7s %11s %8s %6s", "", "", "", "", "", "ratio");
}

static cJSON *report(const char *section, const char *name, result r)
{
    cJSON *row = json_row(section, name);
    cJSON_AddNumberToObject(row, "seconds", r.seconds);
    cJSON_AddNumberToObject(row, "spread", r.spread);
    cJSON_AddNumberToObject(row, "images_per_second", r.images / r.seconds);
    if (r.ratio > 0) {
        cJSON_AddNumberToObject(row, "limit_ratio", r.ratio);
        line("%-44s %10.3f %6.1f%% %11.0f %7.1f%% %6.2f", name, 1e3 * r.seconds, 100 * r.spread,
             r.images / r.seconds, 100 / r.ratio, r.ratio);
    } else {
        line("%-44s %10.3f %6.1f%% %11.0f", name, 1e3 * r.seconds, 100 * r.spread,
             r.images / r.seconds);
    }
    return row;
}

/* ---- networks ----------------------------------------------------------------------------- */

/* A network of up to two hidden layers of one kind; hidden[1] may be 0. */
typedef struct {
    size_t hidden[2];
    nn_activation activation;
    double dropout, l2;
} shape;

static const shape small = {{15, 0}, NN_SIGMOID, 0, 0};

static void shape_name(char name[64], const shape *s)
{
    int used = snprintf(name, 64, "%d-%zu-", (int)INPUTS, s->hidden[0]);
    if (s->hidden[1] > 0) {
        used += snprintf(name + used, 64 - (size_t)used, "%zu-", s->hidden[1]);
    }
    snprintf(name + used, 64 - (size_t)used, "%d", (int)CLASSES);
}

static nn_net *make_net(const shape *s)
{
    const nn_layer hidden = {s->hidden[0], s->activation, s->dropout};
    const nn_layer second = {s->hidden[1], s->activation, s->dropout};
    const nn_layer output = {CLASSES, NN_SOFTMAX, 0};
    const bool deep = s->hidden[1] > 0;
    const nn_layer layers[] = {hidden, deep ? second : output, output};
    const nn_config config = {.inputs = INPUTS,
                              .n_layers = deep ? 3 : 2,
                              .layers = layers,
                              .loss = NN_CROSS_ENTROPY,
                              .initialiser = NN_GLOROT};
    nn_net *net;
    need(nn_net_new(&net, &config, 1));
    return net;
}

/* FLOP an image: 2 for each weight in the forward pass and 2 in its gradient; and 2 where deltas
 * go back, which they do not to the inputs. */
static double training_flop(const shape *s)
{
    double below = INPUTS, flop = 0;
    const size_t units[] = {s->hidden[0], s->hidden[1], CLASSES};
    for (size_t l = 0; l < 3; l++) {
        if (units[l] > 0) {
            flop += 2.0 * (l > 0 ? 3 : 2) * below * (double)units[l];
            below = (double)units[l];
        }
    }
    return flop;
}

static double forward_flop(void)
{
    return 2.0 * (INPUTS * 15 + 15 * CLASSES);
}

/* ---- cores -------------------------------------------------------------------------------- */

/* The cores that were allowed at first. */
static cpu_set_t allowed;

/* Stays on one core: the one asked for, or the last of those allowed (the first serves more
 * interrupts). */
static void pin(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (CPU_COUNT(&allowed) == 0 && sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    for (int c = 0; c < CPU_SETSIZE && set.core < 0; c++) {
        int core = CPU_SETSIZE - 1 - c;
        set.core = CPU_ISSET((size_t)core, &allowed) ? core : -1;
    }
    CPU_SET((size_t)set.core, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        die("cannot stay on core %d: %s", set.core, strerror(errno));
    }
}

/* Runs on all cores again, until pin. */
static void let_go(void)
{
    (void)sched_setaffinity(0, sizeof allowed, &allowed);
}

/* ---- training ----------------------------------------------------------------------------- */

static bool end_epoch(void *context, const nn_epoch *epoch)
{
    series *s = context;
    if (epoch->epoch == 1) {
        series_start(s); /* the first was for caches and velocities to settle */
    } else {
        series_stop(s, 1);
    }
    return true;
}

/* Times epochs of training through the public interface. */
static result time_epochs(const shape *s, const nn_data *data, size_t batch, size_t repeats)
{
    series epochs = {.flop = training_flop(s) * (double)data->n, .images = (double)data->n};
    const nn_train_options options = {.epochs = repeats + 1,
                                      .batch = batch,
                                      .learning_rate = 0.02,
                                      .momentum = 0.9,
                                      .l2 = s->l2,
                                      .seed = 1,
                                      .threads = 1,
                                      .context = &epochs,
                                      .on_epoch = end_epoch};
    nn_net *net = make_net(s);
    need(nn_train(net, data, NULL, &options, NULL));
    nn_net_free(net);
    return series_result(&epochs);
}

static void report_epochs(const char *section, const shape *s, const nn_data *data, size_t batch,
                          const char *remark)
{
    char net[64], name[128];
    shape_name(net, s);
    snprintf(name, sizeof name, "%s, batch %zu%s", net, batch, remark);
    cJSON *row = report(section, name, time_epochs(s, data, batch, set.repeats));
    cJSON_AddStringToObject(row, "network", net);
    cJSON_AddNumberToObject(row, "batch", (double)batch);
}

static void bench_epoch(void)
{
    static const size_t batches[] = {10, 32, 100, 1000};
    const shape usual = {{15, 0}, NN_SIGMOID, 0.02, 1e-4};
    char title[64];
    snprintf(title, sizeof title, "training, an epoch of %zu images", train_data.n);
    heading(title);
    for (size_t k = 0; k < 4; k++) {
        report_epochs("epoch", &small, &train_data, batches[k], "");
    }
    for (size_t k = 0; k < 4; k++) {
        report_epochs("epoch_usual", &usual, &train_data, batches[k], ", dropout 0.02, l2 1e-4");
    }
}

static const shape wide[] = {{{800, 0}, NN_RELU, 0, 0}, {{2048, 2048}, NN_RELU, 0, 0}};
static const size_t wide_images[] = {6000, 2000}, wide_batches[] = {100, 1000};

static void bench_wide(void)
{
    heading("training of wide networks, ReLU");
    for (size_t k = 0; k < 2; k++) {
        nn_data part = nn_data_slice(&train_data, 0, wide_images[k]);
        for (size_t b = 0; b < 2; b++) {
            char remark[32];
            snprintf(remark, sizeof remark, ", %zu images", part.n);
            report_epochs("wide", &wide[k], &part, wide_batches[b], remark);
        }
    }
}

/* ---- threads ------------------------------------------------------------------------------ */

/* Ends of epochs, by the clock on the wall: CPU time does not tell what threads are good for. */
typedef struct {
    double ends[MAX_REPEATS + 1];
    size_t n;
} wall;

static double wall_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool note_end(void *context, const nn_epoch *epoch)
{
    wall *w = context;
    (void)epoch;
    w->ends[w->n++] = wall_seconds();
    return true;
}

/* Median wall-clock seconds of an epoch. */
static double time_walls(const shape *s, const nn_data *data, size_t batch, size_t threads)
{
    wall w = {.n = 0};
    const nn_train_options options = {.epochs = set.repeats + 1,
                                      .batch = batch,
                                      .learning_rate = 0.02,
                                      .momentum = 0.9,
                                      .seed = 1,
                                      .threads = threads,
                                      .context = &w,
                                      .on_epoch = note_end};
    double seconds[MAX_REPEATS];
    nn_net *net = make_net(s);
    need(nn_train(net, data, NULL, &options, NULL));
    nn_net_free(net);
    for (size_t k = 0; k < set.repeats; k++) {
        seconds[k] = w.ends[k + 1] - w.ends[k];
    }
    return median(seconds, set.repeats);
}

static void bench_threads(void)
{
    let_go();
    line("\n%-48s %8s %8s %8s", "threads, an epoch by the clock on the wall", "1, ms", "2, ms",
         "faster");
    for (size_t k = 0; k < 2; k++) {
        nn_data part = nn_data_slice(&train_data, 0, wide_images[k]);
        for (size_t b = 0; b < 2; b++) {
            char net[64], name[128];
            shape_name(net, &wide[k]);
            snprintf(name, sizeof name, "%s, batch %zu", net, wide_batches[b]);
            double one = time_walls(&wide[k], &part, wide_batches[b], 1);
            double two = time_walls(&wide[k], &part, wide_batches[b], 2);
            cJSON *row = json_row("threads", name);
            cJSON_AddNumberToObject(row, "one_seconds", one);
            cJSON_AddNumberToObject(row, "two_seconds", two);
            cJSON_AddNumberToObject(row, "faster", one / two);
            line("%-48s %8.1f %8.1f %8.2f", name, 1e3 * one, 1e3 * two, one / two);
        }
    }
    pin();
}

/* ---- inference ---------------------------------------------------------------------------- */

typedef struct {
    nn_net *net;
    nn_state *state;
    float *outputs;
    size_t sum; /* of predictions, so that they are wanted */
} inference;

static void predict_all(void *context)
{
    inference *in = context;
    need(nn_predict(in->outputs, in->net, &test_data));
}

static void predict_each(void *context)
{
    inference *in = context;
    for (size_t k = 0; k < test_data.n; k++) {
        const uint32_t index = (uint32_t)k;
        const nn_batch batch = {.data = &test_data, .index = &index, .n = 1};
        nn_forward(in->net, in->state, &batch);
        in->sum += nn_argmax(nn_output(in->state, 0), CLASSES);
    }
}

static void bench_predict(void)
{
    inference in = {.net = make_net(&small)};
    const double images = (double)test_data.n, flop = forward_flop() * images;
    char title[64];
    need(nn_state_new(&in.state, in.net, 1, false));
    in.outputs = need_memory(nn_alloc_array(test_data.n * CLASSES, sizeof *in.outputs));
    snprintf(title, sizeof title, "inference, %zu images, 784-15-10", test_data.n);
    heading(title);
    report("predict", "in one call", measure(predict_all, &in, flop, images));
    report("predict", "one by one", measure(predict_each, &in, flop, images));
    nn_free(in.outputs);
    nn_state_free(in.state);
    nn_net_free(in.net);
}

/* ---- loading ------------------------------------------------------------------------------ */

/* A file as it is, and room for what is in it. */
typedef struct {
    char path[4096];
    unsigned char *packed, *unpacked;
    size_t packed_size, unpacked_size;
} file;

static file files[N_FILES]; /* images and labels to train on, images and labels to test with */

/* Finds a file by its usual name, with - or . before idx, with or without .gz. */
static void find_file(file *f, const char *kind, const char *rest)
{
    const char *const middle[] = {"-", "-", ".", "."}, *const end[] = {".gz", "", ".gz", ""};
    for (size_t k = 0; k < sizeof middle / sizeof *middle; k++) {
        snprintf(f->path, sizeof f->path, "%s/%s%s%s%s", set.folder, kind, middle[k], rest, end[k]);
        if (access(f->path, R_OK) == 0) {
            return;
        }
    }
    die("'%s' has no %s-%s", set.folder, kind, rest);
}

static void find_files(void)
{
    find_file(&files[0], "train-images", "idx3-ubyte");
    find_file(&files[1], "train-labels", "idx1-ubyte");
    find_file(&files[2], "t10k-images", "idx3-ubyte");
    find_file(&files[3], "t10k-labels", "idx1-ubyte");
}

static void read_packed(file *f)
{
    FILE *stream = fopen(f->path, "rb");
    if (!stream || fseek(stream, 0, SEEK_END) != 0) {
        die("cannot read '%s': %s", f->path, strerror(errno));
    }
    f->packed_size = (size_t)ftell(stream);
    f->packed = need_memory(malloc(f->packed_size));
    rewind(stream);
    if (fread(f->packed, 1, f->packed_size, stream) != f->packed_size) {
        die("cannot read '%s'", f->path);
    }
    fclose(stream);
    if (f->packed_size < 18 || f->packed[0] != 0x1f) {
        die("'%s' is not gzip: there is nothing to unpack", f->path);
    }
    const unsigned char *size = f->packed + f->packed_size - 4; /* the last field of gzip */
    f->unpacked_size =
        (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
    f->unpacked = need_memory(malloc(f->unpacked_size));
    memset(f->unpacked, 1, f->unpacked_size); /* memory that is there already */
}

/* zlib from memory to memory, in pieces of the size that nnlib takes. */
static void inflate_file(const file *f)
{
    const size_t piece = 65536;
    z_stream z = {.next_out = f->unpacked, .avail_out = (uInt)f->unpacked_size};
    int code = inflateInit2(&z, 15 + 16);
    for (size_t at = 0; at < f->packed_size && code == Z_OK; at += piece) {
        z.next_in = f->packed + at;
        z.avail_in = (uInt)(f->packed_size - at < piece ? f->packed_size - at : piece);
        code = inflate(&z, Z_NO_FLUSH);
    }
    inflateEnd(&z);
    if (code != Z_STREAM_END) {
        die("cannot unpack '%s'", f->path);
    }
}

static void inflate_all(void *context)
{
    (void)context;
    for (size_t k = 0; k < N_FILES; k++) {
        inflate_file(&files[k]);
    }
}

static void load_all(void *context)
{
    (void)context;
    for (size_t k = 0; k < N_FILES; k += 2) {
        nn_data data;
        need(nn_data_load(&data, files[k].path, files[k + 1].path, CLASSES));
        nn_data_release(&data);
    }
}

static void bench_load(void)
{
    for (size_t k = 0; k < N_FILES; k++) {
        read_packed(&files[k]);
    }
    const double images = (double)(train_data.n + test_data.n);
    heading("loading the four files");
    /* In turns, so that both see the same machine. */
    series loads = {.images = images}, inflates = {.images = images};
    double ratios[MAX_REPEATS];
    for (size_t r = 0; r < set.repeats; r++) {
        series_start(&loads);
        load_all(NULL);
        series_stop(&loads, 1);
        series_start(&inflates);
        inflate_all(NULL);
        series_stop(&inflates, 1);
        ratios[r] = loads.seconds[r] / inflates.seconds[r];
    }
    report("load", "nn_data_load", series_result(&loads));
    report("load", "zlib's inflate alone", series_result(&inflates));
    double ratio = median(ratios, set.repeats);
    cJSON_AddNumberToObject(document, "load_ratio", ratio);
    line("loading / inflate: %.3f", ratio);
    for (size_t k = 0; k < N_FILES; k++) {
        free(files[k].packed);
        free(files[k].unpacked);
    }
}

/* ---- growth ------------------------------------------------------------------------------- */

/* The training images over and over, n in all. */
static nn_data repeat_images(size_t n)
{
    nn_data data = train_data;
    uint8_t *pixels = need_memory(nn_alloc_array(n, INPUTS)), *labels = need_memory(nn_alloc(n));
    for (size_t k = 0; k < n; k++) {
        size_t from = k % train_data.n;
        memcpy(pixels + k * INPUTS, train_data.pixels + from * INPUTS, INPUTS);
        labels[k] = train_data.labels[from];
    }
    data.n = n;
    data.pixels = data.owned[0] = pixels;
    data.labels = data.owned[1] = labels;
    return data;
}

static void report_growth(const char *what, double amount, double seconds)
{
    char name[64];
    snprintf(name, sizeof name, "%.0f %s", amount, what);
    cJSON *row = json_row("growth", name);
    cJSON_AddNumberToObject(row, "amount", amount);
    cJSON_AddNumberToObject(row, "seconds", seconds);
    cJSON_AddNumberToObject(row, "nanoseconds_each", 1e9 * seconds / amount);
    line("%12.0f %-10s %10.3f s %12.3f ns each", amount, what, seconds, 1e9 * seconds / amount);
}

static void grow_images(void)
{
    static const size_t sizes[] = {10000, 30000, 100000, 300000, 1000000};
    const double free_bytes = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        if ((double)sizes[k] * (INPUTS + 32) > 0.8 * free_bytes) {
            line("%12zu images need more memory than is free; left out", sizes[k]);
            return;
        }
        nn_data data = repeat_images(sizes[k]);
        report_growth("images", (double)sizes[k], time_epochs(&small, &data, 32, 3).seconds);
        nn_data_release(&data);
    }
}

static void grow_weights(void)
{
    static const size_t units[] = {16, 64, 256, 1024, 2048};
    nn_data part = nn_data_slice(&train_data, 0, 6000);
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        const shape s = {{units[k], 0}, NN_RELU, 0, 0};
        const double weights = (double)units[k] * (INPUTS + CLASSES);
        report_growth("weights", weights, time_epochs(&s, &part, 100, 3).seconds);
    }
}

static void grow_epochs(void)
{
    static const size_t epochs[] = {1, 3, 10, 30};
    for (size_t k = 0; k < sizeof epochs / sizeof *epochs; k++) {
        const nn_train_options options = {
            .epochs = epochs[k], .batch = 32, .learning_rate = 0.02, .momentum = 0.9, .seed = 1};
        nn_net *net = make_net(&small);
        double before = cpu_seconds();
        need(nn_train(net, &train_data, NULL, &options, NULL));
        report_growth("epochs", (double)epochs[k], cpu_seconds() - before);
        nn_net_free(net);
    }
}

static void bench_growth(void)
{
    line("\ngrowth: CPU time of an epoch by images (784-15-10) and by weights (6,000 images,");
    line("batch 100), and of a training by epochs");
    grow_images();
    grow_weights();
    grow_epochs();
}

/* ---- the whole program -------------------------------------------------------------------- */

typedef struct {
    double seconds; /* CPU, in the program and in the system for it */
    double bytes;   /* the most memory it had at a time */
} usage;

/* Becomes `digits train`. */
static void exec_train(const char *epochs)
{
    int null = open("/dev/null", O_WRONLY);
    char model[64];
    snprintf(model, sizeof model, "build/bench.%ld.safetensors", (long)getppid());
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
    }
    execl(set.program, set.program, "train", "--seed", "1", "--quiet", "--force", "--epochs",
          epochs, "--data", set.folder, "--out", model, (char *)NULL);
    _exit(127);
}

static usage run_train(const char *epochs)
{
    struct rusage used;
    int status;
    pid_t child = fork();
    if (child == 0) {
        exec_train(epochs);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) {
        die("'%s train' failed", set.program);
    }
    return (usage){(double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                       1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec),
                   1024.0 * (double)used.ru_maxrss};
}

static double median_train(const char *epochs, double *bytes)
{
    double seconds[MAX_REPEATS];
    for (size_t r = 0; r < set.repeats; r++) {
        usage one = run_train(epochs);
        seconds[r] = one.seconds;
        *bytes = one.bytes;
    }
    return median(seconds, set.repeats);
}

/* Must come before data are loaded: a child's peak memory counts what its parent had at fork. */
static void bench_train(void)
{
    double bytes;
    double one = median_train("1", &bytes), all = median_train("30", &bytes);
    double each = (all - one) / 29;
    char model[64];
    snprintf(model, sizeof model, "build/bench.%ld.safetensors", (long)getpid());
    remove(model);
    cJSON *row = json_row("train", "digits train");
    cJSON_AddNumberToObject(row, "seconds", all);
    cJSON_AddNumberToObject(row, "epoch_seconds", each);
    cJSON_AddNumberToObject(row, "other_seconds", one - each);
    cJSON_AddNumberToObject(row, "peak_bytes", bytes);
    line("\n./digits train, 30 epochs: %.3f CPU s, %.1f MB at most", all, bytes / 1e6);
    line("    an epoch with its validation %.4f s; loading, saving and the rest %.3f s", each,
         one - each);
}

/* ---- the program -------------------------------------------------------------------------- */

static void load_data(void)
{
    need(nn_data_load(&train_data, files[0].path, files[1].path, CLASSES));
    need(nn_data_load(&test_data, files[2].path, files[3].path, CLASSES));
    if (train_data.inputs != INPUTS || test_data.inputs != INPUTS) {
        die("the images in '%s' are not of 28 x 28 pixels", set.folder);
    }
}

/* Says how steady the machine was. */
static void judge_noise(void)
{
    struct rusage used;
    double peak_spread, peak = median_peak(&peak_spread);
    getrusage(RUSAGE_SELF, &used);
    double switches = (double)used.ru_nivcsw / cpu_seconds();
    bool noisy = peak_spread > NOISY_SPREAD || switches > NOISY_SWITCHES;
    cJSON_AddNumberToObject(document, "peak_flops", peak);
    cJSON_AddNumberToObject(document, "peak_spread", peak_spread);
    cJSON_AddStringToObject(document, "peak_vectors", widest_loop().name);
    cJSON_AddNumberToObject(document, "interruptions_per_second", switches);
    cJSON_AddBoolToObject(document, "noisy", noisy);
    line("\npeak of this core: %.1f GFLOP/s (%s; %zu measurements, spread %.1f %%)", peak / 1e9,
         widest_loop().name, n_peaks, 100 * peak_spread);
    line("interruptions: %.0f in a CPU second", switches);
    if (noisy) {
        fputs("warning: this machine was too noisy to judge: it was busy with other work, or "
              "its clock changed\n",
              stderr);
    }
}

static const struct section {
    const char *name;
    void (*run)(void);
    bool needs_data, extra; /* extra: only if asked for */
} sections[] = {
    {"train", bench_train, false, false},    {"epoch", bench_epoch, true, false},
    {"predict", bench_predict, true, false}, {"load", bench_load, true, false},
    {"wide", bench_wide, true, false},       {"threads", bench_threads, true, false},
    {"growth", bench_growth, true, true},
};

static void run_sections(void)
{
    bool any = false;
    for (size_t k = 0; k < sizeof sections / sizeof *sections; k++) {
        const struct section *s = &sections[k];
        bool wanted = set.only ? strcmp(set.only, s->name) == 0 : !s->extra || set.growth;
        if (!wanted || (s->run == bench_train && !set.program)) {
            continue;
        }
        any = true;
        if (s->needs_data && !train_data.n) {
            load_data();
        }
        measure_peak();
        s->run();
    }
    if (!any) {
        die("nothing to measure: --only %s", set.only ? set.only : "?");
    }
}

static const char usage_text[] =
    "usage: bench --data DIR [--digits PROGRAM] [--only SECTION] [--growth] [--repeats N]\n"
    "             [--core N] [--json]\n"
    "sections: train (needs --digits), epoch, predict, load, wide, threads, growth\n";

static long number(const char *text, long from, long to)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < from || value > to) {
        die("'%s' is not a number from %ld to %ld", text, from, to);
    }
    return value;
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"data", required_argument, NULL, 'd'}, {"digits", required_argument, NULL, 'p'},
        {"only", required_argument, NULL, 'o'}, {"repeats", required_argument, NULL, 'r'},
        {"core", required_argument, NULL, 'c'}, {"growth", no_argument, NULL, 'g'},
        {"json", no_argument, NULL, 'j'},       {NULL, 0, NULL, 0}};
    set.folder = getenv("DIGITS_DATA");
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd':
            set.folder = optarg;
            break;
        case 'p':
            set.program = optarg;
            break;
        case 'o':
            set.only = optarg;
            break;
        case 'r':
            set.repeats = (size_t)number(optarg, 1, MAX_REPEATS);
            break;
        case 'c':
            set.core = (int)number(optarg, 0, CPU_SETSIZE - 1);
            break;
        case 'g':
            set.growth = true;
            break;
        case 'j':
            set.json = true;
            break;
        default:
            fputs(usage_text, stderr);
            exit(2);
        }
    }
    if (!set.folder || optind < argc) {
        fputs(usage_text, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    pin();
    find_files();
    document = need_memory(cJSON_CreateObject());
    line("core %d, %zu repeats, medians of CPU time", set.core, set.repeats);
    run_sections();
    judge_noise();
    if (set.json) {
        char *text = need_memory(cJSON_Print(document));
        puts(text);
        cJSON_free(text);
    }
    cJSON_Delete(document);
    nn_data_release(&train_data);
    nn_data_release(&test_data);
    return EXIT_SUCCESS;
}
