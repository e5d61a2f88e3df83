/* Pictures from a user's file, ready for a network: those of an IDX file as they are, those in a
 * photograph, scan or drawing found and prepared. */

#ifndef DIGITS_PICTURES_H
#define DIGITS_PICTURES_H

#include "nnlib.h"
#include "prepare.h"

#include <stdbool.h>

/* When digits are looked for in a picture and made as MNIST's are. IDX files are data sets: theirs
 * always stay as they are. */
typedef enum {
    PREPARE_AUTO,   /* unless it looks like MNIST's: 28 x 28, grey, and black around */
    PREPARE_ALWAYS, /* whatever it looks like */
    PREPARE_NEVER,  /* the network sees its pixels */
    N_PREPARE_MODES
} prepare_mode;

/* Returns a mode's name, or NULL past the last. */
const char *prepare_mode_name(unsigned mode);

typedef struct {
    nn_data data; /* n pictures, without labels; n may be 0 where `prepared` is set */
    bool from_idx;
    bool prepared;   /* data holds the digits of */
    prepared digits; /* a picture: [data.n] */
    uint8_t *owned;
} pictures;

/* Loads an IDX file of pictures (u8, [n][rows][columns]), or a picture of any kind that image_read
 * knows, told apart by content. Complains and returns the exit code; *out is to be released if that
 * is EXIT_DONE. */
int pictures_load(pictures *out, const char *path, prepare_mode mode);

/* Tells whether a file starts as a PNG does: NN_OK, else NN_ERR_DATA. */
nn_status pictures_check_png(const char *path);

void pictures_release(pictures *p);

#endif
