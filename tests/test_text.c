/* Promise: whatever a file is called, its name is printed so that a terminal shows it, a shell
 * takes it and a JSON reader reads it; numbers and times are written as people write them. */
#include "fixtures.h"
#include "text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns what a function prints; the next call overwrites it. */
static const char *printed(void (*print)(FILE *to, const char *text), const char *text)
{
    static char result[256];
    char *memory = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&memory, &size);
    cr_assert(to);
    print(to, text);
    fclose(to);
    cr_assert(size < sizeof result);
    memcpy(result, memory, size + 1);
    free(memory);
    return result;
}

Test(text, control_characters_are_not_printed)
{
    cr_expect_str_eq(printed(text_print, "a\033[31m\n\t\x7f z"), "a?[31m??? z");
    cr_expect_str_eq(printed(text_print, "\xc2\x80\xc2\x9b|\xc2\x9f"), "??|?");
    cr_expect_str_eq(printed(text_print, "\xc2\xa0\xc3\x9b\xc2"), "\xc2\xa0\xc3\x9b\xc2");
    char name[] = "\xc2\x9b"
                  "1m \x01 \xc2";
    text_tame(name);
    cr_expect_str_eq(name, "??1m ? \xc2");
}

Test(text, words_are_quoted_for_a_shell_where_they_must_be)
{
    cr_expect_str_eq(printed(text_print_word, "data/mnist-1_2.gz"), "data/mnist-1_2.gz");
    cr_expect_str_eq(printed(text_print_word, "my data"), "'my data'");
    cr_expect_str_eq(printed(text_print_word, "it's"), "'it'\\''s'");
    cr_expect_str_eq(printed(text_print_word, "$HOME;`x`"), "'$HOME;`x`'");
    cr_expect_str_eq(printed(text_print_word, "~"), "'~'");
    cr_expect_str_eq(printed(text_print_word, ""), "''");
    cr_expect_str_eq(printed(text_print_word, "a\nb"), "'a?b'");
}

Test(text, what_is_no_utf8_is_replaced)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"plain", "plain"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\x80", "\xef\xbf\xbd"},                                 /* a byte out of place */
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* NUL in two bytes */
        {"\xe0\x9f\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* longer than needed */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half a surrogate pair */
        {"\xed\x9f\xbf", "\xed\x9f\xbf"},                         /* the last before them */
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},                 /* U+10FFFF */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"}, /* cut off */
        {"\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char *copy = text_utf8(cases[k].text);
        cr_assert_not_null(copy);
        cr_expect_str_eq(copy, cases[k].expected, "case %zu", k);
        nn_free(copy);
    }
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    cr_expect_null(text_utf8("plain"));
}

Test(text, columns_count_characters)
{
    cr_expect_eq(text_columns(""), 0);
    cr_expect_eq(text_columns("abc"), 3);
    cr_expect_eq(text_columns("\xe2\x96\x88\xc3\xa4z"), 3);
}

Test(text, durations_are_never_negative_or_absurd)
{
    static const struct {
        double seconds;
        const char *expected;
    } cases[] = {
        {0, "0:00"},           {0.49, "0:00"},       {0.5, "0:01"},
        {59.5, "1:00"},        {3599.4, "59:59"},    {3599.5, "1:00:00"},
        {360000, "100:00:00"}, {1e300, "999:00:00"}, {(double)INFINITY, "999:00:00"},
        {-1, "0:00"},          {-1e300, "0:00"},     {(double)NAN, "0:00"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char text[TEXT_NUMBER_SIZE];
        cr_expect_str_eq(text_duration(text, cases[k].seconds), cases[k].expected);
    }
}

Test(text, one_of_a_thing_is_not_several)
{
    char text[TEXT_NUMBER_SIZE];
    cr_expect_str_eq(text_counted(text, 1, "image"), "1 image");
    cr_expect_str_eq(text_counted(text, 0, "image"), "0 images");
    cr_expect_str_eq(text_counted(text, 1234, "image"), "1,234 images");
    cr_expect_str_eq(text_counted(text, 1, "batch"), "1 batch");
    cr_expect_str_eq(text_counted(text, 2, "batch"), "2 batches");
    cr_expect_str_eq(text_counted(text, 2, "epoch"), "2 epochs");
    cr_expect_str_eq(text_counted(text, 1, "bias"), "1 bias");
    cr_expect_str_eq(text_counted(text, 2, "bias"), "2 biases");
    cr_expect_str_eq(text_counted(text, SIZE_MAX, "training image"),
                     "18,446,744,073,709,551,615 training images");
}

Test(text, real_numbers_read_back_exactly)
{
    static const double values[] = {0.1,   1.0 / 3, 1e-5,     1e22, 5e-324, 1.7976931348623157e308,
                                    -0.25, 0,       123456789};
    for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
        char text[TEXT_NUMBER_SIZE];
        cr_expect_eq(strtod(text_real(text, values[k]), NULL), values[k], "%s", text);
    }
    char text[TEXT_NUMBER_SIZE];
    cr_expect_str_eq(text_real(text, 0.1), "0.1");
    cr_expect_str_eq(text_count(text, 1234567), "1,234,567");
    cr_expect_str_eq(text_bytes(text, 999999), "1000 kB");
}
