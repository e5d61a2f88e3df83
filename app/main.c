/* digits: trains a small neural network to read handwritten digits, and shows what it learned. */

#include "commands.h"
#include "manual.h"
#include "message.h"
#include "nnlib.h"
#include "options.h"
#include "streams.h"
#include "text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* In the order in which a newcomer needs them. */
static const command *const commands[] = {
    &command_train,   &command_eval,      &command_report, &command_predict,
    &command_inspect, &command_reproduce, &command_demo,   &command_synth,
};

enum {
    N_COMMANDS = sizeof commands / sizeof commands[0]
};

static void print_usage(FILE *to)
{
    fprintf(to, "usage: digits COMMAND [OPTIONS]\n\n"
                "Trains a small neural network to read handwritten digits.\n\n"
                "Commands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(to, "  %-10s %s\n\n", "help", "print this, or the help of a command");
    fprintf(to, "'digits COMMAND --help' lists a command's options; 'digits --man' prints it all\n"
                "as a manual page, 'digits --completion' as a script for bash.\n");
}

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int refuse_word(const char *word)
{
    const char *names[N_COMMANDS + 5] = {"help", "--help", "--version", "--man", "--completion"};
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i + 5] = commands[i]->name;
    }
    const char *nearest = text_nearest(word, names, N_COMMANDS + 5);
    complain("unknown %s '%s'", *word == '-' ? "option" : "command", word);
    if (nearest) {
        advise("did you mean 'digits %s'?", nearest);
    } else {
        advise("'digits help' lists the commands");
    }
    return EXIT_USAGE;
}

static int print_version(void)
{
    printf("digits %s\n", NN_VERSION);
    return EXIT_DONE;
}

static int print_help(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    const command *cmd = find_command(argv[1]);
    if (!cmd) {
        return refuse_word(argv[1]);
    }
    options_help(stdout, cmd);
    return EXIT_DONE;
}

/* Parses argv (argv[0] is the command's name) into values and does what they say. */
static int dispatch(const command *cmd, void *values, int argc, char **argv)
{
    int first;
    memcpy(values, cmd->defaults, cmd->size);
    switch (options_parse(cmd, values, argc, argv, &first)) {
    case PARSED_RUN:
        return cmd->run(values, (size_t)(argc - first), argv + first);
    case PARSED_HELP:
        options_help(stdout, cmd);
        return EXIT_DONE;
    case PARSED_VERSION:
        return print_version();
    case PARSED_NO_MEMORY:
        return fail_memory();
    case PARSED_WRONG:
        break;
    }
    advise("'digits %s --help' lists the options", cmd->name);
    return EXIT_USAGE;
}

static int run_command(const command *cmd, int argc, char **argv)
{
    int code = EXIT_FAILED;
    char *speaker = text_format("digits %s", cmd->name);
    void *values = nn_alloc(cmd->size);
    if (speaker && values) {
        message_from(speaker);
        code = dispatch(cmd, values, argc, argv);
    } else {
        fail_memory();
    }
    message_from("digits");
    nn_free(values);
    nn_free(speaker);
    return code;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        return print_help(argc - 1, argv + 1);
    }
    if (strcmp(word, "--version") == 0) {
        return print_version();
    }
    if (strcmp(word, "--man") == 0) {
        manual_print(stdout, commands, N_COMMANDS);
        return EXIT_DONE;
    }
    if (strcmp(word, "--completion") == 0) {
        completion_print(stdout, commands, N_COMMANDS);
        return EXIT_DONE;
    }
    const command *cmd = find_command(word);
    return cmd ? run_command(cmd, argc - 1, argv + 1) : refuse_word(word);
}

/* A closed stdin, stdout or stderr would give its number to the next file that is opened, and
 * messages would end up in a model. Opened the wrong way round, it fails when it is used. */
static void keep_standard_files(void)
{
    static const int wrong_way[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            (void)open("/dev/null", wrong_way[fd]); /* takes the lowest free number: fd */
        }
    }
}

/* Reports whether stdout is a pipe that nobody reads any more: "digits inspect FILE | head". */
static bool reader_has_left(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

/* Makes sure that what was printed has arrived; a reader that has left needs no message. */
static int close_output(int code)
{
    int error;
    if (streams_close(&error)) {
        return code;
    }
    if (!reader_has_left()) {
        complain("cannot write to standard output%s%s", error ? ": " : "",
                 error ? strerror(error) : "");
    }
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
    cJSON_Hooks hooks = {nn_alloc, nn_free};
    keep_standard_files();
    streams_open();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is told like a full disk */
    /* A library loaded before may have set a rounding mode or a locale with decimal commas. */
    (void)fesetenv(FE_DFL_ENV);
    setlocale(LC_ALL, "C");
    setlocale(LC_CTYPE, ""); /* whether the terminal speaks UTF-8 */
    cJSON_InitHooks(&hooks);
    return close_output(run(argc, argv));
}
