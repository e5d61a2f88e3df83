#include "manual.h"

#include "nnlib.h"

#include <string.h>

static bool is_option(const option_spec *spec)
{
    return spec->kind != OPTION_GROUP;
}

/* ---- manual page -------------------------------------------------------------------------- */

/* Prints text so that troff shows it as it stands. */
static void print_roff(FILE *to, const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\'')) {
            fputs("\\&", to); /* else it would be a request */
        }
        if (*text == '\\') {
            fputs("\\e", to);
        } else if (*text == '-') {
            fputs("\\-", to); /* a minus, which can be copied, not a hyphen */
        } else {
            fputc(*text, to);
        }
        line_start = *text == '\n';
    }
}

static void print_paragraphs(FILE *to, const char *text)
{
    while (*text) {
        char line[1024];
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        fputs(".PP\n", to);
        print_roff(to, line);
        fputc('\n', to);
        text += length + strspn(text + length, "\n");
    }
}

static void print_manual_option(FILE *to, const option_spec *spec, const void *defaults)
{
    char text[OPTION_HELP_SIZE];
    fputs(".TP\n", to);
    if (spec->letter) {
        fprintf(to, "\\fB\\-%c\\fR, ", spec->letter);
    }
    fputs("\\fB\\-\\-", to);
    print_roff(to, spec->name);
    fputs("\\fR", to);
    if (spec->value) {
        fputs(" \\fI", to);
        print_roff(to, spec->value);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    print_roff(to, option_help(spec, defaults, text));
    fputc('\n', to);
}

static void print_manual_command(FILE *to, const command *cmd)
{
    fprintf(to, ".SS \"digits %s [OPTIONS]%s%s\"\n", cmd->name, *cmd->arguments ? " " : "",
            cmd->arguments);
    print_paragraphs(to, cmd->description);
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        if (is_option(spec)) {
            print_manual_option(to, spec, cmd->defaults);
        }
    }
    if (cmd->examples) {
        fputs(".PP\nExamples:\n.PP\n.nf\n", to);
        print_roff(to, cmd->examples);
        fputs(".fi\n", to);
    }
}

static const char manual_end[] =
    ".SH \"EXIT STATUS\"\n"
    "0 done, 1 failure of the system (disk, memory), 2 wrong usage, 3 bad data, 4 bad model, 5\n"
    "training diverged, 130 stopped by Ctrl\\-C with the work saved.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBDIGITS_DATA\\fR\na folder with the data files, unless \\-\\-data names one\n"
    ".TP\n\\fBNO_COLOR\\fR\nif set and not empty, nothing is coloured\n"
    ".TP\n\\fBNN_KERNEL\\fR\nref, avx2, avx512 or neon: which kernels compute; the result is the\n"
    "same\n";

void manual_print(FILE *to, const command *const *commands, size_t n)
{
    fprintf(to,
            ".TH DIGITS 1 \"\" \"digits %s\" \"User Commands\"\n"
            ".SH NAME\ndigits \\- train a small neural network to read handwritten digits\n"
            ".SH SYNOPSIS\n\\fBdigits\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
            ".SH COMMANDS\n",
            NN_VERSION);
    for (size_t i = 0; i < n; i++) {
        print_manual_command(to, commands[i]);
    }
    fputs(manual_end, to);
}

/* ---- completion --------------------------------------------------------------------------- */

/* Prints the case of a shell's choice for what may follow an option. */
static void print_value_case(FILE *to, const command *cmd, const option_spec *spec)
{
    fprintf(to, "    %s:--%s", cmd->name, spec->name);
    if (spec->letter) {
        fprintf(to, " | %s:-%c", cmd->name, spec->letter);
    }
    if (spec->kind == OPTION_CHOICE) {
        fputs(") words='", to);
        for (unsigned k = 0; spec->choice(k); k++) {
            fprintf(to, "%s%s", k > 0 ? " " : "", spec->choice(k));
        }
        fputs("' ;;\n", to);
    } else if (spec->kind == OPTION_TEXT) {
        fprintf(to, ") paths=%s ;;\n", strcmp(spec->value, "DIR") == 0 ? "-d" : "-f");
    } else {
        fputs(") return ;;\n", to); /* a number: nothing to offer */
    }
}

static void print_value_cases(FILE *to, const command *cmd)
{
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        if (is_option(spec) && spec->kind != OPTION_FLAG) {
            print_value_case(to, cmd, spec);
        }
    }
}

static void print_options_case(FILE *to, const command *cmd)
{
    fprintf(to, "    %s:-*) words='--help --version", cmd->name);
    for (const option_spec *spec = cmd->options; spec->kind != OPTION_END; spec++) {
        if (is_option(spec)) {
            fprintf(to, " --%s", spec->name);
        }
    }
    fputs("' ;;\n", to);
}

void completion_print(FILE *to, const command *const *commands, size_t n)
{
    fputs("# Completion of digits for bash: eval \"$(digits --completion)\"\n"
          "_digits()\n{\n"
          "    local command=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]} words='' paths=-f\n"
          "    local before=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ] || [ \"$command\" = help ]; then\n"
          "        words='help",
          to);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, " %s", commands[i]->name);
    }
    fputs("'\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "        return\n    fi\n"
          "    case $command:$before in\n",
          to);
    for (size_t i = 0; i < n; i++) {
        print_value_cases(to, commands[i]);
    }
    fputs("    *) case $command:$word in\n", to);
    for (size_t i = 0; i < n; i++) {
        print_options_case(to, commands[i]);
    }
    fputs("    esac ;;\n    esac\n"
          "    if [ -n \"$words\" ]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "    else\n"
          "        compopt -o filenames 2> /dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen \"$paths\" -- \"$word\")\n"
          "    fi\n}\n"
          "complete -F _digits digits ./digits\n",
          to);
}
