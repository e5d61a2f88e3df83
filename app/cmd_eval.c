/* digits eval: how good a model is, and where it fails. */

#include "commands.h"
#include "dataset.h"
#include "eval_json.h"
#include "eval_text.h"
#include "json.h"
#include "message.h"
#include "mistakes.h"
#include "recipe.h"
#include "text.h"
#include "trained.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

typedef struct {
    const char *model, *data;
    unsigned set; /* dataset_part */
    const char *errors;
    size_t scale;
    bool no_errors, force, json;
} eval_values;

static const eval_values defaults = {
    .model = TRAINED_PATH, .set = PART_TEST, .errors = "errors", .scale = 1};

static const char *part_name(unsigned k)
{
    static const char *const names[] = {[PART_TRAIN] = "train", [PART_TEST] = "test"};
    return k < N_PARTS ? names[k] : NULL;
}

#define AT(field) .offset = offsetof(eval_values, field)

static const option_spec options[] = {
    {.kind = OPTION_GROUP, .help = "What"},
    {"model", OPTION_TEXT, 'm', AT(model), .value = "FILE", .help = "the model file"},
    {"data", OPTION_TEXT, AT(data), .value = "DIR",
     .help = "where the data files are; default $DIGITS_DATA, data/mnist or "
             "~/.local/share/digits/mnist"},
    {"set", OPTION_CHOICE, AT(set), .value = "SET", .help = "which images", .choice = part_name},

    {.kind = OPTION_GROUP, .help = "Results"},
    {"errors", OPTION_TEXT, 'e', AT(errors), .value = "DIR",
     .help = "write a picture of each misread digit, a contact sheet and a table"},
    {"no-errors", OPTION_FLAG, AT(no_errors), .help = "write no pictures"},
    {"scale", OPTION_SIZE, AT(scale), .value = "N", .help = "enlarge the pictures so many times",
     .range = RANGE(1, 64)},
    {"force", OPTION_FLAG, 'f', AT(force),
     .help = "write to a folder that holds something else, which stays"},
    {"json", OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {.kind = OPTION_END},
};

/* ---- one run ------------------------------------------------------------------------------ */

typedef struct {
    const eval_values *values;
    trained model;
    dataset set;
    nn_report report;
    char *network; /* in words */
} run;

static int load(run *r)
{
    int code = trained_load(&r->model, r->values->model);
    if (code == EXIT_DONE) {
        code = dataset_load(&r->set, r->values->data, (dataset_part)r->values->set);
    }
    if (code == EXIT_DONE && !trained_takes(&r->model, &r->set.data, r->set.path[FILE_IMAGES])) {
        code = EXIT_DATA;
    }
    return code;
}

static int evaluate(run *r)
{
    r->network = network_text(nn_net_config(r->model.net));
    if (!r->network) {
        return fail_memory();
    }
    return fail(nn_evaluate(&r->report, r->model.net, &r->set.data), ROLE_DATA);
}

static int write_mistakes(const run *r)
{
    char total[TEXT_NUMBER_SIZE], wrong[TEXT_NUMBER_SIZE];
    if (r->values->no_errors) {
        return EXIT_DONE;
    }
    char *heading = text_format("%s of %s misread - %s, %s set",
                                text_count(wrong, r->report.total - r->report.correct),
                                text_counted(total, r->report.total, "image"),
                                dataset_name(r->set.kind), part_name(r->set.part));
    if (!heading) {
        return fail_memory();
    }
    mistakes m = {.model = &r->model,
                  .data = &r->set.data,
                  .report = &r->report,
                  .heading = heading,
                  .scale = r->values->scale};
    int code = fail(mistakes_write(&m, r->values->errors), ROLE_OUTPUT);
    nn_free(heading);
    return code;
}

/* ---- as text ------------------------------------------------------------------------------ */

static void print_model(const run *r)
{
    const nn_meta *facts = &r->model.facts;
    const char *data = nn_meta_get(facts, FACT_DATA), *seed = nn_meta_get(facts, "seed");
    const char *epochs = nn_meta_get(facts, FACT_BEST_EPOCH);
    char total[TEXT_NUMBER_SIZE];
    printf("model       ");
    text_print(stdout, r->values->model);
    printf("\n            %s\n", r->network);
    if (data && seed && epochs) {
        printf("            trained on %s, %s epoch%s, seed %s\n", data, epochs,
               strcmp(epochs, "1") == 0 ? "" : "s", seed);
    }
    printf("data        %s, %s from ", dataset_name(r->set.kind),
           text_counted(total, r->report.total,
                        r->set.part == PART_TEST ? "test image" : "training image"));
    text_print(stdout, r->set.folder);
    printf("\n\n");
}

static void print_where(const run *r)
{
    size_t wrong = r->report.total - r->report.correct;
    char count[TEXT_NUMBER_SIZE];
    mistakes m = {.data = &r->set.data, .report = &r->report};
    if (r->values->no_errors) {
        return;
    }
    printf("\npictures    %s in ", text_count(count, wrong));
    text_print(stdout, r->values->errors);
    if (wrong > 0 && mistakes_have_sheet(&m)) {
        printf(", all on " MISTAKES_SHEET);
    }
    printf("\n");
}

static void print_text(const run *r, bool wrote)
{
    terminal screen = terminal_of(stdout);
    print_model(r);
    eval_print(stdout, &screen, &r->model, &r->report, &r->set.data);
    if (wrote) {
        print_where(r);
    }
}

/* ---- as JSON ------------------------------------------------------------------------------ */

static void add_sources(json *document, const run *r)
{
    cJSON *root = document->root;
    json_text(document, root, "model", r->values->model);
    json_text(document, root, "network", r->network);
    json_size(document, root, "parameters", nn_net_n_params(r->model.net));
    json_text(document, root, "trained_on", nn_meta_get(&r->model.facts, FACT_DATA));
    cJSON *data = json_object(document, root, "data");
    json_text(document, data, "name", dataset_name(r->set.kind));
    json_text(document, data, "set", part_name(r->set.part));
    json_text(document, data, "folder", r->set.folder);
    json_text(document, data, "images_sha256", r->set.sha256[FILE_IMAGES]);
    json_text(document, data, "labels_sha256", r->set.sha256[FILE_LABELS]);
}

static int print_json(const run *r, bool wrote)
{
    json document;
    json_init(&document);
    add_sources(&document, r);
    eval_json(&document, document.root, &r->model, &r->report);
    json_text(&document, document.root, "errors",
              wrote && !r->values->no_errors ? r->values->errors : NULL);
    bool printed = json_print(&document, stdout, true);
    json_release(&document);
    return printed ? EXIT_DONE : fail_memory();
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int report(const run *r, bool wrote)
{
    if (r->values->json) {
        return print_json(r, wrote);
    }
    print_text(r, wrote);
    return EXIT_DONE;
}

static void release(run *r)
{
    nn_free(r->network);
    nn_report_release(&r->report);
    dataset_release(&r->set);
    trained_release(&r->model);
}

static int run_eval(const void *values, size_t n_arguments, char **arguments)
{
    (void)n_arguments;
    (void)arguments;
    run r = {.values = values};
    int code = EXIT_DONE;
    if (!r.values->no_errors) {
        code = fail(mistakes_check(r.values->errors, r.values->force), ROLE_OUTPUT);
    }
    if (code == EXIT_DONE) {
        code = load(&r);
    }
    if (code == EXIT_DONE) {
        code = evaluate(&r);
    }
    if (code == EXIT_DONE) {
        int written = write_mistakes(&r); /* the figures are worth printing all the same */
        code = report(&r, written == EXIT_DONE);
        code = code == EXIT_DONE ? written : code;
    }
    release(&r);
    return code;
}

const command command_eval = {
    .name = "eval",
    .summary = "measure a model on the test images, show its mistakes",
    .arguments = "",
    .description = "Measures a model on images with known labels: accuracy with its 95 % interval "
                   "(Wilson), loss, confusion matrix, precision, recall and F1 of each class. "
                   "Writes a picture of each mistake.",
    .examples = "  digits eval\n"
                "  digits eval --scale 8 --errors mistakes\n"
                "  digits eval --model best.safetensors --no-errors --json\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .run = run_eval,
};
