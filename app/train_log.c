#include "train_log.h"

#include "files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

nn_status train_log_open(train_log *log, const char *path, bool append)
{
    /* A new file is made durable at once; a FIFO or a device is opened as it is. */
    if (!append && path_look(path) != PATH_OTHER) {
        nn_writer *writer;
        nn_status status = nn_writer_open(&writer, path);
        status = status == NN_OK ? nn_writer_commit(writer) : status;
        if (status != NN_OK) {
            return status;
        }
    }
    FILE *file = fopen(path, "a");
    if (!file) {
        return nn_fail(NN_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    }
    *log = (train_log){.file = file, .path = path};
    return NN_OK;
}

void train_log_write(train_log *log, json *line)
{
    if (log->file && !log->failed) {
        log->failed = !json_print(line, log->file, false) || fflush(log->file) != 0;
    }
}

void train_log_sync(train_log *log)
{
    if (log->file) {
        (void)fsync(fileno(log->file)); /* a FIFO or a device cannot, and need not */
    }
}

void train_log_epoch(train_log *log, const nn_epoch *epoch, double seconds)
{
    json line;
    if (!log->file) {
        return;
    }
    json_init(&line);
    json_text(&line, line.root, "event", "epoch");
    json_size(&line, line.root, "epoch", epoch->epoch);
    json_number(&line, line.root, "loss", epoch->loss);
    json_number(&line, line.root, "accuracy", epoch->accuracy);
    if (epoch->has_validation) {
        json_number(&line, line.root, "validation_loss", epoch->validation_loss);
        json_number(&line, line.root, "validation_accuracy", epoch->validation_accuracy);
        json_bool(&line, line.root, "best", epoch->best);
    }
    json_number(&line, line.root, "learning_rate", epoch->learning_rate);
    json_size(&line, line.root, "images", epoch->images);
    json_number(&line, line.root, "seconds", seconds);
    train_log_write(log, &line);
    json_release(&line);
}

nn_status train_log_close(train_log *log)
{
    FILE *file = log->file;
    if (!file) {
        return NN_OK;
    }
    log->file = NULL;
    if (fclose(file) != 0 || log->failed) {
        return nn_fail(NN_ERR_IO, "cannot write all of '%s'", log->path);
    }
    return NN_OK;
}

nn_status train_log_check(const char *path)
{
    static const char first[] = "{\"event\":\"start\"";
    char start[sizeof first];
    size_t n = file_start(path, start, sizeof start);
    bool empty = n == 0 && path_look(path) == PATH_FILE;
    return empty || strcmp(start, first) == 0 ? NN_OK : NN_ERR_DATA;
}
