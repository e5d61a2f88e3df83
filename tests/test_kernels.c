/*
 * The promise: every kernel gives the bits of ref.c, on any shape, from any address, and touches
 * nothing outside its arrays.
 *
 * Arrays lie against a page that may not be touched, at their end or at their start, or where no
 * vector would. Shapes, addresses and values come from a fixed seed; a third of the values is
 * exactly zero.
 */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_ARRAYS 64

typedef struct {
    void *map;
    size_t size;
} mapping;

static mapping mappings[MAX_ARRAYS];
static size_t n_mappings;

/* Where an array lies: against a forbidden page, its end or its start; or between them, at an
 * address that is no multiple of a vector's size. */
typedef enum {
    AT_END,
    AT_START,
    ASKEW
} place;

static void *guarded(size_t size, place where)
{
    const size_t askew = where == ASKEW ? 24 : 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inside = (size + askew + page - 1) / page * page;
    uint8_t *map = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(map, MAP_FAILED);
    cr_assert_lt(n_mappings, MAX_ARRAYS);
    cr_assert_eq(mprotect(map + page, inside, PROT_READ | PROT_WRITE), 0);
    mappings[n_mappings++] = (mapping){map, inside + 2 * page};
    return map + page + (where == AT_END ? inside - size : askew);
}

static void forget_all(void)
{
    while (n_mappings > 0) {
        n_mappings--;
        munmap(mappings[n_mappings].map, mappings[n_mappings].size);
    }
}

static float *floats(nn_rng *rng, size_t count, place where)
{
    float *values = guarded(count * sizeof *values, where);
    for (size_t k = 0; k < count; k++) {
        values[k] = nn_rng_below(rng, 3) == 0 ? 0 : (float)nn_rng_normal(rng);
    }
    return values;
}

/* Rows of `units` numbers, padded with 0 to `stride`. */
static float *padded_rows(nn_rng *rng, size_t n, size_t units, size_t stride, place where)
{
    float *values = floats(rng, n * stride, where);
    for (size_t b = 0; b < n; b++) {
        for (size_t k = units; k < stride; k++) {
            values[b * stride + k] = 0;
        }
    }
    return values;
}

static float *copy_of(const float *from, size_t count, place where)
{
    float *copy = guarded(count * sizeof *copy, where);
    return memcpy(copy, from, count * sizeof *copy);
}

static void same_bits(const void *expected, const void *found, size_t size, const char *what)
{
    cr_assert_eq(memcmp(expected, found, size), 0, "%s differs from ref.c", what);
}

/* ---- the kernels that this processor has ---- */

static const nn_kernels *find_kernels(const char *name)
{
    const nn_kernels *kernels;
    setenv("NN_KERNEL", name, 1);
    nn_status status = nn_kernels_choose(&kernels);
    unsetenv("NN_KERNEL");
    return status == NN_OK ? kernels : NULL;
}

/* A layer between `inputs` and `units`, and a batch of n samples. */
typedef struct {
    nn_rng rng;
    place where;
    nn_team *team;
    size_t n, inputs, units, stride, in_stride, x_stride;
} shape;

typedef void check(const nn_kernels *, shape);

static const char *const vector_kernels[] = {"avx2", "avx512", "neon"};

static void on_shape(check *one_check, const nn_kernels *kernels, shape s)
{
    s.stride = nn_padded(s.units);
    s.in_stride = nn_padded(s.inputs);
    s.x_stride = NN_X_STRIDE(s.inputs);
    one_check(kernels, s);
    forget_all();
}

static void on_one_shape(check *one_check, size_t n, size_t inputs, size_t units, size_t threads)
{
    const size_t seeds = n * inputs * units < 2000000 ? 4 : 1; /* larger ones take their time */
    nn_team *team;
    cr_assert_eq(nn_team_new(&team, threads), NN_OK);
    for (size_t k = 0; k < sizeof vector_kernels / sizeof *vector_kernels; k++) {
        const nn_kernels *kernels = find_kernels(vector_kernels[k]);
        for (size_t seed = 0; kernels && seed < seeds; seed++) {
            shape s = {.n = n, .inputs = inputs, .units = units, .team = team, .where = AT_END};
            nn_rng_seed(&s.rng, seed);
            on_shape(one_check, kernels, s);
        }
    }
    nn_team_free(team);
}

static void on_many_shapes(check *one_check)
{
    static const size_t batches[] = {1, 2, 3, 5, 6, 7, 10, 11, 16, 17, 32, 100};
    static const size_t inputs[] = {1, 2, 15, 16, 17, 40, 64, 100, 128, 350, 784};
    static const size_t units[] = {1, 10, 15, 16, 17, 33, 64, 65, 150, 400};
    size_t seed = 0;
    nn_team *teams[3] = {NULL};
    cr_assert_eq(nn_team_new(&teams[1], 2), NN_OK);
    cr_assert_eq(nn_team_new(&teams[2], 3), NN_OK);
    for (size_t k = 0; k < sizeof vector_kernels / sizeof *vector_kernels; k++) {
        const nn_kernels *kernels = find_kernels(vector_kernels[k]);
        for (size_t trial = 0; kernels && trial < 150; trial++) {
            shape s = {.where = (place)(trial % 4 % 3), .team = teams[trial % 3]};
            nn_rng_seed(&s.rng, seed++);
            s.n = batches[nn_rng_below(&s.rng, sizeof batches / sizeof *batches)];
            s.inputs = inputs[nn_rng_below(&s.rng, sizeof inputs / sizeof *inputs)];
            s.units = units[nn_rng_below(&s.rng, sizeof units / sizeof *units)];
            on_shape(one_check, kernels, s);
        }
    }
    nn_team_free(teams[1]);
    nn_team_free(teams[2]);
}

/* ---- batches of bytes ---- */

/* The same pixels as ink, each other time, if the kernels can take it. */
static nn_ink *ink_of(const nn_kernels *kernels, const uint8_t *pixels, size_t samples, shape *s)
{
    nn_ink *ink = guarded(sizeof *ink, AT_END);
    if (!kernels->write_ink || nn_rng_below(&s->rng, 2) == 0) {
        return NULL;
    }
    *ink = (nn_ink){.pixels = pixels, .n = samples, .typical = 100};
    ink->start = guarded((samples + 1) * sizeof *ink->start, AT_END);
    size_t units = 0;
    for (size_t k = 0; k <= samples; k++) {
        ink->start[k] = (uint32_t)units;
        units += k < samples ? (kernels->write_ink(NULL, pixels + k * s->inputs, s->inputs) + 7) /
                                   NN_INK_UNIT
                             : 0;
    }
    ink->records = guarded(units * NN_INK_UNIT + NN_INK_SLACK, AT_END);
    for (size_t k = 0; k < samples; k++) {
        kernels->write_ink(ink->records + ink->start[k] * NN_INK_UNIT, pixels + k * s->inputs,
                           s->inputs);
    }
    return ink;
}

static nn_pixel_batch random_pixels(const nn_kernels *kernels, shape *s)
{
    nn_rng *rng = &s->rng;
    size_t samples = s->n + nn_rng_below(rng, 5);
    uint8_t *pixels = guarded(samples * s->inputs, s->where);
    uint32_t *index = guarded(s->n * sizeof *index, s->where);
    uint64_t blank = nn_rng_below(rng, 4); /* from no blank pixels to three of four */
    for (size_t k = 0; k < samples * s->inputs; k++) {
        bool border = blank > 0 && k % s->inputs % 28 < 4; /* never inked, as in real digits */
        pixels[k] = border || nn_rng_below(rng, 4) < blank ? 0 : (uint8_t)nn_rng_below(rng, 256);
    }
    for (size_t b = 0; b < s->n; b++) {
        index[b] = (uint32_t)nn_rng_below(rng, samples);
    }
    return (nn_pixel_batch){.pixels = pixels,
                            .index = blank % 2 ? index : NULL,
                            .n = s->n,
                            .inputs = s->inputs,
                            .learning = true,
                            .ink = ink_of(kernels, pixels, samples, s)};
}

/* Work space in which nothing has been written yet: NaN, of which even 0 times makes NaN. */
static float *pixel_space(const shape *s)
{
    const size_t count = NN_X_ROWS(s->n) * s->x_stride;
    float *space = guarded(count * sizeof *space, s->where);
    for (size_t k = 0; k < count; k++) {
        space[k] = NAN;
    }
    return space;
}

static uint32_t *list_space(const shape *s)
{
    return guarded(NN_LISTS_SIZE(s->inputs) * sizeof(uint32_t), AT_END);
}

/* For the team of the shape, or for the caller alone. */
static nn_work *work_space(const nn_kernels *kernels, const shape *s)
{
    nn_work *work = guarded(sizeof *work, AT_END);
    size_t size = kernels->scratch_size(s->inputs, s->units) * nn_team_size(s->team);
    *work = (nn_work){guarded(size * sizeof(float), AT_END), s->team};
    return work;
}

/* ---- the promises ---- */

static void check_forward(const nn_kernels *kernels, shape s)
{
    float *w = padded_rows(&s.rng, s.inputs, s.units, s.stride, s.where);
    float *bias = padded_rows(&s.rng, 1, s.units, s.stride, s.where);
    float *x = floats(&s.rng, s.n * s.in_stride, s.where);
    float *expected = floats(&s.rng, s.n * s.stride, s.where);
    float *found = floats(&s.rng, s.n * s.stride, s.where);
    nn_kernels_ref.forward(expected, s.stride, x, s.in_stride, w, bias, s.n, s.inputs, s.stride,
                           NULL);
    kernels->forward(found, s.stride, x, s.in_stride, w, bias, s.n, s.inputs, s.stride,
                     work_space(kernels, &s));
    same_bits(expected, found, s.n * s.stride * sizeof *found, "forward");

    nn_pixel_batch batch = random_pixels(kernels, &s);
    uint32_t *lists = list_space(&s);
    float *space = pixel_space(&s);
    nn_kernels_ref.forward_pixels(expected, s.stride, NULL, 0, &batch, w, bias, NULL, NULL);
    kernels->forward_pixels(found, s.stride, space, s.x_stride, &batch, w, bias, lists,
                            work_space(kernels, &s));
    same_bits(expected, found, s.n * s.stride * sizeof *found, "forward_pixels");
    batch.learning = false;
    memset(found, 0xff, s.n * s.stride * sizeof *found);
    kernels->forward_pixels(found, s.stride, space, s.x_stride, &batch, w, bias, lists,
                            work_space(kernels, &s));
    same_bits(expected, found, s.n * s.stride * sizeof *found, "forward_pixels in use");
}

Test(kernels, forward_agrees_with_the_reference)
{
    on_many_shapes(check_forward);
    on_one_shape(check_forward, 150, 784, 15, 1);   /* more samples than keep their numbers */
    on_one_shape(check_forward, 260, 1041, 225, 1); /* several blocks both ways */
    on_one_shape(check_forward, 16, 784, 65, 3);    /* shares of 32, 32 and 16 units */
    on_one_shape(check_forward, 16, 784, 65, 4);    /* and of none */
}

/* Velocities of every size: ordinary, about the floor, zero. */
static float *velocities(nn_rng *rng, size_t count, place where)
{
    static const float sizes[] = {1, 0x1p-58f, 0x1p-60f, 0x1p-62f, 0, 0};
    float *v = floats(rng, count, where);
    for (size_t k = 0; k < count; k++) {
        v[k] *= sizes[nn_rng_below(rng, 6)];
        v[k] += 0.0f; /* a velocity is never -0 */
    }
    return v;
}

static void check_backward(const nn_kernels *kernels, shape s)
{
    float *w = padded_rows(&s.rng, s.inputs, s.units, s.stride, s.where);
    float *delta = padded_rows(&s.rng, s.n, s.units, s.stride, s.where);
    float *slope = velocities(&s.rng, s.n * s.in_stride, s.where); /* down to where deltas end */
    float *expected = guarded(s.n * s.in_stride * sizeof *expected, s.where);
    float *found = guarded(s.n * s.in_stride * sizeof *found, s.where);
    nn_work *work = work_space(kernels, &s);
    nn_kernels_ref.backward(expected, s.in_stride, slope, delta, s.stride, w, s.n, s.inputs,
                            s.units, NULL);
    kernels->backward(found, s.in_stride, slope, delta, s.stride, w, s.n, s.inputs, s.units, work);
    for (size_t b = 0; b < s.n; b++) {
        size_t row = b * s.in_stride;
        same_bits(expected + row, found + row, s.inputs * sizeof *found, "backward");
        for (size_t i = s.inputs; i < s.in_stride; i++) {
            cr_assert(found[row + i] == 0, "backward leaves numbers in the padding");
        }
    }
}

Test(kernels, backward_agrees_with_the_reference_and_keeps_the_padding_zero)
{
    on_many_shapes(check_backward);
    on_one_shape(check_backward, 20, 257, 1041, 1);
    on_one_shape(check_backward, 16, 65, 784, 3);
    on_one_shape(check_backward, 16, 65, 784, 4);
}

/* +0 and -0 may differ between gradients (see kernels.h): adding +0 makes them equal. */
static void add_zero(float *values, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        values[k] += 0.0f;
    }
}

static void check_gradient(const nn_kernels *kernels, shape s)
{
    size_t count = s.inputs * s.stride;
    float *delta = padded_rows(&s.rng, s.n, s.units, s.stride, s.where);
    float *x = floats(&s.rng, s.n * s.in_stride, s.where);
    float *expected = floats(&s.rng, count, s.where);
    float *found = floats(&s.rng, count, s.where);
    nn_kernels_ref.gradient(expected, x, s.in_stride, delta, s.stride, s.n, s.inputs);
    kernels->gradient(found, x, s.in_stride, delta, s.stride, s.n, s.inputs);
    add_zero(expected, count);
    add_zero(found, count);
    same_bits(expected, found, count * sizeof *found, "gradient");

    nn_pixel_batch batch = random_pixels(kernels, &s);
    nn_kernels_ref.gradient_pixels(expected, NULL, &batch, delta, s.stride);
    float *space = pixel_space(&s);
    kernels->gradient_pixels(found, space, &batch, delta, s.stride);
    add_zero(expected, count);
    add_zero(found, count);
    same_bits(expected, found, count * sizeof *found, "gradient_pixels");

    nn_kernels_ref.gradient_bias(expected, delta, s.stride, s.n);
    kernels->gradient_bias(found, delta, s.stride, s.n);
    same_bits(expected, found, s.stride * sizeof *found, "gradient_bias");
}

Test(kernels, gradient_agrees_with_the_reference)
{
    on_many_shapes(check_gradient);
    on_one_shape(check_gradient, 128, 784, 15, 1); /* as many samples as keep their numbers */
    on_one_shape(check_gradient, 150, 784, 15, 1); /* and more */
}

static void check_learn(const nn_kernels *kernels, shape s)
{
    size_t count = s.inputs * s.stride;
    float *w = floats(&s.rng, count, s.where), *w2 = copy_of(w, count, s.where);
    float *v = velocities(&s.rng, count, s.where), *v2 = copy_of(v, count, s.where);
    float *g = floats(&s.rng, count, s.where), *g2 = copy_of(g, count, s.where);
    float *delta = padded_rows(&s.rng, s.n, s.units, s.stride, s.where);
    nn_step step = {0.1f, 0.9f, nn_rng_below(&s.rng, 2) ? 0.001f : 0};
    nn_kernels_ref.step(w, v, g, count, &step);
    kernels->step(w2, v2, g2, count, &step);
    same_bits(w, w2, count * sizeof *w, "step's weights");
    same_bits(v, v2, count * sizeof *v, "step's velocities");

    float *x = floats(&s.rng, s.n * s.in_stride, s.where);
    nn_work *work = work_space(kernels, &s);
    nn_kernels_ref.learn(w, v, g, x, s.in_stride, delta, s.stride, s.n, s.inputs, s.stride, &step,
                         NULL);
    kernels->learn(w2, v2, g2, x, s.in_stride, delta, s.stride, s.n, s.inputs, s.stride, &step,
                   work);
    same_bits(w, w2, count * sizeof *w, "learn's weights");
    same_bits(v, v2, count * sizeof *v, "learn's velocities");

    nn_pixel_batch batch = random_pixels(kernels, &s);
    float *space = pixel_space(&s);
    uint32_t *lists = list_space(&s);
    float *a = floats(&s.rng, s.n * s.stride, s.where);
    float *bias = padded_rows(&s.rng, 1, s.units, s.stride, s.where);
    for (int pass = 0; pass < 3; pass++) {
        nn_kernels_ref.learn_pixels(w, v, g, NULL, 0, &batch, delta, s.stride, &step, NULL, NULL);
        kernels->forward_pixels(a, s.stride, space, s.x_stride, &batch, w2, bias, lists, work);
        kernels->learn_pixels(w2, v2, g2, space, s.x_stride, &batch, delta, s.stride, &step, lists,
                              work);
        same_bits(w, w2, count * sizeof *w, "learn_pixels' weights");
        same_bits(v, v2, count * sizeof *v, "learn_pixels' velocities");
    }
}

Test(kernels, step_and_learn_agree_with_the_reference)
{
    on_many_shapes(check_learn);
    on_one_shape(check_learn, 128, 784, 15, 1);
    on_one_shape(check_learn, 150, 784, 15, 1);
    on_one_shape(check_learn, 1041, 40, 257, 1);
    on_one_shape(check_learn, 400, 30, 80, 3);
    on_one_shape(check_learn, 400, 30, 80, 4);
}

/* What is made of outputs and targets: labels, or numbers of the data's own. */
static void check_outputs(const nn_kernels *kernels, shape s)
{
    size_t count = s.n * s.stride, samples = s.n + 3;
    float *z = padded_rows(&s.rng, s.n, s.units, s.stride, s.where);
    float *slope = floats(&s.rng, count, s.where);
    float *values = floats(&s.rng, samples * s.units, s.where);
    uint8_t *labels = guarded(samples, s.where);
    uint32_t *index = guarded(s.n * sizeof *index, s.where);
    for (size_t k = 0; k < samples; k++) {
        labels[k] = (uint8_t)nn_rng_below(&s.rng, s.units < 256 ? s.units : 256);
    }
    for (size_t b = 0; b < s.n; b++) {
        index[b] = (uint32_t)nn_rng_below(&s.rng, samples);
        float *row = z + b * s.stride;
        row[labels[index[b]]] =
            nn_rng_below(&s.rng, 2) ? 2 : row[0]; /* the largest, or one of two */
        row[nn_rng_below(&s.rng, s.units)] = nn_rng_below(&s.rng, 50) ? row[0] : NAN;
    }
    const nn_targets by_label = {.labels = labels, .index = index, .outputs = s.units};
    const nn_targets by_value = {.values = values, .outputs = s.units};
    cr_assert_eq(kernels->count_right(z, s.stride, s.units, &by_label, s.n),
                 nn_kernels_ref.count_right(z, s.stride, s.units, &by_label, s.n));
    for (size_t loss = 0; loss < NN_N_LOSSES; loss++) {
        const nn_targets *targets = loss % 2 ? &by_value : &by_label;
        float *expected = floats(&s.rng, count, s.where), *found = floats(&s.rng, count, s.where);
        nn_kernels_ref.output_delta((nn_loss)loss, expected, z, slope, s.stride, s.units, targets,
                                    s.n, 0.1f);
        kernels->output_delta((nn_loss)loss, found, z, slope, s.stride, s.units, targets, s.n,
                              0.1f);
        same_bits(expected, found, count * sizeof *found, nn_loss_name((nn_loss)loss));
    }
    nn_sum *sums = guarded(s.n * sizeof *sums, AT_END);
    double *logs = guarded(s.n * sizeof *logs, AT_END),
           *logs2 = guarded(s.n * sizeof *logs2, AT_END);
    for (size_t b = 0; b < s.n; b++) {
        sums[b] = (nn_sum){z[b * s.stride], 1 + (float)nn_rng_below(&s.rng, 1000)};
    }
    nn_kernels_ref.log_sums(logs, sums, s.n);
    kernels->log_sums(logs2, sums, s.n);
    same_bits(logs, logs2, s.n * sizeof *logs, "log_sums");
}

Test(kernels, outputs_meet_their_targets_as_in_the_reference)
{
    on_many_shapes(check_outputs);
}

static void check_activations(const nn_kernels *kernels, shape s)
{
    size_t count = s.n * s.stride;
    float *a = floats(&s.rng, count, s.where);
    for (size_t k = 0; k < count; k++) {
        a[k] *= nn_rng_below(&s.rng, 10) == 0 ? 50 : 2;
    }
    float *slope = floats(&s.rng, count, s.where), *slope2 = copy_of(slope, count, s.where);
    for (size_t kind = 0; kind < NN_SOFTMAX; kind++) {
        float *z = copy_of(a, count, s.where), *z2 = copy_of(a, count, s.where);
        nn_kernels_ref.activate((nn_activation)kind, z, slope, count);
        kernels->activate((nn_activation)kind, z2, slope2, count);
        same_bits(z, z2, count * sizeof *z, nn_activation_name((nn_activation)kind));
        same_bits(slope, slope2, count * sizeof *slope, "slope");
    }
    nn_sum *sum = guarded(s.n * sizeof *sum, AT_END), *sum2 = guarded(s.n * sizeof *sum2, AT_END);
    float *z = copy_of(a, count, s.where), *z2 = copy_of(a, count, s.where);
    nn_kernels_ref.softmax(z, s.stride, sum, s.n, s.units);
    kernels->softmax(z2, s.stride, sum2, s.n, s.units);
    same_bits(z, z2, count * sizeof *z, "softmax");
    same_bits(sum, sum2, s.n * sizeof *sum, "softmax's sum");
}

Test(kernels, activations_and_softmax_agree_with_the_reference)
{
    on_many_shapes(check_activations);
}

static void check_load(const nn_kernels *kernels, shape s)
{
    nn_pixel_batch batch = random_pixels(kernels, &s);
    float *x = floats(&s.rng, s.n * s.in_stride, s.where);
    kernels->load_pixels(x, s.in_stride, &batch);
    for (size_t b = 0; b < s.n; b++) {
        const uint8_t *pixels = batch.pixels + (batch.index ? batch.index[b] : b) * s.inputs;
        for (size_t i = 0; i < s.inputs; i++) {
            cr_assert(x[b * s.in_stride + i] == (float)pixels[i] / 255.0f);
        }
    }
}

Test(kernels, bytes_become_numbers_from_0_to_1)
{
    on_many_shapes(check_load);
}

Test(kernels, an_unknown_name_is_refused)
{
    const nn_kernels *kernels = NULL;
    setenv("NN_KERNEL", "abacus", 1);
    cr_assert_eq(nn_kernels_choose(&kernels), NN_ERR_ARGUMENT);
    cr_assert_null(kernels);
    cr_assert(strstr(nn_error_text(), "abacus"));
    unsetenv("NN_KERNEL");
}

Test(kernels, the_reference_is_always_there)
{
    cr_assert_eq(find_kernels("ref"), &nn_kernels_ref);
}
