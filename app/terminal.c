#include "terminal.h"

#include "streams.h"
#include "text.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    USUAL_COLUMNS = 80,
    MOST_COLUMNS = 1000 /* no line is longer, however wide the terminal claims to be */
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- what is there ------------------------------------------------------------------------ */

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

/* Terminals of the VT series and those that call themselves monochrome move their cursor, but have
 * no colours to number. */
static bool has_colours(const char *type)
{
    return strncmp(type, "vt", 2) != 0 && !text_ends_with(type, "-mono") &&
           !text_ends_with(type, "-m");
}

/* Returns the width of the terminal on a stream; `otherwise` where it does not say. */
static size_t columns_of(FILE *stream, size_t otherwise)
{
    struct winsize size;
    bool known = ioctl(streams_file(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? least(size.ws_col, MOST_COLUMNS) : otherwise;
}

terminal terminal_of(FILE *stream)
{
    terminal screen = {.columns = USUAL_COLUMNS};
    const char *type = getenv("TERM");
    screen.present = isatty(streams_file(stream)) == 1;
    screen.movable = screen.present && type && *type && strcmp(type, "dumb") != 0;
    screen.colour = screen.movable && has_colours(type) && !is_set("NO_COLOR");
    screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (screen.present) {
        screen.columns = columns_of(stream, USUAL_COLUMNS);
    }
    return screen;
}

size_t terminal_room(const terminal *screen)
{
    return screen->present ? screen->columns - 1 : SIZE_MAX;
}

const char *terminal_code(const terminal *screen, terminal_style style)
{
    static const char *const codes[] = {[STYLE_PLAIN] = "\033[0m",
                                        [STYLE_BOLD] = "\033[1m",
                                        [STYLE_FAINT] = "\033[2m",
                                        [STYLE_RED] = "\033[31m"};
    return screen->colour ? codes[style] : "";
}

void terminal_paint(FILE *to, const terminal *screen, int ink, int ground)
{
    if (screen->colour) {
        fprintf(to, "\033[38;5;%d;48;5;%dm", ink, ground);
    }
}

double clock_seconds(void)
{
    static double counted, last_read; /* virtual machines' clocks have gone back: that is 0 s */
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) == 0) {
        double read = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
        counted += read > last_read ? read - last_read : 0;
        last_read = read;
    }
    return counted;
}

/* ---- progress ----------------------------------------------------------------------------- */

#define REDRAW_SECONDS 0.1

enum {
    BAR_WIDTH = 24, /* at most */
    BAR_LEAST = 8,  /* before a note gives way to it */
    LINE_SIZE = 4 * MOST_COLUMNS
};

/* A line in the making; what does not fit is left out. */
typedef struct {
    char text[LINE_SIZE];
    size_t length, columns;
} line;

static void add(line *l, const char *text)
{
    size_t length = strlen(text);
    if (length < sizeof l->text - l->length) {
        memcpy(l->text + l->length, text, length + 1);
        l->length += length;
        l->columns += text_columns(text);
    }
}

void progress_init(progress *bar, bool quiet)
{
    *bar = (progress){.screen = terminal_of(stderr), .drawn_at = clock_seconds()};
    bar->screen.movable = bar->screen.movable && !quiet;
}

bool progress_is_due(const progress *bar)
{
    return bar->screen.movable && clock_seconds() - bar->drawn_at >= REDRAW_SECONDS;
}

static void add_bar(line *l, const terminal *screen, double done, size_t width)
{
    const char *full = screen->utf8 ? "\xe2\x94\x81" : "#"; /* U+2501, a heavy line */
    const char *rest = screen->utf8 ? "\xe2\x94\x80" : "-"; /* U+2500, a light one */
    double share = done > 0 ? done < 1 ? done : 1 : 0;
    size_t filled = (size_t)(share * (double)width);
    for (size_t i = 0; i < width; i++) {
        add(l, i < filled ? full : rest);
    }
}

/* Lays out label, bar and as many notes as there is room for. */
static void lay_out(line *l, const progress *bar, double done, const char *label,
                    const char *const *notes, size_t n)
{
    size_t room = terminal_room(&bar->screen), taken = text_columns(label) + 2, shown = 0;
    if (taken <= room) {
        add(l, label);
    }
    size_t fixed = taken + BAR_LEAST;
    while (shown < n && fixed + 2 + text_columns(notes[shown]) <= room) {
        fixed += 2 + text_columns(notes[shown++]);
    }
    if (fixed <= room) {
        add(l, "  ");
        add_bar(l, &bar->screen, done, least(BAR_WIDTH, BAR_LEAST + room - fixed));
    }
    for (size_t i = 0; i < shown; i++) {
        add(l, "  ");
        add(l, notes[i]);
    }
}

/* Goes to the start of the bar. A terminal that became narrower has wrapped it: its lower rows are
 * wiped away. */
static void return_to_start(line *l, const progress *bar)
{
    size_t columns = bar->screen.columns;
    add(l, "\r");
    if (bar->visible > 0 && columns < bar->made_columns && bar->visible > columns) {
        char up[TEXT_NUMBER_SIZE];
        snprintf(up, sizeof up, "\033[%zuA\033[J", (bar->visible - 1) / columns);
        add(l, up);
    }
}

/* Writes a line at once, so that nobody sees half of it. */
static void put(const line *l)
{
    (void)fwrite(l->text, 1, l->length, stderr);
    (void)fflush(stderr);
}

void progress_show(progress *bar, double done, const char *label, const char *const *notes,
                   size_t n)
{
    if (!progress_is_due(bar)) {
        return;
    }
    line shown = {.length = 0}, whole = {.length = 0};
    bar->screen.columns = columns_of(stderr, bar->screen.columns);
    return_to_start(&whole, bar);
    lay_out(&shown, bar, done, label, notes, n);
    add(&whole, shown.text);
    add(&whole, "\033[K"); /* the rest of a longer one before */
    put(&whole);
    bar->visible = shown.columns;
    bar->made_columns = bar->screen.columns;
    bar->drawn_at = clock_seconds();
}

void progress_clear(progress *bar)
{
    if (bar->visible > 0) {
        line l = {.length = 0};
        bar->screen.columns = columns_of(stderr, bar->screen.columns);
        return_to_start(&l, bar);
        add(&l, "\033[K");
        put(&l);
        bar->visible = 0;
    }
}

/* ---- pictures ----------------------------------------------------------------------------- */

/* The part of pictures [all_rows][all_columns] that is drawn: from row `top` and column `left` on,
 * rows x columns squares of scale x scale pixels. */
typedef struct {
    size_t all_rows, all_columns;
    size_t top, left, rows, columns, scale;
} window;

/* The mean of a square's pixels; paper outside the picture. */
static uint8_t ink_at(const uint8_t *pixels, const window *w, size_t row, size_t column)
{
    size_t sum = 0, top = w->top + row * w->scale, left = w->left + column * w->scale;
    for (size_t y = top; y < least(top + w->scale, w->all_rows) && row < w->rows; y++) {
        for (size_t x = left; x < least(left + w->scale, w->all_columns); x++) {
            sum += pixels[y * w->all_columns + x];
        }
    }
    return (uint8_t)(sum / (w->scale * w->scale));
}

/* The 24 greys of the 256 colours, 232 black to 255 nearly white. */
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

/* Prints the characters for rows `row` and `row` + 1. */
static void print_rows(FILE *to, const terminal *screen, const uint8_t *pixels, const window *w,
                       size_t row)
{
    void (*print_cell)(FILE *, uint8_t, uint8_t) = print_ascii_cell;
    if (screen->utf8) {
        print_cell = screen->colour ? print_grey_cell : print_block_cell;
    }
    for (size_t x = 0; x < w->columns; x++) {
        print_cell(to, ink_at(pixels, w, row, x), ink_at(pixels, w, row + 1, x));
    }
    fputs(screen->utf8 ? terminal_code(screen, STYLE_PLAIN) : "", to);
}

/* Makes squares so large that the window fits into so many columns. */
static void shrink(window *w, size_t room)
{
    size_t scale = room > 0 ? (w->columns + room - 1) / room : w->columns;
    w->scale = most(scale, 1);
    w->columns = (w->columns + w->scale - 1) / w->scale;
    w->rows = (w->rows + w->scale - 1) / w->scale;
}

void terminal_picture(FILE *to, const terminal *screen, const uint8_t *pixels, size_t rows,
                      size_t columns)
{
    window w = {.all_rows = rows, .all_columns = columns, .rows = rows, .columns = columns};
    shrink(&w, terminal_room(screen));
    for (size_t row = 0; row < w.rows; row += 2) {
        print_rows(to, screen, pixels, &w, row);
        fputc('\n', to);
    }
}

/* Makes a window smaller until ink of some picture touches each side of it. */
static void crop(window *w, const captioned_picture *pictures, size_t n)
{
    size_t top = w->all_rows, left = w->all_columns, bottom = 0, right = 0;
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < w->all_rows * w->all_columns; i++) {
            size_t y = i / w->all_columns, x = i % w->all_columns;
            if (pictures[k].pixels[i] > 0) {
                top = least(top, y);
                left = least(left, x);
                bottom = most(bottom, y + 1);
                right = most(right, x + 1);
            }
        }
    }
    if (top < bottom) {
        w->top = top;
        w->left = left;
        w->rows = bottom - top;
        w->columns = right - left;
    }
}

/* Returns the columns that each picture needs with its captions. */
static size_t place_width(const captioned_picture *pictures, size_t n, const window *w)
{
    size_t width = w->columns;
    for (size_t k = 0; k < n; k++) {
        for (size_t c = 0; c < TERMINAL_CAPTIONS; c++) {
            width = most(width, text_columns(pictures[k].captions[c]));
        }
    }
    return width;
}

static void print_captions(FILE *to, const captioned_picture *pictures, size_t n, size_t c,
                           size_t indent, size_t width)
{
    size_t blanks = indent;
    bool any = false;
    for (size_t k = 0; k < n; k++) {
        any = any || *pictures[k].captions[c];
    }
    for (size_t k = 0; k < n && any; k++) {
        fprintf(to, "%*s%s", (int)blanks, "", pictures[k].captions[c]);
        blanks = width - text_columns(pictures[k].captions[c]);
    }
    fputs(any ? "\n" : "", to);
}

size_t terminal_pictures(FILE *to, const terminal *screen, const captioned_picture *pictures,
                         size_t n, size_t rows, size_t columns, size_t indent)
{
    enum {
        GAP = 3
    };
    window w = {.all_rows = rows, .all_columns = columns, .rows = rows, .columns = columns};
    size_t room = screen->columns > indent + 1 ? screen->columns - indent - 1 : 0;
    crop(&w, pictures, n);
    shrink(&w, room);
    size_t width = place_width(pictures, n, &w) + GAP;
    size_t shown = least(n, most((room + GAP) / width, 1));
    for (size_t row = 0; row < w.rows; row += 2) {
        fprintf(to, "%*s", (int)indent, "");
        for (size_t k = 0; k < shown; k++) {
            print_rows(to, screen, pictures[k].pixels, &w, row);
            fprintf(to, "%*s", k + 1 < shown ? (int)(width - w.columns) : 0, "");
        }
        fputc('\n', to);
    }
    for (size_t c = 0; c < TERMINAL_CAPTIONS; c++) {
        print_captions(to, pictures, shown, c, indent, width);
    }
    return shown;
}
