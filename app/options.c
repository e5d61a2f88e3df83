#include "options.h"

#include "message.h"
#include "nnlib.h"
#include "text.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ------------------------------------------------------------------------------- */

/* An end that does not belong to the range must not be reached by rounding either: networks compute
 * in float, where 0.99999999 is 1 and 1e-50 is 0. */
static bool in_range(double value, const option_range *range)
{
    bool low_enough = range->below_high ? (float)value < (float)range->high : value <= range->high;
    bool high_enough = range->above_low ? (float)value > (float)range->low : value >= range->low;
    return isfinite(value) && low_enough && high_enough;
}

/* Reads a whole number of decimal digits and nothing else, from n characters. */
static bool read_whole(uint64_t *out, const char *text, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        unsigned digit = (unsigned)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (n == 0) {
        return false;
    }
    *out = value;
    return true;
}

static bool read_size(size_t *out, const char *text, size_t n, const option_range *range)
{
    uint64_t value;
    if (!read_whole(&value, text, n) || value > SIZE_MAX || !in_range((double)value, range)) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

/* Reads a decimal number: digits, perhaps a point and an exponent. strtod alone would take
 * blanks, hexadecimal numbers, "inf" and "nan" as well. */
static bool read_real(double *out, const char *text, const option_range *range)
{
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text)) {
        return false;
    }
    char *end;
    double value = strtod(text, &end);
    if (*end || !in_range(value, range)) {
        return false;
    }
    *out = value;
    return true;
}

static bool read_choice(unsigned *out, const char *text, const char *(*choice)(unsigned k))
{
    for (unsigned k = 0; choice(k); k++) {
        if (strcmp(choice(k), text) == 0) {
            *out = k;
            return true;
        }
    }
    return false;
}

/* Reads "300,100"; "none" is the empty list. */
static bool read_sizes(option_sizes *out, const char *text, const option_range *range)
{
    option_sizes sizes = {0};
    if (strcmp(text, "none") != 0) {
        for (const char *item = text;; item++) {
            size_t length = strcspn(item, ",");
            if (sizes.n == OPTION_SIZES_MAX ||
                !read_size(&sizes.items[sizes.n++], item, length, range)) {
                return false;
            }
            item += length;
            if (!*item) {
                break;
            }
        }
    }
    *out = sizes;
    return true;
}

static bool read_flag(bool *out, const char *text)
{
    bool yes = strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "no") != 0) {
        return false;
    }
    *out = yes;
    return true;
}

static bool read_text(const char **out, const char *text)
{
    if (!*text) {
        return false;
    }
    *out = text;
    return true;
}

bool option_set(const option_spec *spec, void *values, const char *text)
{
    void *value = (char *)values + spec->offset;
    switch (spec->kind) {
    case OPTION_FLAG:
        return read_flag(value, text);
    case OPTION_SIZE:
        return read_size(value, text, strlen(text), &spec->range);
    case OPTION_SEED:
        return read_whole(value, text, strlen(text));
    case OPTION_REAL:
        return read_real(value, text, &spec->range);
    case OPTION_CHOICE:
        return read_choice(value, text, spec->choice);
    case OPTION_SIZES:
        return read_sizes(value, text, &spec->range);
    case OPTION_TEXT:
        return read_text(value, text);
    case OPTION_GROUP:
    case OPTION_END:
        break;
    }
    return false;
}

/* ---- values in words ---------------------------------------------------------------------- */

/* Adds to text, which has room for OPTION_TEXT_SIZE; what does not fit is cut. */
static void append(char *text, const char *more)
{
    size_t length = strlen(text);
    snprintf(text + length, OPTION_TEXT_SIZE - length, "%s", more);
}

static void append_number(char *text, double value, bool whole)
{
    char number[TEXT_NUMBER_SIZE];
    append(text, whole ? text_count(number, (size_t)value) : text_real(number, value));
}

static void append_real_range(char *text, const option_range *range)
{
    append(text, range->above_low ? "more than " : "at least ");
    append_number(text, range->low, false);
    if (isinf(range->high)) {
        return;
    }
    append(text, range->below_high ? " and less than " : " and at most ");
    append_number(text, range->high, false);
}

static void append_size_range(char *text, const option_range *range)
{
    append_number(text, range->low, true);
    append(text, " to ");
    append_number(text, range->high, true);
}

static void append_choices(char *text, const char *(*choice)(unsigned k))
{
    for (unsigned k = 0; choice(k); k++) {
        if (k > 0) {
            append(text, choice(k + 1) ? ", " : " or ");
        }
        append(text, choice(k));
    }
}

const char *option_expected(const option_spec *spec, char text[OPTION_TEXT_SIZE])
{
    *text = '\0';
    switch (spec->kind) {
    case OPTION_FLAG:
        append(text, "yes or no");
        break;
    case OPTION_SIZE:
        append(text, "a whole number from ");
        append_size_range(text, &spec->range);
        break;
    case OPTION_SEED:
        append(text, "a whole number from 0 to 2^64 - 1");
        break;
    case OPTION_REAL:
        append_real_range(text, &spec->range);
        break;
    case OPTION_CHOICE:
        append_choices(text, spec->choice);
        break;
    case OPTION_SIZES:
        append(text, "'none' or whole numbers from ");
        append_size_range(text, &spec->range);
        append(text, " with commas between");
        break;
    case OPTION_TEXT:
        append(text, "a name");
        break;
    case OPTION_GROUP:
    case OPTION_END:
        break;
    }
    return text;
}

static void append_sizes(char *text, const option_sizes *sizes)
{
    if (sizes->n == 0) {
        append(text, "none");
    }
    for (size_t i = 0; i < sizes->n; i++) {
        char number[TEXT_NUMBER_SIZE];
        snprintf(number, sizeof number, "%s%zu", i > 0 ? "," : "", sizes->items[i]);
        append(text, number);
    }
}

const char *option_text(const option_spec *spec, const void *values, char text[OPTION_TEXT_SIZE])
{
    const void *value = (const char *)values + spec->offset;
    *text = '\0';
    switch (spec->kind) {
    case OPTION_FLAG:
        append(text, *(const bool *)value ? "yes" : "no");
        break;
    case OPTION_SIZE:
        snprintf(text, OPTION_TEXT_SIZE, "%zu", *(const size_t *)value);
        break;
    case OPTION_SEED:
        snprintf(text, OPTION_TEXT_SIZE, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case OPTION_REAL:
        append_number(text, *(const double *)value, false);
        break;
    case OPTION_CHOICE:
        append(text, spec->choice(*(const unsigned *)value));
        break;
    case OPTION_SIZES:
        append_sizes(text, value);
        break;
    case OPTION_TEXT:
        if (*(const char *const *)value) {
            append(text, *(const char *const *)value);
        }
        break;
    case OPTION_GROUP:
    case OPTION_END:
        break;
    }
    return text;
}

/* ---- the command line --------------------------------------------------------------------- */

/* Codes that getopt_long returns: a row of the table is FIRST_ROW plus its number. */
enum {
    CODE_HELP = 256,
    CODE_VERSION,
    FIRST_ROW
};

/* What getopt_long wants: the long options, and the short ones as letters. */
typedef struct {
    struct option *longs;
    char letters[128];
} getopt_tables;

static bool is_option(const option_spec *spec)
{
    return spec->kind != OPTION_GROUP;
}

static size_t count_rows(const option_spec *specs)
{
    size_t n = 0;
    while (specs[n].kind != OPTION_END) {
        n++;
    }
    return n;
}

static void add_long(struct option **at, const char *name, bool takes_value, int code)
{
    **at = (struct option){name, takes_value ? required_argument : no_argument, NULL, code};
    ++*at;
}

static bool make_tables(getopt_tables *tables, const option_spec *specs)
{
    size_t n = count_rows(specs), at = 0;
    tables->longs = nn_alloc_array(n + 3, sizeof *tables->longs); /* help, version, end */
    if (!tables->longs) {
        return false;
    }
    struct option *next = tables->longs;
    tables->letters[at++] = ':'; /* a missing value is reported as such */
    tables->letters[at++] = 'h';
    add_long(&next, "help", false, CODE_HELP);
    add_long(&next, "version", false, CODE_VERSION);
    for (size_t i = 0; i < n; i++) {
        bool takes_value = specs[i].kind != OPTION_FLAG;
        if (!is_option(&specs[i])) {
            continue;
        }
        add_long(&next, specs[i].name, takes_value, FIRST_ROW + (int)i);
        if (specs[i].letter && at + 3 < sizeof tables->letters) {
            tables->letters[at++] = specs[i].letter;
            if (takes_value) {
                tables->letters[at++] = ':';
            }
        }
    }
    tables->letters[at] = '\0';
    return true;
}

static const option_spec *find_spec(const command *cmd, int code)
{
    if (code >= FIRST_ROW) {
        return &cmd->options[code - FIRST_ROW];
    }
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        if (code > 0 && spec->letter == code) {
            return spec;
        }
    }
    return NULL;
}

/* Names the options that a beginning could stand for, or the nearest one. */
static void suggest(const command *cmd, const char *name, size_t length)
{
    const char *names[128] = {"help", "version"};
    size_t n = 2, fitting = 0;
    char fit[OPTION_TEXT_SIZE] = "";
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        if (!is_option(spec) || n == sizeof names / sizeof *names) {
            continue;
        }
        names[n++] = spec->name;
        if (strncmp(spec->name, name, length) == 0) {
            append(fit, fitting++ ? " or --" : "--");
            append(fit, spec->name);
        }
    }
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word), name);
    const char *nearest = text_nearest(word, names, n);
    if (fitting > 0 && length > 0) {
        advise("did you mean %s?", fit);
    } else if (nearest) {
        advise("did you mean --%s?", nearest);
    }
}

static void complain_unknown(const command *cmd, const char *argument)
{
    if (optopt >= FIRST_ROW || optopt == CODE_HELP || optopt == CODE_VERSION) {
        const option_spec *spec = find_spec(cmd, optopt);
        complain("--%s takes no value", spec                  ? spec->name
                                        : optopt == CODE_HELP ? "help"
                                                              : "version");
    } else if (optopt) {
        complain("unknown option '-%c'", optopt);
    } else {
        const char *name = argument + 2;
        size_t length = strcspn(name, "=");
        complain("unknown option '--%.*s'", (int)(length < 64 ? length : 64), name);
        suggest(cmd, name, length);
    }
}

static void complain_missing(const command *cmd)
{
    const option_spec *spec = find_spec(cmd, optopt);
    if (spec) {
        complain("--%s needs a value: %s", spec->name, spec->value);
    }
}

static parsed take_value(const option_spec *spec, void *values)
{
    char expected[OPTION_TEXT_SIZE];
    const char *text = spec->kind == OPTION_FLAG ? "yes" : optarg;
    if (option_set(spec, values, text)) {
        return PARSED_RUN;
    }
    complain("--%s must be %s, not '%s'", spec->name, option_expected(spec, expected), text);
    return PARSED_WRONG;
}

static parsed take_option(const command *cmd, void *values, int code, const char *argument)
{
    switch (code) {
    case 'h':
    case CODE_HELP:
        return PARSED_HELP;
    case CODE_VERSION:
        return PARSED_VERSION;
    case '?':
        complain_unknown(cmd, argument);
        return PARSED_WRONG;
    case ':':
        complain_missing(cmd);
        return PARSED_WRONG;
    default:
        break;
    }
    const option_spec *spec = find_spec(cmd, code);
    return spec ? take_value(spec, values) : PARSED_WRONG;
}

static parsed check_arguments(const command *cmd, int n, char **arguments)
{
    if ((size_t)n < cmd->min_arguments) {
        complain("missing argument: %s", cmd->arguments);
        return PARSED_WRONG;
    }
    if ((size_t)n > cmd->max_arguments) {
        complain("unexpected argument '%s'", arguments[cmd->max_arguments]);
        return PARSED_WRONG;
    }
    return PARSED_RUN;
}

parsed options_parse(const command *cmd, void *values, int argc, char **argv, int *first)
{
    getopt_tables tables;
    if (!make_tables(&tables, cmd->options)) {
        return PARSED_NO_MEMORY;
    }
    parsed result = PARSED_RUN;
    opterr = 0;
    optind = 0; /* glibc and musl begin anew then; with 1 they go on in the word of letters at which
                   the parsing before this one has stopped */
    while (result == PARSED_RUN) {
        optopt = 0;
        int code = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
        if (code == -1) {
            result = check_arguments(cmd, argc - optind, argv + optind);
            break;
        }
        result = take_option(cmd, values, code, argv[optind - 1]);
    }
    *first = optind;
    nn_free(tables.longs);
    return result;
}
