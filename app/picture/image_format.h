/* What image.c and the readers of single formats share. */
#ifndef DIGITS_IMAGE_FORMAT_H
#define DIGITS_IMAGE_FORMAT_H

#include "image.h"

/* A file in memory. */
typedef struct {
    const uint8_t *bytes;
    size_t n;
    const char *path; /* for messages */
} image_file;

/* Decode a file of one format; as image_read. */
nn_status image_read_png(image *out, const image_file *file);
nn_status image_read_jpeg(image *out, const image_file *file);
nn_status image_read_pnm(image *out, const image_file *file);

/* Checks a size that a header claims. NN_ERR_DATA: a side is 0, or it exceeds IMAGE_MAX_PIXELS. */
nn_status image_check_size(const image_file *file, uintmax_t width, uintmax_t height);

/* Fails because of damage: NN_ERR_DATA. */
nn_status image_damaged(const image_file *file, const char *format, const char *why);

/* Fails for want of memory: NN_ERR_MEMORY. */
nn_status image_no_memory(const image_file *file);

#endif
