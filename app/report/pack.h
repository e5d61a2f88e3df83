/* Bytes as text, for files that hold text only. */

#ifndef DIGITS_PACK_H
#define DIGITS_PACK_H

#include <stddef.h>

/* Writes n bytes in base64 (RFC 4648, section 4). The caller gives the text back with nn_free;
 * NULL when there is no memory. */
char *pack_base64(const void *bytes, size_t n);

/* As pack_base64, compressed first: a zlib stream (RFC 1950). */
char *pack_deflated(const void *bytes, size_t n);

#endif
