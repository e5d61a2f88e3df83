/* Promise: a gzip file of any kind is unpacked as zlib unpacks it, member by member, or refused;
 * memory is bounded by what its bytes could possibly hold. */
#include "fuzz.h"

#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

enum {
    BUFFERS = 1 << 20,    /* bytes of memory that do not depend on the file */
    EXPANSION = 1032,     /* deflate makes at most so many bytes of one (zlib's technical notes) */
    MAX_PLAIN = 8 << 20,  /* unpacked bytes that the oracle follows */
    GZIP_WINDOW = 15 + 16 /* zlib's windowBits */
};

/* ---- the oracle --------------------------------------------------------------------------- */

static uint8_t plain[MAX_PLAIN];

typedef struct {
    size_t n;       /* bytes in plain */
    bool whole;     /* nothing but complete members */
    bool unsettled; /* it goes on after MAX_PLAIN bytes */
} unpacked;

/* Unpacks all members into plain, with all of the file in memory. */
static unpacked unpack(const uint8_t *data, size_t n)
{
    unpacked result = {.n = 0};
    z_stream z = {.next_in = data, .avail_in = (uInt)n};
    require(inflateInit2(&z, GZIP_WINDOW) == Z_OK);
    int code = Z_STREAM_END;
    while (code == Z_STREAM_END && z.avail_in > 0 && *z.next_in == 0x1f) {
        require(inflateReset(&z) == Z_OK);
        z.next_out = plain + result.n;
        z.avail_out = (uInt)(MAX_PLAIN - result.n);
        code = inflate(&z, Z_FINISH);
        result.n = MAX_PLAIN - z.avail_out;
    }
    result.whole = code == Z_STREAM_END && z.avail_in == 0;
    result.unsettled = z.avail_out == 0 && code != Z_STREAM_END;
    require(inflateEnd(&z) == Z_OK);
    fuzz_written(plain, result.n);
    return result;
}

static void check_against_oracle(const uint8_t *data, size_t n, nn_status status, const nn_idx *idx)
{
    unpacked expected = unpack(data, n);
    if (!expected.unsettled) {
        const bool good = expected.whole && fuzz_is_idx(plain, expected.n);
        require(status == (good ? NN_OK : NN_ERR_DATA));
    }
    if (status == NN_OK && !expected.unsettled) {
        size_t size;
        fuzz_check_idx(idx);
        require(nn_idx_save(idx, fuzz_path("saved")) == NN_OK);
        uint8_t *saved = fuzz_read("saved", &size);
        require(size == expected.n && memcmp(saved, plain, size) == 0);
        free(saved);
    }
}

void fuzz_one(const uint8_t *data, size_t n)
{
    nn_idx idx;
    const char *path = fuzz_write("file.gz", data, n);
    if (n < 2 || data[0] != 0x1f || data[1] != 0x8b) {
        return; /* a plain file is for fuzz_idx */
    }
    fuzz_memory_begin();
    const nn_status status = nn_idx_load(&idx, path);
    require(fuzz_memory_peak() <= BUFFERS + EXPANSION * n);
    require(status == NN_OK || *nn_error_text());
    check_against_oracle(data, n, status, &idx);
    if (status == NN_OK) {
        nn_idx_release(&idx);
    }
}

/* ---- inputs ------------------------------------------------------------------------------- */

/* Packs data[n] into to[max] as one member; returns its length, or 0 where there is no room. */
static size_t pack(uint8_t *to, size_t max, const uint8_t *data, size_t n, uint32_t random)
{
    static const int levels[] = {Z_NO_COMPRESSION, 1, 6, 9};
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_FIXED, Z_RLE};
    static Bytef name[] = "train-images", extra[] = "extra";
    gz_header header = {.text = 1, .time = random, .os = 3, .hcrc = 1};
    header.name = random & 16 ? name : Z_NULL;
    header.comment = random & 32 ? name : Z_NULL;
    header.extra = random & 64 ? extra : Z_NULL;
    header.extra_len = sizeof extra;
    z_stream z = {.next_in = data, .avail_in = (uInt)n, .next_out = to, .avail_out = (uInt)max};
    require(deflateInit2(&z, levels[random & 3], Z_DEFLATED, GZIP_WINDOW, 8,
                         strategies[random >> 2 & 3]) == Z_OK);
    if (random & 128) {
        require(deflateSetHeader(&z, &header) == Z_OK);
    }
    const int code = deflate(&z, Z_FINISH);
    const size_t size = max - z.avail_out;
    (void)deflateEnd(&z);
    fuzz_written(to, size);
    return code == Z_STREAM_END ? size : 0;
}

void fuzz_seeds(fuzz_seed *seed)
{
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    uint8_t file[4096], images[16 + 3000] = {0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 10, 0, 0, 0, 30};
    uint8_t claims[16] = {0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff};
    for (uint32_t kind = 0; kind < 16; kind++) {
        seed(file, pack(file, sizeof file, labels, sizeof labels, kind | kind << 4));
        seed(file, pack(file, sizeof file, images, sizeof images, kind | 2));
    }
    size_t n = pack(file, sizeof file, labels, 5, 1);
    n += pack(file + n, sizeof file - n, labels, 0, 1);
    n += pack(file + n, sizeof file - n, labels + 5, sizeof labels - 5, 6);
    seed(file, n);     /* three members */
    seed(file, n - 4); /* cut off */
    seed(file, pack(file, sizeof file, claims, sizeof claims, 2));
    /* A bomb: a megabyte of zeros behind a header that asks for ten bytes. */
    uint8_t *zeros = calloc(1, 1 << 20);
    require(zeros);
    memcpy(zeros, labels, sizeof labels);
    seed(file, pack(file, sizeof file, zeros, 1 << 20, 3));
    free(zeros);
}

/* Packs anew what a file holds after changing that; 0 if it holds nothing or there is no room. */
static size_t mutate_inside(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    enum {
        ROOM = 1 << 16
    };
    unpacked old = unpack(data, n);
    size_t size = old.n < ROOM ? old.n : ROOM;
    size = LLVMFuzzerMutate(plain, size, ROOM);
    if (random & 256 && size >= 8 && size - 8 < ROOM) { /* a true header */
        static const uint8_t magic[4] = {0, 0, 8, 1};
        memcpy(plain, magic, sizeof magic);
        fuzz_put_u32(plain + 4, (uint32_t)size - 8);
    }
    const size_t first = random & 512 ? size / 2 : size;
    size_t packed = pack(data, max, plain, first, random);
    if (packed > 0 && first < size) {
        const size_t rest =
            pack(data + packed, max - packed, plain + first, size - first, random >> 10);
        packed = rest > 0 ? packed + rest : 0;
    }
    return packed;
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    size_t size = 0;
    if (random % 5 < 2) {
        uint8_t *copy = malloc(max);
        require(copy);
        memcpy(copy, data, n);
        size = mutate_inside(copy, n, max, random / 5);
        memcpy(data, copy, size);
        free(copy);
    }
    return size > 0 ? size : LLVMFuzzerMutate(data, n, max);
}
