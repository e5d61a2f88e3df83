/* digits train: from data files to a model file. */

#include "commands.h"
#include "files.h"
#include "message.h"
#include "text.h"
#include "train/run.h"
#include "trained.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

static const train_values defaults = {.steps = RECIPE_DEFAULTS,
                                      .out = TRAINED_PATH,
                                      .every = OPTION_AUTOMATIC,
                                      .threads = OPTION_AUTOMATIC};

#define AT(field) offsetof(train_values, field)
#define STEP(field) .recorded = true, .offset = offsetof(train_values, steps.field)

static const option_spec options[] = {
    {.kind = OPTION_GROUP, .help = "Network"},
    {"hidden", OPTION_SIZES, STEP(hidden), .value = "N,N,...",
     .help = "units of the hidden layers, or 'none'", .range = RANGE(1, (double)NN_MAX_UNITS)},
    {"activation", OPTION_CHOICE, STEP(activation), .value = "NAME", .help = "of the hidden layers",
     .choice = recipe_activation},
    {"output", OPTION_CHOICE, STEP(output), .value = "NAME", .help = "activation of the last layer",
     .choice = recipe_output},
    {"loss", OPTION_CHOICE, STEP(loss), .value = "NAME",
     .help = "what training minimises; auto takes cross-entropy for softmax, binary-cross-entropy "
             "for sigmoid, squared-error for the others",
     .choice = recipe_loss},
    {"init", OPTION_CHOICE, STEP(initialiser), .value = "NAME", .help = "how the weights start",
     .choice = recipe_initialiser},

    {.kind = OPTION_GROUP, .help = "Training"},
    {"epochs", OPTION_SIZE, STEP(epochs), .value = "N", .help = "times to go through the images",
     .range = RANGE(1, 1e6)},
    {"batch", OPTION_SIZE, STEP(batch), .value = "N", .help = "images a step",
     .range = RANGE(1, 1e6)},
    {"lr", OPTION_REAL, STEP(learning_rate), .value = "RATE",
     .help = "learning rate in the first epoch", .range = RANGE_ABOVE(0, 1000)},
    {"momentum", OPTION_REAL, STEP(momentum), .value = "M", .help = "share of a step that goes on",
     .range = RANGE_BELOW(0, 1)},
    {"decay", OPTION_REAL, STEP(decay), .value = "D",
     .help = "each epoch's learning rate is the last one's / (1 + D)", .range = RANGE(0, 1000)},
    {"l2", OPTION_REAL, STEP(l2), .value = "L", .help = "pull of the weights towards 0",
     .range = RANGE(0, 1)},
    {"dropout", OPTION_REAL, STEP(dropout), .value = "P",
     .help = "share of the hidden units that is left out in training", .range = RANGE_BELOW(0, 1)},
    {"input-dropout", OPTION_REAL, STEP(input_dropout), .value = "P",
     .help = "share of the pixels that is left out in training", .range = RANGE_BELOW(0, 1)},
    {"dropout-mask", OPTION_CHOICE, STEP(mask), .value = "WHEN",
     .help = "draw what is left out anew for each", .choice = recipe_mask},
    {"seed", OPTION_SEED, STEP(seed), .value = "N",
     .help = "decides the first weights, the order of the images and dropout"},

    {.kind = OPTION_GROUP, .help = "Validation"},
    {"validation", OPTION_SIZE, STEP(validation), .value = "N",
     .help = "hold out the last N training images to measure progress",
     .automatic = "a twelfth (5,000 of MNIST's 60,000)", .range = RANGE(0, 1e9)},
    {"patience", OPTION_SIZE, STEP(patience), .value = "N",
     .help = "stop after N epochs without a lower validation loss and keep the best; 0 never stops",
     .range = RANGE(0, 1e6)},

    {"threads", OPTION_SIZE, .offset = AT(threads), .value = "N",
     .help = "threads for layers of more than 64 units; the result is the same",
     .automatic = "one for each processor", .range = RANGE(1, 1024)},

    {.kind = OPTION_GROUP, .help = "Stopping and going on"},
    {"checkpoint", OPTION_TEXT, .offset = AT(checkpoint), .value = "FILE",
     .help = "write down where training stands, now and then, on Ctrl-C and at the end"},
    {"every", OPTION_SIZE, .offset = AT(every), .value = "N",
     .help = "batches from one checkpoint to the next", .automatic = "an epoch's",
     .range = RANGE(1, 1e9)},
    {"resume", OPTION_TEXT, .offset = AT(resume), .value = "FILE",
     .help = "go on from a checkpoint, with the same options and data; more --epochs may be asked "
             "for"},

    {.kind = OPTION_GROUP, .help = "Files and messages"},
    {"data", OPTION_TEXT, .offset = AT(data), .value = "DIR",
     .help = "where the data files are; default $DIGITS_DATA, data/mnist or "
             "~/.local/share/digits/mnist"},
    {"out", OPTION_TEXT, 'o', .offset = AT(out), .value = "FILE",
     .help = "the model file to write"},
    {"log", OPTION_TEXT, .offset = AT(log), .value = "FILE",
     .help = "write options and results, one JSON object a line"},
    {"force", OPTION_FLAG, 'f', .offset = AT(force),
     .help = "overwrite files that are no models or logs"},
    {"json", OPTION_FLAG, .offset = AT(json), .help = "print the result as JSON"},
    {"quiet", OPTION_FLAG, 'q', .offset = AT(quiet),
     .help = "print the result and what went wrong, nothing else"},
    {.kind = OPTION_END},
};

/* ---- before training ---------------------------------------------------------------------- */

static int refuse_patience(void)
{
    complain("--patience needs validation images, and --validation is 0");
    return EXIT_USAGE;
}

/* Complains if two options name one file. The checkpoint that training goes on from may be the one
 * that it writes. */
static int check_names(const train_values *values)
{
    const struct {
        const char *option, *path, *other_option, *other;
    } pairs[] = {
        {"log", values->log, "out", values->out},
        {"checkpoint", values->checkpoint, "out", values->out},
        {"resume", values->resume, "out", values->out},
        {"log", values->log, "checkpoint", values->checkpoint},
        {"log", values->log, "resume", values->resume},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].path && pairs[i].other && path_same(pairs[i].path, pairs[i].other)) {
            complain("--%s and --%s are the same file, '%s'", pairs[i].option,
                     pairs[i].other_option, pairs[i].path);
            return EXIT_USAGE;
        }
    }
    return EXIT_DONE;
}

/* Checks that all files could be written now. */
static nn_status check_targets(const train_values *values)
{
    nn_status status = file_check_target(values->out, values->force ? NULL : trained_check);
    if (status == NN_OK && values->log && path_look(values->log) != PATH_OTHER) {
        status = file_check_target(values->log, values->force ? NULL : train_log_check);
    }
    if (status == NN_OK && values->checkpoint) {
        status =
            file_check_target(values->checkpoint, values->force ? NULL : train_checkpoint_check);
    }
    return status;
}

/* Checks what can be known before the data are loaded. */
static int check_values(const train_values *values)
{
    int code = check_names(values);
    if (code != EXIT_DONE) {
        return code;
    }
    if (values->every != OPTION_AUTOMATIC && !values->checkpoint) {
        complain("--every needs --checkpoint");
        return EXIT_USAGE;
    }
    if (values->steps.patience > 0 && values->steps.validation == 0) {
        return refuse_patience();
    }
    return fail(check_targets(values), ROLE_OUTPUT);
}

static int settle(train_run *r)
{
    nn_status status = recipe_settle(&r->values.steps);
    if (status != NN_ERR_ARGUMENT) {
        return fail(status, ROLE_OUTPUT);
    }
    complain("%s", nn_error_text());
    return EXIT_USAGE;
}

static int load(train_run *r)
{
    return dataset_load(&r->set, r->values.data, PART_TRAIN);
}

static int split_data(train_run *r)
{
    recipe *steps = &r->values.steps;
    const nn_data *all = &r->set.data;
    if (steps->validation == OPTION_AUTOMATIC) {
        steps->validation = all->n / 12;
    }
    if (steps->validation >= all->n) {
        complain("--validation must leave some of the %zu images to learn from, not '%zu'", all->n,
                 steps->validation);
        return EXIT_USAGE;
    }
    if (steps->patience > 0 && steps->validation == 0) {
        return refuse_patience();
    }
    r->learn = nn_data_slice(all, 0, all->n - steps->validation);
    r->validate = nn_data_slice(all, r->learn.n, steps->validation);
    return EXIT_DONE;
}

static int make_network(train_run *r)
{
    nn_status status =
        recipe_network(&r->net, &r->values.steps, r->set.data.inputs, r->set.data.outputs);
    if (status == NN_ERR_ARGUMENT) {
        complain("%s", nn_error_text());
        return EXIT_USAGE;
    }
    if (status != NN_OK) {
        return fail(status, ROLE_OUTPUT);
    }
    r->network = network_text(nn_net_config(r->net));
    return r->network ? EXIT_DONE : fail_memory();
}

static bool on_batch(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    train_run *r = context;
    bool go_on = watch_batch(&r->watch, epoch, images_done, mean_loss);
    if (go_on) {
        train_checkpoint_batch(r, epoch, images_done);
    }
    return go_on;
}

static bool on_epoch(void *context, const nn_epoch *epoch)
{
    train_run *r = context;
    bool go_on = watch_epoch(&r->watch, epoch);
    if (go_on) {
        train_checkpoint_epoch(r);
    }
    return go_on;
}

static int make_trainer(train_run *r)
{
    nn_train_options how = recipe_train_options(&r->values.steps);
    how.threads = r->values.threads == OPTION_AUTOMATIC ? 0 : r->values.threads;
    how.context = r;
    how.on_batch = on_batch;
    how.on_epoch = on_epoch;
    return fail(nn_trainer_new(&r->trainer, r->net, &r->learn,
                               r->validate.n > 0 ? &r->validate : NULL, &how),
                ROLE_DATA);
}

static int announce(train_run *r)
{
    if (!r->values.quiet) {
        train_print_plan(r->values.json ? stderr : stdout, r);
    }
    return EXIT_DONE;
}

static int start_log(train_run *r)
{
    if (!r->values.log) {
        return EXIT_DONE;
    }
    bool kept;
    nn_status status = train_log_cut(&kept, r, options);
    if (status == NN_OK) {
        status = train_log_open(&r->log, r->values.log, kept);
    }
    if (status == NN_OK && !kept) {
        train_log_start(r, options);
    }
    return fail(status, ROLE_OUTPUT);
}

/* ---- training ----------------------------------------------------------------------------- */

static bool has_learned(const train_run *r)
{
    return r->status != NN_ERR_DIVERGED || r->result.epochs > 0;
}

static int train(train_run *r)
{
    interrupt_catch();
    watch_start(&r->watch, r->values.quiet, r->learn.n, r->values.steps.epochs, &r->log);
    watch_resume(&r->watch, &r->from);
    r->status = nn_trainer_run(r->trainer, &r->result);
    r->seconds = clock_seconds() - r->watch.started_at;
    progress_clear(&r->watch.bar);
    switch (r->status) {
    case NN_OK:
    case NN_ERR_STOPPED:
        return EXIT_DONE;
    case NN_ERR_DIVERGED:
        complain("%s", nn_error_text());
        return EXIT_DONE; /* there may be something to save */
    default:
        return fail(r->status, ROLE_DATA);
    }
}

static int measure(train_run *r)
{
    if (r->validate.n == 0 || !has_learned(r)) {
        return EXIT_DONE;
    }
    return fail(nn_evaluate(&r->report, r->net, &r->validate), ROLE_DATA);
}

/* ---- after training ----------------------------------------------------------------------- */

static nn_status set_size(nn_meta *facts, const char *key, size_t value)
{
    char text[TEXT_NUMBER_SIZE];
    snprintf(text, sizeof text, "%zu", value);
    return nn_meta_set(facts, key, text);
}

/* Collects what is known about the model; the same on every machine. */
static nn_status collect_facts(nn_meta *facts, const train_run *r)
{
    char picture[TEXT_NUMBER_SIZE * 2];
    snprintf(picture, sizeof picture, "%zux%zu", r->set.data.rows, r->set.data.columns);
    const struct {
        const char *key, *value;
    } texts[] = {
        {FACT_PROGRAM, "digits " NN_VERSION},
        {FACT_CLASSES, "0 1 2 3 4 5 6 7 8 9"},
        {FACT_PICTURE, picture},
        {FACT_DATA, dataset_name(r->set.kind)},
        {FACT_IMAGES_SHA256, r->set.sha256[FILE_IMAGES]},
        {FACT_LABELS_SHA256, r->set.sha256[FILE_LABELS]},
        {FACT_OUTCOME, train_outcome(r)},
    };
    nn_status status = NN_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == NN_OK; i++) {
        status = nn_meta_set(facts, texts[i].key, texts[i].value);
    }
    if (status == NN_OK) {
        status = set_size(facts, FACT_EPOCHS_DONE, r->result.epochs);
    }
    if (status == NN_OK) {
        status = set_size(facts, FACT_BEST_EPOCH, r->result.best_epoch);
    }
    return status == NN_OK ? recorded_meta(facts, options, &r->values) : status;
}

static nn_status write_model(const train_run *r)
{
    nn_meta facts = {0};
    nn_status status = collect_facts(&facts, r);
    if (status == NN_OK) {
        status = nn_model_save(r->net, &facts, r->values.out);
    }
    nn_meta_release(&facts);
    return status;
}

static int save(train_run *r)
{
    if (!has_learned(r)) {
        advise("no epoch went well; '%s' is left as it was", r->values.out);
        return EXIT_DONE;
    }
    nn_status status = write_model(r);
    r->saved = status == NN_OK;
    if (r->saved && r->status == NN_ERR_STOPPED) {
        complain("interrupted; what was learned so far is saved in '%s'", r->values.out);
    } else if (r->saved && r->status == NN_ERR_DIVERGED) {
        advise("the parameters after epoch %zu are saved in '%s'", r->result.epochs, r->values.out);
    }
    /* Parameters that are not finite: stopped in the middle of blowing up. */
    return fail(status == NN_ERR_MODEL ? NN_ERR_DIVERGED : status, ROLE_OUTPUT);
}

/* Writes the last checkpoint: from it, training goes on when more epochs are asked for. */
static int save_checkpoint(train_run *r)
{
    bool wanted = r->values.checkpoint && (r->status == NN_OK || r->status == NN_ERR_STOPPED);
    int code = wanted ? train_checkpoint_finish(r) : EXIT_DONE;
    if (wanted && code == EXIT_DONE && r->status == NN_ERR_STOPPED) {
        advise("the same command with --resume %s goes on", r->values.checkpoint);
    }
    return code;
}

static int report(const train_run *r)
{
    if (r->values.json) {
        return train_print_json(r, options) ? EXIT_DONE : fail_memory();
    }
    if (r->saved) {
        train_print_result(r);
    }
    return EXIT_DONE;
}

/* Whatever fails, the log is brought to its end. */
static int finish(train_run *r)
{
    int code = save(r), checkpoint_code = save_checkpoint(r);
    train_log_end(r);
    int log_code = fail(train_log_close(&r->log), ROLE_OUTPUT);
    int report_code = report(r);
    code = code == EXIT_DONE ? checkpoint_code : code;
    code = code == EXIT_DONE ? log_code : code;
    return code == EXIT_DONE ? report_code : code;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void release(train_run *r)
{
    (void)train_log_close(&r->log);
    nn_report_release(&r->report);
    nn_free(r->network);
    nn_trainer_free(r->trainer);
    nn_net_free(r->net);
    dataset_release(&r->set);
}

static int run_train(const void *values, size_t n_arguments, char **arguments)
{
    static int (*const steps[])(train_run * r) = {
        settle,   load,      split_data, make_network, make_trainer, train_resume,
        announce, start_log, train,      measure,      finish};
    (void)n_arguments;
    (void)arguments;
    train_run r = {.values = *(const train_values *)values};
    int code = check_values(&r.values);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == EXIT_DONE; i++) {
        code = steps[i](&r);
    }
    if (code == EXIT_DONE) {
        code = exit_code(r.status, ROLE_OUTPUT);
    }
    release(&r);
    return code;
}

const command command_train = {
    .name = "train",
    .summary = "train a network and save it as a model file",
    .arguments = "",
    .description =
        "Trains a network on the training images by mini-batch stochastic gradient descent with "
        "momentum, and saves it as a model file. The same seed, data and options give the same "
        "file, byte for byte.\n"
        "Ctrl-C finishes the batch, saves what was learned and exits with code 130. If training "
        "blows up, the last good epoch is saved and the exit code is 5.\n"
        "A training that was stopped at a checkpoint, by Ctrl-C or by force, goes on with "
        "--resume, and ends in the same file as if it had not been stopped.",
    .examples = "  digits train --seed 1\n"
                "  digits train --hidden 300,100 --activation relu --lr 0.05 --dropout 0.1\n"
                "  digits train --epochs 100 --patience 5 --log run.jsonl --out best.safetensors\n"
                "  digits train --hidden 2000 --checkpoint run.ckpt --every 500\n"
                "  digits train --hidden 2000 --checkpoint run.ckpt --resume run.ckpt\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .run = run_train,
};
