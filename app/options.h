/*
 * One table of options a command: parsing, ranges, help, manual page, completion, and what a
 * model records about its training all come from it.
 *
 * A command's values live in a structure of its own. Its defaults are one constant object of that
 * structure; parsing overwrites a copy of it, help prints what is in it.
 */

#ifndef DIGITS_OPTIONS_H
#define DIGITS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum {
    OPTION_END,    /* closes a table */
    OPTION_GROUP,  /* no option: a heading, in help */
    OPTION_FLAG,   /* bool; takes no value */
    OPTION_SIZE,   /* size_t in range */
    OPTION_SEED,   /* uint64_t, any */
    OPTION_REAL,   /* double in range */
    OPTION_CHOICE, /* unsigned: the number of a name */
    OPTION_SIZES,  /* option_sizes: none, or some sizes, each in range */
    OPTION_TEXT    /* const char *: not empty, lives as long as argv */
} option_kind;

#define OPTION_SIZES_MAX 32

typedef struct {
    size_t n;
    size_t items[OPTION_SIZES_MAX];
} option_sizes;

/* What OPTION_SIZE holds where the program is to choose; `automatic` then says how it does. */
#define OPTION_AUTOMATIC SIZE_MAX

typedef struct {
    double low, high; /* INFINITY for high: no limit */
    bool above_low;   /* low itself is not allowed */
    bool below_high;  /* high itself is not allowed */
} option_range;

/* Ranges that include both ends, all but the low end, all but the high end. */
#define RANGE(from, to)                                                                            \
    {                                                                                              \
        .low = (from), .high = (to)                                                                \
    }
#define RANGE_ABOVE(from, to)                                                                      \
    {                                                                                              \
        .low = (from), .high = (to), .above_low = true                                             \
    }
#define RANGE_BELOW(from, to)                                                                      \
    {                                                                                              \
        .low = (from), .high = (to), .below_high = true                                            \
    }

typedef struct {
    const char *name; /* long name without dashes */
    option_kind kind;
    char letter;                       /* short name, or 0 */
    bool recorded;                     /* a training option: goes into the model file */
    size_t offset;                     /* where the value is in the command's structure */
    const char *value;                 /* what help calls the value: "N", "FILE" */
    const char *help;                  /* what it does, without full stop */
    const char *automatic;             /* of an OPTION_SIZE that may be OPTION_AUTOMATIC */
    option_range range;                /* of OPTION_SIZE, OPTION_REAL and OPTION_SIZES */
    const char *(*choice)(unsigned k); /* of OPTION_CHOICE: name of choice k, NULL past the last */
} option_spec;

/* A command of the program. */
typedef struct {
    const char *name;
    const char *summary;     /* one line, for the list of commands */
    const char *arguments;   /* what follows the options: "FILE...", or "" */
    const char *description; /* paragraphs, one line each */
    const char *examples;    /* lines, or NULL */
    const option_spec *options;
    const void *defaults; /* the structure that the options' offsets refer to */
    size_t size;          /* of that structure */
    size_t min_arguments, max_arguments;
    /* Does the work; returns the exit code. values is a structure as defaults. */
    int (*run)(const void *values, size_t n_arguments, char **arguments);
} command;

/* What parsing found to be done. */
typedef enum {
    PARSED_RUN,
    PARSED_HELP,
    PARSED_VERSION,
    PARSED_WRONG,
    PARSED_NO_MEMORY
} parsed;

/* Reads argv[1..] of a command (argv[0] is its name) into values, which holds the defaults, and
 * moves the other arguments to argv[*first] and after. Complains about what is wrong. */
parsed options_parse(const command *cmd, void *values, int argc, char **argv, int *first);

/* Sets one option from text. Returns false, and leaves values alone, if the text is not what
 * option_expected says. */
bool option_set(const option_spec *spec, void *values, const char *text);

/* Room for what the next two write. */
#define OPTION_TEXT_SIZE 512

/* Writes what a value must be ("at least 0 and less than 1") and returns text. */
const char *option_expected(const option_spec *spec, char text[OPTION_TEXT_SIZE]);

/* Writes a value as option_set would read it ("300,100"; "yes" or "no" for a flag; "" for a text
 * that is NULL) and returns text. */
const char *option_text(const option_spec *spec, const void *values, char text[OPTION_TEXT_SIZE]);

/* Writes what an option does, with its range and default, and returns text. */
#define OPTION_HELP_SIZE ((size_t)2 * OPTION_TEXT_SIZE)
const char *option_help(const option_spec *spec, const void *defaults, char text[OPTION_HELP_SIZE]);

/* Prints a command's help: usage, description, options with ranges and defaults, examples; 80
 * columns wide. */
void options_help(FILE *to, const command *cmd);

#endif
