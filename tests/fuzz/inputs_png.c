/* PNG files: of each kind that there is, and mutants of them with right checksums. */
#include "inputs.h"
#include "png.h"

#include <string.h>
#include <zlib.h>

enum {
    SIGNATURE = 8,
    CHUNK = 12 /* length, type and CRC-32 of a chunk */
};

/* Appends a chunk to file[at] and returns the length of the file then. */
static size_t append_chunk(uint8_t *file, size_t at, const char *type, const uint8_t *data,
                           size_t n)
{
    fuzz_put_u32(file + at, (uint32_t)n);
    memcpy(file + at + 4, type, 4);
    memcpy(file + at + 8, data, n);
    fuzz_put_u32(file + at + 8 + n, (uint32_t)crc32(0, file + at + 4, (uInt)n + 4));
    return at + CHUNK + n;
}

typedef struct {
    uint8_t depth, colour, interlaced;
    const char *extra; /* the type of a chunk before the pixels, or NULL */
} kind;

/* A picture of 5 x 5 pixels: enough for all seven passes of an interlaced one. */
static void seed_kind(fuzz_seed *seed, const kind *k)
{
    static const uint8_t signature[SIGNATURE] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const uint8_t header[13] = {0, 0, 0, 5, 0, 0, 0, 5, k->depth, k->colour, 0, 0, k->interlaced};
    const uint8_t extra[16] = {0, 1, 0x86, 0xa0, 0, 0, 0xff, 0xff};
    uint8_t rows[512], packed[600], file[1024];
    uLongf packed_size = sizeof packed;
    for (size_t i = 0; i < sizeof rows; i++) {
        rows[i] = 0; /* filter 0, black */
    }
    require(compress(packed, &packed_size, rows, sizeof rows) == Z_OK);
    fuzz_written(packed, packed_size);
    memcpy(file, signature, SIGNATURE);
    size_t n = append_chunk(file, SIGNATURE, "IHDR", header, sizeof header);
    if (k->extra) {
        n = append_chunk(file, n, k->extra, extra, strcmp(k->extra, "gAMA") == 0 ? 4 : 6);
    }
    n = append_chunk(file, n, "IDAT", packed, packed_size);
    n = append_chunk(file, n, "IEND", packed, 0);
    seed(file, n);
}

void png_seeds(fuzz_seed *seed)
{
    static const kind kinds[] = {
        {1, 0, 0, NULL},    {2, 0, 0, NULL},    {4, 0, 1, NULL},   {8, 0, 0, NULL},
        {8, 0, 1, NULL},    {16, 0, 0, NULL},   {16, 0, 1, NULL},  {8, 0, 0, "tRNS"},
        {8, 0, 0, "gAMA"},  {16, 0, 0, "gAMA"}, {8, 0, 0, "bKGD"}, {8, 2, 0, NULL},
        {8, 3, 0, "PLTE"},  {8, 4, 0, NULL},    {8, 6, 1, NULL},   {16, 6, 0, NULL},
        {16, 0, 0, "tRNS"}, {8, 0, 0, "sBIT"},  {8, 0, 0, "tEXt"}, {8, 0, 0, "iCCP"},
    };
    uint8_t pixels[28 * 28];
    size_t n;
    for (size_t k = 0; k < sizeof pixels; k++) {
        pixels[k] = (uint8_t)(k * k);
    }
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        seed_kind(seed, &kinds[k]);
    }
    require(png_write_gray(fuzz_path("seed.png"), pixels, 28, 28) == NN_OK);
    uint8_t *data = fuzz_read("seed.png", &n);
    seed(data, n);
    free(data);
    seed("\x89PNG\r\n\x1a\n", SIGNATURE);
}

/* Gives each chunk of a file its right CRC-32. */
static void mend_crcs(uint8_t *data, size_t n)
{
    for (size_t at = SIGNATURE; at + CHUNK <= n;) {
        const size_t length = fuzz_get_u32(data + at);
        if (length > n - at - CHUNK) {
            break;
        }
        fuzz_put_u32(data + at + 8 + length, (uint32_t)crc32(0, data + at + 4, (uInt)length + 4));
        at += CHUNK + length;
    }
}

/* Changes what is packed in the chunk at data[at], of n bytes, which is at the end of the file's
 * pixels; returns the chunk's new length, or 0 if it holds nothing packed or there is no room. */
static size_t mutate_pixels(uint8_t *chunk, size_t n, size_t max)
{
    static uint8_t plain[1 << 16];
    uLongf size = sizeof plain, packed_size = max > CHUNK ? max - CHUNK : 0;
    if (uncompress(plain, &size, chunk + 8, n - CHUNK) != Z_OK) {
        return 0;
    }
    fuzz_written(plain, size);
    size = LLVMFuzzerMutate(plain, size, sizeof plain);
    uint8_t *packed = malloc(compressBound(size));
    require(packed);
    uLongf bound = compressBound(size);
    require(compress2(packed, &bound, plain, size, 1) == Z_OK);
    fuzz_written(packed, bound);
    const bool fits = bound <= packed_size;
    if (fits) {
        fuzz_put_u32(chunk, (uint32_t)bound);
        memcpy(chunk + 8, packed, bound);
    }
    free(packed);
    return fits ? CHUNK + bound : 0;
}

/* Changes what the first IDAT chunk holds and moves what follows; returns the new length. */
static size_t mutate_picture(uint8_t *data, size_t n, size_t max)
{
    for (size_t at = SIGNATURE; at + CHUNK <= n;) {
        const size_t size = CHUNK + (size_t)fuzz_get_u32(data + at);
        if (size > n - at) {
            break;
        }
        if (memcmp(data + at + 4, "IDAT", 4) == 0) {
            const size_t rest = n - at - size;
            uint8_t *copy = malloc(rest + 1);
            require(copy);
            memcpy(copy, data + at + size, rest);
            const size_t changed = mutate_pixels(data + at, size, max - at - rest);
            memcpy(data + at + (changed > 0 ? changed : size), copy, rest);
            free(copy);
            return changed > 0 ? at + changed + rest : n;
        }
        at += size;
    }
    return n;
}

size_t png_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    n = random % 4 == 0 ? mutate_picture(data, n, max) : LLVMFuzzerMutate(data, n, max);
    if (random % 16 != 15) {
        mend_crcs(data, n);
    }
    return n;
}
