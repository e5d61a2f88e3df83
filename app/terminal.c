#include "terminal.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    USUAL_COLUMNS = 80,
    BAR_WIDTH = 24 /* at most */
};

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

static bool wants_colour(void)
{
    const char *type = getenv("TERM");
    return type && *type && strcmp(type, "dumb") != 0 && !is_set("NO_COLOR");
}

terminal terminal_of(FILE *stream)
{
    terminal screen = {.columns = USUAL_COLUMNS};
    struct winsize size;
    screen.present = isatty(fileno(stream)) == 1;
    screen.colour = screen.present && wants_colour();
    screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (screen.present && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        screen.columns = size.ws_col;
    }
    return screen;
}

const char *terminal_code(const terminal *screen, terminal_style style)
{
    static const char *const codes[] = {[STYLE_PLAIN] = "\033[0m",
                                        [STYLE_BOLD] = "\033[1m",
                                        [STYLE_FAINT] = "\033[2m",
                                        [STYLE_RED] = "\033[31m"};
    return screen->colour ? codes[style] : "";
}

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- progress ----------------------------------------------------------------------------- */

#define REDRAW_SECONDS 0.1

void progress_init(progress *bar, bool quiet)
{
    *bar = (progress){.screen = terminal_of(stderr), .drawn_at = clock_seconds()};
    bar->screen.present = bar->screen.present && !quiet;
}

bool progress_is_due(const progress *bar)
{
    return bar->screen.present && clock_seconds() - bar->drawn_at >= REDRAW_SECONDS;
}

static void draw_bar(const progress *bar, double done, size_t width)
{
    const char *full = bar->screen.utf8 ? "\xe2\x94\x81" : "#"; /* U+2501, a heavy line */
    const char *rest = bar->screen.utf8 ? "\xe2\x94\x80" : "-"; /* U+2500, a light one */
    double share = done < 0 ? 0 : done > 1 ? 1 : done;
    size_t filled = (size_t)(share * (double)width);
    for (size_t i = 0; i < width; i++) {
        fputs(i < filled ? full : rest, stderr);
    }
}

void progress_show(progress *bar, double done, const char *label, const char *note)
{
    if (!progress_is_due(bar)) {
        return;
    }
    /* The last column stays free: some terminals wrap when it is written to. */
    size_t room = bar->screen.columns - 1, label_width = strlen(label), note_width = strlen(note);
    size_t width = BAR_WIDTH;
    bool note_fits = label_width + 2 + width + 2 + note_width <= room;
    if (label_width + 2 + width > room) {
        width = room > label_width + 2 ? room - label_width - 2 : 0;
    }
    fprintf(stderr, "\r\033[K%.*s  ", (int)(room > 2 ? room - 2 : 0), label);
    draw_bar(bar, done, width);
    if (note_fits) {
        fprintf(stderr, "  %s", note);
    }
    (void)fflush(stderr);
    bar->visible = true;
    bar->drawn_at = clock_seconds();
}

void progress_clear(progress *bar)
{
    if (bar->visible) {
        fputs("\r\033[K", stderr);
        (void)fflush(stderr);
        bar->visible = false;
    }
}

/* ---- pictures ----------------------------------------------------------------------------- */

static uint8_t pixel_at(const uint8_t *pixels, size_t rows, size_t columns, size_t row, size_t x)
{
    return row < rows ? pixels[row * columns + x] : 0;
}

/* The 24 greys of the 256-colour palette, 232 black to 255 nearly white. */
static int grey_code(uint8_t ink)
{
    return 232 + ink * 23 / 255;
}

/* An upper half block: its colour is the upper pixel, its background the lower one. */
static void print_grey_cell(FILE *to, uint8_t upper, uint8_t lower)
{
    fprintf(to, "\033[38;5;%d;48;5;%dm\xe2\x96\x80", grey_code(upper), grey_code(lower));
}

static void print_block_cell(FILE *to, uint8_t upper, uint8_t lower)
{
    static const char *const blocks[] = {" ", "\xe2\x96\x80", "\xe2\x96\x84", "\xe2\x96\x88"};
    const unsigned ink = 96; /* from here on a pixel counts as ink: what is drawn looks as thick */
    fputs(blocks[(upper >= ink ? 1 : 0) + (lower >= ink ? 2 : 0)], to);
}

static void print_ascii_cell(FILE *to, uint8_t upper, uint8_t lower)
{
    static const char shades[] = " .:-=+*#%@";
    unsigned mean = ((unsigned)upper + lower + 1) / 2;
    fputc(shades[mean * (sizeof shades - 2) / 255], to);
}

void terminal_picture(FILE *to, const terminal *screen, const uint8_t *pixels, size_t rows,
                      size_t columns)
{
    void (*print_cell)(FILE *, uint8_t, uint8_t) = print_ascii_cell;
    if (screen->utf8) {
        print_cell = screen->colour ? print_grey_cell : print_block_cell;
    }
    for (size_t row = 0; row < rows; row += 2) {
        for (size_t x = 0; x < columns; x++) {
            print_cell(to, pixel_at(pixels, rows, columns, row, x),
                       pixel_at(pixels, rows, columns, row + 1, x));
        }
        fprintf(to, "%s\n", terminal_code(screen, STYLE_PLAIN));
    }
}
