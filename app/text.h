/* Text: paths and sentences made on demand, numbers as people and programs read them. */

#ifndef DIGITS_TEXT_H
#define DIGITS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Room for any number or duration that this module prints. */
#define TEXT_NUMBER_SIZE 48

/* Makes a text as printf would; the caller gives it back with nn_free. Returns NULL when there is
 * no memory. */
char *text_format(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Makes the path of name in folder, without doubling a slash; as text_format. */
char *text_path(const char *folder, const char *name);

/* Writes n with a comma between thousands ("11,935") and returns text. */
const char *text_count(char text[TEXT_NUMBER_SIZE], size_t n);

/* Writes n of a thing ("1 image", "1,234 batches") and returns text; noun has at most 16 letters,
 * and a plural as these have. */
const char *text_counted(char text[TEXT_NUMBER_SIZE], size_t n, const char *noun);

/* Writes the shortest decimal that reads back as value ("0.1") and returns text. */
const char *text_real(char text[TEXT_NUMBER_SIZE], double value);

/* Writes seconds as "0:07", "12:34" or "1:02:03", rounded to whole seconds, and returns text. */
const char *text_duration(char text[TEXT_NUMBER_SIZE], double seconds);

/* Writes bytes as "512 B", "49 kB" or "47.0 MB" (powers of 1000) and returns text. */
const char *text_bytes(char text[TEXT_NUMBER_SIZE], size_t bytes);

/* Replaces control characters by '?', so that a file's name cannot play tricks on a terminal. */
void text_tame(char *text);

/* Prints a text as text_tame would leave it. */
void text_print(FILE *to, const char *text);

/* Prints a word as a shell has to be given it: in quotes where it holds more than letters, digits
 * and what is harmless in a path. Control characters become '?'. */
void text_print_word(FILE *to, const char *word);

/* Returns a copy in which each byte that belongs to no character in UTF-8 is replaced by U+FFFD,
 * for nn_free; NULL if there is no memory. */
char *text_utf8(const char *text);

/* Returns how many columns a UTF-8 text takes on a terminal, as long as each of its characters
 * takes one, and its bytes if it is ASCII. */
size_t text_columns(const char *text);

/* Reports whether text ends with the other. */
bool text_ends_with(const char *text, const char *end);

/* Returns the one of candidates[n] that word is most likely a slip of (fewest letters inserted,
 * left out, changed or swapped; Damerau 1964), or NULL if none is close. NULL entries are passed
 * over. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

#endif
