/* What `digits inspect` knows to tell of each kind of file. */

#ifndef DIGITS_INSPECT_H
#define DIGITS_INSPECT_H

#include "terminal.h"

#include <stdbool.h>

typedef struct {
    const char *path;
    size_t bytes; /* the file's size */
    bool json;
    size_t show; /* so many pictures of an IDX file are drawn; OPTION_AUTOMATIC: a line of them */
    terminal screen;
} inspection;

/* Describe a model and an IDX file on stdout. Complain and return the exit code. */
int inspect_model(const inspection *what);
int inspect_idx(const inspection *what);

#endif
