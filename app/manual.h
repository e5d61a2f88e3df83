/* The manual page and the shell's completion, made from the same tables as the help. */

#ifndef DIGITS_MANUAL_H
#define DIGITS_MANUAL_H

#include "options.h"

/* Prints a manual page, in the man macros of troff, of n commands. */
void manual_print(FILE *to, const command *const *commands, size_t n);

/* Prints a script for bash that completes commands, options, the names of choices, files and
 * folders. */
void completion_print(FILE *to, const command *const *commands, size_t n);

#endif
