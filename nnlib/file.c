#define _DEFAULT_SOURCE 1 /* flock */
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what reading and writing share ------------------------------------------------------- */

/* The most that is asked of one read or write: some systems refuse more than INT_MAX. */
#define MAX_TRANSFER ((size_t)1 << 30)

static nn_status fail_errno(const char *verb, const char *path, int error)
{
    char why[128];
    if (strerror_r(error, why, sizeof why) != 0) {
        (void)snprintf(why, sizeof why, "error %d", error);
    }
    return nn_fail(NN_ERR_IO, "cannot %s '%s': %s", verb, path, why);
}

static int open_retrying(int folder, const char *path, int flags, mode_t mode)
{
    int fd;
    do {
        fd = openat(folder, path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int fsync_retrying(int fd)
{
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result;
}

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode)) {
        return "folder";
    }
    if (S_ISFIFO(mode)) {
        return "FIFO";
    }
    return S_ISSOCK(mode) ? "socket" : "device";
}

static nn_status require_regular(const struct stat *info, const char *verb, const char *path)
{
    if (S_ISREG(info->st_mode)) {
        return NN_OK;
    }
    return nn_fail(NN_ERR_IO, "cannot %s '%s': it is a %s, not a regular file", verb, path,
                   kind_of(info->st_mode));
}

/* ---- reading ------------------------------------------------------------------------------ */

nn_status nn_reader_open(nn_reader *out, const char *path)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. Regular files do not care. */
    const int fd = open_retrying(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0) {
        return fail_errno("open", path, errno);
    }
    struct stat info;
    const nn_status status = fstat(fd, &info) == 0 ? require_regular(&info, "read", path)
                                                   : fail_errno("read", path, errno);
    if (status != NN_OK) {
        (void)close(fd);
        return status;
    }
    *out = (nn_reader){.path = path, .size = (uint64_t)info.st_size, .fd = fd};
    return NN_OK;
}

nn_status nn_reader_read(nn_reader *reader, void *bytes, size_t n, size_t *got)
{
    unsigned char *to = bytes;
    size_t done = 0;
    while (done < n) {
        const size_t ask = n - done < MAX_TRANSFER ? n - done : MAX_TRANSFER;
        const ssize_t k = read(reader->fd, to + done, ask);
        if (k == 0) {
            break;
        }
        if (k > 0) {
            done += (size_t)k;
        } else if (errno != EINTR) {
            return fail_errno("read", reader->path, errno);
        }
    }
    *got = done;
    return NN_OK;
}

void nn_reader_close(nn_reader *reader)
{
    (void)close(reader->fd); /* nothing was written, so nothing can be lost */
    reader->fd = -1;
}

nn_status nn_file_read(void *bytes, size_t *n, size_t size, const char *path)
{
    nn_reader reader;
    nn_status status = nn_reader_open(&reader, path);
    if (status == NN_OK) {
        status = nn_reader_read(&reader, bytes, size, n);
        nn_reader_close(&reader);
    }
    return status;
}

static nn_status load(uint8_t **out, size_t *n, size_t max, nn_reader *reader)
{
    if (reader->size > max) {
        return nn_fail(NN_ERR_DATA, "'%s' is too large: %ju bytes, expected at most %zu",
                       reader->path, (uintmax_t)reader->size, max);
    }
    const size_t size = (size_t)reader->size;
    uint8_t *bytes = nn_alloc(size + 1);
    if (bytes == NULL) {
        return nn_fail(NN_ERR_MEMORY, "cannot read '%s': out of memory", reader->path);
    }
    const nn_status status = nn_reader_read(reader, bytes, size, n);
    if (status != NN_OK) {
        nn_free(bytes);
        return status;
    }
    *out = bytes;
    return NN_OK;
}

nn_status nn_file_load(uint8_t **bytes, size_t *n, size_t max, const char *path)
{
    nn_reader reader;
    nn_status status = nn_reader_open(&reader, path);
    if (status == NN_OK) {
        status = load(bytes, n, max, &reader);
        nn_reader_close(&reader);
    }
    return status;
}

/* ---- writing ------------------------------------------------------------------------------ */

/*
 * The order makes a crash harmless at any moment: the bytes are on the disk (fsync) before the
 * name points at them (rename), and the name is on the disk (fsync of the folder) before commit
 * returns. What a crash can leave is a stray temporary, ".nnlib-<process>-<number>.tmp". A writer
 * holds a lock on its own until it has its name: nn_writer_tidy removes those that are free. The
 * lock is flock's, which belongs to the open file: fcntl's would end with the first close, just
 * before the rename.
 *
 * A target that is a symbolic link stays one: the file it leads to is replaced. Other hard links
 * to the target keep the old content. All names are relative to the open folder, so that neither
 * a change of the working folder nor a temporary name longer than the target's gets in the way.
 */

enum {
    BUFFER_SIZE = 65536,
    TARGET_SIZE = 4096,    /* as long as a path may be on Linux */
    NAME_SIZE = 256,       /* as long as a name may be nearly everywhere */
    TEMPORARY_SIZE = 64,   /* room for .nnlib-<process>-<number>.tmp */
    MAX_LINKS = 40,        /* as many as Linux follows */
    MAX_TEMPORARIES = 1000 /* names tried: others write here too, or crashed */
};

struct nn_writer {
    int folder; /* the target's, links followed; AT_FDCWD before it is found */
    int fd;     /* the temporary file; -1 when there is none */
    int held;   /* the same file once more, which keeps the lock when fd is closed; or -1 */
    int error;  /* errno of the first failed write, or 0 */
    size_t used;
    char name[NAME_SIZE]; /* the target's, in folder */
    char temporary[TEMPORARY_SIZE];
    char target[TARGET_SIZE]; /* work space for following links */
    unsigned char buffer[BUFFER_SIZE];
    char path[]; /* as the caller wrote it, for messages */
};

/* Closes all, removes the temporary, frees. */
static void writer_free(nn_writer *writer)
{
    if (writer->fd >= 0) {
        (void)close(writer->fd);
    }
    if (writer->temporary[0] != '\0') {
        (void)unlinkat(writer->folder, writer->temporary, 0);
    }
    if (writer->held >= 0) {
        (void)close(writer->held);
    }
    if (writer->folder >= 0) {
        (void)close(writer->folder);
    }
    nn_free(writer);
}

/* Opens the folder of writer->target, seen from the present folder, and keeps the last part as
 * the name. Cuts target up. */
static nn_status enter_folder(nn_writer *writer)
{
    const char *folder = ".";
    const char *name = writer->target;
    char *slash = strrchr(writer->target, '/');
    if (slash != NULL) {
        name = slash + 1;
        *slash = '\0';
        folder = slash == writer->target ? "/" : writer->target;
    }
    const size_t length = strlen(name);
    if (length == 0) {
        return fail_errno("create", writer->path, slash != NULL ? EISDIR : ENOENT);
    }
    if (length >= sizeof writer->name) {
        return fail_errno("create", writer->path, ENAMETOOLONG);
    }
    const int fd = open_retrying(writer->folder, folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return fail_errno("open the folder of", writer->path, errno);
    }
    if (writer->folder >= 0) {
        (void)close(writer->folder);
    }
    writer->folder = fd;
    memcpy(writer->name, name, length + 1);
    return NN_OK;
}

/* Follows path to the folder and name of the file that it stands for. The file need not be there,
 * the folder must. */
static nn_status follow_links(nn_writer *writer)
{
    const size_t length = strlen(writer->path);
    if (length >= sizeof writer->target) {
        return fail_errno("create", writer->path, ENAMETOOLONG);
    }
    memcpy(writer->target, writer->path, length + 1);
    for (int link = 0; link < MAX_LINKS; link++) {
        const nn_status status = enter_folder(writer);
        if (status != NN_OK) {
            return status;
        }
        const ssize_t n =
            readlinkat(writer->folder, writer->name, writer->target, sizeof writer->target);
        if (n < 0) {
            /* EINVAL: there is a file, not a link. */
            return errno == EINVAL || errno == ENOENT ? NN_OK
                                                      : fail_errno("create", writer->path, errno);
        }
        if ((size_t)n >= sizeof writer->target) {
            return fail_errno("create", writer->path, ENAMETOOLONG); /* perhaps cut short */
        }
        writer->target[n] = '\0';
    }
    return fail_errno("create", writer->path, ELOOP);
}

/* Refuses a target that exists and is not a file one may write; *mode is what a new one gets: the
 * old one's, so that what was private stays so, or the usual. The system applies the umask. */
static nn_status check_target(const nn_writer *writer, mode_t *mode)
{
    struct stat info;
    *mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
    if (fstatat(AT_FDCWD, writer->path, &info, 0) != 0) {
        return errno == ENOENT ? NN_OK : fail_errno("create", writer->path, errno);
    }
    const nn_status status = require_regular(&info, "write", writer->path);
    if (status != NN_OK) {
        return status;
    }
    /* A rename does not ask whether the file that it replaces is write-protected. */
    if (faccessat(AT_FDCWD, writer->path, W_OK, AT_EACCESS) != 0) {
        return fail_errno("write", writer->path, errno);
    }
    *mode &= info.st_mode;
    return NN_OK;
}

/* Holds a new temporary against nn_writer_tidy of other processes. False: one has just taken it for
 * a stray. Where there are no locks, nobody can take it either. */
static bool hold(int fd)
{
    struct stat info;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return false;
    }
    return fstat(fd, &info) != 0 || info.st_nlink > 0;
}

static nn_status create_temporary(nn_writer *writer, mode_t mode)
{
    char *name = writer->temporary;
    for (int k = 0; k < MAX_TEMPORARIES; k++) {
        (void)snprintf(name, TEMPORARY_SIZE, ".nnlib-%ld-%d.tmp", (long)getpid(), k);
        writer->fd = open_retrying(writer->folder, name, O_WRONLY | O_CREAT | O_EXCL, mode);
        if (writer->fd >= 0 && hold(writer->fd)) {
            return NN_OK;
        }
        if (writer->fd >= 0) {
            (void)close(writer->fd);
            writer->fd = -1;
            errno = EEXIST; /* another program was quicker: the next name */
        }
        if (errno != EEXIST) {
            break;
        }
    }
    name[0] = '\0'; /* it is not ours to remove */
    return fail_errno("create a file beside", writer->path, errno);
}

nn_status nn_writer_open(nn_writer **out, const char *path)
{
    const size_t length = strlen(path);
    nn_writer *writer = nn_alloc(sizeof *writer + length + 1);
    mode_t mode;
    if (writer == NULL) {
        return nn_fail(NN_ERR_MEMORY, "not enough memory to write '%s'", path);
    }
    memcpy(writer->path, path, length + 1);
    writer->folder = AT_FDCWD;
    writer->fd = writer->held = -1;
    nn_status status = check_target(writer, &mode);
    if (status == NN_OK) {
        status = follow_links(writer);
    }
    if (status == NN_OK) {
        status = create_temporary(writer, mode);
    }
    if (status != NN_OK) {
        writer_free(writer);
        return status;
    }
    *out = writer;
    return NN_OK;
}

/* Writes n bytes to the temporary; a failure is kept in writer->error. */
static void write_through(nn_writer *writer, const unsigned char *bytes, size_t n)
{
    while (n > 0 && writer->error == 0) {
        const ssize_t k = write(writer->fd, bytes, n < MAX_TRANSFER ? n : MAX_TRANSFER);
        if (k > 0) {
            bytes += k;
            n -= (size_t)k;
        } else if (k == 0) {
            writer->error = EIO; /* no error and no progress: do not try for ever */
        } else if (errno != EINTR) {
            writer->error = errno;
        }
    }
}

static void flush(nn_writer *writer)
{
    write_through(writer, writer->buffer, writer->used);
    writer->used = 0;
}

/* Turns the kept failure, if any, into a status; the text is new each time, as others may have
 * failed meanwhile. */
static nn_status writer_status(const nn_writer *writer)
{
    return writer->error == 0 ? NN_OK : fail_errno("write", writer->path, writer->error);
}

nn_status nn_writer_write(nn_writer *writer, const void *bytes, size_t n)
{
    if (n == 0) {
        return writer_status(writer); /* bytes may be NULL */
    }
    if (n > sizeof writer->buffer - writer->used) {
        flush(writer);
    }
    if (n >= sizeof writer->buffer) {
        write_through(writer, bytes, n);
    } else {
        memcpy(writer->buffer + writer->used, bytes, n);
        writer->used += n;
    }
    return writer_status(writer);
}

/* Brings all bytes to the disk and closes the temporary. */
static nn_status finish_temporary(nn_writer *writer)
{
    flush(writer);
    if (writer->error == 0 && fsync_retrying(writer->fd) != 0) {
        writer->error = errno;
    }
    writer->held = fcntl(writer->fd, F_DUPFD_CLOEXEC, 0); /* without, the file is held no longer */
    const int closed = close(writer->fd);
    writer->fd = -1; /* gone in any case: closing twice could hit another thread's file */
    /* EINTR: the bytes are safe since fsync. Other errors are late reports of lost writes. */
    if (closed != 0 && errno != EINTR && writer->error == 0) {
        writer->error = errno;
    }
    return writer_status(writer);
}

/* Makes the rename outlast a power cut. Some file systems cannot sync a folder and say so. */
static nn_status sync_folder(const nn_writer *writer)
{
    if (fsync_retrying(writer->folder) == 0 || errno == EINVAL || errno == ENOTSUP) {
        return NN_OK;
    }
    return fail_errno("make durable the new", writer->path, errno);
}

nn_status nn_writer_commit(nn_writer *writer)
{
    nn_status status = finish_temporary(writer);
    if (status != NN_OK) {
        goto done;
    }
    if (renameat(writer->folder, writer->temporary, writer->folder, writer->name) != 0) {
        status = fail_errno("replace", writer->path, errno);
        goto done;
    }
    writer->temporary[0] = '\0';
    status = sync_folder(writer);
done:
    writer_free(writer);
    return status;
}

void nn_writer_abandon(nn_writer *writer)
{
    if (writer != NULL) {
        writer_free(writer);
    }
}

/* ---- what killed programs leave ----------------------------------------------------------- */

/* Whether a name is that of a temporary of another process. */
static bool is_others(const char *name)
{
    static const char begin[] = ".nnlib-";
    char again[TEMPORARY_SIZE], *end;
    if (strncmp(name, begin, sizeof begin - 1) != 0) {
        return false;
    }
    const long process = strtol(name + sizeof begin - 1, &end, 10);
    const long k = *end == '-' ? strtol(end + 1, NULL, 10) : -1;
    (void)snprintf(again, sizeof again, ".nnlib-%ld-%ld.tmp", process, k);
    return process != (long)getpid() && strcmp(name, again) == 0;
}

/* Removes a temporary that nobody holds. */
static void remove_stray(int folder, const char *name)
{
    struct stat info;
    const int fd = open_retrying(folder, name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        (void)unlinkat(folder, name, 0);
    }
    (void)close(fd);
}

void nn_writer_tidy(const nn_writer *writer)
{
    const int fd = open_retrying(writer->folder, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    /* cppcheck-suppress readdirCalled ; no other thread reads this folder's stream */
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (is_others(entry->d_name)) {
            remove_stray(writer->folder, entry->d_name);
        }
    }
    (void)closedir(folder);
}
