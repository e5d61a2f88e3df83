/* Mutants of safetensors files: of the header, which is then as long as the file says, or of the
 * tensors; and most with the right CRC-32. */
#include "fuzz.h"

#include <string.h>
#include <zlib.h>

enum {
    LENGTH_BYTES = 8 /* the header's length, little-endian */
};

static size_t header_size(const uint8_t *data, size_t n)
{
    const size_t claimed = data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
    return claimed < n - LENGTH_BYTES ? claimed : n - LENGTH_BYTES;
}

/* Puts the right CRC-32 into the header, where there is a place for it. */
static void mend_crc(uint8_t *data, size_t n)
{
    static const char key[] = "\"crc32\":\"";
    const size_t header = header_size(data, n), length = sizeof key - 1;
    const uint8_t *tensors = data + LENGTH_BYTES + header;
    char crc[9];
    snprintf(crc, sizeof crc, "%08lx",
             crc32(crc32(0, NULL, 0), tensors, (uInt)(n - LENGTH_BYTES - header)));
    for (size_t k = LENGTH_BYTES; k + length + 8 <= LENGTH_BYTES + header; k++) {
        if (memcmp(data + k, key, length) == 0) {
            memcpy(data + k + length, crc, 8);
        }
    }
}

/* Changes the header and says how long it is then; the tensors move. */
static size_t mutate_header(uint8_t *data, size_t n, size_t max)
{
    const size_t header = header_size(data, n), tensors = n - LENGTH_BYTES - header;
    uint8_t *copy = malloc(max);
    require(copy);
    memcpy(copy, data + LENGTH_BYTES, header);
    size_t size = LLVMFuzzerMutate(copy, header, max - LENGTH_BYTES - tensors);
    memmove(data + LENGTH_BYTES + size, data + LENGTH_BYTES + header, tensors);
    memcpy(data + LENGTH_BYTES, copy, size);
    free(copy);
    for (size_t k = 0; k < LENGTH_BYTES; k++) {
        data[k] = (uint8_t)((uint64_t)size >> (8 * k));
    }
    return LENGTH_BYTES + size + tensors;
}

size_t fuzz_mutate_safetensors(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    if (random % 8 == 0 || n <= LENGTH_BYTES) {
        return LLVMFuzzerMutate(data, n, max);
    }
    if (random % 8 < 6) {
        n = mutate_header(data, n, max);
    } else {
        const size_t at = LENGTH_BYTES + header_size(data, n);
        n = at + LLVMFuzzerMutate(data + at, n - at, max - at);
    }
    if (random % 16 != 15 && n > LENGTH_BYTES) {
        mend_crc(data, n);
    }
    return n;
}
