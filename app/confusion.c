#include "confusion.h"

#include "eval_text.h"
#include "text.h"

#include <string.h>

enum {
    INDENT = 12, /* where values stand */
    N_SHADES = 4
};

/* A share of a row from which on a count is shaded, and how: in colour, in UTF-8, in ASCII. */
static const struct shade {
    double from;
    int ground;
    const char *block, *plain;
} shades[N_SHADES] = {
    {0.005, 52, "\xe2\x96\x91", "-"}, /* U+2591 to U+2593, light to dark; U+2588, full */
    {0.01, 88, "\xe2\x96\x92", "+"},
    {0.02, 124, "\xe2\x96\x93", "*"},
    {0.05, 160, "\xe2\x96\x88", "#"},
};

/* Colours: what is right is blue, as on the contact sheet, the lighter the more of it. */
enum {
    GROUND = 234,
    INK_NOTHING = 240,
    INK_FEW = 250,
    INK_SHADED = 255
};

static int ground_of_right(double share)
{
    static const struct {
        double from;
        int ground;
    } blues[] = {{0.98, 32}, {0.95, 26}, {0.9, 25}, {0.75, 19}, {0.5, 18}};
    for (size_t i = 0; i < sizeof blues / sizeof blues[0]; i++) {
        if (share >= blues[i].from) {
            return blues[i].ground;
        }
    }
    return 17;
}

/* Returns the strongest shade that a share deserves, or NULL. */
static const struct shade *shade_of(double share)
{
    for (size_t i = N_SHADES; i-- > 0;) {
        if (share >= shades[i].from) {
            return &shades[i];
        }
    }
    return NULL;
}

/* ---- layout ------------------------------------------------------------------------------- */

typedef struct {
    size_t indent; /* columns for the row's name */
    size_t width;  /* of a cell, its mark included */
} layout;

static size_t number_width(size_t n)
{
    char text[TEXT_NUMBER_SIZE];
    return (size_t)snprintf(text, sizeof text, "%zu", n);
}

static size_t widest_name(const trained *model, size_t classes)
{
    size_t widest = 0;
    for (size_t k = 0; k < classes; k++) {
        char name[CLASS_NAME_SIZE];
        size_t length = strlen(trained_class(model, k, name));
        widest = length > widest ? length : widest;
    }
    return widest;
}

/* Finds the roomiest layout that fits; *fits tells whether even the tightest does. */
static layout choose_layout(bool *fits, const terminal *screen, const trained *model,
                            const nn_report *report)
{
    size_t names = widest_name(model, report->classes), counts = names;
    for (size_t k = 0; k < report->classes * report->classes; k++) {
        size_t width = number_width(report->confusion[k]);
        counts = width > counts ? width : counts;
    }
    const layout by_room[] = {
        {INDENT, counts + 2}, {names + 2, counts + 2}, {names + 1, counts + 1}};
    const size_t n = sizeof by_room / sizeof by_room[0];
    for (size_t i = 0; i < n; i++) {
        if (by_room[i].indent + by_room[i].width * report->classes < screen->columns) {
            *fits = true;
            return by_room[i];
        }
    }
    *fits = !screen->present; /* a file has room for anything */
    return by_room[n - 1];
}

/* ---- printing ----------------------------------------------------------------------------- */

/* Prints a count in colour, on a ground that tells its share of the row. */
static void print_painted(FILE *to, const terminal *screen, size_t times, double share, bool right,
                          int width)
{
    const struct shade *shade = shade_of(share);
    if (right) {
        terminal_paint(to, screen, INK_SHADED, ground_of_right(share));
    } else if (shade) {
        terminal_paint(to, screen, INK_SHADED, shade->ground);
    } else {
        terminal_paint(to, screen, times > 0 ? INK_FEW : INK_NOTHING, GROUND);
    }
    if (times > 0) {
        fprintf(to, "%*zu ", width - 1, times);
    } else {
        fprintf(to, "%*s ", width - 1, ".");
    }
}

/* Prints a count, and after a mistake the character of its shade. Returns the blanks to print
 * before whatever follows on the line. */
static int print_marked(FILE *to, const terminal *screen, size_t times, double share, bool right,
                        int width)
{
    const struct shade *shade = right ? NULL : shade_of(share);
    if (times > 0) {
        fprintf(to, "%*zu", width, times);
    } else {
        fprintf(to, "%*s", width, ".");
    }
    if (shade) {
        fputs(screen->utf8 ? shade->block : shade->plain, to);
    }
    return shade ? 0 : 1;
}

static void print_row(FILE *to, const terminal *screen, const layout *at, const nn_report *report,
                      size_t k)
{
    const size_t *row = report->confusion + k * report->classes;
    double total = (double)class_total(report, k);
    int blanks = 0;
    for (size_t c = 0; c < report->classes; c++) {
        double share = total > 0 ? (double)row[c] / total : 0;
        if (screen->colour) {
            print_painted(to, screen, row[c], share, k == c, (int)at->width);
        } else {
            blanks = print_marked(to, screen, row[c], share, k == c,
                                  (int)at->width - 1 + (c > 0 ? blanks : 0));
        }
    }
    fprintf(to, "%s\n", terminal_code(screen, STYLE_PLAIN));
}

static void print_key(FILE *to, const terminal *screen)
{
    char share[TEXT_NUMBER_SIZE];
    fprintf(to, "\nshades      from");
    for (size_t i = 0; i < N_SHADES; i++) {
        text_real(share, 100 * shades[i].from);
        fputc(' ', to);
        if (screen->colour) {
            terminal_paint(to, screen, INK_SHADED, shades[i].ground);
            fprintf(to, " %s %%  %s", share, terminal_code(screen, STYLE_PLAIN));
        } else {
            fprintf(to, " %s %%%s", share, screen->utf8 ? shades[i].block : shades[i].plain);
        }
    }
    fprintf(to, "  of a row\n");
}

void confusion_print(FILE *to, const terminal *screen, const trained *model,
                     const nn_report *report)
{
    char name[CLASS_NAME_SIZE];
    bool fits;
    layout at = choose_layout(&fits, screen, model, report);
    if (!fits) {
        fprintf(to, "\nconfusion   needs %zu columns\n",
                at.indent + at.width * report->classes + 1);
        return;
    }
    fprintf(to, "\nconfusion   rows: what it is, columns: read as\n\n%*s", (int)at.indent, "");
    for (size_t c = 0; c < report->classes; c++) {
        fprintf(to, "%*s%s", (int)at.width - 1, trained_class(model, c, name),
                c + 1 < report->classes ? " " : "\n");
    }
    for (size_t k = 0; k < report->classes; k++) {
        fprintf(to, "%*s ", (int)at.indent - 1, trained_class(model, k, name));
        print_row(to, screen, &at, report, k);
    }
    print_key(to, screen);
}
