/* digits report: everything about a model on one page, to look at in a browser. */

#include "commands.h"
#include "files.h"
#include "message.h"
#include "recipe.h"
#include "report/report.h"
#include "text.h"
#include "train/run.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

typedef struct {
    const char *model, *data, *log, *out;
    unsigned set; /* dataset_part */
    size_t per_cell;
    bool force, quiet;
} report_values;

static const report_values defaults = {
    .model = TRAINED_PATH, .out = "report.html", .set = PART_TEST, .per_cell = 100};

static const char *part_name(unsigned k)
{
    static const char *const names[] = {[PART_TRAIN] = "train", [PART_TEST] = "test"};
    return k < N_PARTS ? names[k] : NULL;
}

#define AT(field) .offset = offsetof(report_values, field)

static const option_spec options[] = {
    {.kind = OPTION_GROUP, .help = "What"},
    {"model", OPTION_TEXT, 'm', AT(model), .value = "FILE", .help = "the model file"},
    {"log", OPTION_TEXT, 'l', AT(log), .value = "FILE",
     .help = "the log that 'digits train --log' wrote, for the learning curves"},
    {"data", OPTION_TEXT, AT(data), .value = "DIR",
     .help = "where the data files are; default $DIGITS_DATA, data/mnist or "
             "~/.local/share/digits/mnist"},
    {"set", OPTION_CHOICE, AT(set), .value = "SET", .help = "which images", .choice = part_name},

    {.kind = OPTION_GROUP, .help = "Page"},
    {"out", OPTION_TEXT, 'o', AT(out), .value = "FILE", .help = "the HTML file to write"},
    {"per-cell", OPTION_SIZE, AT(per_cell), .value = "N",
     .help = "show at most N digits of each cell of the confusion matrix, evenly spread",
     .range = RANGE(1, 1e6)},
    {"force", OPTION_FLAG, 'f', AT(force), .help = "overwrite a file that is no report"},
    {"quiet", OPTION_FLAG, 'q', AT(quiet), .help = "print what went wrong, nothing else"},
    {.kind = OPTION_END},
};

/* ---- how the model was made --------------------------------------------------------------- */

/* Reads the options of `digits train` from a model's metadata; returns false if they do not tell
 * all of them. */
static bool read_recipe(train_values *values, const nn_meta *facts)
{
    *values = *(const train_values *)command_train.defaults;
    for (const option_spec *spec = command_train.options; spec->kind != OPTION_END; spec++) {
        const char *text = spec->recorded ? nn_meta_get(facts, spec->name) : NULL;
        if (spec->recorded && (!text || !option_set(spec, values, text))) {
            return false;
        }
    }
    return true;
}

/* Returns the command that trains such a model: the seed, and all options that differ from their
 * defaults. nn_free gives it back; NULL when there is no memory. */
static char *train_command(const train_values *values)
{
    char own[OPTION_TEXT_SIZE], usual[OPTION_TEXT_SIZE];
    char *text = text_format("digits train");
    for (const option_spec *spec = command_train.options; spec->kind != OPTION_END; spec++) {
        if (!text || !spec->recorded) {
            continue;
        }
        option_text(spec, values, own);
        option_text(spec, command_train.defaults, usual);
        if (strcmp(own, usual) != 0 || spec->kind == OPTION_SEED) {
            char *longer = text_format("%s --%s %s", text, spec->name, own);
            nn_free(text);
            text = longer;
        }
    }
    return text;
}

/* ---- one run ------------------------------------------------------------------------------ */

typedef struct {
    const report_values *values;
    trained model;
    char sha256[SHA256_TEXT_SIZE]; /* of the model file */
    bool has_recipe;
    train_values recipe; /* what the model was trained with */
    char *command;       /* that trains it again */
    char *network;       /* in words */
    dataset set;
    nn_report result;
    train_history history;
} run;

static int check_values(run *r)
{
    const report_values *values = r->values;
    return fail(file_check_target(values->out, values->force ? NULL : report_check), ROLE_OUTPUT);
}

static int load_model(run *r)
{
    int code = trained_load(&r->model, r->values->model);
    if (code != EXIT_DONE) {
        return code;
    }
    nn_status status = trained_sha256(r->sha256, r->model.path);
    if (status != NN_OK) {
        return fail(status, ROLE_MODEL);
    }
    r->network = network_text(nn_net_config(r->model.net));
    r->has_recipe = read_recipe(&r->recipe, &r->model.facts);
    r->command = r->has_recipe ? train_command(&r->recipe) : NULL;
    return r->network && (r->command || !r->has_recipe) ? EXIT_DONE : fail_memory();
}

/* Returns a member of a log's first line: "name":value; NULL when there is no memory. */
static char *plan_member(const char *name, const char *value)
{
    return text_format("\"%s\":\"%s\"", name, value ? value : "");
}

/* Writes into parts what a log's first line says of the options, as train_log_start writes it,
 * before and after the number of epochs: training that goes on may have been given more of them.
 * Both are NULL when there is no memory. */
static void plan_options(char *parts[2], const train_values *values)
{
    json document;
    json_init(&document);
    recorded_json(&document, json_object(&document, document.root, "options"),
                  command_train.options, values);
    char *line = document.failed ? NULL : cJSON_PrintUnformatted(document.root);
    char *epochs = line ? strstr(line, "\"epochs\":") : NULL;
    if (epochs) {
        const char *rest = epochs + strcspn(epochs, ",");
        *epochs = '\0';
        parts[0] = text_format("%s", line + 1);                      /* without the first "{" */
        parts[1] = text_format("%.*s", (int)strlen(rest) - 1, rest); /* and the last "}" */
    }
    cJSON_free(line);
    json_release(&document);
}

/* Reads the log, which must be that of the model: of its options and data. */
static int load_log(run *r)
{
    if (!r->values->log) {
        return EXIT_DONE;
    }
    if (!r->has_recipe) {
        complain("'%s' does not say how it was trained, so no log can be told to be its own",
                 r->model.path);
        return EXIT_MODEL;
    }
    const nn_meta *facts = &r->model.facts;
    char *plan[] = {plan_member("images_sha256", nn_meta_get(facts, FACT_IMAGES_SHA256)),
                    plan_member("labels_sha256", nn_meta_get(facts, FACT_LABELS_SHA256)), NULL,
                    NULL, NULL};
    plan_options(plan + 2, &r->recipe);
    bool planned = plan[0] && plan[1] && plan[2] && plan[3];
    int code =
        planned ? fail(train_history_load(&r->history, r->values->log, (const char *const *)plan),
                       ROLE_DATA)
                : fail_memory();
    for (size_t i = 0; i < 4; i++) {
        nn_free(plan[i]);
    }
    return code;
}

static int evaluate(run *r)
{
    int code = dataset_load(&r->set, r->values->data, (dataset_part)r->values->set);
    if (code == EXIT_DONE && !trained_takes(&r->model, &r->set.data, r->set.path[FILE_IMAGES])) {
        code = EXIT_DATA;
    }
    return code == EXIT_DONE ? fail(nn_evaluate(&r->result, r->model.net, &r->set.data), ROLE_DATA)
                             : code;
}

static void tell(const run *r, size_t bytes)
{
    char number[TEXT_NUMBER_SIZE], total[TEXT_NUMBER_SIZE];
    if (r->values->quiet) {
        return;
    }
    printf("accuracy    %.2f %%, %s of %s of %s right\n", 100 * r->result.accuracy,
           text_count(number, r->result.correct),
           text_counted(total, r->result.total,
                        r->set.part == PART_TEST ? "test image" : "training image"),
           dataset_name(r->set.kind));
    printf("report      ");
    text_print(stdout, r->values->out);
    printf(", %s; any browser opens it\n", text_bytes(number, bytes));
    if (!r->values->log) {
        printf("            without learning curves: 'digits train --log FILE' keeps what they "
               "need\n");
    }
}

static int write_report(run *r)
{
    size_t bytes = 0;
    report_source source = {
        .model = &r->model,
        .model_sha256 = r->sha256,
        .set = &r->set,
        .set_name = part_name(r->values->set),
        .result = &r->result,
        .history = r->values->log ? &r->history : NULL,
        .network = r->network,
        .train_command = r->command,
        .per_cell = r->values->per_cell,
    };
    int code = fail(report_write(r->values->out, &source, &bytes), ROLE_OUTPUT);
    if (code == EXIT_DONE) {
        tell(r, bytes);
    }
    return code;
}

static void release(run *r)
{
    train_history_release(&r->history);
    nn_report_release(&r->result);
    dataset_release(&r->set);
    nn_free(r->network);
    nn_free(r->command);
    trained_release(&r->model);
}

static int run_report(const void *values, size_t n_arguments, char **arguments)
{
    static int (*const steps[])(run * r) = {check_values, load_model, load_log, evaluate,
                                            write_report};
    (void)n_arguments;
    (void)arguments;
    run r = {.values = values};
    int code = EXIT_DONE;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == EXIT_DONE; i++) {
        code = steps[i](&r);
    }
    release(&r);
    return code;
}

const command command_report = {
    .name = "report",
    .summary = "show a model, its mistakes and how it learned on a page",
    .arguments = "",
    .description =
        "Measures a model on images with known labels, and writes what it finds as one HTML file "
        "for a browser: figures, learning curves, the confusion matrix and the digits in its "
        "cells, the mistakes, what each hidden unit looks at, and a field to draw digits in that "
        "the network reads as you draw. The file needs no network and nothing else beside it.",
    .examples = "  digits train --log run.jsonl && digits report --log run.jsonl\n"
                "  digits report --model best.safetensors --out best.html\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .run = run_report,
};
