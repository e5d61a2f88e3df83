/* An evaluation in words and tables, for people. */

#ifndef DIGITS_EVAL_TEXT_H
#define DIGITS_EVAL_TEXT_H

#include "terminal.h"
#include "trained.h"

/* One kind of mistake: digits of class `truth` that were read as `guess`. */
typedef struct {
    size_t truth, guess, times;
} confused_pair;

/* Fills pairs[n] with the commonest mistakes, the commonest first; returns how many there are. */
size_t confused_pairs(confused_pair *pairs, size_t n, const nn_report *report);

/* Returns the number of samples of class k. */
size_t class_total(const nn_report *report, size_t k);

/* Fills index[n] with the mistakes that the network was surest of, the surest first; returns how
 * many there are. */
size_t surest_mistakes(size_t *index, size_t n, const nn_report *report, const nn_data *data);

/* Prints accuracy, confusion matrix, classes, the commonest mistakes and pictures of the surest
 * ones. No line is longer than the terminal is wide, or 80 columns where there is none and counts
 * have up to 4 digits. */
void eval_print(FILE *to, const terminal *screen, const trained *model, const nn_report *report,
                const nn_data *data);

#endif
