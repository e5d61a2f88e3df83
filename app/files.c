#include "files.h"

#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

path_kind path_look(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return errno == ENOENT || errno == ENOTDIR ? PATH_MISSING : PATH_UNKNOWN;
    }
    if (S_ISREG(info.st_mode)) {
        return PATH_FILE;
    }
    return S_ISDIR(info.st_mode) ? PATH_FOLDER : PATH_OTHER;
}

/* Looks at the folder that a path's last part stands in. */
static bool look_at_folder(const char *path, struct stat *info)
{
    char folder[4096] = ".";
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 1;
    if (length >= sizeof folder) {
        return false;
    }
    memcpy(folder, slash ? path : ".", length);
    folder[length] = '\0';
    return stat(folder, info) == 0;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_same(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0) {
        return true;
    }
    if (stat(a, &x) != 0 || stat(b, &y) != 0) {
        if (strcmp(last_part(a), last_part(b)) != 0 || !look_at_folder(a, &x) ||
            !look_at_folder(b, &y)) {
            return false;
        }
    }
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static nn_status fail_look(const char *path)
{
    return nn_fail(NN_ERR_IO, "cannot look at '%s': %s", path, strerror(errno));
}

nn_status file_size(size_t *out, const char *path)
{
    struct stat info;
    bool found = stat(path, &info) == 0;
    if (!found && errno != ENOENT && errno != ENOTDIR) {
        return fail_look(path);
    }
    *out = found && info.st_size > 0 ? (size_t)info.st_size : 0;
    return NN_OK;
}

nn_status file_is_there(bool *out, const char *path)
{
    path_kind kind = path_look(path);
    *out = kind == PATH_FILE;
    return kind == PATH_UNKNOWN ? fail_look(path) : NN_OK;
}

nn_status file_start(char *bytes, size_t *n, size_t size, const char *path)
{
    nn_status status = NN_OK;
    *n = 0;
    switch (path_look(path)) {
    case PATH_FILE:
        status = nn_file_read(bytes, n, size - 1, path);
        break;
    case PATH_UNKNOWN:
        status = fail_look(path);
        break;
    case PATH_MISSING:
    case PATH_FOLDER:
    case PATH_OTHER:
        break;
    }
    bytes[status == NN_OK ? *n : 0] = '\0';
    return status;
}

nn_status file_begins(const char *path, const char *mark)
{
    char start[64];
    size_t n;
    nn_status status = file_start(start, &n, strlen(mark) + 1, path);
    return status == NN_OK && strcmp(start, mark) != 0 ? NN_ERR_DATA : status;
}

/* Makes what became of the names in an open folder outlast a loss of power. Some file systems
 * cannot sync a folder and say so. */
static nn_status sync_folder(int folder, const char *path)
{
    int result;
    do {
        result = fsync(folder);
    } while (result != 0 && errno == EINTR);
    if (result == 0 || errno == EINVAL || errno == ENOTSUP) {
        return NN_OK;
    }
    return nn_fail(NN_ERR_IO, "cannot make durable the folder '%s': %s", path, strerror(errno));
}

static int open_folder(int at, const char *path)
{
    int folder;
    do {
        folder = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (folder < 0 && errno == EINTR);
    return folder;
}

/* Makes a new folder outlast a loss of power: its name stands in the one above. */
static nn_status sync_new_folder(const char *path)
{
    int folder = open_folder(AT_FDCWD, path);
    int above = folder < 0 ? -1 : open_folder(folder, "..");
    nn_status status = NN_OK;
    if (above >= 0) {
        status = sync_folder(above, path);
        (void)close(above);
    } else if (errno != EACCES) { /* who may write to a folder may still not read it */
        status = nn_fail(NN_ERR_IO, "cannot open the folder '%s': %s", path, strerror(errno));
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    return status;
}

nn_status folder_make(const char *path)
{
    if (mkdir(path, 0777) == 0) {
        return sync_new_folder(path);
    }
    int error = errno;
    switch (path_look(path)) {
    case PATH_FOLDER:
        return NN_OK;
    case PATH_UNKNOWN:
        return fail_look(path);
    default:
        return nn_fail(NN_ERR_IO, "cannot make the folder '%s': %s", path, strerror(error));
    }
}

static nn_status fail_folder(const char *path)
{
    return nn_fail(NN_ERR_IO, "cannot read the folder '%s': %s", path, strerror(errno));
}

static DIR *open_retrying(const char *path)
{
    DIR *folder;
    do {
        folder = opendir(path);
    } while (!folder && errno == EINTR);
    return folder;
}

/* Returns the next entry, or NULL at the end or, errno then being set, after a failure. */
static const char *next_name(DIR *folder)
{
    errno = 0;
    /* cppcheck-suppress readdirCalled ; no other thread reads this folder's stream */
    const struct dirent *entry = readdir(folder);
    return entry ? entry->d_name : NULL;
}

nn_status folder_look(folder_survey *out, const char *path,
                      bool (*own)(const void *context, const char *name), const void *context)
{
    folder_survey survey = {.present = true};
    DIR *folder = open_retrying(path);
    if (!folder && errno == ENOENT) {
        *out = (folder_survey){0};
        return NN_OK;
    }
    if (!folder) {
        return fail_folder(path);
    }
    for (const char *name; (name = next_name(folder));) {
        if (own(context, name)) {
            survey.n_own++;
        } else if (name[0] != '.') {
            survey.n_foreign++;
            snprintf(survey.foreign, sizeof survey.foreign, "%s", name);
        }
    }
    nn_status status = errno == 0 ? NN_OK : fail_folder(path);
    closedir(folder);
    if (status == NN_OK) {
        text_tame(survey.foreign);
        *out = survey;
    }
    return status;
}

nn_status folder_remove(const char *path, bool (*stale)(const void *context, const char *name),
                        const void *context)
{
    nn_status status = NN_OK;
    DIR *folder = open_retrying(path);
    if (!folder) {
        return fail_folder(path);
    }
    for (const char *name; (name = next_name(folder));) {
        if (stale(context, name) && unlinkat(dirfd(folder), name, 0) != 0 && status == NN_OK) {
            status =
                nn_fail(NN_ERR_IO, "cannot remove '%s' from '%s': %s", name, path, strerror(errno));
        }
    }
    if (errno != 0 && status == NN_OK) {
        status = fail_folder(path);
    }
    if (status == NN_OK) {
        status = sync_folder(dirfd(folder), path);
    }
    closedir(folder);
    return status;
}

nn_status file_check_target(const char *path, nn_status (*own)(const char *path))
{
    nn_writer *writer;
    size_t size = 0;
    nn_status status = own && path_look(path) == PATH_FILE ? file_size(&size, path) : NN_OK;
    if (status == NN_OK && size > 0) {
        status = own(path);
    }
    if (status == NN_ERR_DATA || status == NN_ERR_MODEL) {
        return nn_fail(NN_ERR_IO, "'%s' holds something else; --force overwrites it", path);
    }
    status = status == NN_OK ? nn_writer_open(&writer, path) : status;
    if (status == NN_OK) {
        nn_writer_tidy(writer);
        nn_writer_abandon(writer);
    }
    return status;
}
