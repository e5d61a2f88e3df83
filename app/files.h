/* What the program asks the file system beyond what nnlib reads and writes. */

#ifndef DIGITS_FILES_H
#define DIGITS_FILES_H

#include "nnlib.h"

#include <stdbool.h>

typedef enum {
    PATH_MISSING,
    PATH_FILE,
    PATH_FOLDER,
    PATH_OTHER,  /* a device, a FIFO, a socket */
    PATH_UNKNOWN /* it cannot be looked at: a folder on the way is closed, the name too long */
} path_kind;

/* Tells what a path leads to, symbolic links followed. */
path_kind path_look(const char *path);

/* Reports whether two paths lead to the same file, also where it is not there yet. */
bool path_same(const char *a, const char *b);

/* Tells a file's size; 0 for what is missing. NN_ERR_IO: it cannot be looked at. */
nn_status file_size(size_t *out, const char *path);

/* Tells whether there is a regular file. NN_ERR_IO: it cannot be looked at. */
nn_status file_is_there(bool *out, const char *path);

/* Reads at most size - 1 bytes from the start of a file and ends them with '\0'; *n says how many.
 * What is missing or no regular file has none. NN_ERR_IO: it cannot be read. */
nn_status file_start(char *bytes, size_t *n, size_t size, const char *path);

/* Tells whether a file begins with `mark`, a text of at most 63 bytes: NN_OK, else NN_ERR_DATA.
 * NN_ERR_IO: it cannot be read. */
nn_status file_begins(const char *path, const char *mark);

/* Makes a folder, to stay, unless it is there. NN_ERR_IO. */
nn_status folder_make(const char *path);

/* What a folder holds, seen by someone who replaces files of his own. */
typedef struct {
    bool present;
    size_t n_own;      /* entries that are his */
    size_t n_foreign;  /* the others; hidden ones do not count */
    char foreign[256]; /* name of one of them, control characters replaced */
} folder_survey;

/* Looks through a folder; a missing one holds nothing. own tells by its name whether an entry is
 * the caller's. NN_ERR_IO: not a folder, or it cannot be read. */
nn_status folder_look(folder_survey *out, const char *path,
                      bool (*own)(const void *context, const char *name), const void *context);

/* Removes the entries that `stale` picks out, for good. NN_ERR_IO: the first failure; the rest is
 * still tried. NN_ERR_MEMORY. */
nn_status folder_remove(const char *path, bool (*stale)(const void *context, const char *name),
                        const void *context);

/* Checks that a file could be written now, and leaves no trace; nor do those that were
 * killed while they wrote to its folder. With own not NULL, a file that is
 * there must be empty or one that own takes (NN_OK), so that nobody's work is overwritten by a slip
 * of the keyboard; own returns NN_ERR_DATA or NN_ERR_MODEL for what is another's. NN_ERR_IO,
 * NN_ERR_MEMORY. */
nn_status file_check_target(const char *path, nn_status (*own)(const char *path));

#endif
