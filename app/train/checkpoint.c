/* Checkpoints of `digits train`: writing them now and then, and going on from one. */

#include "files.h"
#include "message.h"
#include "run.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- writing ------------------------------------------------------------------------------ */

nn_status train_checkpoint_check(const char *path)
{
    enum {
        LENGTH_BYTES = 8 /* the length of the header, before it */
    };
    static const char first[] = "{\"__metadata__\":{\"checkpoint_version\":";
    char start[LENGTH_BYTES + sizeof first];
    size_t n;
    nn_status status = file_start(start, &n, sizeof start, path);
    if (status != NN_OK) {
        return status;
    }
    return n == sizeof start - 1 && strcmp(start + LENGTH_BYTES, first) == 0 ? NN_OK : NN_ERR_MODEL;
}

/* A failure is told once, and again when writing fails after it has gone well: the training goes
 * on, and may get through. */
static int write_checkpoint(train_run *r)
{
    train_log_sync(&r->log); /* no epoch that the checkpoint counts may be missing in the log */
    nn_status status = nn_checkpoint_save(r->trainer, r->values.checkpoint);
    int code = exit_code(status, ROLE_OUTPUT);
    if (status != NN_OK && r->checkpoint_code == EXIT_DONE) {
        progress_clear(&r->watch.bar);
        (void)fail(status, ROLE_OUTPUT);
    }
    r->checkpoint_code = code;
    r->checkpoint_at = nn_trainer_position(r->trainer);
    return code;
}

int train_checkpoint_finish(train_run *r)
{
    nn_position now = nn_trainer_position(r->trainer), then = r->checkpoint_at;
    bool written = now.epochs == then.epochs && now.images == then.images && now.epochs > 0 &&
                   r->checkpoint_code == EXIT_DONE;
    return written ? EXIT_DONE : write_checkpoint(r);
}

/* Whether a checkpoint is due after so many batches, counted from the very first one. */
static bool is_due(const train_run *r, size_t epoch, size_t images_done)
{
    size_t batch = r->values.steps.batch;
    size_t in_epoch = r->learn.n / batch + (r->learn.n % batch != 0);
    size_t in_this = images_done / batch + (images_done % batch != 0);
    return ((epoch - 1) * in_epoch + in_this) % r->values.every == 0;
}

void train_checkpoint_batch(train_run *r, size_t epoch, size_t images_done)
{
    bool epoch_ends = images_done == r->learn.n;
    if (!r->values.checkpoint) {
        return;
    }
    r->checkpoint_due =
        r->values.every == OPTION_AUTOMATIC ? epoch_ends : is_due(r, epoch, images_done);
    if (r->checkpoint_due && !epoch_ends) { /* else when the epoch is in the log */
        (void)write_checkpoint(r);
    }
}

void train_checkpoint_epoch(train_run *r)
{
    if (r->checkpoint_due) {
        r->checkpoint_due = false;
        (void)write_checkpoint(r);
    }
}

/* ---- going on ----------------------------------------------------------------------------- */

int train_resume(train_run *r)
{
    const char *path = r->values.resume;
    if (!path) {
        return EXIT_DONE;
    }
    nn_status status = nn_checkpoint_load(r->trainer, path);
    r->from = nn_trainer_position(r->trainer);
    if (status == NN_ERR_ARGUMENT) {
        complain("%s", nn_error_text());
        advise("a training goes on with the options that it was started with; only --epochs may "
               "grow");
        return EXIT_USAGE;
    }
    int code = fail(status, ROLE_MODEL);
    if (status == NN_ERR_IO && path_look(path) == PATH_MISSING) {
        advise("'digits train --checkpoint %s' writes one", path);
    }
    return code;
}

/* ---- the log of a training that goes on --------------------------------------------------- */

enum {
    LOG_MAX = 1 << 30 /* bytes of a log that is gone on with */
};

/* A log in memory, and how far it has been looked through. */
typedef struct {
    uint8_t *text;
    size_t n, at;
} log_text;

/* Goes on behind the end of a line and returns whether it has one and starts with start. */
static bool take_line(log_text *log, const char *start)
{
    const uint8_t *line = log->text + log->at;
    const uint8_t *end = memchr(line, '\n', log->n - log->at);
    size_t length = strlen(start);
    if (!end || (size_t)(end - line) < length || memcmp(line, start, length) != 0) {
        return false;
    }
    log->at += (size_t)(end - line) + 1;
    return true;
}

/* Compares the network and the options, but for the number of epochs, of two first lines. */
static bool same_training(cJSON *a, cJSON *b)
{
    static const char *const members[] = {"network", "options"};
    bool same = true;
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(a, "options"), "epochs");
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(b, "options"), "epochs");
    for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
        same = same && cJSON_Compare(cJSON_GetObjectItem(a, members[k]),
                                     cJSON_GetObjectItem(b, members[k]), true);
    }
    return same;
}

/* Checks that a log's first line, n bytes, is of the training that run goes on with. NN_ERR_DATA:
 * it is another's; NN_ERR_MEMORY. */
static nn_status check_start(const train_run *r, const option_spec *options, const char *line,
                             size_t n)
{
    json ours;
    json_init(&ours);
    train_plan_json(&ours, r, options);
    char *text = json_string(&ours, false);
    cJSON *a = text ? cJSON_Parse(text) : NULL;
    errno = 0;
    cJSON *b = cJSON_ParseWithLength(line, n);
    nn_status status = NN_OK;
    if (!a || (!b && errno == ENOMEM)) {
        status = nn_fail(NN_ERR_MEMORY, "out of memory for '%s'", r->values.log);
    } else if (!b || !same_training(a, b)) {
        status = NN_ERR_DATA;
    }
    cJSON_Delete(a);
    cJSON_Delete(b);
    nn_free(text);
    json_release(&ours);
    return status;
}

/* Finds how many bytes of a log tell the epochs that are done; what is behind them (epochs that
 * will be gone through again, a line cut short, an end) is not counted. NN_ERR_DATA: it does not
 * tell of them; NN_ERR_MEMORY. */
static nn_status find_kept(log_text *log, const train_run *r, const option_spec *options)
{
    char start[64];
    if (!take_line(log, "{\"event\":\"start\"")) {
        return NN_ERR_DATA;
    }
    const size_t first = log->at;
    for (size_t epoch = 1; epoch <= r->from.epochs; epoch++) {
        snprintf(start, sizeof start, "{\"event\":\"epoch\",\"epoch\":%zu,", epoch);
        if (!take_line(log, start)) {
            return NN_ERR_DATA;
        }
    }
    return check_start(r, options, (const char *)log->text, first);
}

/* Whether there is a log to be continued, and how many bytes of it. */
static nn_status look_at_log(bool *kept, size_t *size, const train_run *r,
                             const option_spec *options)
{
    log_text log = {.at = 0};
    nn_status status = nn_file_load(&log.text, &log.n, LOG_MAX, r->values.log);
    if (status == NN_OK && log.n > 0) {
        status = find_kept(&log, r, options);
        *kept = status == NN_OK;
        *size = log.at;
        if (status == NN_ERR_DATA && r->values.force) {
            status = NN_OK;
        } else if (status == NN_ERR_DATA) {
            status = nn_fail(NN_ERR_IO,
                             "'%s' does not tell of the %zu epochs that '%s' has been through; "
                             "--force overwrites it",
                             r->values.log, r->from.epochs, r->values.resume);
        }
    }
    nn_free(log.text);
    return status;
}

nn_status train_log_cut(bool *kept, const train_run *r, const option_spec *options)
{
    size_t size = 0;
    bool there = false;
    *kept = false;
    nn_status status = r->values.resume ? file_is_there(&there, r->values.log) : NN_OK;
    if (there) {
        status = look_at_log(kept, &size, r, options);
    }
    if (status == NN_OK && *kept && truncate(r->values.log, (off_t)size) != 0) {
        return nn_fail(NN_ERR_IO, "cannot write '%s': %s", r->values.log, strerror(errno));
    }
    return status;
}
