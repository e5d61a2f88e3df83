/* What the program says on stderr, and the exit code that goes with a failure. */

#ifndef DIGITS_MESSAGE_H
#define DIGITS_MESSAGE_H

#include "nnlib.h"

/* Exit codes: a promise to scripts, listed in the README. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,       /* output could not be written, or memory ran out */
    EXIT_USAGE = 2,        /* unknown command or option, value out of range */
    EXIT_DATA = 3,         /* a data file or picture is missing, unreadable or damaged */
    EXIT_MODEL = 4,        /* a model file is missing, unreadable or damaged */
    EXIT_DIVERGED = 5,     /* training blew up */
    EXIT_INTERRUPTED = 130 /* Ctrl-C; what was learned is saved */
};

/* What a file that failed was for: the same failure to read means exit code 3 for a data file, 4
 * for a model. */
typedef enum {
    ROLE_DATA,
    ROLE_MODEL,
    ROLE_OUTPUT
} file_role;

/* Sets what every message starts with, "digits train"; the text must stay valid. */
void message_from(const char *who);

/* Says what went wrong: one line, after who says it. Control characters become '?'. */
void complain(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Adds an indented line to a complaint: what may help. */
void advise(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Returns the exit code that belongs to a status of the library. */
int exit_code(nn_status status, file_role role);

/* Complains with the library's own text and returns the exit code; EXIT_DONE and silence for
 * NN_OK. */
int fail(nn_status status, file_role role);

/* Complains that memory ran out and returns EXIT_FAILED. */
int fail_memory(void);

#endif
