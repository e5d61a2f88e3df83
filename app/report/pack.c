#include "pack.h"

#include "nnlib.h"

#include <limits.h>
#include <zlib.h>

char *pack_base64(const void *bytes, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const uint8_t *in = bytes;
    char *text = n < SIZE_MAX / 2 ? nn_alloc((n + 2) / 3 * 4 + 1) : NULL;
    char *out = text;
    for (size_t i = 0; text && i < n; i += 3) {
        uint32_t three = (uint32_t)in[i] << 16;
        three |= i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0;
        three |= i + 2 < n ? in[i + 2] : 0;
        *out++ = letters[three >> 18];
        *out++ = letters[three >> 12 & 63];
        *out++ = letters[i + 1 < n ? three >> 6 & 63 : 64];
        *out++ = letters[i + 2 < n ? three & 63 : 64];
    }
    return text;
}

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

/* Feeds all of the input and returns whether the stream was brought to its end. */
static bool deflate_all(z_stream *stream, const uint8_t *bytes, size_t n, uint8_t *to, size_t room)
{
    int result = Z_OK;
    stream->next_in = (Bytef *)bytes; /* zlib only reads it */
    stream->next_out = to;
    while (result == Z_OK) {
        size_t left = n - (size_t)(stream->next_in - bytes);
        size_t free_room = room - (size_t)(stream->next_out - to);
        stream->avail_in = left < UINT_MAX ? (uInt)left : UINT_MAX;
        stream->avail_out = free_room < UINT_MAX ? (uInt)free_room : UINT_MAX;
        result = deflate(stream, left == stream->avail_in ? Z_FINISH : Z_NO_FLUSH);
    }
    return result == Z_STREAM_END;
}

char *pack_deflated(const void *bytes, size_t n)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    char *text = NULL;
    if (deflateInit(&stream, Z_BEST_COMPRESSION) != Z_OK) {
        return NULL;
    }
    size_t room = deflateBound(&stream, n);
    uint8_t *packed = nn_alloc(room);
    if (packed && deflate_all(&stream, bytes, n, packed, room)) {
        text = pack_base64(packed, stream.total_out);
    }
    nn_free(packed);
    deflateEnd(&stream);
    return text;
}
