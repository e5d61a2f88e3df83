/* digits inspect: what a file holds. */

#include "commands.h"
#include "files.h"
#include "inspect.h"
#include "message.h"

#include <string.h>

typedef struct {
    size_t show;
    bool json;
} inspect_values;

static const inspect_values defaults = {.show = OPTION_AUTOMATIC};

static const option_spec options[] = {
    {"show", OPTION_SIZE, 's', .offset = offsetof(inspect_values, show), .value = "N",
     .help = "draw the first N pictures of an IDX file",
     .automatic = "as many as stand side by side", .range = RANGE(0, 1e6)},
    {"json", OPTION_FLAG, .offset = offsetof(inspect_values, json),
     .help = "print the result as JSON"},
    {.kind = OPTION_END},
};

enum {
    START_SIZE = 9 /* a model's header length, and the first byte of its header */
};

/* A model starts with the length of its header, at most 2^20 and little-endian, and a brace. */
static bool looks_like_model(const char *start, size_t n)
{
    static const char zeros[5] = {0};
    return n == START_SIZE && start[8] == '{' && memcmp(start + 3, zeros, sizeof zeros) == 0;
}

static bool looks_like_idx(const char *start, size_t n)
{
    return n >= 2 && (memcmp(start, "\x1f\x8b", 2) == 0 || (start[0] == '\0' && start[1] == '\0'));
}

static int run_inspect(const void *values, size_t n_arguments, char **arguments)
{
    const inspect_values *v = values;
    char start[START_SIZE + 1];
    (void)n_arguments;
    inspection what = {
        .path = arguments[0], .json = v->json, .show = v->show, .screen = terminal_of(stdout)};
    size_t n;
    nn_status status = file_size(&what.bytes, what.path);
    if (status == NN_OK) {
        status = file_start(start, &n, sizeof start, what.path);
    }
    if (status != NN_OK) {
        return fail(status, ROLE_DATA);
    }
    if (looks_like_model(start, n)) {
        return inspect_model(&what);
    }
    /* What is missing, empty or no regular file is left to the IDX loader, which says so. */
    if (n == 0 || looks_like_idx(start, n)) {
        return inspect_idx(&what);
    }
    complain("'%s' is neither a model nor an IDX file", what.path);
    return EXIT_DATA;
}

const command command_inspect = {
    .name = "inspect",
    .summary = "show what a model or an IDX file holds",
    .arguments = "FILE",
    .description = "Shows what a file holds. Of a model: the network, its tensors and metadata. Of "
                   "an IDX file, plain or gzip: shape, values, how often each label occurs, the "
                   "first pictures.",
    .examples = "  digits inspect model.safetensors\n"
                "  digits inspect --show 2 data/mnist/t10k-images-idx3-ubyte.gz\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_inspect,
};
