/*
 * JSON has a point in its numbers; printf and strtod, which cJSON calls, have whatever the locale
 * says, and cJSON mends that only where it is a single byte. So what writes or reads JSON does it
 * in the locale "C", set for the calling thread alone, and puts back what it found:
 *
 *     nn_clocale saved;
 *     if (nn_clocale_set(&saved)) {
 *         ...
 *         nn_clocale_restore(&saved);
 *     }
 */
#ifndef NN_CLOCALE_H
#define NN_CLOCALE_H

#include <locale.h>
#include <stdbool.h>

#if defined(__APPLE__)
#include <xlocale.h>
#endif

typedef struct {
    locale_t found, c;
} nn_clocale;

/* Sets the locale "C". False, with ENOMEM in errno and nothing set: memory has run out. */
bool nn_clocale_set(nn_clocale *out);

/* Puts the caller's locale back; errno stays as it is. */
void nn_clocale_restore(const nn_clocale *saved);

#endif
