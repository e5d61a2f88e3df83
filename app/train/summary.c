/* What `digits train` says about a run, to people and to programs. */

#include "message.h"
#include "run.h"
#include "text.h"
#include "trained.h"

#include <string.h>

const char *train_outcome(const train_run *run)
{
    switch (run->status) {
    case NN_ERR_STOPPED:
        return "interrupted";
    case NN_ERR_DIVERGED:
        return "diverged";
    default:
        return run->result.stopped_early ? "stopped early" : "finished";
    }
}

/* ---- text --------------------------------------------------------------------------------- */

void train_print_plan(FILE *to, const train_run *run)
{
    const recipe *s = &run->values.steps;
    char a[TEXT_NUMBER_SIZE], b[TEXT_NUMBER_SIZE], c[TEXT_NUMBER_SIZE], d[TEXT_NUMBER_SIZE];
    size_t batches = run->learn.n / s->batch + (run->learn.n % s->batch != 0);
    fprintf(to, "data        %s, from ", dataset_name(run->set.kind));
    text_print(to, run->set.folder);
    fprintf(to, "\n");
    fprintf(to, "            %s to learn from, %s for validation\n",
            text_counted(a, run->learn.n, "image"), text_count(b, run->validate.n));
    fprintf(to, "network     %s\n", run->network);
    network_print_parameters(to, run->net, "parameters  ");
    fprintf(to, "training    %s of %s of %s, seed %llu\n", text_counted(a, s->epochs, "epoch"),
            text_counted(b, batches, "batch"), text_count(c, s->batch),
            (unsigned long long)s->seed);
    fprintf(to, "            learning rate %s, decay %s, momentum %s, L2 %s\n",
            text_real(a, s->learning_rate), text_real(b, s->decay), text_real(c, s->momentum),
            text_real(d, s->l2));
    if (run->values.resume) {
        fprintf(to, "resumed     '%s': %s and %s are done\n", run->values.resume,
                text_counted(a, run->from.epochs, "epoch"),
                text_counted(b, run->from.images, "image"));
    }
    fprintf(to, "\n");
    (void)fflush(to); /* stdout is checked at the very end */
}

/* The command that measures this model on the test images. */
static void print_next(const train_values *values)
{
    printf("next        ./digits eval");
    if (strcmp(values->out, TRAINED_PATH) != 0) {
        printf(" --model ");
        text_print_word(stdout, values->out);
    }
    if (values->data) {
        printf(" --data ");
        text_print_word(stdout, values->data);
    }
    printf("\n");
}

/* The course of the training loss, as far as the terminal has room. */
static void print_course(const watch *w)
{
    const size_t text_columns_around = 40;
    const terminal screen = terminal_of(stdout);
    char curve[SPARKLINE_TEXT_SIZE];
    size_t room = screen.columns > text_columns_around ? screen.columns - text_columns_around : 0;
    if (*sparkline_text(curve, &w->losses, room, screen.utf8)) {
        printf("loss        %s from %.4f to %.4f\n", curve, w->first_loss, w->last_loss);
    }
}

void train_print_result(const train_run *run)
{
    char a[TEXT_NUMBER_SIZE], b[TEXT_NUMBER_SIZE], c[TEXT_NUMBER_SIZE];
    if (!run->values.quiet) {
        printf("\n");
        print_course(&run->watch);
    }
    if (run->validate.n > 0) {
        printf("validation  %.2f %%: %s of %s right, loss %.4f\n", 100 * run->report.accuracy,
               text_count(a, run->report.correct), text_count(b, run->report.total),
               run->report.loss);
    }
    printf("saved       ");
    text_print(stdout, run->values.out);
    printf(", trained on %s\n", dataset_name(run->set.kind));
    printf("            %s after %s of %s in %s", train_outcome(run),
           text_count(a, run->result.epochs), text_counted(b, run->values.steps.epochs, "epoch"),
           text_duration(c, run->seconds));
    if (run->result.best_epoch != run->result.epochs && run->status == NN_OK) {
        printf("; the best was epoch %zu", run->result.best_epoch);
    }
    printf("\n");
    print_next(&run->values);
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void add_data_json(json *document, cJSON *parent, const train_run *run)
{
    cJSON *data = json_object(document, parent, "data");
    json_text(document, data, "name", dataset_name(run->set.kind));
    json_text(document, data, "folder", run->set.folder);
    json_size(document, data, "training", run->learn.n);
    json_size(document, data, "validation", run->validate.n);
    json_text(document, data, "images_sha256", run->set.sha256[FILE_IMAGES]);
    json_text(document, data, "labels_sha256", run->set.sha256[FILE_LABELS]);
}

void train_plan_json(json *document, const train_run *run, const option_spec *options)
{
    json_text(document, document->root, "version", NN_VERSION);
    json_text(document, document->root, "network", run->network);
    json_size(document, document->root, "parameters", nn_net_n_params(run->net));
    add_data_json(document, document->root, run);
    recorded_json(document, json_object(document, document->root, "options"), options,
                  &run->values);
}

static void add_result_json(json *document, const train_run *run)
{
    json_text(document, document->root, "outcome", train_outcome(run));
    json_size(document, document->root, "epochs", run->result.epochs);
    json_size(document, document->root, "best_epoch", run->result.best_epoch);
    json_number(document, document->root, "seconds", run->seconds);
    if (run->report.total > 0) {
        cJSON *validation = json_object(document, document->root, "validation");
        json_number(document, validation, "accuracy", run->report.accuracy);
        json_size(document, validation, "correct", run->report.correct);
        json_size(document, validation, "total", run->report.total);
        json_number(document, validation, "loss", run->report.loss);
    }
    json_text(document, document->root, "model", run->saved ? run->values.out : NULL);
}

bool train_print_json(const train_run *run, const option_spec *options)
{
    json document;
    json_init(&document);
    train_plan_json(&document, run, options);
    add_result_json(&document, run);
    bool printed = json_print(&document, stdout, true);
    json_release(&document);
    return printed;
}

/* ---- log ---------------------------------------------------------------------------------- */

void train_log_start(train_run *run, const option_spec *options)
{
    json line;
    if (run->log.open) {
        json_init(&line);
        json_text(&line, line.root, "event", "start");
        train_plan_json(&line, run, options);
        train_log_write(&run->log, &line);
        json_release(&line);
    }
}

void train_log_end(train_run *run)
{
    json line;
    if (run->log.open) {
        json_init(&line);
        json_text(&line, line.root, "event", "end");
        add_result_json(&line, run);
        train_log_write(&run->log, &line);
        json_release(&line);
    }
}
