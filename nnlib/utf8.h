/* UTF-8, the encoding of JSON and so of a model file's header. */
#ifndef NN_UTF8_H
#define NN_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Tells whether text[n] is UTF-8 as RFC 3629 has it: each character in its shortest form, none
 * beyond U+10FFFF, no surrogates. */
bool nn_is_utf8(const char *text, size_t n);

#endif
