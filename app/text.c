#include "text.h"

#include "nnlib.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

char *text_format(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : nn_alloc((size_t)length + 1);
    if (text) {
        vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    va_end(arguments);
    return text;
}

char *text_path(const char *folder, const char *name)
{
    return text_format("%s%s%s", folder, text_ends_with(folder, "/") ? "" : "/", name);
}

const char *text_count(char text[TEXT_NUMBER_SIZE], size_t n)
{
    char digits[TEXT_NUMBER_SIZE];
    int length = snprintf(digits, sizeof digits, "%zu", n);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

const char *text_counted(char text[TEXT_NUMBER_SIZE], size_t n, const char *noun)
{
    char count[TEXT_NUMBER_SIZE];
    bool hisses = text_ends_with(noun, "s") || text_ends_with(noun, "tch");
    const char *ending = n == 1 ? "" : hisses ? "es" : "s";
    (void)snprintf(text, TEXT_NUMBER_SIZE, "%s %s%s", text_count(count, n), noun, ending);
    return text;
}

const char *text_real(char text[TEXT_NUMBER_SIZE], double value)
{
    bool plain = fabs(value) >= 1e-4 && fabs(value) < 1e15; /* worth no exponent */
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, TEXT_NUMBER_SIZE, "%.*g", precision, value);
        double back = strtod(text, NULL);
        bool exact = !(back < value || back > value);
        if (exact && !(plain && strchr(text, 'e'))) {
            break;
        }
    }
    return text;
}

const char *text_duration(char text[TEXT_NUMBER_SIZE], double seconds)
{
    const double longest = 999.0 * 3600.0;
    bool sensible = seconds > 0.0; /* false for NaN as well */
    uint64_t s = sensible ? (uint64_t)(fmin(seconds, longest) + 0.5) : 0;
    unsigned hours = (unsigned)(s / 3600), minutes = (unsigned)(s / 60 % 60);
    if (hours > 0) {
        snprintf(text, TEXT_NUMBER_SIZE, "%u:%02u:%02u", hours, minutes, (unsigned)(s % 60));
    } else {
        snprintf(text, TEXT_NUMBER_SIZE, "%u:%02u", minutes, (unsigned)(s % 60));
    }
    return text;
}

const char *text_bytes(char text[TEXT_NUMBER_SIZE], size_t bytes)
{
    if (bytes < 1000) {
        snprintf(text, TEXT_NUMBER_SIZE, "%zu B", bytes);
    } else if (bytes < 1000000) {
        snprintf(text, TEXT_NUMBER_SIZE, "%.0f kB", (double)bytes / 1e3);
    } else {
        snprintf(text, TEXT_NUMBER_SIZE, "%.1f MB", (double)bytes / 1e6);
    }
    return text;
}

/* Returns the bytes of the control character that text starts with: ASCII's, or one of those from
 * U+0080 to U+009F, which some terminals obey as well; 0: it starts with another. */
static size_t control_length(const char *text)
{
    unsigned char c = (unsigned char)text[0], next = (unsigned char)(c ? text[1] : 0);
    if (c == 0xc2 && next >= 0x80 && next <= 0x9f) {
        return 2;
    }
    return c < 0x20 || c == 0x7f ? 1 : 0;
}

void text_tame(char *text)
{
    while (*text) {
        size_t length = control_length(text);
        memset(text, '?', length);
        text += length > 0 ? length : 1;
    }
}

void text_print(FILE *to, const char *text)
{
    while (*text) {
        size_t length = control_length(text);
        fputc(length > 0 ? '?' : *text, to);
        text += length > 0 ? length : 1;
    }
}

void text_print_word(FILE *to, const char *word)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "-_./+,:@%=";
    if (*word && word[strspn(word, harmless)] == '\0') {
        fputs(word, to);
        return;
    }
    fputc('\'', to);
    while (*word) {
        size_t length = control_length(word);
        if (*word == '\'') {
            fputs("'\\''", to); /* ends the quotes, a quoted quote, starts them again */
        } else {
            fputc(length > 0 ? '?' : *word, to);
        }
        word += length > 0 ? length : 1;
    }
    fputc('\'', to);
}

/* Returns the bytes of the UTF-8 character that text starts with, or 0: it starts with none (a
 * byte out of place, a form longer than needed, a surrogate, beyond U+10FFFF). */
static size_t utf8_length(const char *text)
{
    static const struct {
        unsigned char first, last;         /* the lead byte */
        unsigned char second, second_last; /* the byte after it; the others are 80 to BF */
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    const unsigned char *c = (const unsigned char *)text;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (c[0] < forms[i].first || c[0] > forms[i].last) {
            continue;
        }
        if (forms[i].length > 1 && (c[1] < forms[i].second || c[1] > forms[i].second_last)) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].length; k++) {
            if (c[k] < 0x80 || c[k] > 0xbf) {
                return 0;
            }
        }
        return forms[i].length;
    }
    return 0;
}

char *text_utf8(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *copy = nn_alloc((sizeof replacement - 1) * strlen(text) + 1);
    for (char *to = copy; copy && *text;) {
        size_t length = utf8_length(text), n = length > 0 ? length : sizeof replacement - 1;
        memcpy(to, length > 0 ? text : replacement, n);
        to += n;
        text += length > 0 ? length : 1;
    }
    return copy;
}

size_t text_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text++) {
        columns += ((unsigned char)*text & 0xC0) != 0x80; /* the bytes that start a character */
    }
    return columns;
}

bool text_ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* ---- slips of the keyboard ---------------------------------------------------------------- */

#define LONGEST_WORD 32

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Returns how many letters must be inserted, left out, changed or swapped to make b of a. Row i
 * of the table holds the distances between a's first i letters and every beginning of b; three
 * rows are kept. Longer words count as far away. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST_WORD + 1];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > LONGEST_WORD || b_length > LONGEST_WORD) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_length; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            now[j] =
                least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = least(now[j], two_before[j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *nearest = NULL;
    size_t fewest = strlen(word) / 3 + 1; /* beyond that it is another word, not a slip */
    for (size_t i = 0; i < n; i++) {
        if (!candidates[i]) {
            continue;
        }
        size_t steps = distance(word, candidates[i]);
        if (steps < fewest || (steps == fewest && !nearest)) {
            nearest = candidates[i];
            fewest = steps;
        }
    }
    return nearest;
}
