/* Promise: a picture is drawn with what the terminal has, half a character a pixel, and never wider
 * than the terminal; the clock never goes back. */
#include "terminal.h"
#include "text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const terminal utf8 = {.present = true, .movable = true, .utf8 = true, .columns = 80};
static const terminal ascii = {.present = true, .movable = true, .columns = 80};
static const terminal coloured = {
    .present = true, .movable = true, .colour = true, .utf8 = true, .columns = 80};

/* A file in memory that a test writes to and then reads. */
typedef struct {
    FILE *to;
    char *text;
    size_t size;
} sink;

static void open_sink(sink *s)
{
    s->to = open_memstream(&s->text, &s->size);
    cr_assert(s->to);
}

static void expect_text(sink *s, const char *expected)
{
    fclose(s->to);
    cr_expect_str_eq(s->text, expected);
    free(s->text);
}

static const uint8_t corner[3 * 3] = {
    255, 255, 0, /* */
    255, 0,   0, /* */
    0,   0,   95 /* too little to be ink */
};

Test(terminal, draws_two_rows_in_one_line)
{
    sink s;
    open_sink(&s);
    terminal_picture(s.to, &utf8, corner, 3, 3);
    expect_text(&s, "█▀ \n   \n");
}

Test(terminal, draws_in_ascii_by_darkness)
{
    sink s;
    open_sink(&s);
    terminal_picture(s.to, &ascii, corner, 3, 3);
    expect_text(&s, "@= \n  .\n"); /* means 255, 128, 0; 0, 0, 48 of 255 */
}

Test(terminal, draws_in_greys_and_switches_them_off)
{
    const uint8_t picture[2] = {255, 0};
    sink s;
    open_sink(&s);
    terminal_picture(s.to, &coloured, picture, 2, 1);
    expect_text(&s, "\033[38;5;255;48;5;232m▀\033[0m\n");
}

Test(terminal, draws_wide_pictures_smaller)
{
    uint8_t picture[4 * 100];
    terminal narrow = utf8;
    sink s;
    narrow.columns = 26; /* room for 25 */
    memset(picture, 255, sizeof picture);
    open_sink(&s);
    terminal_picture(s.to, &narrow, picture, 4, 100);
    expect_text(&s, "▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀\n"); /* 100 x 4 pixels in 25 x 1 squares */
}

Test(terminal, crops_pictures_to_their_common_ink)
{
    static const uint8_t first[5 * 4] = {[1 * 4 + 1] = 255}, second[5 * 4] = {[2 * 4 + 2] = 255};
    const captioned_picture both[] = {{first, {"one"}}, {second, {"two", "2"}}};
    sink s;
    open_sink(&s);
    cr_expect_eq(terminal_pictures(s.to, &utf8, both, 2, 5, 4, 1), 2);
    expect_text(&s, " ▀      ▄\n" /* 2 x 2 pixels each, in places 3 + 3 wide */
                    " one   two\n"
                    "       2\n");
}

Test(terminal, leaves_out_pictures_that_do_not_fit)
{
    static const uint8_t ink[2 * 10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                        255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const captioned_picture three[] = {{ink, {""}}, {ink, {""}}, {ink, {""}}};
    terminal narrow = utf8;
    for (size_t columns = 1; columns < 60; columns++) {
        sink s;
        narrow.columns = columns;
        open_sink(&s);
        size_t shown = terminal_pictures(s.to, &narrow, three, 3, 2, 10, 0);
        fclose(s.to);
        size_t fit = (columns - 1 + 3) / (10 + 3); /* with 3 columns between */
        cr_expect_eq(shown, fit < 1 ? 1 : fit > 3 ? 3 : fit, "%zu in %zu", shown, columns);
        s.text[strcspn(s.text, "\n")] = '\0';
        cr_expect(columns < 3 || text_columns(s.text) < columns, "'%s' in %zu", s.text, columns);
        free(s.text);
    }
}

Test(terminal, draws_blank_pictures_whole)
{
    static const uint8_t blank[2 * 3];
    const captioned_picture one = {blank, {"nothing"}};
    sink s;
    open_sink(&s);
    terminal_pictures(s.to, &utf8, &one, 1, 2, 3, 0);
    expect_text(&s, "   \nnothing\n");
}

Test(terminal, has_no_colours_for_a_file)
{
    FILE *file = tmpfile();
    cr_assert(file);
    setenv("TERM", "xterm-256color", 1);
    terminal screen = terminal_of(file);
    cr_expect(!screen.present && !screen.movable && !screen.colour && screen.columns == 80);
    cr_expect_str_eq(terminal_code(&screen, STYLE_BOLD), "");
    terminal_paint(file, &screen, 1, 2);
    cr_expect_eq(ftell(file), 0);
    fclose(file);
}

Test(terminal, clock_does_not_go_back)
{
    double before = clock_seconds();
    for (int i = 0; i < 10000; i++) {
        double now = clock_seconds();
        cr_assert(now >= before);
        before = now;
    }
}
