/* digits demo: the ideas behind the network, one at a time. */

#include "commands.h"
#include "demo/demo.h"
#include "files.h"
#include "message.h"
#include "text.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

typedef struct {
    uint64_t seed;
    const char *data, *out;
    bool json;
} demo_values;

static const demo_values defaults = {.seed = 1};

#define AT(field) .offset = offsetof(demo_values, field)

static const option_spec options[] = {
    {"seed", OPTION_SEED, AT(seed), .value = "N", .help = "decides all that is drawn at random"},
    {"out", OPTION_TEXT, 'o', AT(out), .value = "DIR", .help = "draw pictures into this folder"},
    {"data", OPTION_TEXT, AT(data), .value = "DIR",
     .help = "where the data files are, for the demonstrations on digits; default $DIGITS_DATA, "
             "data/mnist or ~/.local/share/digits/mnist, or else generated digits"},
    {"json", OPTION_FLAG, AT(json), .help = "print the numbers as JSON and no text"},
    {.kind = OPTION_END},
};

/* ---- the demonstrations ------------------------------------------------------------------- */

/* In the order in which they build on each other. */
static const demo_row *const rows[] = {
    &demo_perceptron, &demo_activations, &demo_linear,  &demo_xor,
    &demo_backprop,   &demo_graph,       &demo_numeric, &demo_steps,
    &demo_descent,    &demo_vanishing,   &demo_dropout, &demo_approximate,
};

enum {
    N_ROWS = sizeof rows / sizeof rows[0]
};

static const demo_row *find(const char *name)
{
    for (size_t k = 0; k < N_ROWS; k++) {
        if (strcmp(rows[k]->name, name) == 0) {
            return rows[k];
        }
    }
    return NULL;
}

static int refuse(const char *name)
{
    const char *names[N_ROWS];
    for (size_t k = 0; k < N_ROWS; k++) {
        names[k] = rows[k]->name;
    }
    const char *nearest = text_nearest(name, names, N_ROWS);
    complain("there is no demonstration '%s'", name);
    if (nearest) {
        advise("did you mean 'digits demo %s'?", nearest);
    } else {
        advise("'digits demo' lists them");
    }
    return EXIT_USAGE;
}

static void list_as_text(void)
{
    printf("Demonstrations, in the order in which they build on each other:\n\n");
    for (size_t k = 0; k < N_ROWS; k++) {
        printf("  %-12s %s\n", rows[k]->name, rows[k]->summary);
    }
    printf("\n'digits demo NAME' runs one; with --out DIR it draws pictures as well.\n");
}

static void list_as_json(json *document)
{
    cJSON *list = json_array(document, document->root, "demonstrations");
    for (size_t k = 0; k < N_ROWS; k++) {
        cJSON *item = json_object(document, list, NULL);
        json_text(document, item, "name", rows[k]->name);
        json_text(document, item, "summary", rows[k]->summary);
    }
}

static int run_one(demo *d, const demo_row *row)
{
    d->name = row->name;
    json_text(&d->document, d->document.root, "demonstration", row->name);
    json_u64(&d->document, d->document.root, "seed", d->seed);
    int code = d->out ? fail(folder_make(d->out), ROLE_OUTPUT) : EXIT_DONE;
    return code == EXIT_DONE ? row->run(d) : code;
}

static int run_demo(const void *values, size_t n_arguments, char **arguments)
{
    const demo_values *v = values;
    const demo_row *row = n_arguments > 0 ? find(arguments[0]) : NULL;
    int code = EXIT_DONE;
    if (n_arguments > 0 && !row) {
        return refuse(arguments[0]);
    }
    demo d = {.seed = v->seed, .as_json = v->json, .data = v->data, .out = v->out};
    json_init(&d.document);
    if (row) {
        code = run_one(&d, row);
    } else if (v->json) {
        list_as_json(&d.document);
    } else {
        list_as_text();
    }
    if (code == EXIT_DONE && v->json && !json_print(&d.document, stdout, true)) {
        code = fail_memory();
    }
    json_release(&d.document);
    return code;
}

const command command_demo = {
    .name = "demo",
    .summary = "show one idea at work: perceptron, back-propagation, dropout, ...",
    .arguments = "[NAME]",
    .description =
        "Runs a demonstration: a small experiment that prints its numbers step by step, says what "
        "to notice, and where to read on. Without a name, it lists them.\n"
        "The same seed gives the same text everywhere; only lines that start with 'time' differ. "
        "Each takes seconds. Those on digits use a part of MNIST and say so, and take generated "
        "digits where there is no MNIST.",
    .examples = "  digits demo\n"
                "  digits demo xor --out pictures\n"
                "  digits demo vanishing --json\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .max_arguments = 1,
    .run = run_demo,
};
