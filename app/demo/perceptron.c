/* Rosenblatt's perceptron: AND and OR are learned, XOR never. */
#include "demo.h"
#include "message.h"

#include <math.h>
#include <string.h>

enum {
    N_SAMPLES = 4,
    N_INPUTS = 2,
    MAX_PASSES = 20
};

static const nn_real inputs[N_SAMPLES * N_INPUTS] = {0, 0, 0, 1, 1, 0, 1, 1};

static const struct {
    const char *name;
    uint8_t labels[N_SAMPLES];
    bool separable;
    double bias, weights[N_INPUTS]; /* the line with the widest margin, found by hand */
} cases[] = {
    {"AND", {0, 0, 0, 1}, true, -3, {2, 2}},
    {"OR", {0, 1, 1, 1}, true, -1, {2, 2}},
    {"XOR", {0, 1, 1, 0}, false, 0, {0, 0}},
};

enum {
    N_CASES = sizeof cases / sizeof cases[0]
};

/* Weights and bias after each pass; entry 0 is the start. */
typedef struct {
    double w[MAX_PASSES + 1][N_INPUTS + 1];
    size_t mistakes[MAX_PASSES + 1], passes, total;
    size_t cycle_from; /* the pass whose end was like the last one's; SIZE_MAX: none */
} history;

static nn_data samples(size_t which)
{
    return (nn_data){.n = N_SAMPLES,
                     .inputs = N_INPUTS,
                     .outputs = 2,
                     .values = inputs,
                     .labels = cases[which].labels};
}

static bool are_same(const double *a, const double *b)
{
    bool same = true;
    for (size_t i = 0; i <= N_INPUTS; i++) {
        same = same && a[i] == b[i];
    }
    return same;
}

/* What the rule does next depends on the weights alone: when they come back, so does all else. */
static size_t find_cycle(const history *h)
{
    for (size_t k = 0; k < h->passes; k++) {
        if (are_same(h->w[k], h->w[h->passes])) {
            return k;
        }
    }
    return SIZE_MAX;
}

static void train(history *h, nn_perceptron *p, const nn_data *data)
{
    *h = (history){.cycle_from = SIZE_MAX};
    do {
        size_t mistakes = nn_perceptron_pass(p, data, 1.0);
        h->passes++;
        h->mistakes[h->passes] = mistakes;
        h->total += mistakes;
        memcpy(h->w[h->passes], p->weights, sizeof p->weights[0] * N_INPUTS);
        h->w[h->passes][N_INPUTS] = p->bias;
        h->cycle_from = mistakes > 0 ? find_cycle(h) : SIZE_MAX;
    } while (h->mistakes[h->passes] > 0 && h->cycle_from == SIZE_MAX && h->passes < MAX_PASSES);
}

static double bound(size_t which, const nn_data *data)
{
    double weights[N_INPUTS] = {cases[which].weights[0], cases[which].weights[1]};
    nn_perceptron separator = {N_INPUTS, weights, cases[which].bias};
    return nn_perceptron_bound(&separator, data);
}

/* ---- words -------------------------------------------------------------------------------- */

static void say_passes(const demo *d, const history *h)
{
    demo_say(d, "  pass  mistakes     w1    w2     b\n");
    for (size_t k = 1; k <= h->passes; k++) {
        demo_say(d, "  %4zu  %8zu  %5.0f %5.0f %5.0f\n", k, h->mistakes[k], h->w[k][0], h->w[k][1],
                 h->w[k][2]);
    }
}

static void say_outcome(const demo *d, const history *h, double most)
{
    const double *w = h->w[h->passes];
    if (h->cycle_from != SIZE_MAX) {
        demo_say(d,
                 "  After pass %zu the weights are what they were after pass %zu: from here on\n"
                 "  everything repeats, and the mistakes never end.\n\n",
                 h->passes, h->cycle_from);
        return;
    }
    demo_say(d,
             "  No mistakes in pass %zu: done. The line is %.0f x1 + %.0f x2 = %.0f.\n"
             "  %zu mistakes in all; the convergence theorem allows at most %.0f.\n\n",
             h->passes, w[0], w[1], -w[2], h->total, most);
}

static void record(demo *d, cJSON *list, size_t which, const history *h, double most)
{
    json *document = &d->document;
    cJSON *item = json_object(document, list, NULL);
    json_text(document, item, "name", cases[which].name);
    json_bool(document, item, "learned", h->mistakes[h->passes] == 0);
    json_size(document, item, "passes", h->passes);
    json_size(document, item, "mistakes", h->total);
    demo_number(d, item, "bound", most);
    demo_numbers(d, item, "weights_and_bias", h->w[h->passes], N_INPUTS + 1);
}

/* ---- two layers of steps ------------------------------------------------------------------ */

/* x1 XOR x2 = (x1 OR x2) AND NOT (x1 AND x2) */
static void say_two_layers(const demo *d)
{
    demo_say(d, "Two layers of step units, weights set by hand, do what one unit cannot:\n"
                "  h1 = step(x1 + x2 - 0.5)    OR\n"
                "  h2 = step(x1 + x2 - 1.5)    AND\n"
                "  z  = step(h1 - 2 h2 - 0.5)  OR but not AND\n\n"
                "  x1 x2   h1 h2   z\n");
    for (size_t k = 0; k < N_SAMPLES; k++) {
        double x1 = (double)inputs[2 * k], x2 = (double)inputs[2 * k + 1];
        int h1 = nn_step_value(x1 + x2 - 0.5), h2 = nn_step_value(x1 + x2 - 1.5);
        demo_say(d, "  %2.0f %2.0f   %2d %2d   %d\n", x1, x2, h1, h2,
                 nn_step_value(h1 - 2 * h2 - 0.5));
    }
    demo_say(d, "\n");
}

/* ---- picture ------------------------------------------------------------------------------ */

static double side(void *context, double x, double y)
{
    const double *w = context;
    return nn_step_value(w[0] * x + w[1] * y + w[2]);
}

static int draw(demo *d, history h[N_CASES])
{
    plot_panel panels[N_CASES];
    plot_series series[N_CASES][2];
    double x[N_CASES][2][N_SAMPLES], y[N_CASES][2][N_SAMPLES];
    static const char *const titles[N_CASES] = {"AND: learned", "OR: learned",
                                                "XOR: no line does it"};
    for (size_t c = 0; c < N_CASES; c++) {
        series[c][0] = (plot_series){"0", PLOT_DOTS, PLOT_BLUE, x[c][0], y[c][0], 0};
        series[c][1] = (plot_series){"1", PLOT_DOTS, PLOT_VERMILION, x[c][1], y[c][1], 0};
        for (size_t k = 0; k < N_SAMPLES; k++) {
            plot_series *s = &series[c][cases[c].labels[k]];
            x[c][cases[c].labels[k]][s->n] = (double)inputs[2 * k];
            y[c][cases[c].labels[k]][s->n++] = (double)inputs[2 * k + 1];
        }
        panels[c] = (plot_panel){.title = titles[c],
                                 .x = {"x1", -0.5, 1.5, false},
                                 .y = {"x2", -0.5, 1.5, false},
                                 .series = series[c],
                                 .n_series = 2,
                                 .field = side,
                                 .context = h[c].w[h[c].passes]};
    }
    return demo_plot(d, "lines", "What a perceptron learns", panels, N_CASES, N_CASES);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int run(demo *d)
{
    history h[N_CASES];
    cJSON *list = json_array(&d->document, d->document.root, "cases");
    demo_say(d, "The perceptron\n\n"
                "One unit, z = step(w1 x1 + w2 x2 + b), step(a) = 1 for a >= 0 and 0 below. It\n"
                "starts from zero. Rosenblatt's rule shows it the four inputs in turn and changes\n"
                "the weights only after a mistake:\n\n"
                "  w <- w + (y - z) x      b <- b + (y - z)\n\n");
    for (size_t c = 0; c < N_CASES; c++) {
        nn_data data = samples(c);
        nn_perceptron *p;
        nn_status status = nn_perceptron_new(&p, N_INPUTS);
        if (status != NN_OK) {
            return fail(status, ROLE_OUTPUT);
        }
        train(&h[c], p, &data);
        nn_perceptron_free(p);
        double most = bound(c, &data);
        demo_say(d, "%s\n", cases[c].name);
        say_passes(d, &h[c]);
        say_outcome(d, &h[c], most);
        record(d, list, c, &h[c], most);
    }
    say_two_layers(d);
    demo_say(d, "Notice: where a line separates the classes, the rule finds one; the wider the\n"
                "gap, the fewer mistakes it can make on the way. For XOR no line does, and one\n"
                "unit is not enough. Two layers are; but the step has slope 0, so nothing tells\n"
                "the first layer how to change. 'digits demo xor' learns such weights.\n\n"
                "The bound is R^2 |u|^2 / margin^2 for the line u of the widest margin: 3 * 17\n"
                "for AND, 3 * 9 for OR. No seed plays a part here.\n\n"
                "Read on: Rosenblatt, The perceptron (1958); Novikoff, On convergence proofs on\n"
                "perceptrons (1962); Minsky and Papert, Perceptrons (1969).\n");
    return draw(d, h);
}

const demo_row demo_perceptron = {"perceptron", "a single unit learns AND and OR, and never XOR",
                                  run};
