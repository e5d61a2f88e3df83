#include "train_history.h"

#include "files.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    LINE_SIZE = 32768 /* no line of a log comes near it */
};

/* A log that is being read. */
typedef struct {
    FILE *file;
    const char *path;
    size_t line_number;
    char *line; /* [LINE_SIZE] */
    bool started;
} log_reader;

/* ---- epochs ------------------------------------------------------------------------------- */

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

static size_t count_of(const cJSON *object, const char *key)
{
    double value = number_of(object, key);
    return value >= 1 && value <= 1e9 ? (size_t)value : 0;
}

static nn_epoch epoch_of(const cJSON *object)
{
    return (nn_epoch){
        .epoch = count_of(object, "epoch"),
        .loss = number_of(object, "loss"),
        .accuracy = number_of(object, "accuracy"),
        .has_validation = cJSON_HasObjectItem(object, "validation_loss"),
        .validation_loss = number_of(object, "validation_loss"),
        .validation_accuracy = number_of(object, "validation_accuracy"),
        .learning_rate = number_of(object, "learning_rate"),
        .images = count_of(object, "images"),
        .best = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "best")),
    };
}

static nn_status make_room(train_history *history)
{
    size_t room = history->room > 0 ? 2 * history->room : 64;
    nn_epoch *epochs = nn_alloc_array(room, sizeof *epochs);
    if (!epochs) {
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    if (history->n > 0) {
        memcpy(epochs, history->epochs, history->n * sizeof *epochs);
    }
    nn_free(history->epochs);
    history->epochs = epochs;
    history->room = room;
    return NN_OK;
}

static nn_status add_epoch(train_history *history, const nn_epoch *epoch)
{
    while (history->n > 0 && history->epochs[history->n - 1].epoch >= epoch->epoch) {
        history->n--; /* training was taken up again before it */
    }
    nn_status status = history->n == history->room ? make_room(history) : NN_OK;
    if (status == NN_OK) {
        history->epochs[history->n++] = *epoch;
    }
    return status;
}

/* ---- lines -------------------------------------------------------------------------------- */

static nn_status refuse_line(const log_reader *log)
{
    return nn_fail(NN_ERR_DATA, "'%s' is no log of 'digits train': line %zu", log->path,
                   log->line_number);
}

static nn_status check_plan(const log_reader *log, const char *const *plan)
{
    for (; *plan; plan++) {
        if (!strstr(log->line, *plan)) {
            return nn_fail(NN_ERR_DATA, "'%s' is the log of another training run: of other %s",
                           log->path, strstr(*plan, "sha256") ? "data" : "options");
        }
    }
    return NN_OK;
}

static nn_status take_line(train_history *history, log_reader *log, const char *const *plan)
{
    cJSON *object = cJSON_Parse(log->line);
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "event"));
    nn_status status = NN_OK;
    if (!event) {
        status = refuse_line(log);
    } else if (strcmp(event, "start") == 0) {
        log->started = true;
        status = check_plan(log, plan);
    } else if (!log->started) {
        status = refuse_line(log);
    } else if (strcmp(event, "epoch") == 0) {
        nn_epoch epoch = epoch_of(object);
        status = epoch.epoch > 0 ? add_epoch(history, &epoch) : refuse_line(log);
    }
    cJSON_Delete(object);
    return status;
}

static nn_status read_lines(train_history *history, log_reader *log, const char *const *plan)
{
    nn_status status = NN_OK;
    while (status == NN_OK && fgets(log->line, LINE_SIZE, log->file)) {
        log->line_number++;
        bool whole = strchr(log->line, '\n') != NULL;
        if (!whole && feof(log->file)) {
            break; /* training goes on, or was cut off */
        }
        status = whole ? take_line(history, log, plan) : refuse_line(log);
    }
    if (status == NN_OK && ferror(log->file)) {
        status = nn_fail(NN_ERR_IO, "cannot read '%s': %s", log->path, strerror(errno));
    }
    if (status == NN_OK && history->n == 0) {
        status = nn_fail(NN_ERR_DATA, "'%s' tells of no epoch", log->path);
    }
    return status;
}

nn_status train_history_load(train_history *out, const char *path, const char *const *plan)
{
    train_history history = {0};
    log_reader log = {.path = path};
    path_kind kind = path_look(path);
    if (kind == PATH_FOLDER || kind == PATH_OTHER) {
        return nn_fail(NN_ERR_IO, "cannot read '%s': it is not a regular file", path);
    }
    log.file = fopen(path, "r");
    if (!log.file) {
        return nn_fail(NN_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    }
    log.line = nn_alloc(LINE_SIZE);
    nn_status status =
        log.line ? read_lines(&history, &log, plan) : nn_fail(NN_ERR_MEMORY, "out of memory");
    nn_free(log.line);
    (void)fclose(log.file); /* only read from */
    if (status == NN_OK) {
        *out = history;
    } else {
        train_history_release(&history);
    }
    return status;
}

void train_history_release(train_history *history)
{
    nn_free(history->epochs);
    *history = (train_history){0};
}
