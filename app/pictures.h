/* Pictures from a user's file, ready for a network: those of a PNG or of an IDX file. */

#ifndef DIGITS_PICTURES_H
#define DIGITS_PICTURES_H

#include "nnlib.h"

#include <stdbool.h>

typedef struct {
    nn_data data; /* n pictures, without labels */
    bool from_idx;
    uint8_t *owned;
} pictures;

/* Loads a grey PNG or an IDX file of pictures (u8, [n][rows][columns]), told apart by content.
 * Complains and returns the exit code; *out is to be released if that is EXIT_DONE. */
int pictures_load(pictures *out, const char *path);

/* Tells whether a file starts as a PNG does: NN_OK, else NN_ERR_DATA. */
nn_status pictures_check_png(const char *path);

void pictures_release(pictures *p);

#endif
