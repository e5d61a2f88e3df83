/* zlib's compressor, in memory from nnlib's allocator. */
#ifndef DIGITS_DEFLATE_H
#define DIGITS_DEFLATE_H

#include "nnlib.h"

/* Packs n bytes into a zlib stream (RFC 1950) of *size bytes, with one of zlib's levels. The caller
 * gives it back with nn_free; NULL when there is no memory, or it might be longer than zlib counts
 * in one go (4 GB). */
uint8_t *deflate_bytes(size_t *size, const void *bytes, size_t n, int level);

#endif
