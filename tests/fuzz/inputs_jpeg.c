/* JPEG files: of each kind that libjpeg writes, and mutants of them of which the segments are as
 * long as they say. */
#include "inputs.h"

#include <string.h>

#include <jpeglib.h> /* after stdio.h, which it needs */

#define GREY JCS_GRAYSCALE
#define YCC JCS_YCbCr
#define RGB JCS_RGB
#define CMYK JCS_CMYK

/* ---- seeds -------------------------------------------------------------------------------- */

typedef struct {
    int width, height;
    J_COLOR_SPACE from, to; /* of the pixels, in the file */
    bool progressive, arithmetic;
    unsigned restart;            /* so many blocks after each other */
    int across, down;            /* pixels of the other colours are so much larger */
    const char *exif;            /* as it begins: the order of its bytes; or NULL */
    unsigned char orientation;   /* as EXIF counts */
    unsigned short claim_height; /* what the file says of its height, if not 0 */
} photograph;

/* Writes EXIF's data as a TIFF file: one directory, with the orientation as its only entry. */
static void write_exif(struct jpeg_compress_struct *c, const photograph *p)
{
    unsigned char big[] = "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0";
    unsigned char little[] = "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0";
    const bool is_big = *p->exif == 'M';
    big[25] = little[24] = p->orientation;
    jpeg_write_marker(c, JPEG_APP0 + 1, is_big ? big : little, sizeof big - 1);
}

static void configure(struct jpeg_compress_struct *c, const photograph *p)
{
    c->image_width = (JDIMENSION)p->width;
    c->image_height = (JDIMENSION)p->height;
    c->in_color_space = p->from;
    c->input_components = p->from == JCS_GRAYSCALE ? 1 : p->from == JCS_CMYK ? 4 : 3;
    jpeg_set_defaults(c);
    jpeg_set_colorspace(c, p->to);
    c->arith_code = p->arithmetic;
    c->restart_interval = p->restart;
    c->comp_info[0].h_samp_factor = p->across;
    c->comp_info[0].v_samp_factor = p->down;
    if (p->progressive) {
        jpeg_simple_progression(c);
    }
}

/* Finds the frame header (SOF) of a file that libjpeg has written, and changes the height in it. */
static void claim_height(unsigned char *bytes, unsigned height)
{
    size_t at = 2;
    while (bytes[at + 1] < 0xc0 || bytes[at + 1] > 0xca || bytes[at + 1] == 0xc4) {
        at += 2 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
    }
    bytes[at + 5] = (unsigned char)(height >> 8);
    bytes[at + 6] = (unsigned char)height;
}

static void seed_photograph(fuzz_seed *seed, const photograph *p)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL, row[64 * 4];
    unsigned long n = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &n);
    configure(&c, p);
    jpeg_start_compress(&c, TRUE);
    if (p->exif) {
        write_exif(&c, p);
    }
    for (int y = 0; y < p->height; y++) {
        JSAMPROW rows = row;
        for (size_t k = 0; k < sizeof row; k++) {
            row[k] = (unsigned char)(k * k + (size_t)y * 9);
        }
        jpeg_write_scanlines(&c, &rows, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    if (p->claim_height > 0) {
        claim_height(bytes, p->claim_height);
    }
    seed(bytes, n);
    free(bytes);
}

void jpeg_seeds(fuzz_seed *seed)
{
    static const photograph photographs[] = {
        {16, 16, GREY, GREY, 0, 0, 0, 1, 1, NULL, 0, 0},
        {16, 16, GREY, GREY, 1, 0, 0, 1, 1, NULL, 0, 0},
        {16, 16, GREY, GREY, 0, 1, 0, 1, 1, NULL, 0, 0},
        {16, 16, GREY, GREY, 0, 0, 1, 1, 1, "M", 2, 0},
        {16, 16, RGB, YCC, 0, 0, 0, 1, 1, "I", 8, 0},
        {17, 9, RGB, YCC, 0, 0, 0, 2, 2, "M", 6, 0},
        {9, 17, RGB, YCC, 1, 0, 0, 2, 1, "I", 3, 0},
        {17, 9, RGB, YCC, 1, 0, 1, 4, 2, "M", 5, 0},
        {9, 9, RGB, YCC, 1, 1, 0, 1, 2, "I", 4, 0},
        {8, 8, RGB, RGB, 0, 0, 0, 1, 1, "M", 7, 0},
        {8, 8, CMYK, CMYK, 0, 0, 0, 1, 1, NULL, 0, 0},
        {1, 1, GREY, GREY, 0, 0, 0, 1, 1, "M", 9, 0},
        {64, 8, RGB, YCC, 0, 0, 0, 4, 2, NULL, 0, 65500},
        {64, 8, RGB, YCC, 1, 0, 0, 2, 2, NULL, 0, 65500},
        {64, 8, GREY, GREY, 0, 0, 0, 1, 1, NULL, 0, 4000},
        {64, 8, GREY, GREY, 1, 0, 0, 1, 1, NULL, 0, 4000},
    };
    for (size_t k = 0; k < sizeof photographs / sizeof photographs[0]; k++) {
        seed_photograph(seed, &photographs[k]);
    }
    seed("\xff\xd8\xff\xd9", 4);
}

/* ---- mutants ------------------------------------------------------------------------------ */

enum {
    MARKER = 2,
    LENGTH = 2, /* bytes of a segment's length, which counts them */
    SEGMENTS_MAX = 32,
    START_OF_SCAN = 0xda
};

typedef struct {
    size_t at, n; /* what a segment holds */
} segment;

/* Lists the segments before the first scan; *end is where they end. */
static size_t list_segments(segment *list, const uint8_t *data, size_t n, size_t *end)
{
    size_t count = 0, at = MARKER;
    while (count < SEGMENTS_MAX && at + MARKER + LENGTH <= n && data[at] == 0xff) {
        const size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (data[at + 1] == START_OF_SCAN || length < LENGTH || length > n - at - MARKER) {
            break;
        }
        list[count++] = (segment){at + MARKER + LENGTH, length - LENGTH};
        at += MARKER + length;
    }
    *end = at < n ? at : n;
    return count;
}

/* Changes a segment, says how long it is then, and moves what follows. */
static size_t mutate_segment(uint8_t *data, size_t n, size_t max, const segment *s)
{
    const size_t rest = n - s->at - s->n, room = max - s->at - rest;
    uint8_t *copy = malloc(rest + 1);
    require(copy);
    memcpy(copy, data + s->at + s->n, rest);
    const size_t changed = LLVMFuzzerMutate(
        data + s->at, s->n, room < UINT16_MAX - LENGTH ? room : UINT16_MAX - LENGTH);
    data[s->at - 2] = (uint8_t)((changed + LENGTH) >> 8);
    data[s->at - 1] = (uint8_t)(changed + LENGTH);
    memcpy(data + s->at + changed, copy, rest);
    free(copy);
    return s->at + changed + rest;
}

size_t jpeg_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    segment segments[SEGMENTS_MAX];
    size_t end;
    const size_t count = list_segments(segments, data, n, &end), k = (random >> 8) % (count + 1);
    if (random % 4 == 0) {
        return LLVMFuzzerMutate(data, n, max);
    }
    return k < count ? mutate_segment(data, n, max, &segments[k])
                     : end + LLVMFuzzerMutate(data + end, n - end, max - end);
}
