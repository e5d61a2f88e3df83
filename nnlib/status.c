/* Result codes come with a text: what failed, on what, what was expected and what was found. */
#include "nnlib.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_SIZE = 1024,
    FULL_SIZE = 10240, /* room for two file names of 4096 bytes and what is said about them */
    HEAD = 320         /* what is kept of the beginning of a text that is too long */
};

static const char GAP[] = " ... ";

static _Thread_local char error_text[TEXT_SIZE];

const char *nn_error_text(void)
{
    return error_text;
}

/* Copies from to to. A text that does not fit loses its middle, where the long file name is: its
 * end says what the trouble was. */
static void copy_shortened(char to[TEXT_SIZE], const char *from)
{
    const size_t length = strlen(from);
    const size_t gap = sizeof GAP - 1;
    const size_t tail = TEXT_SIZE - 1 - HEAD - gap;
    if (length < TEXT_SIZE) {
        memcpy(to, from, length + 1);
        return;
    }
    memcpy(to, from, HEAD);
    memcpy(to + HEAD, GAP, gap);
    memcpy(to + HEAD + gap, from + length - tail, tail + 1);
}

/* Replaces control characters: those of ASCII, and U+0080 to U+009F in UTF-8, where terminals
 * know a second set. */
static void replace_controls(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != 0; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            *c = '?';
        } else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) {
            c[0] = c[1] = '?';
        }
    }
}

void nn_set_error(const char *format, ...)
{
    /* Not straight into error_text, which may be among the arguments. */
    char full[FULL_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(full, sizeof full, format, arguments);
    va_end(arguments);
    copy_shortened(error_text, full);
    replace_controls(error_text);
}
