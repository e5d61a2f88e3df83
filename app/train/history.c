#include "history.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <string.h>

enum {
    LOG_MAX = 1 << 30 /* bytes; no log comes near it */
};

/* A log that is being read. */
typedef struct {
    const char *path;
    const char *line; /* the present one, which ends with a zero */
    size_t line_number;
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
    errno = 0;
    cJSON *object = cJSON_Parse(log->line);
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "event"));
    nn_status status = NN_OK;
    if (!object && errno == ENOMEM) {
        status = nn_fail(NN_ERR_MEMORY, "cannot read '%s': out of memory", log->path);
    } else if (event && strcmp(event, "start") == 0) {
        log->started = true;
        status = check_plan(log, plan);
    } else if (!event || !log->started) {
        status = refuse_line(log);
    } else if (strcmp(event, "epoch") == 0) {
        nn_epoch epoch = epoch_of(object);
        status = epoch.epoch > 0 ? add_epoch(history, &epoch) : refuse_line(log);
    }
    cJSON_Delete(object);
    return status;
}

/* Takes each line of a text of n bytes. The rest behind the last one counts for nothing: training
 * goes on, or was cut off. */
static nn_status read_lines(train_history *history, log_reader *log, char *text, size_t n,
                            const char *const *plan)
{
    nn_status status = NN_OK;
    char *line = text;
    for (char *end; status == NN_OK && (end = memchr(line, '\n', n - (size_t)(line - text)));) {
        *end = '\0';
        log->line = line;
        log->line_number++;
        status = take_line(history, log, plan);
        line = end + 1;
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
    uint8_t *text = NULL;
    size_t n;
    nn_status status = nn_file_load(&text, &n, LOG_MAX, path);
    if (status == NN_OK) {
        status = read_lines(&history, &log, (char *)text, n, plan);
    }
    nn_free(text);
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
