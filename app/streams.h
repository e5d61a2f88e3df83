/* Standard output and standard error, written to the end even where calls are interrupted: the C
 * library throws away what it holds when one is. */

#ifndef DIGITS_STREAMS_H
#define DIGITS_STREAMS_H

#include <stdbool.h>
#include <stdio.h>

/* Prepares stdout and stderr; before anything is printed. */
void streams_open(void);

/* Makes sure that all that was printed to stdout has arrived. False: something has not; *error
 * tells why, as in errno, or is 0 where nobody knows. */
bool streams_close(int *error);

/* Returns the file that a stream writes to. */
int streams_file(FILE *stream);

#endif
