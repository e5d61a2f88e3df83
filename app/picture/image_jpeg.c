/* JPEG photographs, through libjpeg. Its errors are jumps, which stay within read_safely. Its
 * memory is its own: it has no way to be given another's; LIBRARY_MEMORY bounds it. */
#include "image_format.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h> /* after stdio.h, which it needs */

#include <jerror.h>

#define LIBRARY_MEMORY (512L << 20)

/* A progressive picture is sent in several scans, ten or so; each costs the time of a whole one. */
#define SCANS_MAX 100

/* Everything that changes between a jump's start and its end is in here. */
typedef struct {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const image_file *file;
    image made;
    unsigned orientation; /* as EXIF counts, 1 to 8 */
    nn_status status;
    char why[JMSG_LENGTH_MAX];
} reader;

/* ---- errors ------------------------------------------------------------------------------- */

static void on_error(j_common_ptr jpeg)
{
    reader *r = jpeg->client_data;
    jpeg->err->format_message(jpeg, r->why);
    if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY || jpeg->err->msg_code == JERR_NO_BACKING_STORE) {
        r->status = image_no_memory(r->file);
    }
    longjmp(r->escape, 1);
}

/* Of what libjpeg can live with, most is damage: missing data would be grey. Level -1 is a warning,
 * the others are remarks. */
static void on_message(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    bool harmless =
        code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
    if (level < 0 && !harmless) {
        on_error(jpeg);
    }
}

static void on_progress(j_common_ptr jpeg)
{
    reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number > SCANS_MAX) {
        r->status = image_damaged(r->file, "JPEG", "it has too many scans");
        longjmp(r->escape, 1);
    }
}

/* ---- which way up ------------------------------------------------------------------------- */

/* A number in EXIF's data (a TIFF file), of either byte order. */
static unsigned long number_at(const uint8_t *at, size_t bytes, bool big)
{
    unsigned long value = 0;
    for (size_t k = 0; k < bytes; k++) {
        value = value << 8 | at[big ? k : bytes - 1 - k];
    }
    return value;
}

/* Finds the orientation among the entries of the first directory (EXIF 2.3, section 4.6); 1,
 * upright, if it is not there or makes no sense. */
static unsigned find_orientation(const uint8_t *tiff, size_t n)
{
    enum {
        HEADER = 8,
        ENTRY = 12,
        ORIENTATION = 0x0112
    };
    bool big = n >= HEADER && memcmp(tiff, "MM\0*", 4) == 0;
    if (n < HEADER || (!big && memcmp(tiff, "II*\0", 4) != 0)) {
        return 1;
    }
    size_t at = number_at(tiff + 4, 4, big);
    if (at > n || n - at < 2) {
        return 1;
    }
    size_t entries = number_at(tiff + at, 2, big);
    for (at += 2; entries > 0 && n - at >= ENTRY; entries--, at += ENTRY) {
        unsigned long value = number_at(tiff + at + 8, 2, big);
        if (number_at(tiff + at, 2, big) == ORIENTATION) {
            return value >= 1 && value <= 8 ? (unsigned)value : 1;
        }
    }
    return 1;
}

static unsigned orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    static const char exif[6] = "Exif\0";
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next) {
        if (m->data_length > sizeof exif && memcmp(m->data, exif, sizeof exif) == 0) {
            return find_orientation(m->data + sizeof exif, m->data_length - sizeof exif);
        }
    }
    return 1;
}

/* Turns a picture of orientation 2 to 8 upright. Returns false if there is no memory. */
static bool turn(image *picture, unsigned orientation)
{
    static const struct {
        bool swap, mirror_x, mirror_y; /* where a pixel comes from: columns are rows; reversed */
    } ways[] = {{0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 0, 1}, {1, 1, 1}, {1, 1, 0}};
    bool swap = ways[orientation - 2].swap;
    size_t width = picture->width, height = picture->height, size = picture->channels;
    image turned = {swap ? height : width, swap ? width : height, size, NULL};
    turned.pixels = nn_alloc_array(turned.height, turned.width * size);
    if (!turned.pixels) {
        return false;
    }
    for (size_t i = 0; i < width * height; i++) {
        size_t x = i % turned.width, y = i / turned.width;
        size_t from_x = swap ? y : x, from_y = swap ? x : y;
        from_x = ways[orientation - 2].mirror_x ? width - 1 - from_x : from_x;
        from_y = ways[orientation - 2].mirror_y ? height - 1 - from_y : from_y;
        memcpy(turned.pixels + i * size, picture->pixels + (from_y * width + from_x) * size, size);
    }
    image_release(picture);
    *picture = turned;
    return true;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* A block of 8 x 8 pixels, of one colour, takes a bit at least. That is so with Huffman's
 * codes; with arithmetic coding, no number of pixels would be too large for a file. */
static bool can_hold(const reader *r)
{
    uintmax_t blocks = 0;
    for (int c = 0; c < r->jpeg.num_components; c++) {
        const jpeg_component_info *colour = &r->jpeg.comp_info[c];
        blocks += (uintmax_t)colour->width_in_blocks * colour->height_in_blocks;
    }
    return blocks / 8 <= r->file->n;
}

static nn_status check_header(const reader *r)
{
    uintmax_t width = r->jpeg.image_width, height = r->jpeg.image_height;
    nn_status status = image_check_size(r->file, width, height);
    if (status != NN_OK) {
        return status;
    }
    if (r->jpeg.num_components != 1 && r->jpeg.num_components != 3) {
        return nn_fail(NN_ERR_DATA,
                       "'%s' is a JPEG of %d colours, as printers use, expected 1 or 3",
                       r->file->path, r->jpeg.num_components);
    }
    if (r->jpeg.arith_code) {
        return nn_fail(NN_ERR_DATA, "'%s' is a JPEG with arithmetic coding, as hardly any is",
                       r->file->path);
    }
    if (!can_hold(r)) {
        return nn_fail(NN_ERR_DATA, "'%s' is a damaged JPEG file: %zu bytes cannot hold %ju pixels",
                       r->file->path, r->file->n, width * height);
    }
    return NN_OK;
}

static bool read_rows(reader *r)
{
    bool grey = r->jpeg.num_components == 1;
    r->jpeg.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    r->made = (image){r->jpeg.image_width, r->jpeg.image_height, grey ? 1 : 3, NULL};
    r->made.pixels = nn_alloc_array(r->made.height, r->made.width * r->made.channels);
    if (!r->made.pixels) {
        r->status = image_no_memory(r->file);
        return false;
    }
    jpeg_start_decompress(&r->jpeg);
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        JSAMPROW row = r->made.pixels + r->jpeg.output_scanline * r->made.width * r->made.channels;
        jpeg_read_scanlines(&r->jpeg, &row, 1);
    }
    r->orientation = orientation_of(&r->jpeg);
    jpeg_finish_decompress(&r->jpeg);
    return true;
}

static bool read_safely(reader *r)
{
    if (setjmp(r->escape)) {
        return false;
    }
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.mem->max_memory_to_use = LIBRARY_MEMORY;
    r->jpeg.progress = &r->progress;
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_mem_src(&r->jpeg, r->file->bytes, (unsigned long)r->file->n);
    jpeg_read_header(&r->jpeg, TRUE);
    r->status = check_header(r);
    return r->status == NN_OK && read_rows(r);
}

nn_status image_read_jpeg(image *out, const image_file *file)
{
    reader r = {.file = file, .orientation = 1};
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.jpeg.client_data = &r;
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.progress.progress_monitor = on_progress;
    bool read = read_safely(&r);
    jpeg_destroy_decompress(&r.jpeg);
    if (read && r.orientation != 1 && !turn(&r.made, r.orientation)) {
        r.status = image_no_memory(file);
        read = false;
    }
    if (read) {
        *out = r.made;
        return NN_OK;
    }
    image_release(&r.made);
    return r.status != NN_OK ? r.status : image_damaged(file, "JPEG", r.why);
}
