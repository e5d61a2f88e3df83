#include "pictures.h"

#include "files.h"
#include "message.h"

#include <string.h>

const char *prepare_mode_name(unsigned mode)
{
    static const char *const names[] = {
        [PREPARE_AUTO] = "auto", [PREPARE_ALWAYS] = "always", [PREPARE_NEVER] = "never"};
    return mode < N_PREPARE_MODES ? names[mode] : NULL;
}

typedef enum {
    CONTENT_IDX, /* or so small or missing that the IDX loader's words are as good as any */
    CONTENT_PICTURE,
    CONTENT_OTHER
} content;

static nn_status look_at(content *out, const char *path)
{
    char start[IMAGE_SIGNATURE_SIZE + 1];
    size_t n;
    nn_status status = file_start(start, &n, sizeof start, path);
    if (status != NN_OK) {
        return status;
    }
    bool zeros = n >= 2 && start[0] == 0 && start[1] == 0;
    bool gzip = n >= 2 && memcmp(start, "\x1f\x8b", 2) == 0;
    *out = n < IMAGE_SIGNATURE_SIZE || zeros || gzip ? CONTENT_IDX : CONTENT_OTHER;
    if (image_is_known(start, n)) {
        *out = CONTENT_PICTURE;
    }
    return NN_OK;
}

nn_status pictures_check_png(const char *path)
{
    return file_begins(path, "\x89PNG\r\n\x1a\n");
}

static nn_data as_data(const uint8_t *pixels, size_t n, size_t rows, size_t columns)
{
    return (nn_data){
        .n = n, .inputs = rows * columns, .rows = rows, .columns = columns, .pixels = pixels};
}

/* ---- pictures ----------------------------------------------------------------------------- */

/* So many of the outermost pixels are black in all of MNIST's pictures. */
#define BLACK_AROUND_PERCENT 90

static bool is_grey(const image *picture)
{
    bool grey = true;
    for (size_t i = 0; i < picture->width * picture->height && picture->channels == 3; i++) {
        const uint8_t *pixel = picture->pixels + 3 * i;
        grey = grey && pixel[0] == pixel[1] && pixel[1] == pixel[2];
    }
    return grey;
}

/* Reports whether a grey picture looks like one of MNIST's: its size, and black around. */
static bool is_like_mnist(const image *picture)
{
    const size_t side = PREPARED_SIDE, last = side - 1;
    size_t around = 0, black = 0;
    if (picture->width != side || picture->height != side) {
        return false;
    }
    for (size_t i = 0; i < side * side; i++) {
        bool outermost = i % side == 0 || i % side == last || i / side == 0 || i / side == last;
        around += outermost;
        black += outermost && picture->pixels[i * picture->channels] == 0;
    }
    return black * 100 >= around * BLACK_AROUND_PERCENT;
}

/* Takes a grey picture's pixels as they are. */
static int take_pixels(pictures *out, const image *picture)
{
    size_t n = picture->width * picture->height;
    out->owned = nn_alloc(n);
    if (!out->owned) {
        return fail_memory();
    }
    for (size_t i = 0; i < n; i++) {
        out->owned[i] = picture->pixels[i * picture->channels];
    }
    out->data = as_data(out->owned, 1, picture->height, picture->width);
    return EXIT_DONE;
}

/* Takes the digits that are found in a picture. */
static int take_digits(pictures *out, const image *picture)
{
    enum {
        SIZE = PREPARED_SIDE * PREPARED_SIDE
    };
    int code = fail(prepare(&out->digits, picture), ROLE_DATA);
    if (code != EXIT_DONE) {
        return code;
    }
    size_t n = out->digits.n;
    out->owned = nn_alloc(n > 0 ? n * SIZE : 1);
    if (!out->owned) {
        return fail_memory();
    }
    for (size_t k = 0; k < n; k++) {
        memcpy(out->owned + k * SIZE, out->digits.digits[k].pixels, SIZE);
    }
    out->data = as_data(out->owned, n, PREPARED_SIDE, PREPARED_SIDE);
    out->prepared = true;
    return EXIT_DONE;
}

static int load_picture(pictures *out, const char *path, prepare_mode mode)
{
    image picture;
    int code = fail(image_read(&picture, path), ROLE_DATA);
    if (code != EXIT_DONE) {
        return code;
    }
    bool grey = is_grey(&picture);
    if (mode == PREPARE_NEVER && !grey) {
        complain("'%s' is in colour, expected a grey picture; or leave out --prepare never", path);
        code = EXIT_DATA;
    } else if (mode == PREPARE_NEVER || (mode == PREPARE_AUTO && grey && is_like_mnist(&picture))) {
        code = take_pixels(out, &picture);
    } else {
        code = take_digits(out, &picture);
    }
    image_release(&picture);
    return code;
}

/* ---- IDX files ---------------------------------------------------------------------------- */

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
    out->owned = idx.data;
    out->data = as_data(idx.data, idx.dims[0], idx.dims[1], idx.dims[2]);
    out->from_idx = true;
    return NN_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

int pictures_load(pictures *out, const char *path, prepare_mode mode)
{
    pictures p = {0};
    content found = CONTENT_OTHER;
    int code = fail(look_at(&found, path), ROLE_DATA);
    if (code != EXIT_DONE) {
        return code;
    }
    switch (found) {
    case CONTENT_PICTURE:
        code = load_picture(&p, path, mode);
        break;
    case CONTENT_IDX:
        code = fail(load_idx(&p, path), ROLE_DATA);
        break;
    case CONTENT_OTHER:
        complain("'%s' is neither a PNG, JPEG, PGM or PPM picture nor an IDX file", path);
        code = EXIT_DATA;
        break;
    }
    if (code != EXIT_DONE) {
        pictures_release(&p);
        return code;
    }
    *out = p;
    return EXIT_DONE;
}

void pictures_release(pictures *p)
{
    nn_free(p->owned);
    prepare_release(&p->digits);
    *p = (pictures){0};
}
