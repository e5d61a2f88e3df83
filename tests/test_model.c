/* Promise: what is saved comes back bit for bit, in a file that other programs read too; a file
 * that is anything else is refused, whatever it holds, and the caller's variables stay as they
 * were. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

TestSuite(model, .init = fixtures_begin, .fini = fixtures_end);

/* ---- what the tests share ------------------------------------------------------------------ */

static nn_net *new_net(const nn_config *config, uint64_t seed)
{
    nn_net *net = NULL;
    cr_assert_eq(nn_net_new(&net, config, seed), NN_OK, "%s", nn_error_text());
    return net;
}

static nn_net *load(const char *path)
{
    nn_net *net = NULL;
    cr_assert_eq(nn_model_load(&net, NULL, path), NN_OK, "%s", nn_error_text());
    return net;
}

static const char *save(const nn_net *net, const nn_meta *meta, const char *name)
{
    const char *path = fixture_path(name);
    cr_assert_eq(nn_model_save(net, meta, path), NN_OK, "%s", nn_error_text());
    return path;
}

static void set(nn_meta *meta, const char *key, const char *value)
{
    cr_assert_eq(nn_meta_set(meta, key, value), NN_OK);
}

static bool same_bytes(blob a, blob b)
{
    return a.n == b.n && memcmp(a.data, b.data, a.n) == 0;
}

static bool same_params(nn_net *a, nn_net *b)
{
    for (size_t k = 0; k < nn_net_n_params(a); k++) {
        if (memcmp(nn_net_param(a, k), nn_net_param(b, k), sizeof(float)) != 0) {
            return false;
        }
    }
    return nn_net_n_params(a) == nn_net_n_params(b);
}

/* What a network computes; dropout and initialiser belong to its training. */
static bool same_network(nn_net *a, nn_net *b)
{
    const nn_config *x = nn_net_config(a);
    const nn_config *y = nn_net_config(b);
    if (x->inputs != y->inputs || x->n_layers != y->n_layers || x->loss != y->loss) {
        return false;
    }
    for (size_t l = 0; l < x->n_layers; l++) {
        if (x->layers[l].units != y->layers[l].units ||
            x->layers[l].activation != y->layers[l].activation) {
            return false;
        }
    }
    return same_params(a, b);
}

static bool same_training(const nn_config *a, const nn_config *b)
{
    bool same = a->initialiser == b->initialiser && a->input_dropout == b->input_dropout;
    for (size_t l = 0; l < a->n_layers; l++) {
        same = same && a->layers[l].dropout == b->layers[l].dropout;
    }
    return same;
}

/* 2-2-1: 36 bytes of tensors. */
static nn_net *tiny_net(void)
{
    static const nn_layer layers[] = {{2, NN_TANH, 0.25}, {1, NN_SIGMOID, 0}};
    static const nn_config config = {2, 2, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    return new_net(&config, 1);
}

/* Its file, saved once a test. */
static blob tiny_file(void)
{
    static blob file;
    if (file.data == NULL) {
        nn_net *net = tiny_net();
        nn_meta meta = {0};
        set(&meta, "seed", "1");
        (void)save(net, &meta, "tiny");
        nn_meta_release(&meta);
        nn_net_free(net);
        file = fixture_read("tiny");
    }
    return fixture_bytes(file.data, file.n);
}

/* ---- taking files apart and putting them together ------------------------------------------ */

static size_t header_size(blob file)
{
    size_t n = 0;
    for (size_t k = 0; k < 8; k++) {
        n |= (size_t)file.data[k] << (8 * k);
    }
    return n;
}

static const char *header_of(blob file)
{
    return fixture_text("%.*s", (int)header_size(file), (const char *)file.data + 8);
}

static blob tensors_of(blob file)
{
    const size_t start = 8 + header_size(file);
    return fixture_bytes(file.data + start, file.n - start);
}

static blob length_field(uint64_t n)
{
    unsigned char field[8];
    for (size_t k = 0; k < 8; k++) {
        field[k] = (unsigned char)(n >> (8 * k));
    }
    return fixture_bytes(field, sizeof field);
}

static blob assemble(const char *header, blob tensors)
{
    const size_t n = strlen(header);
    return fixture_join(fixture_join(length_field(n), fixture_bytes(header, n)), tensors);
}

/* Replaces the first `from` in text, which must be there. */
static const char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    cr_assert_not_null(at, "there is no %s in %s", from, text);
    return fixture_text("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* The tiny file with `from` replaced in its header. */
static blob with(const char *from, const char *to)
{
    blob file = tiny_file();
    return assemble(replaced(header_of(file), from, to), tensors_of(file));
}

/* The tiny file with other tensor bytes and their right CRC. */
static blob with_tensors(blob tensors)
{
    blob file = tiny_file();
    const uLong was = crc32(0, tensors_of(file).data, (uInt)tensors_of(file).n);
    const uLong is = crc32(0, tensors.data, (uInt)tensors.n);
    return assemble(replaced(header_of(file), fixture_text("\"crc32\":\"%08lx\"", was),
                             fixture_text("\"crc32\":\"%08lx\"", is)),
                    tensors);
}

/* Loads a file that must be refused with a text that begins with its name, all results being left
 * alone. Returns the rest of the text. */
static const char *refusal(blob content, nn_status expected)
{
    static int some_object;
    nn_net *const untouched = (nn_net *)(void *)&some_object;
    nn_net *net = untouched;
    nn_meta meta = {.n = 77};
    const char *path = fixture_write("broken", content);
    const nn_status status = nn_model_load(&net, &meta, path);
    const char *start = fixture_text("'%s' is ", path);
    cr_assert_eq(status, expected, "status %d: %s", (int)status, nn_error_text());
    cr_assert_eq(net, untouched);
    cr_assert(meta.n == 77 && meta.items == NULL);
    cr_assert_eq(strncmp(nn_error_text(), start, strlen(start)), 0, "%s", nn_error_text());
    return fixture_text("%s", nn_error_text() + strlen(start));
}

static void assert_refused(blob content, const char *why)
{
    cr_assert_str_eq(refusal(content, NN_ERR_MODEL), fixture_text("not a usable model: %s", why));
}

/* ---- there and back ------------------------------------------------------------------------ */

Test(model, network_comes_back_bit_for_bit)
{
    const nn_layer one[] = {{1, NN_IDENTITY, 0}};
    const nn_layer two[] = {{15, NN_SIGMOID, 0.02}, {10, NN_SOFTMAX, 0}};
    const nn_layer many[] = {{17, NN_RELU, 0.5},
                             {3, NN_LEAKY_RELU, 1.0 / 3},
                             {16, NN_TANH, 0.1},
                             {2, NN_IDENTITY, 1e-300},
                             {5, NN_SIGMOID, 0}};
    const nn_config configs[] = {
        {1, 1, one, NN_SQUARED_ERROR, NN_ZERO, 0},
        {784, 2, two, NN_CROSS_ENTROPY, NN_GLOROT, 0.1},
        {33, 5, many, NN_BINARY_CROSS_ENTROPY, NN_HE, 1.0 / 7},
        {2, 5, many, NN_SQUARED_ERROR, NN_LECUN, 0},
        {2, 5, many, NN_SQUARED_ERROR, NN_NORMAL, 0},
    };
    for (size_t k = 0; k < sizeof configs / sizeof *configs; k++) {
        nn_net *net = new_net(&configs[k], k);
        *nn_net_bias(net, 0, 0) = 0.3f;
        nn_net *back = load(save(net, NULL, "model"));
        cr_assert(same_network(net, back), "case %zu", k);
        cr_assert(same_training(nn_net_config(net), nn_net_config(back)), "case %zu", k);
        nn_net_free(back);
        nn_net_free(net);
    }
}

Test(model, sixty_four_layers_come_back)
{
    nn_layer layers[NN_MAX_LAYERS];
    for (size_t l = 0; l < NN_MAX_LAYERS; l++) {
        layers[l] = (nn_layer){1 + l % 3, NN_TANH, 0};
    }
    const nn_config config = {2, NN_MAX_LAYERS, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    nn_net *net = new_net(&config, 1);
    nn_net *back = load(save(net, NULL, "model"));
    cr_assert(same_network(net, back));
    nn_net_free(back);
    nn_net_free(net);
}

Test(model, every_finite_number_comes_back)
{
    static const float numbers[] = {
        0.0f, -0.0f, 1e-45f, -1e-45f, FLT_MIN, -FLT_MAX, 0x1.fffffep-127f, FLT_MAX, 0.1f};
    nn_net *net = tiny_net();
    for (size_t k = 0; k < 9; k++) {
        *nn_net_param(net, k) = numbers[k];
    }
    nn_net *back = load(save(net, NULL, "model"));
    cr_assert(same_params(net, back));
    nn_net_free(back);
    nn_net_free(net);
}

Test(model, loaded_network_gives_the_same_outputs)
{
    static uint8_t pixels[3 * 784];
    const nn_layer layers[] = {{15, NN_SIGMOID, 0.5}, {10, NN_SOFTMAX, 0}};
    const nn_config config = {784, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    const nn_data data = {.n = 3, .inputs = 784, .outputs = 10, .pixels = pixels};
    float before[30];
    float after[30];
    for (size_t k = 0; k < sizeof pixels; k++) {
        pixels[k] = (uint8_t)(7 * k);
    }
    nn_net *net = new_net(&config, 1);
    nn_net *back = load(save(net, NULL, "model"));
    cr_assert_eq(nn_predict(before, net, &data), NN_OK);
    cr_assert_eq(nn_predict(after, back, &data), NN_OK);
    cr_assert_arr_eq(before, after, sizeof before);
    nn_net_free(back);
    nn_net_free(net);
}

Test(model, metadata_come_back_in_their_order)
{
    static const char *const keys[] = {"seed", "", "class names", "\xc3\xa9t\xc3\xa9", "path"};
    static const char *const values[] = {"1", "empty key", "", "\xe2\x82\xac \"5\"",
                                         "C:\\a\n\tb/\x01"};
    nn_net *net = tiny_net();
    nn_meta meta = {0};
    nn_meta back = {0};
    nn_net *again = NULL;
    for (size_t k = 0; k < 5; k++) {
        set(&meta, keys[k], values[k]);
    }
    const char *path = save(net, &meta, "model");
    cr_assert_eq(nn_model_load(&again, &back, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(back.n, 5);
    for (size_t k = 0; k < 5; k++) {
        cr_assert_str_eq(back.items[k].key, keys[k]);
        cr_assert_str_eq(back.items[k].value, values[k]);
    }
    nn_meta_release(&back);
    nn_meta_release(&meta);
    nn_net_free(again);
    nn_net_free(net);
}

/* format_version, network and crc32 are the file's: nobody sets them from outside, and the loader
 * does not hand them out. */
Test(model, keys_of_the_file_itself_are_not_metadata)
{
    static const char *const own[] = {"crc32", "network", "format_version"};
    nn_net *net = tiny_net();
    nn_meta meta = {0};
    nn_meta back = {0};
    nn_net *again = NULL;
    for (size_t k = 0; k < 3; k++) {
        set(&meta, own[k], "not the file's");
    }
    set(&meta, "mine", "yes");
    const char *path = save(net, &meta, "model");
    cr_assert_eq(nn_model_load(&again, &back, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(back.n, 1);
    cr_assert_str_eq(nn_meta_get(&back, "mine"), "yes");
    nn_meta_release(&back);
    nn_meta_release(&meta);
    nn_net_free(again);
    nn_net_free(net);
}

Test(model, saving_what_was_loaded_gives_the_same_bytes)
{
    blob first = tiny_file();
    nn_meta meta = {0};
    nn_net *net = NULL;
    cr_assert_eq(nn_model_load(&net, &meta, fixture_path("tiny")), NN_OK);
    (void)save(net, &meta, "again");
    cr_assert(same_bytes(first, fixture_read("again")));
    nn_meta_release(&meta);
    nn_net_free(net);
}

Test(model, saving_replaces_the_file_that_was_there)
{
    nn_net *net = tiny_net();
    (void)fixture_write("model", BYTES("old"));
    nn_net *back = load(save(net, NULL, "model"));
    cr_assert(same_params(net, back));
    cr_assert_eq(fixture_count(), 1);
    nn_net_free(back);
    nn_net_free(net);
}

/* Pashto has a decimal point of two bytes; the dropout of 0.25 is written with one. */
Test(model, decimal_point_of_two_bytes_changes_no_byte)
{
    blob file = tiny_file();
    nn_meta meta = {0};
    nn_net *net = NULL;
    fixture_locale("ps_AF");
    cr_assert_str_eq(fixture_text("%g", 0.5), "0\xd9\xab"
                                              "5");
    cr_assert_eq(nn_model_load(&net, &meta, fixture_path("tiny")), NN_OK, "%s", nn_error_text());
    cr_assert_eq(nn_net_config(net)->layers[0].dropout, 0.25);
    (void)save(net, &meta, "again");
    cr_assert(same_bytes(file, fixture_read("again")));
    nn_meta_release(&meta);
    nn_net_free(net);
}

/* The program's, and one that a thread has set for itself. */
Test(model, locale_is_the_callers_afterwards)
{
    (void)tiny_file();
    fixture_locale("ps_AF");
    const locale_t own = duplocale(LC_GLOBAL_LOCALE); /* newlocale leaks a path that is set */
    cr_assert_neq(own, (locale_t)0);
    const locale_t all[] = {LC_GLOBAL_LOCALE, own};
    for (size_t k = 0; k < 2; k++) {
        (void)uselocale(all[k]);
        nn_net *net = load(fixture_path("tiny"));
        cr_assert_eq(uselocale((locale_t)0), all[k]);
        (void)save(net, NULL, "again");
        cr_assert_eq(uselocale((locale_t)0), all[k]);
        nn_net_free(net);
    }
    (void)uselocale(LC_GLOBAL_LOCALE);
    freelocale(own);
}

/* ---- the layout, for other readers --------------------------------------------------------- */

/* Written down by hand; the CRC-32 is that of Python's zlib over struct.pack("<ff", 0.5, -2). */
Test(model, file_has_these_bytes)
{
    static const char header[] =
        "{\"__metadata__\":{\"format_version\":\"1\",\"network\":\"{\\\"inputs\\\":1,"
        "\\\"input_dropout\\\":0.1,\\\"layers\\\":[{\\\"units\\\":1,\\\"activation\\\":"
        "\\\"identity\\\",\\\"dropout\\\":0}],\\\"loss\\\":\\\"squared-error\\\","
        "\\\"initialiser\\\":\\\"zero\\\"}\",\"crc32\":\"dd37328e\",\"seed\":\"1\"},"
        "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
        "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}     ";
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0.1};
    nn_net *net = new_net(&config, 0);
    nn_meta meta = {0};
    set(&meta, "seed", "1");
    *nn_net_weight(net, 0, 0, 0) = 0.5f;
    *nn_net_bias(net, 0, 0) = -2;
    (void)save(net, &meta, "model");
    cr_assert_eq(strlen(header) % 8, 0);
    blob expected = assemble(header, BYTES("\x00\x00\x00\x3f\x00\x00\x00\xc0"));
    blob found = fixture_read("model");
    cr_assert(same_bytes(found, expected), "%s", header_of(found));
    nn_meta_release(&meta);
    nn_net_free(net);
}

static float little_endian_float(const unsigned char *at)
{
    const uint32_t bits =
        (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The tensors of PyTorch's nn.Linear: weight [units][inputs], row-major, and bias [units]. */
Test(model, example_784_15_10_is_laid_out_as_pytorch_has_it)
{
    static const char *const tensors[] = {
        "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[15,784],\"data_offsets\":[0,47040]}",
        "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[15],\"data_offsets\":[47040,47100]}",
        "\"fc2.weight\":{\"dtype\":\"F32\",\"shape\":[10,15],\"data_offsets\":[47100,47700]}",
        "\"fc2.bias\":{\"dtype\":\"F32\",\"shape\":[10],\"data_offsets\":[47700,47740]}",
    };
    const nn_layer layers[] = {{15, NN_SIGMOID, 0}, {10, NN_SOFTMAX, 0}};
    const nn_config config = {784, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    nn_net *net = new_net(&config, 1);
    for (size_t j = 0; j < 15; j++) {
        *nn_net_bias(net, 0, j) = (float)j;
        *nn_net_bias(net, 1, j % 10) = -(float)(j % 10);
    }
    (void)save(net, NULL, "model");
    blob file = fixture_read("model");
    const char *header = header_of(file);
    const unsigned char *data = file.data + 8 + header_size(file);
    cr_assert_eq(file.n, 8 + header_size(file) + 4 * 11935);
    cr_assert_eq(header_size(file) % 8, 0);
    for (size_t t = 0; t < 4; t++) {
        cr_assert_not_null(strstr(header, tensors[t]), "%s is not in %s", tensors[t], header);
    }
    for (size_t j = 0; j < 15; j++) {
        for (size_t i = 0; i < 784; i++) {
            cr_assert_eq(little_endian_float(data + 4 * (784 * j + i)),
                         *nn_net_weight(net, 0, j, i));
        }
        cr_assert_eq(little_endian_float(data + 47040 + 4 * j), (float)j);
    }
    for (size_t j = 0; j < 10; j++) {
        for (size_t i = 0; i < 15; i++) {
            cr_assert_eq(little_endian_float(data + 47100 + 4 * (15 * j + i)),
                         *nn_net_weight(net, 1, j, i));
        }
        cr_assert_eq(little_endian_float(data + 47700 + 4 * j), -(float)j);
    }
    nn_net_free(net);
}

/* As another program may write it: spaces, another order of keys and of tensors, no padding. */
Test(model, file_of_another_program_is_read)
{
    static const char header[] =
        "{ \"fc1.bias\" : { \"shape\" : [ 2 ], \"data_offsets\" : [ 0, 8 ], \"dtype\" : \"F32\" "
        "},\n"
        "\"fc1.weight\": {\"data_offsets\": [8, 16], \"dtype\": \"F32\", \"shape\": [2, 1]},\n"
        "\"__metadata__\": {\"crc32\": \"%08lx\", \"note\": \"\\u20ac\", \"format_version\": "
        "\"1\", "
        "\"network\": \"{\\\"layers\\\": [{\\\"dropout\\\": 0.0, \\\"units\\\": 2.0, "
        "\\\"activation\\\": \\\"relu\\\"}], \\\"initialiser\\\": \\\"he\\\", \\\"inputs\\\": 1, "
        "\\\"loss\\\": \\\"squared-error\\\", \\\"input_dropout\\\": 0}\" } }";
    /* 1, 2, 3, 4 */
    blob data = BYTES("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40");
    const uLong crc = crc32(0, data.data, (uInt)data.n);
    nn_meta meta = {0};
    nn_net *net = NULL;
    const char *path = fixture_write(
        "theirs", assemble(replaced(header, "%08lx", fixture_text("%08lx", crc)), data));
    cr_assert_eq(nn_model_load(&net, &meta, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(*nn_net_bias(net, 0, 0), 1);
    cr_assert_eq(*nn_net_bias(net, 0, 1), 2);
    cr_assert_eq(*nn_net_weight(net, 0, 0, 0), 3);
    cr_assert_eq(*nn_net_weight(net, 0, 1, 0), 4);
    cr_assert_eq(nn_net_config(net)->layers[0].activation, NN_RELU);
    cr_assert_str_eq(nn_meta_get(&meta, "note"), "\xe2\x82\xac");
    nn_meta_release(&meta);
    nn_net_free(net);
}

/* ---- damage -------------------------------------------------------------------------------- */

/* The file is cut and changed in place: opening and writing it anew each time would take seconds.
 */
Test(model, file_cut_anywhere_is_refused)
{
    blob file = tiny_file();
    const char *path = fixture_path("tiny");
    nn_net *net = NULL;
    for (size_t n = file.n - 1; n > 0; n--) {
        cr_assert_eq(truncate(path, (off_t)n), 0);
        cr_assert_eq(nn_model_load(&net, NULL, path), NN_ERR_MODEL, "%zu bytes", n);
        cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
        cr_assert_null(net);
    }
    assert_refused(fixture_cut(file, 36), "it holds no tensors");
    assert_refused(BYTES(""), "it is too short for a safetensors file");
}

Test(model, file_with_a_byte_too_many_is_refused)
{
    assert_refused(fixture_join(tiny_file(), BYTES("\0")),
                   "its tensors need 36 bytes, it holds 37");
}

/* The CRC covers the tensors; in the header a flip may hit a dropout or a fact of the caller's, but
 * never what the network computes. */
Test(model, flip_of_any_bit_is_refused_or_changes_no_number)
{
    const nn_layer layer = {1, NN_RELU, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_GLOROT, 0.5};
    nn_net *original = new_net(&config, 1);
    const char *path = save(original, NULL, "model");
    blob content = fixture_read("model");
    const size_t header_bits = 8 * (8 + header_size(content));
    size_t accepted = 0;
    const int fd = open(path, O_WRONLY);
    cr_assert_geq(fd, 0);
    for (size_t bit = 0; bit < 8 * content.n; bit++) {
        nn_net *net = NULL;
        const unsigned char flipped = (unsigned char)(content.data[bit / 8] ^ 1u << bit % 8);
        cr_assert_eq(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
        const nn_status status = nn_model_load(&net, NULL, path);
        if (status == NN_OK) {
            cr_assert(bit < header_bits && same_network(original, net), "bit %zu", bit);
            accepted++;
        } else {
            cr_assert_eq(status, NN_ERR_MODEL, "bit %zu", bit);
            cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
            cr_assert_null(net);
        }
        nn_net_free(net);
        cr_assert_eq(pwrite(fd, &content.data[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    cr_assert_lt(accepted, 20, "%zu", accepted); /* digits of the input dropout, 0.5 */
    (void)close(fd);
    nn_net_free(original);
}

Test(model, flipped_tensor_bit_is_told_by_its_crc)
{
    blob file = tiny_file();
    file.data[file.n - 1] ^= 1;
    const char *why = refusal(file, NN_ERR_MODEL);
    cr_assert_eq(strncmp(why, "damaged: the CRC-32 of its tensors is ", 38), 0, "%s", why);
    const uLong found = crc32(0, tensors_of(file).data, 36);
    const uLong expected = crc32(0, tensors_of(tiny_file()).data, 36);
    cr_assert_str_eq(why + 38, fixture_text("%08lx, its header says %08lx", found, expected));
}

Test(model, missing_or_misspelt_crc_is_refused)
{
    const char *why = refusal(with("\"crc32\":", "\"crc\":"), NN_ERR_MODEL);
    cr_assert_not_null(strstr(why, ", its header says nothing"), "%s", why);
    why = refusal(with("\"crc32\":\"", "\"crc32\":\"0"), NN_ERR_MODEL);
    cr_assert_not_null(strstr(why, ", its header says 0"), "%s", why);
}

Test(model, number_that_is_not_finite_is_refused_though_its_crc_is_right)
{
    static const unsigned char bad[][4] = {
        {0, 0, 0x80, 0x7f}, {0, 0, 0x80, 0xff}, {0, 0, 0xc0, 0x7f}, {1, 0, 0x80, 0x7f}};
    blob good = tensors_of(tiny_file());
    for (size_t k = 0; k < 9; k++) {
        for (size_t v = 0; v < 4; v++) {
            blob tensors = fixture_bytes(good.data, good.n);
            memcpy(tensors.data + 4 * k, bad[v], 4);
            assert_refused(with_tensors(tensors), "it holds a number that is not finite");
        }
    }
    /* The way of making these files is sound. */
    nn_net_free(load(fixture_write("sound", with_tensors(good))));
}

/* ---- the length of the header -------------------------------------------------------------- */

Test(model, impossible_header_length_is_refused)
{
    static const char why[] = "its first 8 bytes are not the length of a safetensors header";
    blob file = tiny_file();
    const uint64_t behind = file.n - 8;
    const uint64_t lengths[] = {behind + 1,        (uint64_t)1 << 20, (uint64_t)1 << 31,
                                (uint64_t)1 << 63, UINT64_MAX,        UINT64_MAX - 7};
    blob rest = fixture_bytes(file.data + 8, file.n - 8);
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        assert_refused(fixture_join(length_field(lengths[k]), rest), why);
    }
    assert_refused(fixture_join(length_field(behind), rest), "it holds no tensors");
    assert_refused(fixture_join(length_field(2), BYTES("{}")), "it holds no tensors");
    assert_refused(fixture_join(length_field(1), BYTES("{")),
                   "it is too short for a safetensors file");
    for (uint64_t n = 0; n < header_size(file); n += 7) {
        (void)refusal(fixture_join(length_field(n), rest), NN_ERR_MODEL);
    }
}

Test(model, header_of_a_mebibyte_is_the_longest)
{
    const size_t most = (size_t)1 << 20;
    blob file = tiny_file();
    const char *header = header_of(file);
    blob padding = fixture_repeat(' ', most + 1 - strlen(header));
    blob text = fixture_join(fixture_bytes(header, strlen(header)), padding);
    blob longest =
        fixture_join(fixture_join(length_field(most), fixture_cut(text, 1)), tensors_of(file));
    blob longer = fixture_join(fixture_join(length_field(most + 1), text), tensors_of(file));
    nn_net_free(load(fixture_write("longest", longest)));
    assert_refused(longer, "its first 8 bytes are not the length of a safetensors header");
}

/* ---- hostile headers ----------------------------------------------------------------------- */

#define NOT_JSON                                                                                   \
    "its header is not a JSON object in UTF-8, has a zero character, or has too many keys or one " \
    "twice"
#define NO_META "its header has no object '__metadata__', or one with too many keys or one twice"
#define NO_NETWORK "its metadata entry 'network' does not describe a network"
#define COUNT "it holds more or fewer tensors than its network has"
#define NOT_OURS                                                                                   \
    "it was not written by this program, or by a version to come: format_version is not 1"
#define BAD_TENSOR(name)                                                                           \
    "the tensor '" name "' is missing, or not F32 of the shape and place that its network asks "   \
    "for"
#define OVERLAP(a, b) "the tensors '" a "' and '" b "' overlap"

Test(model, header_that_is_no_json_object_is_refused)
{
    static const char *const headers[] = {
        "",  "  ", "hello", "[]",       "null",       "1",       "\"{}\"",
        "{", "}",  "{]",    "{\"a\":}", "{\"a\":1,}", "{'a':1}", "{\"a\" 1}",
    };
    blob tensors = tensors_of(tiny_file());
    const char *good = header_of(tiny_file());
    for (size_t k = 0; k < sizeof headers / sizeof *headers; k++) {
        assert_refused(assemble(headers[k], tensors), NOT_JSON);
    }
    assert_refused(assemble(fixture_text("%s{}", good), tensors), NOT_JSON);
    assert_refused(assemble(fixture_text("%s\n", good), tensors), NOT_JSON);
    assert_refused(assemble(fixture_text(" %s", good), tensors), NOT_JSON);
    assert_refused(assemble(fixture_text("\xef\xbb\xbf%s", good), tensors), NOT_JSON);
    assert_refused(assemble("{}", tensors), NO_META);
}

Test(model, header_with_a_zero_byte_is_refused)
{
    blob file = tiny_file();
    file.data[8 + header_size(file) - 1] = '\0'; /* where a space was, or the last bracket */
    assert_refused(file, NOT_JSON);
}

Test(model, header_that_is_not_utf8_or_hides_a_zero_is_refused)
{
    static const char *const bad[] = {"\xe9",      "\xc0\x80", "\xed\xa0\x80",
                                      "a\\u0000b", "\\u0000",  "\\\\\\u0000"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_refused(with("\"seed\":\"1\"", fixture_text("\"seed\":\"%s\"", bad[k])), NOT_JSON);
        assert_refused(with("\"seed\":\"1\"", fixture_text("\"%s\":\"1\"", bad[k])), NOT_JSON);
    }
    assert_refused(with("\\\"inputs\\\"", "\\\"inputs\\\\u0000\\\""), NO_NETWORK);
}

Test(model, text_that_looks_like_an_escape_is_taken)
{
    nn_meta meta = {0};
    nn_net *net = NULL;
    blob file = with("\"seed\":\"1\"", "\"seed\":\"\\\\u0000 \\u0001\"");
    cr_assert_eq(nn_model_load(&net, &meta, fixture_write("a.safetensors", file)), NN_OK, "%s",
                 nn_error_text());
    cr_assert_str_eq(nn_meta_get(&meta, "seed"), "\\u0000 \x01");
    nn_net_free(net);
    nn_meta_release(&meta);
}

Test(model, deeply_nested_header_is_refused)
{
    const size_t n = 500000;
    blob brackets = fixture_repeat('[', n);
    blob text = fixture_join(BYTES("{\"a\":"), brackets);
    assert_refused(fixture_join(fixture_join(length_field(text.n), text), BYTES("1234")), NOT_JSON);
}

Test(model, key_that_comes_twice_is_refused_at_every_level)
{
    static const char entry[] =
        "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}";
    assert_refused(with(entry, fixture_text("%s,%s", entry, entry)), NOT_JSON);
    assert_refused(with("{\"__metadata__\"", "{\"__metadata__\":{},\"__metadata__\""), NOT_JSON);
    assert_refused(with("\"seed\":\"1\"", "\"seed\":\"1\",\"seed\":\"1\""), NO_META);
    assert_refused(with("\"seed\":", "\"crc32\":\"\",\"seed\":"), NO_META);
    assert_refused(with("\"dtype\":", "\"dtype\":\"F32\",\"dtype\":"), BAD_TENSOR("fc1.weight"));
    assert_refused(with("\\\"inputs\\\":", "\\\"inputs\\\":2,\\\"inputs\\\":"), NO_NETWORK);
    assert_refused(with("\\\"units\\\":", "\\\"units\\\":2,\\\"units\\\":"), NO_NETWORK);
}

Test(model, metadata_of_another_kind_are_refused)
{
    assert_refused(with("\"__metadata__\"", "\"__metadata\""), NO_META);
    assert_refused(with("\"__metadata__\":{", "\"__metadata__\":[],\"x\":{"), NO_META);
    assert_refused(with("\"seed\":\"1\"", "\"seed\":1"),
                   "an entry of its metadata is not a string");
    assert_refused(with("\"format_version\":\"1\"", "\"format_version\":\"2\""), NOT_OURS);
    assert_refused(with("\"format_version\"", "\"version\""), NOT_OURS);
}

/* Each changes one thing in the metadata entry "network". */
Test(model, network_that_cannot_be_is_refused)
{
    static const struct {
        const char *from, *to, *why;
    } table[] = {
        {"\"network\":", "\"net\":", NO_NETWORK},
        {"\"{\\\"inputs\\\"", "\" {\\\"inputs\\\"", NO_NETWORK},
        {"glorot\\\"}\"", "glorot\\\"}x\"", NO_NETWORK},
        {"glorot\\\"}\"", "glorot\\\"\"", NO_NETWORK},
        {"glorot\\\"}", "glorot\\\",\\\"more\\\":1}", NO_NETWORK},
        {",\\\"initialiser\\\":\\\"glorot\\\"", "", NO_NETWORK},
        {"glorot", "xavier", NO_NETWORK},
        {"squared-error", "squared error", NO_NETWORK},
        {"\\\"squared-error\\\"", "1", NO_NETWORK},
        {"tanh", "step", NO_NETWORK},
        {"\\\"tanh\\\"", "null", NO_NETWORK},
        {"\\\"inputs\\\":2", "\\\"inputs\\\":-2", NO_NETWORK},
        {"\\\"inputs\\\":2", "\\\"inputs\\\":2.5", NO_NETWORK},
        {"\\\"inputs\\\":2", "\\\"inputs\\\":\\\"2\\\"", NO_NETWORK},
        {"\\\"inputs\\\":2", "\\\"inputs\\\":1048577", NO_NETWORK},
        {"\\\"inputs\\\":2", "\\\"inputs\\\":1e300", NO_NETWORK},
        {"\\\"inputs\\\":2", "\\\"inputs\\\":1e999", NO_NETWORK},
        {"\\\"units\\\":2", "\\\"units\\\":1e18", NO_NETWORK},
        {"\\\"units\\\":2", "\\\"units\\\":-1", NO_NETWORK},
        {"\\\"units\\\":2", "\\\"unit\\\":2", NO_NETWORK},
        {"\\\"dropout\\\":0.25", "\\\"dropout\\\":\\\"0.25\\\"", NO_NETWORK},
        {"\\\"dropout\\\":0.25", "\\\"dropout\\\":0.25,\\\"more\\\":1", NO_NETWORK},
        {"\\\"input_dropout\\\":0", "\\\"input_dropout\\\":true", NO_NETWORK},
        {"\\\"layers\\\":[", "\\\"layers\\\":[1,", NO_NETWORK},
        {"\\\"layers\\\":[", "\\\"layers\\\":[[],", NO_NETWORK},
        {"\\\"layers\\\":[", "\\\"layers\\\":[null,", NO_NETWORK},
        /* These say what is wrong with the network. */
        {"\\\"dropout\\\":0.25", "\\\"dropout\\\":1",
         "dropout must be at least 0 and less than 1, and 0 in the last layer"},
        {"\\\"dropout\\\":0}", "\\\"dropout\\\":0.5}",
         "dropout must be at least 0 and less than 1, and 0 in the last layer"},
        {"\\\"input_dropout\\\":0", "\\\"input_dropout\\\":-1",
         "input dropout must be at least 0 and less than 1"},
        {"tanh", "softmax", "softmax goes into the last layer only, not into layer 1"},
        {"squared-error", "cross-entropy",
         "the loss cross-entropy does not go with sigmoid in the last layer"},
        /* These ask for other tensors, and for memory only when they are there. */
        {"\\\"units\\\":2", "\\\"units\\\":3", BAD_TENSOR("fc1.weight")},
        {"\\\"units\\\":2", "\\\"units\\\":0", BAD_TENSOR("fc1.weight")},
        {"\\\"units\\\":2", "\\\"units\\\":1048576", BAD_TENSOR("fc1.weight")},
        {"\\\"inputs\\\":2", "\\\"inputs\\\":1048576", BAD_TENSOR("fc1.weight")},
        {"\\\"layers\\\":[{",
         "\\\"layers\\\":[{\\\"units\\\":2,\\\"activation\\\":\\\"tanh\\\","
         "\\\"dropout\\\":0},{",
         COUNT},
    };
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        assert_refused(with(table[t].from, table[t].to), table[t].why);
    }
}

Test(model, no_layers_and_sixty_five_layers_are_refused)
{
    static const char layer[] =
        "{\\\"units\\\":1,\\\"activation\\\":\\\"tanh\\\",\\\"dropout\\\":0}";
    const char *layers = layer;
    for (size_t k = 1; k < 65; k++) {
        layers = fixture_text("%s,%s", layers, layer);
    }
    const char *header = header_of(tiny_file());
    const char *from = strstr(header, "\\\"layers\\\":[") + strlen("\\\"layers\\\":[");
    const char *old = fixture_text("%.*s", (int)(strchr(from, ']') - from), from);
    assert_refused(with(old, ""), NO_NETWORK);
    assert_refused(with(old, layers), NO_NETWORK);
}

/* Each changes one thing in a tensor's entry. */
Test(model, tensor_that_the_network_does_not_ask_for_is_refused)
{
    static const char weight[] = "\"shape\":[2,2],\"data_offsets\":[0,16]";
    static const char *const wrong[] = {
        /* shape */
        "\"shape\":[4,1],\"data_offsets\":[0,16]",
        "\"shape\":[4],\"data_offsets\":[0,16]",
        "\"shape\":[],\"data_offsets\":[0,16]",
        "\"shape\":[2,2,1],\"data_offsets\":[0,16]",
        "\"shape\":[2,2.5],\"data_offsets\":[0,16]",
        "\"shape\":[-2,-2],\"data_offsets\":[0,16]",
        "\"shape\":[\"2\",2],\"data_offsets\":[0,16]",
        "\"shape\":[[2,2]],\"data_offsets\":[0,16]",
        "\"shape\":{\"a\":2,\"b\":2.5},\"data_offsets\":[0,16]",
        "\"shape\":4,\"data_offsets\":[0,16]",
        "\"shape\":[2,2]",
        /* offsets */
        "\"shape\":[2,2],\"data_offsets\":[0,12]",
        "\"shape\":[2,2],\"data_offsets\":[0,17]",
        "\"shape\":[2,2],\"data_offsets\":[0,20]",
        "\"shape\":[2,2],\"data_offsets\":[16,0]",
        "\"shape\":[2,2],\"data_offsets\":[-4,12]",
        "\"shape\":[2,2],\"data_offsets\":[24,40]",
        "\"shape\":[2,2],\"data_offsets\":[0.5,16.5]",
        "\"shape\":[2,2],\"data_offsets\":[0,1e300]",
        "\"shape\":[2,2],\"data_offsets\":[1e300,1e300]",
        "\"shape\":[2,2],\"data_offsets\":[18446744073709551600,18446744073709551616]",
        "\"shape\":[2,2],\"data_offsets\":[0,16,16]",
        "\"shape\":[2,2],\"data_offsets\":[0]",
        "\"shape\":[2,2],\"data_offsets\":\"0,16\"",
        "\"shape\":[2,2],\"data_offsets\":[null,16]",
        "\"shape\":[2,2],\"offsets\":[0,16]",
        "\"shape\":[2,2],\"data_offsets\":[0,16],\"more\":1",
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        assert_refused(with(weight, wrong[k]), BAD_TENSOR("fc1.weight"));
    }
    static const char *const types[] = {"\"F64\"", "\"F16\"", "\"f32\"", "\"\"", "32", "null"};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        assert_refused(with("\"dtype\":\"F32\"", fixture_text("\"dtype\":%s", types[k])),
                       BAD_TENSOR("fc1.weight"));
    }
}

Test(model, tensors_too_many_or_too_few_are_refused)
{
    static const char last[] =
        "\"fc2.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[32,36]}";
    static const char extra[] = "\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[36,36]}";
    assert_refused(with(last, fixture_text("%s,%s", last, extra)), COUNT);
    assert_refused(with(fixture_text(",%s", last), ""), COUNT);
    assert_refused(with("\"fc2.bias\"", "\"fc3.bias\""), BAD_TENSOR("fc2.bias"));
    assert_refused(with("\"fc2.bias\"", "\"FC2.bias\""), BAD_TENSOR("fc2.bias"));
    assert_refused(with(last, "\"fc2.bias\":[32,36]"), BAD_TENSOR("fc2.bias"));
    assert_refused(with(last, "\"fc2.bias\":null"), BAD_TENSOR("fc2.bias"));
}

Test(model, tensors_that_overlap_or_leave_a_gap_are_refused)
{
    blob file = tiny_file();
    assert_refused(with("[24,32]", "[16,24]"), OVERLAP("fc1.bias", "fc2.weight"));
    assert_refused(with("[24,32]", "[20,28]"), OVERLAP("fc1.bias", "fc2.weight"));
    assert_refused(with("[0,16]", "[16,32]"), OVERLAP("fc1.weight", "fc1.bias"));
    assert_refused(with("[32,36]", "[0,4]"), OVERLAP("fc1.weight", "fc2.bias"));
    assert_refused(with("[16,24]", "[4,12]"), OVERLAP("fc1.weight", "fc1.bias"));
    /* A gap of 4 bytes behind fc1.weight, the file being as much longer. */
    const char *header = header_of(file);
    header = replaced(header, "[16,24]", "[20,28]");
    header = replaced(header, "[24,32]", "[28,36]");
    header = replaced(header, "[32,36]", "[36,40]");
    assert_refused(assemble(header, fixture_join(tensors_of(file), BYTES("\0\0\0\0"))),
                   "its tensors need 36 bytes, it holds 40");
}

/* A file with n more keys before the given one. */
static blob with_keys(size_t n, const char *before)
{
    blob keys = fixture_repeat(0, 12 * n + 1);
    for (size_t k = 0; k < n; k++) {
        (void)snprintf((char *)keys.data + 12 * k, 13, "\"%06u\":\"\",", (unsigned)(k % 1000000));
    }
    return with(before, fixture_text("%s%s", (const char *)keys.data, before));
}

/* 100,000 keys fit into a header; comparing each with each would take minutes. */
Test(model, header_full_of_keys_is_refused_at_once)
{
    static const char *const places[] = {"\"seed\":\"1\"", "\"fc1.bias\"", "\"dtype\""};
    static const char *const why[] = {NO_META, NOT_JSON, BAD_TENSOR("fc1.weight")};
    for (size_t p = 0; p < 3; p++) {
        assert_refused(with_keys(60000, places[p]), why[p]);
    }
}

/* Metadata, four tensors, and as many more as a network of 64 layers has, or one too many. */
Test(model, header_has_128_tensors_at_most)
{
    assert_refused(with_keys(124, "\"fc1.bias\""), COUNT);
    assert_refused(with_keys(125, "\"fc1.bias\""), NOT_JSON);
}

/* ---- files that are no files --------------------------------------------------------------- */

Test(model, missing_file_is_an_io_error)
{
    nn_net *net = NULL;
    const char *path = fixture_path("nowhere");
    cr_assert_eq(nn_model_load(&net, NULL, path), NN_ERR_IO);
    cr_assert_str_eq(nn_error_text(),
                     fixture_text("cannot open '%s': No such file or directory", path));
    cr_assert_null(net);
}

Test(model, folder_is_an_io_error)
{
    nn_net *net = NULL;
    const char *path = fixture_path("");
    cr_assert_eq(nn_model_load(&net, NULL, path), NN_ERR_IO);
    cr_assert_str_eq(nn_error_text(),
                     fixture_text("cannot read '%s': it is a folder, not a regular file", path));
    cr_assert_null(net);
}

Test(model, failing_read_is_an_io_error)
{
    (void)tiny_file();
    const char *path = fixture_path("tiny");
    nn_net *net = NULL;
    for (unsigned long n = 1; n <= 4; n++) { /* length, header, tensors, the end */
        fault_clear();
        fault_at(FAULT_READ, n, EIO, false);
        cr_assert_eq(nn_model_load(&net, NULL, path), NN_ERR_IO, "read %lu", n);
        cr_assert_str_eq(nn_error_text(),
                         fixture_text("cannot read '%s': Input/output error", path));
        cr_assert_null(net);
    }
    fault_clear();
    fault_short(1); /* a slow pipe of a disk is fine */
    nn_net_free(load(path));
}

/* ---- failing to save ----------------------------------------------------------------------- */

static void assert_not_saved(const nn_net *net, const nn_meta *meta, nn_status expected)
{
    const char *path = fixture_write("model", BYTES("the old one"));
    const size_t count = fixture_count();
    cr_assert_eq(nn_model_save(net, meta, path), expected, "%s", nn_error_text());
    cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
    fault_clear();
    cr_assert(same_bytes(fixture_read("model"), BYTES("the old one")));
    cr_assert_eq(fixture_count(), count);
}

Test(model, parameter_that_is_not_finite_is_not_saved)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    nn_net *net = tiny_net();
    for (size_t v = 0; v < 3; v++) {
        *nn_net_bias(net, 1, 0) = bad[v];
        assert_not_saved(net, NULL, NN_ERR_MODEL);
        cr_assert_str_eq(nn_error_text(),
                         fixture_text("not saving '%s': a parameter is not a finite number",
                                      fixture_path("model")));
    }
    nn_net_free(net);
}

Test(model, metadata_that_are_not_utf8_are_not_saved)
{
    nn_net *net = tiny_net();
    for (int k = 0; k < 2; k++) {
        nn_meta meta = {0};
        set(&meta, "good", "z\xc3\xbcrich");
        set(&meta, k == 0 ? "caf\xe9" : "name", k == 0 ? "1" : "caf\xe9");
        assert_not_saved(net, &meta, NN_ERR_MODEL);
        nn_meta_release(&meta);
    }
    nn_net_free(net);
}

Test(model, folder_that_is_missing_is_an_io_error)
{
    nn_net *net = tiny_net();
    const char *path = fixture_path("no/such/model");
    cr_assert_eq(nn_model_save(net, NULL, path), NN_ERR_IO);
    cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
    cr_assert_not_null(strstr(nn_error_text(), "No such file or directory"));
    cr_assert_eq(fixture_count(), 0);
    nn_net_free(net);
}

Test(model, full_disk_leaves_the_old_file)
{
    nn_net *net = tiny_net();
    static const fault calls[] = {FAULT_OPEN, FAULT_WRITE, FAULT_FSYNC, FAULT_CLOSE, FAULT_RENAME};
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        fault_at(calls[k], 1, ENOSPC, true);
        assert_not_saved(net, NULL, NN_ERR_IO);
    }
    nn_net_free(net);
}

Test(model, metadata_that_no_header_can_hold_are_not_saved)
{
    nn_net *net = tiny_net();
    nn_meta meta = {0};
    set(&meta, "long", (const char *)fixture_repeat('x', (size_t)1 << 20).data);
    assert_not_saved(net, &meta, NN_ERR_MODEL);
    nn_meta_release(&meta);
    set(&meta, "long", (const char *)fixture_repeat('x', (size_t)1 << 19).data);
    nn_net_free(load(save(net, &meta, "model")));
    nn_meta_release(&meta);
    nn_net_free(net);
}

/* A mebibyte exactly is written and read; one of a few bytes more, padded or not, is not written.
 */
Test(model, longest_header_that_can_be_loaded_is_saved)
{
    const size_t most = (size_t)1 << 20;
    nn_net *net = tiny_net();
    nn_meta meta = {0};
    set(&meta, "long", "");
    save(net, &meta, "model");
    const char *header = header_of(fixture_read("model"));
    const size_t others = (size_t)(strrchr(header, '}') + 1 - header);
    set(&meta, "long", (const char *)fixture_repeat('x', most - others).data);
    nn_net_free(load(save(net, &meta, "model")));
    cr_assert_eq(header_size(fixture_read("model")), most);
    for (size_t more = 1; more <= 8; more++) {
        set(&meta, "long", (const char *)fixture_repeat('x', most - others + more).data);
        assert_not_saved(net, &meta, NN_ERR_MODEL);
    }
    nn_meta_release(&meta);
    nn_net_free(net);
}

Test(model, as_many_entries_as_can_be_loaded_are_saved)
{
    nn_net *net = tiny_net();
    nn_meta meta = {0};
    nn_meta back = {0};
    nn_net *again = NULL;
    for (size_t k = 0; k < 997; k++) { /* 1000 with the file's own */
        set(&meta, fixture_text("%zu", k), "");
    }
    const char *path = save(net, &meta, "most");
    cr_assert_eq(nn_model_load(&again, &back, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(back.n, 997);
    set(&meta, "one more", "");
    assert_not_saved(net, &meta, NN_ERR_MODEL);
    nn_meta_release(&back);
    nn_meta_release(&meta);
    nn_net_free(again);
    nn_net_free(net);
}

/* ---- memory -------------------------------------------------------------------------------- */

/* The n-th allocation fails, for n = 1, 2, ... until none does. */
/* What there is no memory for, and how often that is at least. Blocks: the tensors' bytes and the
 * writer; header, data, three for the entry, two for the network. The locale in which JSON is
 * written and read: for the header, and for the network, which is a string in it. */
static const struct {
    fault which;
    unsigned long saving, loading;
} short_of[] = {{FAULT_ALLOC, 2, 7}, {FAULT_LOCALE, 2, 2}};

static void assert_failing_memory_leaves_the_old_file(fault which, unsigned long least)
{
    nn_net *net = tiny_net();
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    (void)fixture_write("model", BYTES("the old one"));
    while (status == NN_ERR_MEMORY) {
        cr_assert(same_bytes(fixture_read("model"), BYTES("the old one")));
        fault_clear();
        fault_at(which, ++failures, ENOMEM, false);
        status = nn_model_save(net, NULL, fixture_path("model"));
    }
    cr_assert_eq(status, NN_OK, "%s", nn_error_text());
    cr_assert_gt(failures, least);
    fault_clear();
    nn_net_free(net);
}

Test(model, failing_memory_while_saving_leaves_the_old_file)
{
    for (size_t k = 0; k < 2; k++) {
        assert_failing_memory_leaves_the_old_file(short_of[k].which, short_of[k].saving);
    }
}

static void assert_failing_memory_leaves_no_trace(fault which, unsigned long least)
{
    (void)tiny_file();
    const char *path = fixture_path("tiny");
    nn_net *net = NULL;
    nn_meta meta = {0};
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    while (status == NN_ERR_MEMORY) {
        cr_assert(net == NULL && meta.n == 0);
        fault_clear();
        fault_at(which, ++failures, ENOMEM, false);
        status = nn_model_load(&net, &meta, path);
    }
    cr_assert_eq(status, NN_OK, "%s", nn_error_text());
    cr_assert_gt(failures, least);
    fault_clear();
    nn_meta_release(&meta);
    nn_net_free(net);
}

Test(model, failing_memory_while_loading_leaves_no_trace)
{
    for (size_t k = 0; k < 2; k++) {
        assert_failing_memory_leaves_no_trace(short_of[k].which, short_of[k].loading);
    }
}

/* cJSON has its own allocations: dozens a file. */
Test(model, failing_memory_in_json_while_saving_leaves_the_old_file)
{
    nn_net *net = tiny_net();
    nn_meta meta = {0};
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    set(&meta, "seed", "1");
    const size_t blocks = fault_blocks();
    (void)fixture_write("model", BYTES("the old one"));
    while (status == NN_ERR_MEMORY) {
        cr_assert(same_bytes(fixture_read("model"), BYTES("the old one")));
        fault_clear();
        fault_at(FAULT_JSON, ++failures, ENOMEM, false);
        status = nn_model_save(net, &meta, fixture_path("model"));
        cr_assert_eq(fault_blocks(), blocks);
    }
    cr_assert_eq(status, NN_OK, "%s", nn_error_text());
    cr_assert_gt(failures, 50);
    fault_clear();
    nn_net *back = load(fixture_path("model"));
    cr_assert(same_network(net, back));
    nn_net_free(back);
    nn_meta_release(&meta);
    nn_net_free(net);
}

Test(model, failing_memory_in_json_while_loading_leaves_no_trace)
{
    (void)tiny_file();
    const char *path = fixture_path("tiny");
    nn_net *net = NULL;
    nn_meta meta = {0};
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    while (status != NN_OK) {
        cr_assert(net == NULL && meta.n == 0);
        fault_clear();
        fault_at(FAULT_JSON, ++failures, ENOMEM, false);
        status = nn_model_load(&net, &meta, path);
        cr_assert(status == NN_OK || status == NN_ERR_MODEL || status == NN_ERR_MEMORY);
        cr_assert(status == NN_OK || fault_blocks() == 0);
    }
    cr_assert_gt(failures, 50);
    fault_clear();
    nn_meta_release(&meta);
    nn_net_free(net);
}

/* ---- files that change meanwhile ----------------------------------------------------------- */

static off_t meanwhile;
static const char *changing;

static void resize(void)
{
    cr_assert_eq(truncate(changing, meanwhile), 0);
}

/* The header is parsed between the reading of header and tensors: the moment to change the file. */
Test(model, file_that_shrinks_or_grows_while_it_is_read_is_refused)
{
    blob file = tiny_file();
    nn_net *net = NULL;
    static const char *const why[] = {"it ends early", "it grew while it was read"};
    for (size_t k = 0; k < 2; k++) {
        changing = fixture_write("changing", file);
        meanwhile = (off_t)file.n + (k == 0 ? -1 : 1);
        fault_before(FAULT_JSON, 1, resize);
        cr_assert_eq(nn_model_load(&net, NULL, changing), NN_ERR_MODEL);
        cr_assert_str_eq(nn_error_text(),
                         fixture_text("'%s' is not a usable model: %s", changing, why[k]));
        cr_assert_null(net);
    }
}
