/* A confusion matrix for people: counts, shaded by their share of a row. */

#ifndef DIGITS_CONFUSION_H
#define DIGITS_CONFUSION_H

#include "terminal.h"
#include "trained.h"

/* Prints the matrix with its heading and a key to the shades, as wide as the terminal allows; on
 * one that is too narrow for it, says so instead. */
void confusion_print(FILE *to, const terminal *screen, const trained *model,
                     const nn_report *report);

#endif
