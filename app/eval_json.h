/* An evaluation as JSON, for programs. */

#ifndef DIGITS_EVAL_JSON_H
#define DIGITS_EVAL_JSON_H

#include "json.h"
#include "trained.h"

/* Adds to parent, an object: accuracy, ci95, correct, total, loss, confusion (rows are the true
 * class), per_class, and the commonest mistakes as confused. */
void eval_json(json *document, cJSON *parent, const trained *model, const nn_report *report);

#endif
