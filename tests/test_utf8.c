/* Promise: what is called UTF-8 is what RFC 3629 calls so. */
#include "utf8.h"

#include <criterion/criterion.h>
#include <string.h>

static bool is_utf8(const char *text)
{
    return nn_is_utf8(text, strlen(text));
}

/* The first and the last character of each length, and the neighbours of the surrogates. */
Test(utf8, takes_each_length_from_its_first_character_to_its_last)
{
    static const char *const texts[] = {
        "",
        "\x01",
        "a\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xef\xbf\xbf",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xf0\x90\x80\x80",
        "\xf1\x80\x80\x80",
        "\xf3\xbf\xbf\xbf",
        "\xf4\x8f\xbf\xbf",
        "z\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80.",
    };
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        cr_expect(is_utf8(texts[k]), "text %zu", k);
    }
    cr_expect(nn_is_utf8("a\0b", 3));
}

Test(utf8, refuses_everything_else)
{
    static const char *const texts[] = {
        "\x80",                 /* nothing to continue */
        "\xbf",                 /* likewise */
        "a\xe9",                /* Latin-1 */
        "\xc3",                 /* cut off */
        "\xe2\x82",             /* likewise */
        "\xf0\x9f\x98",         /* likewise */
        "\xc3(",                /* not continued */
        "\xe2(\xac",            /* likewise */
        "\xe2\x82(",            /* likewise */
        "\xf0\x9f\x98(",        /* likewise */
        "\xc3\xc3",             /* a new one begins too early */
        "\xc0\x80",             /* U+0000 in two bytes */
        "\xc1\xbf",             /* U+007F in two */
        "\xe0\x9f\xbf",         /* U+07FF in three */
        "\xf0\x8f\xbf\xbf",     /* U+FFFF in four */
        "\xed\xa0\x80",         /* U+D800, a surrogate */
        "\xed\xbf\xbf",         /* U+DFFF, another */
        "\xf4\x90\x80\x80",     /* U+110000 */
        "\xf5\x80\x80\x80",     /* beyond */
        "\xf8\x88\x80\x80\x80", /* five bytes */
        "\xfe",
        "\xff",
    };
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        cr_expect_not(is_utf8(texts[k]), "text %zu", k);
    }
    cr_expect_not(nn_is_utf8("\xc3\xbc", 1));
}

/* Every text of two bytes, against the same rule said in another way. */
Test(utf8, judges_all_pairs_of_bytes)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            const char text[2] = {(char)a, (char)b};
            const bool two_ascii = a < 0x80 && b < 0x80;
            const bool one = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
            cr_expect_eq(nn_is_utf8(text, 2), two_ascii || one, "%02x %02x", a, b);
        }
    }
}
