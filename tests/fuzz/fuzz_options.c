/* Promise: whatever stands on a command line, each option's value is one that its table allows;
 * what is taken is told again in words that read back to the same, what is refused changes nothing.
 *
 * An input is a byte that chooses the command, and its arguments, each closed by a zero byte. */
#include "commands.h"
#include "fuzz.h"
#include "options.h"

#include <math.h>
#include <string.h>

static const command *const commands[] = {
    &command_train,     &command_eval, &command_predict, &command_inspect,
    &command_reproduce, &command_demo, &command_synth,
};

enum {
    N_COMMANDS = sizeof commands / sizeof commands[0],
    MAX_ARGUMENTS = 64,
    MAX_VALUES = 4096 /* bytes of a command's structure */
};

/* A command's structure, aligned for any member. */
typedef union {
    max_align_t align;
    unsigned char bytes[MAX_VALUES];
} values;

/* ---- what is checked ---------------------------------------------------------------------- */

static bool is_allowed(const option_range *range, double value)
{
    return isfinite(value) && (range->above_low ? value > range->low : value >= range->low) &&
           (range->below_high ? value < range->high : value <= range->high);
}

/* Checks a value that came from a user: it is in range. */
static void check_range(const option_spec *spec, const void *value)
{
    const option_sizes *sizes = value;
    switch (spec->kind) {
    case OPTION_SIZE:
        require(is_allowed(&spec->range, (double)*(const size_t *)value));
        break;
    case OPTION_REAL:
        require(is_allowed(&spec->range, *(const double *)value));
        break;
    case OPTION_CHOICE:
        require(spec->choice(*(const unsigned *)value));
        break;
    case OPTION_SIZES:
        require(sizes->n <= OPTION_SIZES_MAX);
        for (size_t k = 0; k < sizes->n; k++) {
            require(is_allowed(&spec->range, (double)sizes->items[k]));
        }
        break;
    case OPTION_TEXT:
        require(**(const char *const *)value);
        break;
    default:
        break;
    }
}

/* Tells a value and reads it again; texts may be cut, sizes of many digits as well. */
static void check_words(const option_spec *spec, const values *v)
{
    char told[OPTION_TEXT_SIZE], again[OPTION_TEXT_SIZE];
    values copy = *v;
    option_text(spec, v, told);
    if (strlen(told) + 1 < sizeof told) {
        require(option_set(spec, &copy, told));
        require(strcmp(option_text(spec, &copy, again), told) == 0);
        require(spec->kind == OPTION_TEXT || memcmp(&copy, v, sizeof copy) == 0);
    }
}

/* Gives text to each option of a command in turn, as if it were its value. */
static void check_each(const command *cmd, const char *text)
{
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        values v = {.bytes = {0}}, before;
        memcpy(&v, cmd->defaults, cmd->size);
        before = v;
        if (option_set(spec, &v, text)) {
            check_range(spec, v.bytes + spec->offset);
            check_words(spec, &v);
        } else {
            require(memcmp(&v, &before, sizeof v) == 0);
        }
    }
}

/* ---- the command line --------------------------------------------------------------------- */

/* Cuts the input into copies of its arguments, so that a sanitizer sees where each ends. */
static int cut(char *argv[MAX_ARGUMENTS + 2], const char *name, const uint8_t *data, size_t n)
{
    int argc = 0;
    argv[argc++] = strdup(name);
    while (n > 0 && argc <= MAX_ARGUMENTS) {
        const uint8_t *end = memchr(data, 0, n);
        const size_t length = end ? (size_t)(end - data) : n;
        argv[argc++] = strndup((const char *)data, length);
        data += end ? length + 1 : length;
        n -= end ? length + 1 : length;
    }
    argv[argc] = NULL;
    return argc;
}

static void check_line(const command *cmd, int argc, char **argv)
{
    values v = {.bytes = {0}};
    int first = -1;
    memcpy(&v, cmd->defaults, cmd->size);
    const parsed result = options_parse(cmd, &v, argc, argv, &first);
    require(result != PARSED_NO_MEMORY);
    require(first >= 1 && first <= argc);
    if (result != PARSED_RUN) {
        return;
    }
    require((size_t)(argc - first) >= cmd->min_arguments);
    require((size_t)(argc - first) <= cmd->max_arguments);
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        const unsigned char *value = v.bytes + spec->offset;
        const unsigned char *default_value = (const unsigned char *)cmd->defaults + spec->offset;
        const bool text = spec->kind == OPTION_TEXT;
        if (spec->kind == OPTION_SIZE && memcmp(value, default_value, sizeof(size_t)) == 0) {
            continue; /* perhaps OPTION_AUTOMATIC */
        }
        if (!text || *(const char *const *)(const void *)value) {
            check_range(spec, value);
        }
    }
}

void fuzz_one(const uint8_t *data, size_t n)
{
    char *argv[MAX_ARGUMENTS + 2];
    if (n < 1) {
        return;
    }
    fuzz_silence();
    const command *cmd = commands[data[0] % N_COMMANDS];
    require(cmd->size <= MAX_VALUES);
    const int argc = cut(argv, cmd->name, data + 1, n - 1);
    for (int k = 1; k < argc; k++) {
        check_each(cmd, argv[k]);
    }
    char *kept[MAX_ARGUMENTS + 2];
    memcpy(kept, argv, sizeof argv); /* parsing moves them about */
    check_line(cmd, argc, argv);
    for (int k = 0; k < argc; k++) {
        free(kept[k]);
    }
}

/* ---- inputs ------------------------------------------------------------------------------- */

/* A line for each option of each command, with its default or something near to it. */
void fuzz_seeds(fuzz_seed *seed)
{
    static const char *const words[] = {"1", "0.5", "none", "300,100", "yes"};
    for (size_t c = 0; c < N_COMMANDS; c++) {
        const command *cmd = commands[c];
        size_t turn = 0;
        for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
            char line[256] = {(char)c}, told[OPTION_TEXT_SIZE] = "";
            if (spec->kind == OPTION_GROUP) {
                continue;
            }
            option_text(spec, cmd->defaults, told);
            const int n = snprintf(
                line + 1, sizeof line - 1, "--%s%c%s%cx", spec->name,
                spec->kind == OPTION_FLAG ? 0 : '=',
                turn % 2 == 0 && *told ? told : words[turn % (sizeof words / sizeof *words)], 0);
            seed(line, (size_t)n + 1);
            turn++;
        }
    }
    seed("\0--help", 8);
    seed("\1--version", 11);
    seed("\0--seed\0-1\0--hidden\0"
         "4,4\0--",
         27);
    seed("\2-h\0--\0a\0b", 11);
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    (void)random;
    return LLVMFuzzerMutate(data, n, max);
}
