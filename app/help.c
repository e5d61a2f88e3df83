/* Help, generated from the tables. */

#include "options.h"
#include "text.h"

#include <string.h>

enum {
    WIDTH = 80,
    TEXT_COLUMN = 22
};

/* Prints text in the columns from `indent` to WIDTH - 1; the cursor is at `column`. */
static void print_wrapped(FILE *to, const char *text, int column, int indent)
{
    bool first = true;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (!first && column + 1 + length >= WIDTH) {
            fputc('\n', to);
            column = 0;
            first = true;
        }
        if (column < indent) {
            column += fprintf(to, "%*s", indent - column, "");
        }
        column += fprintf(to, "%s%.*s", first ? "" : " ", length, text);
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

/* Adds ", more" or "; more"; the text so far decides nothing. */
static void append(char *text, size_t size, const char *separator, const char *more)
{
    size_t length = strlen(text);
    snprintf(text + length, size - length, "%s%s", separator, more);
}

static void append_default(char *text, size_t size, const option_spec *spec, const void *defaults)
{
    char value[OPTION_TEXT_SIZE];
    option_text(spec, defaults, value);
    if (spec->automatic) {
        append(text, size, "; default ", spec->automatic);
    } else if (*value && spec->kind != OPTION_FLAG) {
        append(text, size, "; default ", value);
    }
}

/* A seed's range, a list's and a name's go without saying. */
static void append_range(char *text, size_t size, const option_spec *spec)
{
    char range[OPTION_TEXT_SIZE];
    option_expected(spec, range);
    if (spec->kind == OPTION_SIZE) {
        append(text, size, ": ", range + strlen("a whole number from "));
    } else if (spec->kind == OPTION_REAL || spec->kind == OPTION_CHOICE) {
        append(text, size, ": ", range);
    }
}

static void print_entry(FILE *to, char letter, const char *name, const char *value,
                        const char *text)
{
    int column = letter ? fprintf(to, "  -%c, --%s", letter, name) : fprintf(to, "  --%s", name);
    if (value) {
        column += fprintf(to, " %s", value);
    }
    if (column >= TEXT_COLUMN - 1) {
        fputc('\n', to);
        column = 0;
    }
    print_wrapped(to, text, column, TEXT_COLUMN);
}

const char *option_help(const option_spec *spec, const void *defaults, char text[OPTION_HELP_SIZE])
{
    *text = '\0';
    append(text, OPTION_HELP_SIZE, "", spec->help);
    append_range(text, OPTION_HELP_SIZE, spec);
    append_default(text, OPTION_HELP_SIZE, spec, defaults);
    return text;
}

static void print_option(FILE *to, const option_spec *spec, const void *defaults)
{
    char text[OPTION_HELP_SIZE];
    print_entry(to, spec->letter, spec->name, spec->value, option_help(spec, defaults, text));
}

static void print_paragraphs(FILE *to, const char *text)
{
    while (*text) {
        char line[1024];
        int length = (int)strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", length, text);
        print_wrapped(to, line, 0, 0);
        text += length;
        text += strspn(text, "\n");
        if (*text) {
            fputc('\n', to);
        }
    }
}

void options_help(FILE *to, const command *cmd)
{
    fprintf(to, "usage: digits %s [OPTIONS]%s%s\n\n", cmd->name, *cmd->arguments ? " " : "",
            cmd->arguments);
    print_paragraphs(to, cmd->description);
    if (cmd->options->kind != OPTION_GROUP) {
        fprintf(to, "\nOptions:\n");
    }
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        if (spec->kind == OPTION_GROUP) {
            fprintf(to, "\n%s:\n", spec->help);
        } else {
            print_option(to, spec, cmd->defaults);
        }
    }
    print_entry(to, 'h', "help", NULL, "print this");
    print_entry(to, 0, "version", NULL, "print the program's version");
    if (cmd->examples) {
        fprintf(to, "\nExamples:\n%s", cmd->examples);
    }
}
