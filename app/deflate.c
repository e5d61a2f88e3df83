#include "deflate.h"

#include <limits.h>
#define ZLIB_CONST
#include <zlib.h>

static voidpf zlib_alloc(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    return nn_alloc_array(count, size);
}

static void zlib_free(voidpf opaque, voidpf memory)
{
    (void)opaque;
    nn_free(memory);
}

uint8_t *deflate_bytes(size_t *size, const void *bytes, size_t n, int level)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (deflateInit(&stream, level) != Z_OK) {
        return NULL;
    }
    uLong bound = deflateBound(&stream, n);
    uint8_t *packed = bound <= UINT_MAX ? nn_alloc(bound) : NULL;
    if (packed != NULL) {
        stream.next_in = bytes;
        stream.avail_in = (uInt)n;
        stream.next_out = packed;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
            nn_free(packed);
            packed = NULL;
        }
        *size = stream.total_out;
    }
    deflateEnd(&stream);
    return packed;
}
