#include "pictures.h"

#include "files.h"
#include "message.h"
#include "png.h"

#include <string.h>

enum {
    SIGNATURE_SIZE = 8
};

typedef enum {
    CONTENT_IDX, /* or so small or missing that the IDX loader's words are as good as any */
    CONTENT_PNG,
    CONTENT_OTHER
} content;

static nn_status look_at(content *out, const char *path)
{
    static const char png[SIGNATURE_SIZE + 1] = "\x89PNG\r\n\x1a\n";
    char start[SIGNATURE_SIZE + 1];
    size_t n;
    nn_status status = file_start(start, &n, sizeof start, path);
    if (status != NN_OK) {
        return status;
    }
    bool zeros = n >= 2 && start[0] == 0 && start[1] == 0;
    bool gzip = n >= 2 && memcmp(start, "\x1f\x8b", 2) == 0;
    *out = n < SIGNATURE_SIZE || zeros || gzip ? CONTENT_IDX : CONTENT_OTHER;
    if (n == SIGNATURE_SIZE && memcmp(start, png, SIGNATURE_SIZE) == 0) {
        *out = CONTENT_PNG;
    }
    return NN_OK;
}

nn_status pictures_check_png(const char *path)
{
    content found = CONTENT_OTHER;
    nn_status status = look_at(&found, path);
    return status == NN_OK && found != CONTENT_PNG ? NN_ERR_DATA : status;
}

static pictures make(uint8_t *pixels, size_t n, size_t rows, size_t columns)
{
    return (pictures){
        .data =
            {.n = n, .inputs = rows * columns, .rows = rows, .columns = columns, .pixels = pixels},
        .owned = pixels,
    };
}

static nn_status load_png(pictures *out, const char *path)
{
    uint8_t *pixels;
    size_t width, height;
    nn_status status = png_read_gray(&pixels, &width, &height, path);
    if (status == NN_OK) {
        *out = make(pixels, 1, height, width);
    }
    return status;
}

static nn_status load_idx(pictures *out, const char *path)
{
    nn_idx idx;
    nn_status status = nn_idx_load(&idx, path);
    if (status != NN_OK) {
        return status;
    }
    if (idx.type != NN_IDX_U8 || idx.n_dims != 3) {
        status = nn_fail(NN_ERR_DATA,
                         "'%s' holds an array of %zu dimension%s of type %s, expected pictures: "
                         "3 dimensions of type u8",
                         path, idx.n_dims, idx.n_dims == 1 ? "" : "s", nn_idx_type_name(idx.type));
        nn_idx_release(&idx);
        return status;
    }
    *out = make(idx.data, idx.dims[0], idx.dims[1], idx.dims[2]);
    out->from_idx = true;
    return NN_OK;
}

int pictures_load(pictures *out, const char *path)
{
    content found;
    nn_status status = look_at(&found, path);
    if (status != NN_OK) {
        return fail(status, ROLE_DATA);
    }
    switch (found) {
    case CONTENT_PNG:
        return fail(load_png(out, path), ROLE_DATA);
    case CONTENT_IDX:
        return fail(load_idx(out, path), ROLE_DATA);
    case CONTENT_OTHER:
        break;
    }
    complain("'%s' is neither a PNG picture nor an IDX file", path);
    return EXIT_DATA;
}

void pictures_release(pictures *p)
{
    nn_free(p->owned);
    *p = (pictures){0};
}
