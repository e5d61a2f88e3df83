#include "message.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_SIZE 2048

static const char *speaker = "digits";

void message_from(const char *who)
{
    speaker = who;
}

static void say_line(const char *start, const char *between, const char *format, va_list arguments)
{
    char line[LINE_SIZE];
    vsnprintf(line, sizeof line, format, arguments);
    text_tame(line);
    fprintf(stderr, "%s%s%s\n", start, between, line);
}

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_line(speaker, ": ", format, arguments);
    va_end(arguments);
}

void advise(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_line("  ", "", format, arguments);
    va_end(arguments);
}

int exit_code(nn_status status, file_role role)
{
    static const int of_role[] = {
        [ROLE_DATA] = EXIT_DATA, [ROLE_MODEL] = EXIT_MODEL, [ROLE_OUTPUT] = EXIT_FAILED};
    switch (status) {
    case NN_OK:
        return EXIT_DONE;
    case NN_ERR_DATA:
        return EXIT_DATA;
    case NN_ERR_MODEL:
        return EXIT_MODEL;
    case NN_ERR_DIVERGED:
        return EXIT_DIVERGED;
    case NN_ERR_STOPPED:
        return EXIT_INTERRUPTED;
    case NN_ERR_MEMORY:
        return EXIT_FAILED;
    case NN_ERR_IO:
    case NN_ERR_ARGUMENT: /* the options were checked before, so a file does not fit */
        break;
    }
    return of_role[role];
}

int fail(nn_status status, file_role role)
{
    if (status != NN_OK) {
        complain("%s", nn_error_text());
    }
    return exit_code(status, role);
}

int fail_memory(void)
{
    complain("out of memory");
    return EXIT_FAILED;
}
