#include "log.h"

#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int open_for_lines(const char *path)
{
    int fd;
    do {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

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
    int fd = open_for_lines(path);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size < 0 && (fd < 0 || errno != ESPIPE)) { /* ESPIPE: a FIFO or a terminal */
        int error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return nn_fail(NN_ERR_IO, "cannot write '%s': %s", path, strerror(error));
    }
    *log = (train_log){.open = true, .fd = fd, .path = path, .whole = size > 0 ? size : 0};
    return NN_OK;
}

/* Writes all bytes and returns 0, or errno. */
static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, bytes, n);
        if (k > 0) {
            bytes += k;
            n -= (size_t)k;
        } else if (k == 0 || errno != EINTR) {
            return k == 0 ? EIO : errno;
        }
    }
    return 0;
}

void train_log_write(train_log *log, json *line)
{
    if (!log->open || log->out_of_memory || log->error != 0) {
        return;
    }
    char *text = json_string(line, false);
    if (!text) {
        log->out_of_memory = true;
        return;
    }
    size_t length = strlen(text);
    text[length] = '\n'; /* over the final zero: the line goes out in one piece */
    log->error = write_all(log->fd, text, length + 1);
    if (log->error == 0) {
        log->whole += (off_t)length + 1;
    } else if (ftruncate(log->fd, log->whole) != 0) {
        errno = 0; /* a FIFO or a device keeps what it got */
    }
    nn_free(text);
}

/* A FIFO or a device cannot be synced, and need not. */
static bool sync_lines(int fd)
{
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result == 0 || errno == EINVAL || errno == ENOTSUP;
}

void train_log_sync(train_log *log)
{
    if (log->open && !sync_lines(log->fd) && log->error == 0) {
        log->error = errno;
    }
}

void train_log_epoch(train_log *log, const nn_epoch *epoch, double seconds)
{
    json line;
    if (!log->open) {
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
    if (!log->open) {
        return NN_OK;
    }
    train_log_sync(log);
    log->open = false;
    if (close(log->fd) != 0 && errno != EINTR && log->error == 0) {
        log->error = errno;
    }
    if (log->out_of_memory) {
        return nn_fail(NN_ERR_MEMORY, "cannot write all of '%s': out of memory", log->path);
    }
    if (log->error != 0) {
        return nn_fail(NN_ERR_IO, "cannot write all of '%s': %s", log->path, strerror(log->error));
    }
    return NN_OK;
}

nn_status train_log_check(const char *path)
{
    return file_begins(path, "{\"event\":\"start\"");
}
