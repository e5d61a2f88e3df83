/* JSON for other programs to read: a thin layer over cJSON that remembers failures, so that a
 * document is built in one go and checked once. */

#ifndef DIGITS_JSON_H
#define DIGITS_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    cJSON *root; /* an object */
    bool failed; /* memory ran out at some point */
} json;

/* Starts a document; json_release ends it. */
void json_init(json *document);
void json_release(json *document);

/* Hands item to parent, under name, or at the end if parent is an array (name NULL). Returns item,
 * or NULL if item is NULL or cannot be added: memory ran out, and the document remembers. */
cJSON *json_add(json *document, cJSON *parent, const char *name, cJSON *item);

/* Add the usual kinds of item. Numbers are written so that they read back exactly, which cJSON's
 * own printing does not promise; one that is not finite becomes null, a text that is NULL as well.
 */
cJSON *json_object(json *document, cJSON *parent, const char *name);
cJSON *json_array(json *document, cJSON *parent, const char *name);
void json_number(json *document, cJSON *parent, const char *name, double value);
void json_size(json *document, cJSON *parent, const char *name, size_t value);
void json_u64(json *document, cJSON *parent, const char *name, uint64_t value);
void json_bool(json *document, cJSON *parent, const char *name, bool value);
void json_text(json *document, cJSON *parent, const char *name, const char *value);

/* Returns the document as text, indented or on one line, for nn_free; NULL if memory ran out now
 * or before. */
char *json_string(const json *document, bool indented);

/* Prints the document and a line end, indented or on one line. Returns false if memory ran out
 * now or before; nothing is printed then. */
bool json_print(json *document, FILE *to, bool indented);

#endif
