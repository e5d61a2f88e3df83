/* Promise: an IDX file, plain or inside gzip, is loaded as what it says, or refused with a reason;
 * what was loaded is saved as the very same bytes; and neither takes more memory than the file has
 * bytes, save for buffers. */
#include "fuzz.h"

#include <string.h>
#include <zlib.h>

enum {
    BUFFERS = 1 << 20, /* bytes of memory that do not depend on the file */
    CLASSES = 10
};

/* ---- the same in gzip --------------------------------------------------------------------- */

static void put_u32_little(uint8_t *to, uint32_t value)
{
    for (size_t k = 0; k < 4; k++) {
        to[k] = (uint8_t)(value >> (8 * k));
    }
}

/* Appends a gzip member with one stored block of n < 65536 bytes (RFC 1952, RFC 1951). */
static size_t append_member(uint8_t *to, const uint8_t *data, size_t n)
{
    static const uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    memcpy(to, header, sizeof header);
    to[10] = 1; /* the last block, stored */
    to[11] = (uint8_t)n;
    to[12] = (uint8_t)(n >> 8);
    to[13] = (uint8_t)~to[11];
    to[14] = (uint8_t)~to[12];
    memcpy(to + 15, data, n);
    put_u32_little(to + 15 + n, (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)n));
    put_u32_little(to + 19 + n, (uint32_t)n);
    return 23 + n;
}

/* Writes data[n] as two gzip members that meet anywhere; returns the path. */
static const char *write_gzip(const uint8_t *data, size_t n)
{
    const size_t first = n > 0 ? (data[n - 1] * (size_t)7 + n) % n : 0;
    uint8_t *packed = malloc(n + 64);
    require(packed);
    size_t size = append_member(packed, data, first);
    size += append_member(packed + size, data + first, n - first);
    const char *path = fuzz_write("packed", packed, size);
    free(packed);
    return path;
}

/* ---- what is checked ---------------------------------------------------------------------- */

static bool same_idx(const nn_idx *a, const nn_idx *b)
{
    return a->type == b->type && a->n_dims == b->n_dims && a->count == b->count &&
           memcmp(a->dims, b->dims, a->n_dims * sizeof a->dims[0]) == 0 &&
           memcmp(a->data, b->data, a->count * a->item_size) == 0;
}

static void check_saves_as(const nn_idx *idx, const uint8_t *data, size_t n)
{
    size_t size;
    require(nn_idx_save(idx, fuzz_path("saved")) == NN_OK);
    uint8_t *saved = fuzz_read("saved", &size);
    require(size == n && memcmp(saved, data, n) == 0);
    free(saved);
}

static void check_saves_packed(const nn_idx *idx)
{
    nn_idx again;
    require(nn_idx_save(idx, fuzz_path("saved.gz")) == NN_OK);
    require(nn_idx_load(&again, fuzz_path("saved.gz")) == NN_OK);
    require(same_idx(idx, &again));
    nn_idx_release(&again);
}

/* The file as labels, with as many images of one pixel; or as images, with labels. */
static void check_as_data(const nn_idx *idx)
{
    const bool labels = idx->n_dims == 1;
    uint8_t other[4096] = {0, 0, 8, labels ? 3 : 1};
    const size_t n = idx->dims[0], header = labels ? 16 : 8;
    if (n > sizeof other - header) {
        return;
    }
    fuzz_put_u32(other + 4, (uint32_t)n);
    if (labels) {
        fuzz_put_u32(other + 8, 1);
        fuzz_put_u32(other + 12, 1);
    }
    const char *path = fuzz_write("other", other, header + n), *own = fuzz_path("plain");
    nn_data data;
    nn_status status = nn_data_load(&data, labels ? path : own, labels ? own : path, CLASSES);
    bool expected = idx->type == NN_IDX_U8 && (labels || idx->n_dims == 3);
    for (size_t k = 0; expected && labels && k < n; k++) {
        expected = ((const uint8_t *)idx->data)[k] < CLASSES;
    }
    require(status == (expected ? NN_OK : NN_ERR_DATA));
    if (status == NN_OK) {
        require(data.n == n && data.outputs == CLASSES);
        require(data.inputs == data.rows * data.columns && data.n * data.inputs <= idx->count * n);
        nn_data_release(&data);
    }
}

void fuzz_one(const uint8_t *data, size_t n)
{
    nn_idx idx, packed;
    if (n > 65535 || (n >= 2 && data[0] == 0x1f && data[1] == 0x8b)) {
        return; /* the latter is for fuzz_gzip */
    }
    fuzz_memory_begin();
    const nn_status status = nn_idx_load(&idx, fuzz_write("plain", data, n));
    const nn_status in_gzip = nn_idx_load(&packed, write_gzip(data, n));
    require(fuzz_memory_peak() <= BUFFERS + 4 * n);
    require(status == (fuzz_is_idx(data, n) ? NN_OK : NN_ERR_DATA));
    require(in_gzip == status);
    if (status != NN_OK) {
        require(*nn_error_text());
        return;
    }
    fuzz_check_idx(&idx);
    require(same_idx(&idx, &packed));
    check_saves_as(&idx, data, n);
    check_saves_packed(&idx);
    check_as_data(&idx);
    nn_idx_release(&idx);
    nn_idx_release(&packed);
}

/* ---- inputs ------------------------------------------------------------------------------- */

void fuzz_seeds(fuzz_seed *seed)
{
    static const uint8_t types[] = {8, 9, 11, 12, 13, 14};
    for (size_t t = 0; t < sizeof types; t++) {
        for (uint8_t dims = 1; dims <= 4; dims++) {
            uint8_t data[4 + 16 + 2 * 2 * 2 * 2 * 8] = {0, 0, types[t], dims};
            size_t n = 1;
            for (size_t d = 0; d < dims; d++, n *= 2) {
                fuzz_put_u32(data + 4 + 4 * d, 2);
            }
            const size_t size = t < 2 ? 1 : t == 2 ? 2 : t == 5 ? 8 : 4;
            for (size_t k = 0; k < n * size; k++) {
                data[4 + (size_t)4 * dims + k] = (uint8_t)k;
            }
            seed(data, 4 + (size_t)4 * dims + n * size);
        }
    }
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const char overflow[] = "\0\0\xe\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                   "\xff\xff\xff";
    seed(labels, sizeof labels);
    seed(overflow, sizeof overflow - 1);
    seed("<!DOCTYPE html>", 15);
    seed("", 0);
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    n = LLVMFuzzerMutate(data, n, max);
    /* Else nearly all mutants would be of the wrong length: let a one-dimensional header be true.
     */
    if (random % 3 == 0 && n >= 8 && n % 8 == 0) {
        data[3] = 1;
        fuzz_put_u32(data + 4, (uint32_t)(n - 8));
    }
    return n;
}
