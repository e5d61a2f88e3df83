#include "eval_text.h"

#include "text.h"

#include <string.h>

enum {
    PAIRS_SHOWN = 6,
    INDENT = 12 /* where values stand */
};

/* ---- counting ----------------------------------------------------------------------------- */

size_t class_total(const nn_report *report, size_t k)
{
    size_t total = 0;
    for (size_t c = 0; c < report->classes; c++) {
        total += report->confusion[k * report->classes + c];
    }
    return total;
}

/* Puts a pair in its place among the n commonest; of equals, the first stays in front. */
static void insert_pair(confused_pair *pairs, size_t n, confused_pair pair)
{
    size_t i = 0;
    while (i < n && pairs[i].times >= pair.times) {
        i++;
    }
    if (i < n) {
        memmove(pairs + i + 1, pairs + i, (n - i - 1) * sizeof *pairs);
        pairs[i] = pair;
    }
}

size_t confused_pairs(confused_pair *pairs, size_t n, const nn_report *report)
{
    size_t kinds = 0;
    memset(pairs, 0, n * sizeof *pairs);
    for (size_t k = 0; k < report->classes; k++) {
        for (size_t c = 0; c < report->classes; c++) {
            size_t times = report->confusion[k * report->classes + c];
            if (k != c && times > 0) {
                insert_pair(pairs, n, (confused_pair){k, c, times});
                kinds++;
            }
        }
    }
    return kinds < n ? kinds : n;
}

/* ---- tables ------------------------------------------------------------------------------- */

static void print_accuracy(FILE *to, const terminal *screen, const nn_report *report)
{
    char a[TEXT_NUMBER_SIZE], b[TEXT_NUMBER_SIZE], c[TEXT_NUMBER_SIZE];
    fprintf(to, "accuracy    %s%.2f %%%s, 95 %% interval %.2f to %.2f %%\n",
            terminal_code(screen, STYLE_BOLD), 100 * report->accuracy,
            terminal_code(screen, STYLE_PLAIN), 100 * report->ci95[0], 100 * report->ci95[1]);
    fprintf(to, "correct     %s of %s, %s mistakes\n", text_count(a, report->correct),
            text_count(b, report->total), text_count(c, report->total - report->correct));
    fprintf(to, "loss        %.4f\n", report->loss);
}

static int number_width(size_t n)
{
    char text[TEXT_NUMBER_SIZE];
    return snprintf(text, sizeof text, "%zu", n);
}

/* The width of a column of counts: wide enough for the largest, and for the names. */
static int count_width(const trained *model, const nn_report *report)
{
    int width = 0;
    for (size_t k = 0; k < report->classes; k++) {
        char name[CLASS_NAME_SIZE];
        int widest = number_width(class_total(report, k));
        int name_width = (int)strlen(trained_class(model, k, name));
        widest = name_width > widest ? name_width : widest;
        width = widest > width ? widest : width;
    }
    return width + 2;
}

static void print_count(FILE *to, const terminal *screen, size_t times, bool right, int width)
{
    terminal_style style = right ? STYLE_BOLD : times == 0 ? STYLE_FAINT : STYLE_PLAIN;
    fputs(terminal_code(screen, style), to);
    if (times == 0) {
        fprintf(to, "%*s", width, ".");
    } else {
        fprintf(to, "%*zu", width, times);
    }
    fputs(style == STYLE_PLAIN ? "" : terminal_code(screen, STYLE_PLAIN), to);
}

static void print_confusion(FILE *to, const terminal *screen, const trained *model,
                            const nn_report *report)
{
    char name[CLASS_NAME_SIZE];
    int width = count_width(model, report);
    fprintf(to, "\nconfusion   a row for what a digit is, a column for what it was read as\n\n");
    fprintf(to, "%*s", INDENT, "");
    for (size_t c = 0; c < report->classes; c++) {
        fprintf(to, "%*s", width, trained_class(model, c, name));
    }
    fprintf(to, "\n");
    for (size_t k = 0; k < report->classes; k++) {
        fprintf(to, "%*s", INDENT, trained_class(model, k, name));
        for (size_t c = 0; c < report->classes; c++) {
            print_count(to, screen, report->confusion[k * report->classes + c], k == c, width);
        }
        fprintf(to, "\n");
    }
}

static void print_classes(FILE *to, const trained *model, const nn_report *report)
{
    fprintf(to, "\nper class     images  precision     recall         F1\n\n");
    for (size_t k = 0; k < report->classes; k++) {
        char name[CLASS_NAME_SIZE], count[TEXT_NUMBER_SIZE];
        fprintf(to, "%*s%8s%9.2f %%%9.2f %%%9.2f %%\n", INDENT, trained_class(model, k, name),
                text_count(count, class_total(report, k)), 100 * nn_report_precision(report, k),
                100 * nn_report_recall(report, k), 100 * nn_report_f1(report, k));
    }
}

static void print_pairs(FILE *to, const trained *model, const nn_report *report)
{
    confused_pair pairs[PAIRS_SHOWN];
    size_t n = confused_pairs(pairs, PAIRS_SHOWN, report);
    if (n > 0) {
        fprintf(to, "\ncommonest mistakes\n\n");
    }
    for (size_t i = 0; i < n; i++) {
        char truth[CLASS_NAME_SIZE], guess[CLASS_NAME_SIZE], times[TEXT_NUMBER_SIZE];
        fprintf(to, "%*s read as %s%8s time%s\n", INDENT,
                trained_class(model, pairs[i].truth, truth),
                trained_class(model, pairs[i].guess, guess), text_count(times, pairs[i].times),
                pairs[i].times == 1 ? "" : "s");
    }
}

void eval_print(FILE *to, const terminal *screen, const trained *model, const nn_report *report)
{
    print_accuracy(to, screen, report);
    print_confusion(to, screen, model, report);
    print_classes(to, model, report);
    print_pairs(to, model, report);
}
