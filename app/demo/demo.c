#include "demo.h"

#include "dataset.h"
#include "message.h"
#include "synth.h"
#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

/* ---- text and numbers --------------------------------------------------------------------- */

void demo_say(const demo *d, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!d->as_json) {
        vprintf(format, arguments);
    }
    va_end(arguments);
}

void demo_bar(const demo *d, double share, int width)
{
    int full = (int)(fmin(fmax(share, 0), 1) * width + 0.5);
    for (int k = 0; k < width; k++) {
        demo_say(d, "%c", k < full ? '#' : ' ');
    }
}

/* To six digits, so that a last bit that differs between machines does not show. */
static double rounded(double value)
{
    char text[TEXT_NUMBER_SIZE];
    snprintf(text, sizeof text, "%.6g", value);
    return strtod(text, NULL);
}

void demo_number(demo *d, cJSON *parent, const char *name, double value)
{
    json_number(&d->document, parent, name, rounded(value));
}

void demo_numbers(demo *d, cJSON *parent, const char *name, const double *values, size_t n)
{
    cJSON *list = json_array(&d->document, parent, name);
    for (size_t k = 0; k < n; k++) {
        demo_number(d, list, NULL, values[k]);
    }
}

/* ---- pictures ----------------------------------------------------------------------------- */

int demo_plot(demo *d, const char *which, const char *title, const plot_panel *panels, size_t n,
              size_t columns)
{
    if (!d->out) {
        return EXIT_DONE;
    }
    char *path = text_format("%s/%s-%s.png", d->out, d->name, which);
    if (!path) {
        return fail_memory();
    }
    int code = fail(plot_write(path, title, panels, n, columns), ROLE_OUTPUT);
    if (code == EXIT_DONE) {
        demo_say(d, "\npicture     %s\n", path);
        json_text(&d->document, d->document.root, which, path);
    }
    nn_free(path);
    return code;
}

/* ---- digits ------------------------------------------------------------------------------- */

static nn_status generate(nn_data *out, nn_rng *rng, size_t n)
{
    const size_t pixels_each = (size_t)SYNTH_SIDE * SYNTH_SIDE;
    uint8_t *pixels = nn_alloc_array(n, pixels_each), *labels = nn_alloc(n);
    *out = (nn_data){.n = n,
                     .inputs = pixels_each,
                     .outputs = DATASET_CLASSES,
                     .rows = SYNTH_SIDE,
                     .columns = SYNTH_SIDE,
                     .pixels = pixels,
                     .labels = labels,
                     .owned = {pixels, labels}};
    if (!pixels || !labels) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for %zu generated digits", n);
    }
    for (size_t k = 0; k < n; k++) {
        labels[k] = (uint8_t)nn_rng_below(rng, DATASET_CLASSES);
        synth_digit(rng, labels[k], pixels + k * pixels_each);
    }
    return NN_OK;
}

static int generate_both(demo_digits *out, const size_t n[N_PARTS])
{
    nn_rng rng;
    nn_rng_seed(&rng, 1); /* always the same digits: the demonstration's seed is for training */
    nn_status status = NN_OK;
    for (dataset_part part = 0; part < N_PARTS && status == NN_OK; part++) {
        status = n[part] > 0 ? generate(&out->owned[part], &rng, n[part]) : NN_OK;
    }
    return fail(status, ROLE_DATA);
}

/* Takes the two parts of a data set over from what loaded them. */
static int load_both(demo_digits *out, const demo *d, const size_t n[N_PARTS])
{
    int code = EXIT_DONE;
    for (dataset_part part = 0; part < N_PARTS && code == EXIT_DONE; part++) {
        dataset set;
        if (n[part] == 0) {
            continue;
        }
        code = dataset_load(&set, d->data, part);
        if (code == EXIT_DONE) {
            out->generated = out->generated || set.kind == DATASET_GENERATED;
            out->owned[part] = set.data;
            set.data = (nn_data){0};
            dataset_release(&set);
        }
    }
    return code;
}

static bool was_named(const demo *d)
{
    const char *named = getenv("DIGITS_DATA");
    return d->data || (named && *named);
}

static void describe(demo *d, const demo_digits *digits)
{
    char train[TEXT_NUMBER_SIZE], test[TEXT_NUMBER_SIZE];
    demo_say(d, "data        %s%s training",
             digits->generated ? "GENERATED DIGITS, NOT MNIST: " : "a part of MNIST: the first ",
             text_count(train, digits->train.n));
    if (digits->test.n > 0) {
        demo_say(d, " and %s test", text_count(test, digits->test.n));
    }
    demo_say(d, " images\n\n");
    json_text(&d->document, d->document.root, "data", digits->generated ? "generated" : "mnist");
    json_size(&d->document, d->document.root, "training_images", digits->train.n);
    json_size(&d->document, d->document.root, "test_images", digits->test.n);
}

int demo_digits_load(demo_digits *out, demo *d, size_t n_train, size_t n_test)
{
    demo_digits digits = {.generated = false};
    const size_t n[N_PARTS] = {[PART_TRAIN] = n_train, [PART_TEST] = n_test};
    int code = load_both(&digits, d, n);
    if (code == EXIT_DATA && !was_named(d)) {
        complain("going on with GENERATED DIGITS instead; the numbers are not those of MNIST");
        demo_digits_release(&digits);
        digits.generated = true;
        code = generate_both(&digits, n);
    }
    if (code != EXIT_DONE) {
        demo_digits_release(&digits);
        return code;
    }
    digits.train = nn_data_slice(&digits.owned[PART_TRAIN], 0, n_train);
    digits.test = nn_data_slice(&digits.owned[PART_TEST], 0, n_test);
    describe(d, &digits);
    *out = digits;
    return EXIT_DONE;
}

void demo_digits_release(demo_digits *digits)
{
    for (dataset_part part = 0; part < N_PARTS; part++) {
        nn_data_release(&digits->owned[part]);
    }
}
