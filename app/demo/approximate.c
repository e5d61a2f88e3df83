/* Hidden units as basis functions that adapt: the more of them, the better the fit. */
#include "demo.h"
#include "learner.h"
#include "message.h"

#include <math.h>
#include <string.h>

enum {
    N_POINTS = 101,
    BATCH = 10,
    EPOCHS = 1500,
    N_CURVE = 401
};

static const size_t sizes[] = {1, 2, 4, 8, 16, 32, 64};

enum {
    N_SIZES = DEMO_COUNT(sizes)
};

typedef struct {
    nn_real x[N_POINTS], y[N_POINTS];
    nn_data data;
    double error[N_SIZES];
    double fit[N_SIZES][N_CURVE];
} fits;

/* Chebyshev's polynomial of degree 5: five waves between -1 and 1. */
static double curve(double x)
{
    return x * (5 + x * x * (16 * x * x - 20));
}

static double grid(size_t k, size_t n)
{
    return -1 + 2.0 * (double)k / (double)(n - 1);
}

static void make_points(fits *f)
{
    for (size_t k = 0; k < N_POINTS; k++) {
        f->x[k] = (nn_real)grid(k, N_POINTS);
        f->y[k] = (nn_real)curve(grid(k, N_POINTS));
    }
    f->data = (nn_data){.n = N_POINTS, .inputs = 1, .outputs = 1, .values = f->x, .targets = f->y};
}

/* Spreads the units over the interval: unit j is a step of width about 1/w around -b/w. */
static void spread(learner *l, size_t units, uint64_t seed)
{
    nn_rng rng;
    nn_rng_seed(&rng, seed);
    for (size_t j = 0; j < units; j++) {
        double sign = nn_rng_uniform(&rng) < 0.5 ? -1 : 1,
               w = sign * (2 + 6 * nn_rng_uniform(&rng));
        double centre = -1 + 2 * ((double)j + nn_rng_uniform(&rng)) / (double)units;
        *nn_net_weight(l->net, 0, j, 0) = (nn_real)w;
        *nn_net_bias(l->net, 0, j) = (nn_real)(-w * centre);
    }
}

static nn_status fit(fits *f, size_t which, uint64_t seed)
{
    const size_t units = sizes[which];
    const nn_layer layers[] = {{units, NN_TANH, 0}, {1, NN_IDENTITY, 0}};
    const nn_config config = {1, 2, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    const nn_train_options how = {.epochs = EPOCHS,
                                  .batch = BATCH,
                                  .learning_rate = 0.02,
                                  .momentum = 0.9,
                                  .decay = 0.002,
                                  .seed = seed};
    learner l;
    nn_status status = learner_init(&l, &config, seed, N_POINTS);
    if (status == NN_OK) {
        spread(&l, units, seed);
        status = nn_train(l.net, &f->data, NULL, &how, NULL);
    }
    if (status == NN_OK) {
        f->error[which] = sqrt(2 * learner_loss(&l, &f->data, N_POINTS, NULL));
        for (size_t k = 0; k < N_CURVE; k++) {
            nn_real x = (nn_real)grid(k, N_CURVE);
            f->fit[which][k] = learner_output(&l, &x, 0);
        }
    }
    learner_release(&l);
    return status;
}

/* ---- words -------------------------------------------------------------------------------- */

static void say_error(demo *d, cJSON *list, const fits *f, size_t which)
{
    demo_say(d, "  %5zu  %10zu    %6.3f  ", sizes[which], 3 * sizes[which] + 1, f->error[which]);
    demo_bar(d, f->error[which] / 0.7, 40);
    demo_say(d, "|\n");
    cJSON *item = json_object(&d->document, list, NULL);
    json_size(&d->document, item, "units", sizes[which]);
    demo_number(d, item, "error", f->error[which]);
}

/* The curve (.) and a fit (o) over it, y from 1.2 down to -1.2 */
static void sketch(const demo *d, const fits *f, size_t which)
{
    enum {
        ROWS = 13,
        COLUMNS = 61
    };
    char page[ROWS][COLUMNS + 1];
    for (size_t r = 0; r < ROWS; r++) {
        memset(page[r], ' ', COLUMNS);
        page[r][COLUMNS] = '\0';
    }
    for (size_t c = 0; c < COLUMNS; c++) {
        const double both[] = {curve(grid(c, COLUMNS)),
                               f->fit[which][c * (N_CURVE - 1) / (COLUMNS - 1)]};
        for (size_t k = 0; k < 2; k++) {
            double row = (1.2 - both[k]) / 2.4 * (ROWS - 1) + 0.5;
            if (row >= 0 && row < ROWS) {
                page[(size_t)row][c] = k == 0 ? '.' : 'o';
            }
        }
    }
    demo_say(d, "\nWith %zu units (o the network, . the curve):\n\n", sizes[which]);
    for (size_t r = 0; r < ROWS; r++) {
        demo_say(d, "   |%s|\n", page[r]);
    }
}

/* ---- picture ------------------------------------------------------------------------------ */

static int draw(demo *d, const fits *f)
{
    enum {
        N_SHOWN = 5
    };
    static double x[N_CURVE], y[N_CURVE];
    double units[N_SIZES];
    char titles[N_SHOWN][64];
    plot_series series[N_SHOWN][2];
    plot_panel panels[N_SHOWN + 1];
    for (size_t k = 0; k < N_CURVE; k++) {
        x[k] = grid(k, N_CURVE);
        y[k] = curve(x[k]);
    }
    for (size_t k = 0; k < N_SIZES; k++) {
        units[k] = (double)sizes[k];
    }
    for (size_t k = 0; k < N_SHOWN; k++) {
        snprintf(titles[k], sizeof titles[k], "%zu hidden unit%s", sizes[k], k > 0 ? "s" : "");
        series[k][0] = (plot_series){"curve", PLOT_LINE, PLOT_GREY, x, y, N_CURVE};
        series[k][1] = (plot_series){"network", PLOT_LINE, PLOT_BLUE, x, f->fit[k], N_CURVE};
        panels[k] = (plot_panel){
            titles[k], {"x", -1, 1, false}, {NULL, -1.3, 1.3, false}, series[k], 2, NULL, NULL};
    }
    const plot_series error = {NULL, PLOT_MARKED, PLOT_VERMILION, units, f->error, N_SIZES};
    panels[N_SHOWN] = (plot_panel){
        "the error falls", {"hidden units", 0, 0, true}, {NULL, 0, 0, true}, &error, 1, NULL, NULL};
    return demo_plot(d, "fits", "A curve fitted with more and more hidden units", panels,
                     N_SHOWN + 1, 3);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static nn_status fit_all(demo *d, fits *f)
{
    cJSON *list = json_array(&d->document, d->document.root, "fits");
    make_points(f);
    demo_say(d, "  units  parameters     error\n");
    for (size_t k = 0; k < N_SIZES; k++) {
        nn_status status = fit(f, k, d->seed);
        if (status != NN_OK) {
            return status;
        }
        say_error(d, list, f, k);
    }
    return NN_OK;
}

static int run(demo *d)
{
    fits *f = nn_alloc(sizeof *f);
    if (!f) {
        return fail_memory();
    }
    demo_say(d,
             "Basis functions that adapt\n\n"
             "A network 1-n-1 is a sum of n curves tanh(w x + b), each weighted. A polynomial\n"
             "has fixed curves to add up; here training shapes them. The task: 101 points of\n"
             "16 x^5 - 20 x^3 + 5 x, five waves between -1 and 1. Squared error, %d epochs;\n"
             "the error printed is the root of its mean.\n\n",
             EPOCHS);
    int code = fail(fit_all(d, f), ROLE_OUTPUT);
    if (code == EXIT_DONE) {
        sketch(d, f, 1);
        sketch(d, f, 3);
        demo_say(
            d, "\nNotice: each unit adds about one bend. With too few the network finds the best\n"
               "compromise; from about as many as there are bends on it follows the curve, and\n"
               "the error keeps falling with more. That a wide enough network can come as close\n"
               "as one likes is a theorem; that training finds the weights is not.\n\n"
               "Read on: Cybenko, Approximation by superpositions of a sigmoidal function\n"
               "(1989); Hornik, Stinchcombe and White, Multilayer feedforward networks are\n"
               "universal approximators (1989); Barron, Universal approximation bounds for\n"
               "superpositions of a sigmoidal function (1993).\n");
        code = draw(d, f);
    }
    nn_free(f);
    return code;
}

const demo_row demo_approximate = {
    "approximate", "a curve fitted with 1 to 64 hidden units, the error falling", run};
