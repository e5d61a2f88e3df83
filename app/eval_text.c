#include "eval_text.h"

#include "confusion.h"
#include "text.h"

#include <string.h>

enum {
    PAIRS_SHOWN = 6,
    SUREST_SHOWN = 3,
    NAME_COLUMNS = 6, /* on a terminal too narrow for INDENT */
    INDENT = 12       /* where values stand */
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
    fprintf(to, "correct     %s of %s, %s\n", text_count(a, report->correct),
            text_count(b, report->total),
            text_counted(c, report->total - report->correct, "mistake"));
    fprintf(to, "loss        %.4f\n", report->loss);
}

/* Returns where the names of classes end, in a table that takes so many columns beside them. */
static int name_column(const terminal *screen, size_t beside)
{
    return INDENT + beside <= terminal_room(screen) ? INDENT : NAME_COLUMNS;
}

static void print_classes(FILE *to, const terminal *screen, const trained *model,
                          const nn_report *report)
{
    const size_t table = 8 + 3 * 11;
    int names = name_column(screen, table);
    fprintf(to, "\n%-*s  images  precision     recall         F1\n\n", names,
            names == INDENT ? "per class" : "class");
    for (size_t k = 0; k < report->classes; k++) {
        char name[CLASS_NAME_SIZE], count[TEXT_NUMBER_SIZE];
        fprintf(to, "%*s%8s%9.2f %%%9.2f %%%9.2f %%\n", names, trained_class(model, k, name),
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

/* ---- pictures ----------------------------------------------------------------------------- */

static float decisive_output(const nn_report *report, size_t k)
{
    return report->outputs[k * report->classes + report->predicted[k]];
}

size_t surest_mistakes(size_t *index, size_t n, const nn_report *report, const nn_data *data)
{
    size_t found = 0;
    for (size_t k = 0; k < report->total; k++) {
        if (report->predicted[k] == data->labels[k]) {
            continue;
        }
        size_t i = found < n ? found++ : n;
        while (i > 0 && decisive_output(report, index[i - 1]) < decisive_output(report, k)) {
            if (i < n) {
                index[i] = index[i - 1];
            }
            i--;
        }
        if (i < n) {
            index[i] = k;
        }
    }
    return found;
}

static void print_surest(FILE *to, const terminal *screen, const trained *model,
                         const nn_report *report, const nn_data *data)
{
    size_t index[SUREST_SHOWN];
    captioned_picture pictures[SUREST_SHOWN];
    size_t n = surest_mistakes(index, SUREST_SHOWN, report, data);
    if (n == 0 || !data->pixels || data->rows * data->columns != data->inputs) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        captioned_picture *p = &pictures[i];
        char truth[CLASS_NAME_SIZE], guess[CLASS_NAME_SIZE];
        p->pixels = data->pixels + index[i] * data->inputs;
        snprintf(p->captions[0], TERMINAL_CAPTION_SIZE, "%s read as %s at %.3f",
                 trained_class(model, data->labels[index[i]], truth),
                 trained_class(model, report->predicted[index[i]], guess),
                 (double)decisive_output(report, index[i]));
        snprintf(p->captions[1], TERMINAL_CAPTION_SIZE, "image %zu", index[i]);
    }
    fprintf(to, "\nsurest mistakes\n\n");
    terminal_pictures(to, screen, pictures, n, data->rows, data->columns, 2);
}

void eval_print(FILE *to, const terminal *screen, const trained *model, const nn_report *report,
                const nn_data *data)
{
    print_accuracy(to, screen, report);
    confusion_print(to, screen, model, report);
    print_classes(to, screen, model, report);
    print_pairs(to, model, report);
    print_surest(to, screen, model, report, data);
}
