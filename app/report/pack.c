#include "pack.h"

#include "deflate.h"

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

char *pack_deflated(const void *bytes, size_t n)
{
    size_t size;
    uint8_t *packed = deflate_bytes(&size, bytes, n, Z_BEST_COMPRESSION);
    char *text = packed ? pack_base64(packed, size) : NULL;
    nn_free(packed);
    return text;
}
