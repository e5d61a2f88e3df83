#include "image_format.h"

#include <string.h>

void image_release(image *picture)
{
    nn_free(picture->pixels);
    *picture = (image){0};
}

/* ---- what the readers share --------------------------------------------------------------- */

nn_status image_check_size(const image_file *file, uintmax_t width, uintmax_t height)
{
    if (width == 0 || height == 0) {
        return nn_fail(NN_ERR_DATA, "'%s' is damaged: a picture of %ju x %ju pixels", file->path,
                       width, height);
    }
    if (width > IMAGE_MAX_PIXELS || height > IMAGE_MAX_PIXELS / width) {
        return nn_fail(NN_ERR_DATA, "'%s' is too large: %ju x %ju pixels, expected at most %zu",
                       file->path, width, height, IMAGE_MAX_PIXELS);
    }
    return NN_OK;
}

nn_status image_damaged(const image_file *file, const char *format, const char *why)
{
    return nn_fail(NN_ERR_DATA, "'%s' is a damaged %s file: %s", file->path, format, why);
}

nn_status image_no_memory(const image_file *file)
{
    return nn_fail(NN_ERR_MEMORY, "cannot read '%s': out of memory", file->path);
}

/* ---- formats ------------------------------------------------------------------------------ */

typedef struct {
    const char *signature;
    size_t n;
    nn_status (*read)(image *out, const image_file *file);
} format;

static const format formats[] = {
    {"\x89PNG\r\n\x1a\n", 8, image_read_png},
    {"\xff\xd8\xff", 3, image_read_jpeg},
    {"P2", 2, image_read_pnm},
    {"P3", 2, image_read_pnm},
    {"P5", 2, image_read_pnm},
    {"P6", 2, image_read_pnm},
};

static const format *find_format(const void *start, size_t n)
{
    for (size_t k = 0; k < sizeof formats / sizeof formats[0]; k++) {
        if (n >= formats[k].n && memcmp(start, formats[k].signature, formats[k].n) == 0) {
            return &formats[k];
        }
    }
    return NULL;
}

bool image_is_known(const void *start, size_t n)
{
    return find_format(start, n) != NULL;
}

nn_status image_read(image *out, const char *path)
{
    uint8_t *bytes = NULL;
    image_file file = {.path = path};
    nn_status status = nn_file_load(&bytes, &file.n, IMAGE_MAX_FILE, path);
    if (status != NN_OK) {
        return status;
    }
    file.bytes = bytes;
    const format *kind = find_format(bytes, file.n);
    status = kind          ? kind->read(out, &file)
             : file.n == 0 ? nn_fail(NN_ERR_DATA, "'%s' is empty", path)
                           : nn_fail(NN_ERR_DATA, "'%s' is no PNG, JPEG, PGM or PPM picture", path);
    nn_free(bytes);
    return status;
}
