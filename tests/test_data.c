/* Promises: images and labels that do not make a data set are refused with the reason; views see
 * what they should and own nothing. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(data, .init = fixtures_begin, .fini = fixtures_end, .timeout = 60);

/* Loads the two files and expects a failure; in the text, @i and @l stand for their paths. */
static void assert_refused(blob images, blob labels, const char *text)
{
    const char *images_path = fixture_write("images", images);
    const char *labels_path = fixture_write("labels", labels);
    nn_data data = {.n = 99};
    const char *expected = "";
    for (; *text != '\0'; text++) {
        if (*text == '@') {
            text++;
            expected = fixture_text("%s%s", expected, *text == 'i' ? images_path : labels_path);
        } else {
            expected = fixture_text("%s%c", expected, *text);
        }
    }
    cr_assert_eq(nn_data_load(&data, images_path, labels_path, 10), NN_ERR_DATA);
    cr_assert_str_eq(nn_error_text(), expected);
    cr_assert_eq(data.n, 99);
}

Test(data, loads_images_and_labels)
{
    nn_data data;
    const char *images = fixture_write("i", BYTES("\0\0\x08\3\0\0\0\3\0\0\0\2\0\0\0\4"
                                                  "abcdefghABCDEFGHijklmnop"));
    const char *labels = fixture_write("l", fixture_gzip(BYTES("\0\0\x08\1\0\0\0\3\x09\0\5")));
    cr_assert_eq(nn_data_load(&data, images, labels, 10), NN_OK, "%s", nn_error_text());
    cr_assert_eq(data.n, 3);
    cr_assert_eq(data.inputs, 8);
    cr_assert_eq(data.outputs, 10);
    cr_assert_eq(data.rows, 2);
    cr_assert_eq(data.columns, 4);
    cr_assert_arr_eq(data.pixels, "abcdefghABCDEFGHijklmnop", 24);
    cr_assert_arr_eq(data.labels, "\x09\0\5", 3);
    cr_assert_null(data.values);
    cr_assert_null(data.targets);
    nn_data_release(&data);
    const nn_data empty = {0};
    cr_assert_eq(memcmp(&data, &empty, sizeof data), 0);
}

Test(data, release_takes_null_views_and_empty_sets)
{
    nn_data data;
    cr_assert_eq(nn_data_load(&data, fixture_write("i", fixture_images(3, 2, 2)),
                              fixture_write("l", fixture_labels(3, 3)), 3),
                 NN_OK);
    nn_data view = nn_data_slice(&data, 0, 3);
    nn_data_release(&view);
    cr_assert_eq(data.labels[2], 2);
    nn_data_release(&data);
    nn_data_release(&data);
    nn_data_release(NULL);
}

Test(data, rejects_swapped_files)
{
    assert_refused(fixture_labels(2, 10), fixture_images(2, 2, 2),
                   "'@i' holds labels and '@l' images: swapped?");
}

Test(data, rejects_the_same_file_twice)
{
    assert_refused(fixture_labels(2, 10), fixture_labels(2, 10),
                   "'@i' has 1 dimension, expected 3 for images");
    assert_refused(fixture_images(2, 2, 2), fixture_images(2, 2, 2),
                   "'@l' has 3 dimensions, expected 1 for labels");
}

Test(data, rejects_wrong_types)
{
    blob images = fixture_images(2, 2, 2);
    blob labels = fixture_labels(2, 10);
    images.data[2] = 0x09;
    assert_refused(images, labels, "'@i' holds elements of type i8, expected u8 for images");
    images.data[2] = 0x08;
    labels.data[2] = 0x09;
    assert_refused(images, labels, "'@l' holds elements of type i8, expected u8 for labels");
}

Test(data, rejects_unequal_counts)
{
    assert_refused(fixture_images(3, 2, 2), fixture_labels(2, 10),
                   "'@i' holds 3 images, but '@l' 2 labels");
}

Test(data, rejects_no_images)
{
    assert_refused(fixture_images(0, 28, 28), fixture_labels(2, 10),
                   "'@i' holds nothing: its size is 0 x 28 x 28, expected at least 1 each");
    assert_refused(fixture_images(2, 2, 2), fixture_labels(0, 10),
                   "'@l' holds nothing: its size is 0, expected at least 1 each");
}

Test(data, rejects_a_label_beyond_the_classes)
{
    blob labels = fixture_labels(5, 10);
    labels.data[8 + 3] = 10;
    assert_refused(fixture_images(5, 2, 2), labels, "'@l': label 3 is 10, expected 0 to 9");
    labels.data[8 + 3] = 255;
    assert_refused(fixture_images(5, 2, 2), labels, "'@l': label 3 is 255, expected 0 to 9");
    labels.data[8] = 11;
    assert_refused(fixture_images(5, 2, 2), labels, "'@l': label 0 is 11, expected 0 to 9");
}

Test(data, rejects_numbers_of_classes_that_a_byte_cannot_count)
{
    nn_data data;
    const char *images = fixture_write("i", fixture_images(2, 2, 2));
    const char *labels = fixture_write("l", BYTES("\0\0\x08\1\0\0\0\2\0\xff"));
    cr_assert_eq(nn_data_load(&data, images, labels, 0), NN_ERR_ARGUMENT);
    cr_assert_str_eq(nn_error_text(), "cannot load data of 0 classes, expected 1 to 256");
    cr_assert_eq(nn_data_load(&data, images, labels, 257), NN_ERR_ARGUMENT);
    cr_assert_eq(nn_data_load(&data, images, labels, 256), NN_OK);
    nn_data_release(&data);
}

Test(data, reports_what_is_wrong_with_either_file)
{
    assert_refused(BYTES("<html>"), fixture_labels(2, 10),
                   "'@i' is an HTML page, not an IDX file (a failed download?)");
    assert_refused(fixture_images(2, 2, 2), BYTES("PK\3\4"),
                   "'@l' is a zip archive, not an IDX file");
}

Test(data, reports_a_missing_file)
{
    nn_data data;
    const char *there = fixture_write("i", fixture_images(2, 2, 2));
    const char *missing = fixture_path("l");
    const char *text = fixture_text("cannot open '%s': No such file or directory", missing);
    cr_assert_eq(nn_data_load(&data, there, missing, 10), NN_ERR_IO);
    cr_assert_str_eq(nn_error_text(), text);
    cr_assert_eq(nn_data_load(&data, missing, there, 10), NN_ERR_IO);
    cr_assert_str_eq(nn_error_text(), text);
}

Test(data, loading_survives_every_refused_allocation)
{
    const char *images = fixture_write("i", fixture_gzip(fixture_images(20, 8, 8)));
    const char *labels = fixture_write("l", fixture_gzip(fixture_labels(20, 10)));
    nn_status status = NN_ERR_MEMORY;
    unsigned long n = 0;
    nn_data data = {.n = 99};
    while (status != NN_OK) {
        cr_assert_eq(data.n, 99);
        fault_clear();
        fault_at(FAULT_ALLOC, ++n, ENOMEM, false);
        status = nn_data_load(&data, images, labels, 10);
        cr_assert(status == NN_OK || status == NN_ERR_MEMORY);
    }
    cr_assert_geq(n, 7);
    nn_data_release(&data);
}

/* ---- views -------------------------------------------------------------------------------- */

static const uint8_t pixels[] = {0, 1, 10, 11, 20, 21, 30, 31};
static const uint8_t labels_of[] = {0, 1, 2, 3};
static const nn_real values[] = {0, 1, 10, 11, 20, 21, 30, 31};
static const nn_real targets[] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};

Test(data, slice_points_at_the_samples_asked_for)
{
    void *const anything = &(char){0};
    const nn_data data = {.n = 4,
                          .inputs = 2,
                          .outputs = 3,
                          .rows = 1,
                          .columns = 2,
                          .pixels = pixels,
                          .values = values,
                          .labels = labels_of,
                          .targets = targets,
                          .owned = {anything, anything}};
    const nn_data view = nn_data_slice(&data, 1, 2);
    cr_assert_eq(view.n, 2);
    cr_assert_eq(view.inputs, 2);
    cr_assert_eq(view.outputs, 3);
    cr_assert_eq(view.rows, 1);
    cr_assert_eq(view.columns, 2);
    cr_assert_eq(view.pixels, pixels + 2);
    cr_assert_eq(view.values, values + 2);
    cr_assert_eq(view.labels, labels_of + 1);
    cr_assert_eq(view.targets, targets + 3);
    cr_assert_null(view.owned[0]);
    cr_assert_null(view.owned[1]);
}

Test(data, slice_is_cut_to_what_there_is)
{
    const nn_data data = {.n = 4, .inputs = 2, .pixels = pixels};
    static const size_t cases[][3] = {/* first, n, samples found */
                                      {0, 4, 4},        {0, 5, 4}, {3, 1, 1}, {3, 2, 1},
                                      {4, 1, 0},        {5, 1, 0}, {2, 0, 0}, {1, SIZE_MAX, 3},
                                      {SIZE_MAX, 1, 0}, {0, 0, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const nn_data view = nn_data_slice(&data, cases[k][0], cases[k][1]);
        cr_assert_eq(view.n, cases[k][2], "case %zu", k);
        cr_assert_leq(view.pixels + view.n * 2, pixels + 8);
    }
}

Test(data, slice_keeps_absent_arrays_absent)
{
    const nn_data data = {.n = 4, .inputs = 2, .outputs = 3};
    const nn_data view = nn_data_slice(&data, 2, 2);
    cr_assert_eq(view.n, 2);
    cr_assert(view.pixels == NULL && view.values == NULL);
    cr_assert(view.labels == NULL && view.targets == NULL);
}

Test(data, slice_of_a_slice_counts_from_the_slice)
{
    const nn_data data = {.n = 4, .inputs = 2, .pixels = pixels, .labels = labels_of};
    const nn_data outer = nn_data_slice(&data, 1, 3);
    const nn_data inner = nn_data_slice(&outer, 1, 9);
    cr_assert_eq(inner.n, 2);
    cr_assert_eq(inner.pixels[0], 20);
    cr_assert_eq(inner.labels[0], 2);
}
