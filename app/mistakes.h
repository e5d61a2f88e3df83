/*
 * The folder of mistakes: a picture for each misread digit, a contact sheet, a table.
 *
 *   errors.csv                           index, label, prediction, probabilities
 *   contact-sheet.png                    all of them, captioned
 *   00321-is-2-read-as-7-at-0.86.png     image 321 is a 2; the network said 7 with probability 0.86
 */

#ifndef DIGITS_MISTAKES_H
#define DIGITS_MISTAKES_H

#include "trained.h"

#include <stdbool.h>

/* What went wrong where. */
typedef struct {
    const trained *model;
    const nn_data *data;
    const nn_report *report;
    const char *heading; /* of the contact sheet */
    size_t scale;        /* pictures are so many times as wide and high as the data's */
} mistakes;

/* Checks that the folder is missing, empty or of an earlier run; with force, it may hold other
 * files too, which stay. NN_ERR_IO, NN_ERR_MEMORY. */
nn_status mistakes_check(const char *folder, bool force);

/* Writes the folder: files of an earlier run are replaced or removed, others are left alone. Each
 * file is written whole or not at all. NN_ERR_IO, NN_ERR_MEMORY. */
nn_status mistakes_write(const mistakes *m, const char *folder);

/* Reports whether the contact sheet can show data: it knows digits of 28 x 28 pixels. */
bool mistakes_have_sheet(const mistakes *m);

#define MISTAKES_SHEET "contact-sheet.png"

#endif
