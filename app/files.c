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

size_t file_start(const char *path, char *bytes, size_t size)
{
    size_t n = 0;
    FILE *file = path_look(path) == PATH_FILE ? fopen(path, "rb") : NULL;
    if (file) {
        n = fread(bytes, 1, size - 1, file);
        (void)fclose(file); /* only read */
    }
    bytes[n] = '\0';
    return n;
}

nn_status folder_make(const char *path)
{
    if (mkdir(path, 0777) != 0 && path_look(path) != PATH_FOLDER) {
        return nn_fail(NN_ERR_IO, "cannot make the folder '%s': %s", path, strerror(errno));
    }
    return NN_OK;
}

static nn_status fail_folder(const char *path)
{
    return nn_fail(NN_ERR_IO, "cannot read the folder '%s': %s", path, strerror(errno));
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
    DIR *folder = opendir(path);
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
    DIR *folder = opendir(path);
    if (!folder) {
        return fail_folder(path);
    }
    for (const char *name; (name = next_name(folder));) {
        if (stale(context, name) && unlinkat(dirfd(folder), name, 0) != 0 && status == NN_OK) {
            status =
                nn_fail(NN_ERR_IO, "cannot remove '%s' from '%s': %s", name, path, strerror(errno));
        }
    }
    closedir(folder);
    return status;
}

nn_status file_check_target(const char *path, nn_status (*own)(const char *path))
{
    nn_writer *writer;
    nn_status status = own && path_look(path) == PATH_FILE ? own(path) : NN_OK;
    if (status == NN_ERR_MEMORY) {
        return status;
    }
    if (status != NN_OK) {
        return nn_fail(NN_ERR_IO, "'%s' holds something else; --force overwrites it", path);
    }
    status = nn_writer_open(&writer, path);
    if (status == NN_OK) {
        nn_writer_tidy(writer);
        nn_writer_abandon(writer);
    }
    return status;
}
