/* What the programs in this folder share: each ends with a message when something fails. */
#ifndef SCRIPTS_COMMON_H
#define SCRIPTS_COMMON_H

#include "nnlib.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("error: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

static void need(nn_status status)
{
    if (status != NN_OK) {
        die("%s", nn_error_text());
    }
}

static void *need_memory(void *memory)
{
    if (!memory) {
        die("out of memory");
    }
    return memory;
}

#endif
