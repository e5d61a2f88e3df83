/*
 * IDX files: 00 00 <type> <number of dimensions>, each dimension as a big-endian 32-bit number,
 * then the elements, row-major and big-endian; as they are or inside gzip.
 *
 * Loading streams: the file passes through one small buffer, and zlib unpacks from there straight
 * into the array that the caller gets.
 */
#include "file.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

enum {
    PIECE = 65536,        /* bytes read or written at a time */
    TRAILER_FIELD = 4,    /* bytes of the CRC or of the length at the end of a gzip member */
    MAGIC_SIZE = 4,       /* bytes before the dimensions */
    DIM_SIZE = 4,         /* bytes a dimension */
    MAX_EXPANSION = 1032, /* deflate: at best two bits for a match of 258 bytes */
    SAMPLE_SIZE = 64,     /* bytes looked at to tell what a file is that is not IDX */
    GZIP_WINDOW = 15 + 16 /* zlib's windowBits: the largest window, gzip wrapping */
};

#define MAX_HEADER_SIZE (MAGIC_SIZE + DIM_SIZE * NN_IDX_MAX_DIMS)

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- element types ------------------------------------------------------------------------ */

static const struct element {
    nn_idx_type type;
    size_t size; /* bytes */
    const char *name;
} elements[] = {
    {NN_IDX_U8, 1, "u8"},   {NN_IDX_I8, 1, "i8"},   {NN_IDX_I16, 2, "i16"},
    {NN_IDX_I32, 4, "i32"}, {NN_IDX_F32, 4, "f32"}, {NN_IDX_F64, 8, "f64"},
};

static const struct element *find_element(unsigned type)
{
    for (size_t k = 0; k < sizeof elements / sizeof elements[0]; k++) {
        if ((unsigned)elements[k].type == type) {
            return &elements[k];
        }
    }
    return NULL;
}

const char *nn_idx_type_name(nn_idx_type type)
{
    const struct element *element = find_element((unsigned)type);
    return element != NULL ? element->name : NULL;
}

/* The loops below reverse bytes on a little-endian machine and change nothing on a big-endian
 * one, so each serves both ways. Written with shifts; compilers make vector shuffles of them. */

static void swap_16(unsigned char *bytes, size_t count)
{
    for (size_t k = 0; k < count; k++, bytes += 2) {
        const uint16_t value = (uint16_t)(bytes[0] << 8 | bytes[1]);
        memcpy(bytes, &value, sizeof value);
    }
}

static uint32_t big_endian_32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void swap_32(unsigned char *bytes, size_t count)
{
    for (size_t k = 0; k < count; k++, bytes += 4) {
        const uint32_t value = big_endian_32(bytes);
        memcpy(bytes, &value, sizeof value);
    }
}

static void swap_64(unsigned char *bytes, size_t count)
{
    for (size_t k = 0; k < count; k++, bytes += 8) {
        const uint64_t value = (uint64_t)big_endian_32(bytes) << 32 | big_endian_32(bytes + 4);
        memcpy(bytes, &value, sizeof value);
    }
}

/* Turns count elements of item_size bytes from big-endian to this machine's order, or back. */
static void swap_order(unsigned char *bytes, size_t count, size_t item_size)
{
    switch (item_size) {
    case 2:
        swap_16(bytes, count);
        break;
    case 4:
        swap_32(bytes, count);
        break;
    case 8:
        swap_64(bytes, count);
        break;
    default: /* single bytes */
        break;
    }
}

/* ---- zlib's memory comes through our door ------------------------------------------------- */

static void *zlib_alloc(void *context, unsigned count, unsigned size)
{
    (void)context;
    return nn_alloc_array(count, size);
}

static void zlib_free(void *context, void *memory)
{
    (void)context;
    nn_free(memory);
}

/* ---- source: the bytes of a file, unpacked ------------------------------------------------ */

struct source {
    nn_reader *reader;
    bool gzip;
    bool between;      /* at the end of a gzip member */
    uint64_t packed;   /* bytes that went through the buffer */
    uint64_t taken;    /* bytes handed on */
    uint64_t expected; /* bytes that there must be, as far as is known: for messages */
    z_stream z;        /* next_in and avail_in are the unread rest of the buffer, gzip or not */
    /* The piece stands behind the last bytes of the one before, for a trailer across the two. */
    unsigned char buffer[TRAILER_FIELD + PIECE];
};

static nn_status source_refill(struct source *source)
{
    unsigned char *piece = source->buffer + TRAILER_FIELD;
    size_t got = 0;
    memmove(source->buffer, source->z.next_in - TRAILER_FIELD, TRAILER_FIELD);
    const nn_status status = nn_reader_read(source->reader, piece, PIECE, &got);
    if (status != NN_OK) {
        return status;
    }
    source->z.next_in = piece;
    source->z.avail_in = (uInt)got;
    source->packed += got;
    return NN_OK;
}

/* Fills the first piece and looks at it. */
static nn_status source_begin(struct source *source)
{
    source->z.next_in = source->buffer + TRAILER_FIELD;
    const nn_status status = source_refill(source);
    if (status != NN_OK) {
        return status;
    }
    const unsigned char *first = source->z.next_in;
    source->gzip = source->z.avail_in >= 2 && first[0] == 0x1f && first[1] == 0x8b;
    if (source->gzip) {
        source->z.zalloc = zlib_alloc;
        source->z.zfree = zlib_free;
        if (inflateInit2(&source->z, GZIP_WINDOW) != Z_OK) {
            return nn_fail(NN_ERR_MEMORY, "not enough memory to unpack '%s'", source->reader->path);
        }
    }
    return NN_OK;
}

/* The 32-bit number that zlib has just read. */
static uint32_t last_trailer_field(const struct source *source)
{
    const unsigned char *field = source->z.next_in - TRAILER_FIELD;
    return (uint32_t)field[3] << 24 | (uint32_t)field[2] << 16 | (uint32_t)field[1] << 8 | field[0];
}

/* Says what inflate, having returned result, did not like. */
static nn_status fail_inflate(const struct source *source, int result)
{
    const char *path = source->reader->path;
    const char *why = source->z.msg != NULL ? source->z.msg : "not a valid gzip stream";
    if (result == Z_MEM_ERROR) {
        return nn_fail(NN_ERR_MEMORY, "not enough memory to unpack '%s'", path);
    }
    if (result == Z_BUF_ERROR) { /* it wants more, and the file has no more */
        return nn_fail(NN_ERR_DATA,
                       "'%s' is cut off: its gzip stream breaks off after %" PRIu64
                       " unpacked bytes, expected %" PRIu64 " and a trailer",
                       path, source->taken, source->expected);
    }
    if (strcmp(why, "incorrect data check") == 0) {
        return nn_fail(NN_ERR_DATA,
                       "'%s' is damaged: its gzip trailer says CRC-32 %08" PRIx32
                       ", its bytes give %08lx",
                       path, last_trailer_field(source), (unsigned long)source->z.adler);
    }
    if (strcmp(why, "incorrect length check") == 0) {
        return nn_fail(
            NN_ERR_DATA,
            "'%s' is damaged: its gzip trailer says %" PRIu32 " bytes, unpacking gives %lu", path,
            last_trailer_field(source), (unsigned long)source->z.total_out & 0xffffffffUL);
    }
    return nn_fail(NN_ERR_DATA, "'%s' is damaged near byte %" PRIu64 " of %" PRIu64 ": %s", path,
                   source->packed - source->z.avail_in, source->reader->size, why);
}

/* After one gzip member and with more bytes to come: they must be another. */
static nn_status next_member(struct source *source)
{
    if (source->z.next_in[0] != 0x1f) {
        const uint64_t end = source->packed - source->z.avail_in;
        return nn_fail(NN_ERR_DATA,
                       "'%s' goes on too long: its gzip stream ends at byte %" PRIu64
                       ", the file at %" PRIu64,
                       source->reader->path, end, source->reader->size);
    }
    (void)inflateReset(&source->z); /* fails only for a stream that is none */
    return NN_OK;
}

/* Unpacks up to n bytes; *got is smaller than n only at the end. */
static nn_status read_gzip(struct source *source, unsigned char *bytes, size_t n, size_t *got)
{
    z_stream *z = &source->z;
    const uint64_t before = source->taken;
    z->next_out = bytes;
    while (source->taken - before < n) {
        nn_status status = NN_OK;
        if (z->avail_in == 0) {
            status = source_refill(source);
        }
        if (status == NN_OK && source->between) {
            if (z->avail_in == 0) {
                break;
            }
            status = next_member(source);
        }
        if (status != NN_OK) {
            return status;
        }
        const size_t left = n - (size_t)(source->taken - before);
        const uInt ask = (uInt)smaller(left, UINT_MAX);
        z->avail_out = ask;
        const int result = inflate(z, Z_NO_FLUSH);
        source->taken += ask - z->avail_out;
        source->between = result == Z_STREAM_END;
        if (result != Z_OK && result != Z_STREAM_END) {
            return fail_inflate(source, result);
        }
    }
    *got = (size_t)(source->taken - before);
    return NN_OK;
}

/* Reads up to n bytes: what is in the buffer, then from the file straight to their place. */
static nn_status read_plain(struct source *source, unsigned char *bytes, size_t n, size_t *got)
{
    z_stream *z = &source->z;
    const size_t buffered = smaller(n, z->avail_in);
    size_t more = 0;
    memcpy(bytes, z->next_in, buffered);
    z->next_in += buffered;
    z->avail_in -= (uInt)buffered;
    if (buffered < n) {
        const nn_status status =
            nn_reader_read(source->reader, bytes + buffered, n - buffered, &more);
        if (status != NN_OK) {
            return status;
        }
    }
    source->taken += buffered + more;
    *got = buffered + more;
    return NN_OK;
}

static nn_status source_read(struct source *source, void *bytes, size_t n, size_t *got)
{
    return source->gzip ? read_gzip(source, bytes, n, got) : read_plain(source, bytes, n, got);
}

static nn_status fail_early(const struct source *source, uint64_t found)
{
    if (found == 0) {
        return nn_fail(NN_ERR_DATA, "'%s' is empty, expected an IDX file", source->reader->path);
    }
    return nn_fail(NN_ERR_DATA, "'%s' ends early: expected %" PRIu64 " bytes%s, found %" PRIu64,
                   source->reader->path, source->expected, source->gzip ? " unpacked" : "", found);
}

/* Reads the next n bytes, all of them. */
static nn_status source_demand(struct source *source, void *bytes, size_t n)
{
    size_t got = 0;
    source->expected = source->taken + n;
    const nn_status status = source_read(source, bytes, n, &got);
    if (status != NN_OK) {
        return status;
    }
    return got == n ? NN_OK : fail_early(source, source->taken);
}

/* Checks that nothing is left; for gzip, that the trailer is right. */
static nn_status source_finish(struct source *source)
{
    unsigned char extra;
    size_t got = 0;
    const nn_status status = source_read(source, &extra, 1, &got);
    if (status != NN_OK || got == 0) {
        return status;
    }
    return nn_fail(NN_ERR_DATA, "'%s' goes on too long: expected %" PRIu64 " bytes%s, found more",
                   source->reader->path, source->expected, source->gzip ? " unpacked" : "");
}

/* ---- what is not IDX ---------------------------------------------------------------------- */

/* How things begin that are found under the name of an IDX file. */
static const struct signature {
    const char *start;
    size_t n;
    bool text; /* blanks may stand before it; a server sent it in the place of the file */
    const char *name;
} signatures[] = {
    {"PK\3\4", 4, false, "a zip archive"},
    {"\xfd"
     "7zXZ",
     5, false, "an xz file"},
    {"BZh", 3, false, "a bzip2 file"},
    {"\x28\xb5\x2f\xfd", 4, false, "a zstd file"},
    {"7z\xbc\xaf\x27\x1c", 6, false, "a 7z archive"},
    {"\x1f\x8b", 2, false, "a gzip file inside a gzip file"},
    {"\x1f\x9d", 2, false, "a compress (.Z) file"},
    {"\x93NUMPY", 6, false, "a NumPy file"},
    {"\x89PNG", 4, false, "a PNG picture"},
    {"version https://git-lfs", 23, true, "a Git LFS pointer"},
    {"<?xml", 5, true, "an XML page"},
    {"<", 1, true, "an HTML page"},
};

/* Returns how many bytes a byte-order mark and white space take up at the beginning. */
static size_t count_blanks(const unsigned char *bytes, size_t n)
{
    size_t k = n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (k < n && bytes[k] != '\0' && strchr(" \t\r\n", bytes[k]) != NULL) {
        k++;
    }
    return k;
}

/* Returns what the n bytes are the beginning of, or NULL. */
static const struct signature *recognise(const unsigned char *bytes, size_t n)
{
    const size_t blanks = count_blanks(bytes, n);
    for (size_t k = 0; k < sizeof signatures / sizeof signatures[0]; k++) {
        const struct signature *row = &signatures[k];
        const size_t from = row->text ? blanks : 0;
        if (n - from >= row->n && memcmp(bytes + from, row->start, row->n) == 0) {
            return row;
        }
    }
    return NULL;
}

/* Says what a file is that does not begin with the given bytes of an IDX file. */
static nn_status fail_not_idx(struct source *source, const unsigned char magic[MAGIC_SIZE])
{
    unsigned char sample[SAMPLE_SIZE] = {0};
    size_t more = 0;
    memcpy(sample, magic, MAGIC_SIZE);
    const nn_status status =
        source_read(source, sample + MAGIC_SIZE, SAMPLE_SIZE - MAGIC_SIZE, &more);
    if (status != NN_OK) {
        return status;
    }
    const struct signature *found = recognise(sample, MAGIC_SIZE + more);
    if (found == NULL) {
        return nn_fail(NN_ERR_DATA,
                       "'%s' is not an IDX file: it starts with %02x %02x %02x %02x, expected "
                       "00 00 <type> <dimensions>",
                       source->reader->path, magic[0], magic[1], magic[2], magic[3]);
    }
    return nn_fail(NN_ERR_DATA, "'%s' is %s, not an IDX file%s", source->reader->path, found->name,
                   found->text ? " (a failed download?)" : "");
}

/* ---- loading ------------------------------------------------------------------------------ */

/* "60000 x 28 x 28": four 32-bit numbers need 4 * 10 + 3 * 3 characters. */
struct shape_text {
    char text[64];
};

static struct shape_text shape_of(const nn_idx *idx)
{
    struct shape_text shape = {""};
    size_t used = 0;
    for (size_t k = 0; k < idx->n_dims; k++) {
        used += (size_t)snprintf(shape.text + used, sizeof shape.text - used, "%s%zu",
                                 k > 0 ? " x " : "", idx->dims[k]);
    }
    return shape;
}

/* Multiplies the dimensions, none of them 0; false: more bytes than memory can have. */
static bool multiply_dims(nn_idx *idx)
{
    idx->count = 1;
    for (size_t k = 0; k < idx->n_dims; k++) {
        if (idx->count > PTRDIFF_MAX / idx->item_size / idx->dims[k]) {
            return false;
        }
        idx->count *= idx->dims[k];
    }
    return true;
}

static nn_status parse_magic(nn_idx *idx, struct source *source)
{
    unsigned char magic[MAGIC_SIZE] = {0};
    const char *path = source->reader->path;
    const nn_status status = source_demand(source, magic, sizeof magic);
    if (status != NN_OK) {
        return status;
    }
    if (magic[0] != 0 || magic[1] != 0) {
        return fail_not_idx(source, magic);
    }
    const struct element *element = find_element(magic[2]);
    if (element == NULL) {
        return nn_fail(NN_ERR_DATA,
                       "'%s' has the unknown element type %02x, expected 08, 09, 0b, 0c, 0d or 0e",
                       path, magic[2]);
    }
    if (magic[3] < 1 || magic[3] > NN_IDX_MAX_DIMS) {
        return nn_fail(NN_ERR_DATA, "'%s' has %u dimensions, expected 1 to %d", path, magic[3],
                       NN_IDX_MAX_DIMS);
    }
    idx->type = element->type;
    idx->item_size = element->size;
    idx->n_dims = magic[3];
    return NN_OK;
}

static nn_status parse_dims(nn_idx *idx, struct source *source)
{
    unsigned char bytes[DIM_SIZE * NN_IDX_MAX_DIMS] = {0};
    const char *path = source->reader->path;
    const nn_status status = source_demand(source, bytes, DIM_SIZE * idx->n_dims);
    if (status != NN_OK) {
        return status;
    }
    bool empty = false;
    for (size_t k = 0; k < idx->n_dims; k++) {
        idx->dims[k] = big_endian_32(bytes + DIM_SIZE * k);
        empty = empty || idx->dims[k] == 0;
    }
    if (empty) {
        return nn_fail(NN_ERR_DATA, "'%s' holds nothing: its size is %s, expected at least 1 each",
                       path, shape_of(idx).text);
    }
    if (!multiply_dims(idx)) {
        return nn_fail(NN_ERR_DATA,
                       "'%s' claims %s elements of %zu byte%s: more than memory can address", path,
                       shape_of(idx).text, idx->item_size, idx->item_size == 1 ? "" : "s");
    }
    return NN_OK;
}

/* Checks, before memory is asked for, that the file is as long as its header says or, packed, can
 * be. Here source->taken is the length of the header. */
static nn_status check_room(const nn_idx *idx, struct source *source)
{
    const uint64_t size = source->reader->size;
    source->expected = source->taken + (uint64_t)idx->count * idx->item_size;
    if (source->gzip) {
        if (source->expected / MAX_EXPANSION < size) {
            return NN_OK;
        }
        return nn_fail(NN_ERR_DATA,
                       "'%s' claims %s elements, %" PRIu64 " bytes unpacked: its %" PRIu64
                       " packed bytes cannot hold that",
                       source->reader->path, shape_of(idx).text, source->expected, size);
    }
    if (size < source->expected) {
        return fail_early(source, size);
    }
    if (size > source->expected) {
        return nn_fail(NN_ERR_DATA,
                       "'%s' goes on too long: expected %" PRIu64 " bytes, found %" PRIu64,
                       source->reader->path, source->expected, size);
    }
    return NN_OK;
}

static nn_status read_elements(nn_idx *idx, struct source *source)
{
    const size_t size = idx->count * idx->item_size;
    idx->data = nn_alloc(size);
    if (idx->data == NULL) {
        return nn_fail(NN_ERR_MEMORY, "not enough memory to read '%s': %zu bytes needed",
                       source->reader->path, size);
    }
    nn_status status = source_demand(source, idx->data, size);
    if (status == NN_OK) {
        status = source_finish(source);
    }
    if (status == NN_OK) {
        swap_order(idx->data, idx->count, idx->item_size);
    }
    return status;
}

static nn_status load_from(nn_idx *idx, nn_reader *reader)
{
    struct source *source = nn_alloc(sizeof *source);
    if (source == NULL) {
        return nn_fail(NN_ERR_MEMORY, "not enough memory to read '%s'", reader->path);
    }
    source->reader = reader;
    nn_status status = source_begin(source);
    if (status == NN_OK) {
        status = parse_magic(idx, source);
    }
    if (status == NN_OK) {
        status = parse_dims(idx, source);
    }
    if (status == NN_OK) {
        status = check_room(idx, source);
    }
    if (status == NN_OK) {
        status = read_elements(idx, source);
    }
    (void)inflateEnd(&source->z); /* harmless where inflateInit was not called or failed */
    nn_free(source);
    return status;
}

nn_status nn_idx_load(nn_idx *out, const char *path)
{
    nn_idx idx = {0};
    nn_reader reader;
    nn_status status = nn_reader_open(&reader, path);
    if (status != NN_OK) {
        return status;
    }
    status = load_from(&idx, &reader);
    nn_reader_close(&reader);
    if (status != NN_OK) {
        nn_idx_release(&idx);
        return status;
    }
    *out = idx;
    return NN_OK;
}

void nn_idx_release(nn_idx *idx)
{
    if (idx != NULL) {
        nn_free(idx->data);
        memset(idx, 0, sizeof *idx);
    }
}

/* ---- saving ------------------------------------------------------------------------------- */

/* Where bytes go: to the file, through deflate or not. */
struct sink {
    nn_writer *writer;
    const char *path;
    bool gzip;
    z_stream z;
    gz_header header;
    unsigned char block[PIECE];  /* elements in file order */
    unsigned char packed[PIECE]; /* what deflate makes of them */
};

static nn_status fail_pack(const char *path)
{
    return nn_fail(NN_ERR_MEMORY, "not enough memory to write '%s'", path);
}

static nn_status sink_begin(struct sink *sink)
{
    const size_t length = strlen(sink->path);
    sink->gzip = length >= 3 && strcmp(sink->path + length - 3, ".gz") == 0;
    if (!sink->gzip) {
        return NN_OK;
    }
    sink->z.zalloc = zlib_alloc;
    sink->z.zfree = zlib_free;
    if (deflateInit2(&sink->z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return fail_pack(sink->path);
    }
    sink->header.os = 255; /* "unknown": else the header would tell the machines apart */
    (void)deflateSetHeader(&sink->z, &sink->header);
    return NN_OK;
}

/* Writes the n bytes at bytes; flush is Z_NO_FLUSH or, with the last of them, Z_FINISH. */
static nn_status sink_write(struct sink *sink, const unsigned char *bytes, size_t n, int flush)
{
    z_stream *z = &sink->z;
    if (!sink->gzip) {
        return nn_writer_write(sink->writer, bytes, n);
    }
    z->next_in = bytes;
    z->avail_in = (uInt)n;
    do {
        z->next_out = sink->packed;
        z->avail_out = PIECE;
        (void)deflate(z, flush); /* cannot fail: the stream is sound and there is room */
        const nn_status status = nn_writer_write(sink->writer, sink->packed, PIECE - z->avail_out);
        if (status != NN_OK) {
            return status;
        }
    } while (z->avail_out == 0);
    return NN_OK;
}

static nn_status write_header(struct sink *sink, const nn_idx *idx)
{
    unsigned char header[MAX_HEADER_SIZE] = {0, 0, (unsigned char)idx->type,
                                             (unsigned char)idx->n_dims};
    for (size_t k = 0; k < idx->n_dims; k++) {
        unsigned char *dim = header + MAGIC_SIZE + DIM_SIZE * k;
        for (size_t byte = 0; byte < DIM_SIZE; byte++) {
            dim[byte] = (unsigned char)(idx->dims[k] >> (24 - 8 * byte));
        }
    }
    return sink_write(sink, header, MAGIC_SIZE + DIM_SIZE * idx->n_dims, Z_NO_FLUSH);
}

static nn_status write_elements(struct sink *sink, const nn_idx *idx)
{
    const unsigned char *from = idx->data;
    size_t left = idx->count * idx->item_size;
    while (left > 0) {
        const size_t n = smaller(left, PIECE); /* whole elements: 8 divides PIECE */
        memcpy(sink->block, from, n);
        swap_order(sink->block, n / idx->item_size, idx->item_size);
        const nn_status status =
            sink_write(sink, sink->block, n, n == left ? Z_FINISH : Z_NO_FLUSH);
        if (status != NN_OK) {
            return status;
        }
        from += n;
        left -= n;
    }
    return NN_OK;
}

/* Checks that the parts of idx go together and fit the format. */
static nn_status check_savable(const nn_idx *idx, const char *path)
{
    const struct element *element = find_element((unsigned)idx->type);
    if (element == NULL || idx->item_size != element->size) {
        return nn_fail(NN_ERR_ARGUMENT, "cannot write '%s': no element type %02x of %zu bytes",
                       path, (unsigned)idx->type, idx->item_size);
    }
    if (idx->n_dims < 1 || idx->n_dims > NN_IDX_MAX_DIMS) {
        return nn_fail(NN_ERR_ARGUMENT, "cannot write '%s': %zu dimensions, expected 1 to %d", path,
                       idx->n_dims, NN_IDX_MAX_DIMS);
    }
    for (size_t k = 0; k < idx->n_dims; k++) {
        if (idx->dims[k] < 1 || idx->dims[k] > UINT32_MAX) {
            return nn_fail(NN_ERR_ARGUMENT,
                           "cannot write '%s': dimension %zu is %zu, expected 1 to %" PRIu32, path,
                           k, idx->dims[k], UINT32_MAX);
        }
    }
    nn_idx product = *idx;
    if (!multiply_dims(&product) || product.count != idx->count || idx->data == NULL) {
        return nn_fail(NN_ERR_ARGUMENT, "cannot write '%s': %zu elements do not fill %s", path,
                       idx->data != NULL ? idx->count : 0, shape_of(idx).text);
    }
    return NN_OK;
}

nn_status nn_idx_save(const nn_idx *idx, const char *path)
{
    nn_status status = check_savable(idx, path);
    if (status != NN_OK) {
        return status;
    }
    struct sink *sink = nn_alloc(sizeof *sink);
    if (sink == NULL) {
        return fail_pack(path);
    }
    sink->path = path;
    status = nn_writer_open(&sink->writer, path);
    if (status == NN_OK) {
        status = sink_begin(sink);
    }
    if (status == NN_OK) {
        status = write_header(sink, idx);
    }
    if (status == NN_OK) {
        status = write_elements(sink, idx);
    }
    (void)deflateEnd(&sink->z); /* harmless where deflateInit was not called */
    if (status == NN_OK) {
        status = nn_writer_commit(sink->writer);
    } else {
        nn_writer_abandon(sink->writer);
    }
    nn_free(sink);
    return status;
}
