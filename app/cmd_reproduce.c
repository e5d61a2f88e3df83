/* digits reproduce: trains a model again as its metadata say, and compares the files. */

#include "commands.h"
#include "message.h"
#include "text.h"
#include "train/run.h"
#include "trained.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- options ------------------------------------------------------------------------------ */

typedef struct {
    const char *data;
    bool json, quiet;
} reproduce_values;

static const reproduce_values defaults = {.data = NULL};

static const option_spec options[] = {
    {"data", OPTION_TEXT, .offset = offsetof(reproduce_values, data), .value = "DIR",
     .help = "where the data files are; default $DIGITS_DATA, data/mnist or "
             "~/.local/share/digits/mnist"},
    {"json", OPTION_FLAG, .offset = offsetof(reproduce_values, json),
     .help = "print the result as JSON"},
    {"quiet", OPTION_FLAG, 'q', .offset = offsetof(reproduce_values, quiet),
     .help = "print the result and what went wrong, nothing else"},
    {.kind = OPTION_END},
};

/* ---- what is compared --------------------------------------------------------------------- */

/* In the order in which it comes about. */
typedef struct {
    const reproduce_values *values;
    trained model;                    /* the one there is */
    train_run run;                    /* the training that its metadata describe */
    nn_meta facts;                    /* of the network that came of it */
    char *folder;                     /* a temporary one */
    char *path;                       /* the new model file in it */
    char sha256[2][SHA256_TEXT_SIZE]; /* of the old model file, of the new one */
    size_t n_facts_differ;
    size_t n_params_differ, first; /* first: the first parameter that does */
} reproduction;

static bool agrees(const reproduction *r)
{
    return strcmp(r->sha256[0], r->sha256[1]) == 0;
}

/* Complains about an entry of the model's metadata. */
static int refuse_fact(const reproduction *r, const char *key, const char *value,
                       const char *expected)
{
    if (value) {
        complain("'%s' says that it was trained with '%s' %s, which must be %s", r->model.path, key,
                 value, expected);
    } else {
        complain("'%s' does not say how it was trained: its metadata have no '%s'", r->model.path,
                 key);
    }
    return EXIT_MODEL;
}

/* ---- before training ---------------------------------------------------------------------- */

static int load_model(reproduction *r)
{
    const char *path = r->model.path;
    int code = trained_load(&r->model, path);
    const char *outcome = code == EXIT_DONE ? nn_meta_get(&r->model.facts, FACT_OUTCOME) : NULL;
    if (outcome && strcmp(outcome, "interrupted") == 0) {
        complain("'%s' cannot be reproduced: its training was interrupted", path);
        return EXIT_FAILED;
    }
    return code;
}

/* Reads the options of `digits train` from the model's metadata. */
static int read_options(reproduction *r)
{
    char expected[OPTION_TEXT_SIZE];
    r->run.values = *(const train_values *)command_train.defaults;
    r->run.values.quiet = r->values->quiet;
    for (const option_spec *spec = command_train.options; spec->kind != OPTION_END; spec++) {
        const char *text = spec->recorded ? nn_meta_get(&r->model.facts, spec->name) : NULL;
        if (spec->recorded && (!text || !option_set(spec, &r->run.values, text))) {
            return refuse_fact(r, spec->name, text, option_expected(spec, expected));
        }
    }
    return EXIT_DONE;
}

/* Complains unless the data are those that the model was trained on. */
static int check_data(const reproduction *r)
{
    static const char *const keys[N_FILES] = {FACT_IMAGES_SHA256, FACT_LABELS_SHA256};
    const dataset *set = &r->run.set;
    int code = EXIT_DONE;
    for (dataset_file file = 0; file < N_FILES; file++) {
        const char *wanted = nn_meta_get(&r->model.facts, keys[file]);
        if (!wanted) {
            return refuse_fact(r, keys[file], NULL, NULL);
        }
        if (strcmp(wanted, set->sha256[file]) != 0) {
            complain("'%s' is not what '%s' was trained on", set->path[file], r->model.path);
            advise("SHA-256 in the model  %s", wanted);
            advise("SHA-256 of the file   %s", set->sha256[file]);
            code = EXIT_DATA;
        }
    }
    return code;
}

static int load_data(reproduction *r)
{
    train_run *run = &r->run;
    int code = dataset_load(&run->set, r->values->data, PART_TRAIN);
    if (code == EXIT_DONE) {
        code = check_data(r);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    const nn_data *all = &run->set.data;
    size_t held_out = run->values.steps.validation;
    if (held_out >= all->n) {
        char number[TEXT_NUMBER_SIZE];
        return refuse_fact(r, "validation", text_count(number, held_out), "less than all images");
    }
    run->learn = nn_data_slice(all, 0, all->n - held_out);
    run->validate = nn_data_slice(all, run->learn.n, held_out);
    return EXIT_DONE;
}

/* Makes the network that the options ask for, which must be the model's. */
static int make_network(reproduction *r)
{
    train_run *run = &r->run;
    nn_status status =
        recipe_network(&run->net, &run->values.steps, run->set.data.inputs, run->set.data.outputs);
    if (status != NN_OK) {
        return fail(status, ROLE_MODEL);
    }
    char *network = network_text(nn_net_config(r->model.net));
    run->network = network_text(nn_net_config(run->net));
    int code = EXIT_DONE;
    if (!network || !run->network) {
        code = fail_memory();
    } else if (strcmp(network, run->network) != 0) {
        complain("'%s' contradicts itself: its network is not the one that its options make",
                 r->model.path);
        advise("network  %s", network);
        advise("options  %s", run->network);
        code = EXIT_MODEL;
    }
    nn_free(network);
    return code;
}

/* ---- training ----------------------------------------------------------------------------- */

static int train(reproduction *r)
{
    train_run *run = &r->run;
    nn_train_options how = recipe_train_options(&run->values.steps);
    if (!r->values->quiet) {
        train_print_plan(r->values->json ? stderr : stdout, run);
    }
    how.context = &run->watch;
    how.on_batch = watch_batch;
    how.on_epoch = watch_epoch;
    interrupt_catch();
    watch_start(&run->watch, r->values->quiet, run->learn.n, how.epochs, &run->log);
    run->status = nn_train(run->net, &run->learn, run->validate.n > 0 ? &run->validate : NULL, &how,
                           &run->result);
    progress_clear(&run->watch.bar);
    if (run->status == NN_ERR_STOPPED) {
        complain("interrupted; whether '%s' can be reproduced is not known", r->model.path);
        return EXIT_INTERRUPTED;
    }
    /* A model may be what was left of a training that diverged. */
    return run->status == NN_ERR_DIVERGED ? EXIT_DONE : fail(run->status, ROLE_MODEL);
}

static nn_status set_size(nn_meta *facts, const char *key, size_t value)
{
    char text[TEXT_NUMBER_SIZE];
    snprintf(text, sizeof text, "%zu", value);
    return nn_meta_set(facts, key, text);
}

/* Collects the new model's facts, in the old one's order; what training and data do not decide is
 * taken from there. */
static int collect_facts(reproduction *r)
{
    nn_status status = NN_OK;
    for (size_t i = 0; i < r->model.facts.n && status == NN_OK; i++) {
        status = nn_meta_set(&r->facts, r->model.facts.items[i].key, r->model.facts.items[i].value);
    }
    if (status == NN_OK) {
        status = recorded_meta(&r->facts, command_train.options, &r->run.values);
    }
    if (status == NN_OK) {
        status = nn_meta_set(&r->facts, FACT_PROGRAM, "digits " NN_VERSION);
    }
    if (status == NN_OK) {
        status = nn_meta_set(&r->facts, FACT_DATA, dataset_name(r->run.set.kind));
    }
    if (status == NN_OK) {
        status = nn_meta_set(&r->facts, FACT_OUTCOME, train_outcome(&r->run));
    }
    if (status == NN_OK) {
        status = set_size(&r->facts, FACT_EPOCHS_DONE, r->run.result.epochs);
    }
    if (status == NN_OK) {
        status = set_size(&r->facts, FACT_BEST_EPOCH, r->run.result.best_epoch);
    }
    return fail(status, ROLE_OUTPUT);
}

/* Writes the new model into a temporary folder. */
static int save(reproduction *r)
{
    const char *where = getenv("TMPDIR");
    char *folder = text_format("%s/digits-XXXXXX", where && *where ? where : "/tmp");
    if (!folder) {
        return fail_memory();
    }
    if (!mkdtemp(folder)) {
        complain("cannot make a temporary folder '%s': %s", folder, strerror(errno));
        nn_free(folder);
        return EXIT_FAILED;
    }
    r->folder = folder;
    r->path = text_path(folder, TRAINED_PATH);
    return r->path ? fail(nn_model_save(r->run.net, &r->facts, r->path), ROLE_OUTPUT)
                   : fail_memory();
}

/* ---- comparing ---------------------------------------------------------------------------- */

/* Returns the value of the i-th new fact in the old model if it differs, NULL if it does not. */
static const char *other_fact(const reproduction *r, size_t i)
{
    const char *old = nn_meta_get(&r->model.facts, r->facts.items[i].key);
    old = old ? old : "";
    return strcmp(old, r->facts.items[i].value) != 0 ? old : NULL;
}

/* 0 and -0 are equal, but not the same bits. */
static bool same_bits(nn_real a, nn_real b)
{
    unsigned char bits[2][sizeof a];
    memcpy(bits[0], &a, sizeof a);
    memcpy(bits[1], &b, sizeof b);
    return memcmp(bits[0], bits[1], sizeof bits[0]) == 0;
}

static void compare_params(reproduction *r)
{
    for (size_t k = 0; k < nn_net_n_params(r->run.net); k++) {
        if (!same_bits(*nn_net_param(r->run.net, k), *nn_net_param(r->model.net, k))) {
            r->first = r->n_params_differ > 0 ? r->first : k;
            r->n_params_differ++;
        }
    }
}

static int compare(reproduction *r)
{
    const char *const paths[] = {r->model.path, r->path};
    for (size_t i = 0; i < 2; i++) {
        nn_status status = trained_sha256(r->sha256[i], paths[i]);
        if (status != NN_OK) {
            return fail(status, i == 0 ? ROLE_MODEL : ROLE_OUTPUT);
        }
    }
    compare_params(r);
    for (size_t i = 0; i < r->facts.n; i++) {
        r->n_facts_differ += other_fact(r, i) != NULL;
    }
    return EXIT_DONE;
}

/* ---- telling ------------------------------------------------------------------------------ */

/* Writes where in the file the k-th parameter is: "fc1.weight[3][120]". */
static void name_param(char text[2 * TEXT_NUMBER_SIZE], const nn_net *net, size_t k)
{
    const nn_config *config = nn_net_config(net);
    size_t inputs = config->inputs;
    for (size_t l = 0; l < config->n_layers; l++) {
        size_t units = config->layers[l].units;
        if (k < units * inputs) {
            snprintf(text, (size_t)2 * TEXT_NUMBER_SIZE, "fc%zu.weight[%zu][%zu]", l + 1,
                     k / inputs, k % inputs);
            return;
        }
        k -= units * inputs;
        if (k < units) {
            snprintf(text, (size_t)2 * TEXT_NUMBER_SIZE, "fc%zu.bias[%zu]", l + 1, k);
            return;
        }
        k -= units;
        inputs = units;
    }
}

static int print_facts(const reproduction *r)
{
    printf("metadata    %zu of %zu entries differ\n", r->n_facts_differ, r->facts.n);
    for (size_t i = 0; i < r->facts.n; i++) {
        const char *old = other_fact(r, i);
        if (!old) {
            continue;
        }
        char *line = text_format("%s: '%s' in the model, '%s' now", r->facts.items[i].key, old,
                                 r->facts.items[i].value);
        if (!line) {
            return fail_memory();
        }
        text_tame(line); /* it may come from anybody's file */
        printf("            %s\n", line);
        nn_free(line);
    }
    return EXIT_DONE;
}

static void print_params(const reproduction *r)
{
    char n[TEXT_NUMBER_SIZE], all[TEXT_NUMBER_SIZE], where[2 * TEXT_NUMBER_SIZE];
    text_count(all, nn_net_n_params(r->run.net));
    if (r->n_params_differ == 0) {
        printf("parameters  all %s are the same\n", all);
        return;
    }
    name_param(where, r->run.net, r->first);
    printf("parameters  %s of %s differ\n", text_count(n, r->n_params_differ), all);
    printf("            first %s: %.9g in the model, %.9g now\n", where,
           (double)*nn_net_param(r->model.net, r->first),
           (double)*nn_net_param(r->run.net, r->first));
}

static int print_text(const reproduction *r)
{
    if (!r->values->quiet) {
        printf("\n");
    }
    printf("%-11s '", agrees(r) ? "same" : "different");
    text_print(stdout, r->model.path);
    if (agrees(r)) {
        printf("' comes out the same, byte for byte\n");
        printf("SHA-256     %s\n", r->sha256[0]);
        return EXIT_DONE;
    }
    printf("' comes out otherwise\n");
    printf("SHA-256     %s in the model\n            %s now\n", r->sha256[0], r->sha256[1]);
    print_params(r);
    if (r->n_facts_differ > 0) {
        return print_facts(r);
    }
    printf("metadata    all are the same%s\n",
           r->n_params_differ == 0 ? "; another program wrote the file's header" : "");
    return EXIT_DONE;
}

static void add_params_json(json *document, const reproduction *r)
{
    char where[2 * TEXT_NUMBER_SIZE];
    cJSON *params = json_object(document, document->root, "parameters");
    json_size(document, params, "total", nn_net_n_params(r->run.net));
    json_size(document, params, "different", r->n_params_differ);
    if (r->n_params_differ > 0) {
        name_param(where, r->run.net, r->first);
        json_text(document, params, "first", where);
    }
}

static void add_facts_json(json *document, const reproduction *r)
{
    cJSON *facts = json_object(document, document->root, "metadata");
    for (size_t i = 0; i < r->facts.n; i++) {
        const char *old = other_fact(r, i);
        if (old) {
            cJSON *fact = json_object(document, facts, r->facts.items[i].key);
            json_text(document, fact, "model", old);
            json_text(document, fact, "reproduced", r->facts.items[i].value);
        }
    }
}

static int print_json(const reproduction *r)
{
    json document;
    json_init(&document);
    json_text(&document, document.root, "model", r->model.path);
    json_bool(&document, document.root, "same", agrees(r));
    json_text(&document, document.root, "sha256", r->sha256[0]);
    json_text(&document, document.root, "reproduced_sha256", r->sha256[1]);
    add_params_json(&document, r);
    add_facts_json(&document, r);
    bool printed = json_print(&document, stdout, true);
    json_release(&document);
    return printed ? EXIT_DONE : fail_memory();
}

static int tell(reproduction *r)
{
    int code = r->values->json ? print_json(r) : print_text(r);
    return code == EXIT_DONE && !agrees(r) ? EXIT_FAILED : code;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void release(reproduction *r)
{
    if (r->path) {
        (void)unlink(r->path);
    }
    if (r->folder) {
        (void)rmdir(r->folder);
    }
    nn_free(r->path);
    nn_free(r->folder);
    nn_meta_release(&r->facts);
    nn_free(r->run.network);
    nn_net_free(r->run.net);
    dataset_release(&r->run.set);
    trained_release(&r->model);
}

static int run_reproduce(const void *values, size_t n_arguments, char **arguments)
{
    static int (*const steps[])(reproduction * r) = {load_model,   read_options, load_data,
                                                     make_network, train,        collect_facts,
                                                     save,         compare,      tell};
    (void)n_arguments;
    reproduction r = {.values = values, .model = {.path = arguments[0]}};
    int code = EXIT_DONE;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == EXIT_DONE; i++) {
        code = steps[i](&r);
    }
    release(&r);
    return code;
}

const command command_reproduce = {
    .name = "reproduce",
    .summary = "train a model again, and compare byte for byte",
    .arguments = "MODEL",
    .description =
        "Reads from a model file how it was trained (options, seed, digests of the data), trains "
        "again, and says whether the same file comes out, byte for byte. Nothing of yours is "
        "written.\n"
        "Exit codes: 0 the same, 1 not the same, 3 other data than the model was trained on.",
    .examples = "  digits reproduce model.safetensors\n"
                "  digits reproduce --json --quiet model.safetensors\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_reproduce,
};
