/* What a model file holds: the network, its tensors, its facts. */

#include "inspect.h"
#include "json.h"
#include "message.h"
#include "recipe.h"
#include "stats.h"
#include "text.h"
#include "trained.h"

#include <math.h>
#include <string.h>

/* Tensor t of a network, as the file names it: layer t/2's weights (t even) or biases. */
typedef struct {
    char name[TEXT_NUMBER_SIZE];
    size_t n_dims, dims[2];
    stats numbers;
} tensor;

static size_t n_tensors(const nn_net *net)
{
    return 2 * nn_net_config(net)->n_layers;
}

static tensor tensor_of(nn_net *net, size_t t)
{
    const nn_config *config = nn_net_config(net);
    size_t l = t / 2, units = config->layers[l].units;
    size_t inputs = l > 0 ? config->layers[l - 1].units : config->inputs;
    bool weights = t % 2 == 0;
    tensor result = {.n_dims = weights ? 2 : 1, .dims = {units, weights ? inputs : 0}};
    snprintf(result.name, sizeof result.name, "fc%zu.%s", l + 1, weights ? "weight" : "bias");
    result.numbers = stats_none();
    for (size_t j = 0; j < units; j++) {
        for (size_t i = 0; weights && i < inputs; i++) {
            stats_add(&result.numbers, (double)*nn_net_weight(net, l, j, i));
        }
        if (!weights) {
            stats_add(&result.numbers, (double)*nn_net_bias(net, l, j));
        }
    }
    return result;
}

/* ---- text --------------------------------------------------------------------------------- */

/* Prints a line of the table of tensors; on a narrow terminal, without the extremes. */
static void print_tensor_line(const terminal *screen, const char *const cells[6])
{
    const size_t whole = 78;
    printf("  %-12s %14s", cells[0], cells[1]);
    if (terminal_room(screen) >= whole) {
        printf(" %11s %11s", cells[2], cells[3]);
    }
    printf(" %11s %11s\n", cells[4], cells[5]);
}

static void print_tensor(const terminal *screen, const tensor *t)
{
    char shape[2 * TEXT_NUMBER_SIZE];
    if (t->n_dims == 2) {
        snprintf(shape, sizeof shape, "%zu x %zu", t->dims[0], t->dims[1]);
    } else {
        snprintf(shape, sizeof shape, "%zu", t->dims[0]);
    }
    const double numbers[] = {t->numbers.min, t->numbers.max, stats_mean(&t->numbers),
                              stats_norm(&t->numbers)};
    char texts[4][TEXT_NUMBER_SIZE];
    for (size_t i = 0; i < 4; i++) {
        snprintf(texts[i], sizeof texts[i], fabs(numbers[i]) < 1e5 ? "%.5f" : "%.4e", numbers[i]);
    }
    print_tensor_line(
        screen, (const char *const[]){t->name, shape, texts[0], texts[1], texts[2], texts[3]});
}

/* Prints a text from the column `indent`, where the cursor is, on as many lines as a terminal needs
 * to keep clear of the columns before it. */
static void print_folded(const terminal *screen, const char *text, size_t indent)
{
    const size_t least = 16;
    size_t room = screen->present ? screen->columns : SIZE_MAX, column = 0;
    room = room > indent + least ? room - indent : least;
    for (; *text; text++) {
        bool starts = ((unsigned char)*text & 0xC0) != 0x80; /* a UTF-8 character */
        if (starts && column++ == room) {
            printf("\n%*s", (int)indent, "");
            column = 1;
        }
        putchar(*text);
    }
    putchar('\n');
}

/* Prints a fact; it may come from anybody's file, so its control characters are replaced. */
static bool print_fact(const terminal *screen, const char *key, const char *value, int width)
{
    char *line = text_format("  %-*s %s", width, key, value);
    if (line) {
        size_t indent = (size_t)width + 3 <= strlen(key) + 2 ? 0 : (size_t)width + 3;
        text_tame(line);
        printf("%.*s", (int)indent, line);
        print_folded(screen, line + indent, indent);
    }
    nn_free(line);
    return line != NULL;
}

static bool print_facts(const terminal *screen, const nn_meta *facts)
{
    int width = 0;
    bool printed = true;
    for (size_t i = 0; i < facts->n; i++) {
        int length = (int)strlen(facts->items[i].key);
        width = length > width && length < 30 ? length : width;
    }
    for (size_t i = 0; i < facts->n && printed; i++) {
        printed = print_fact(screen, facts->items[i].key, facts->items[i].value, width);
    }
    return printed;
}

static int print_text(const inspection *what, const trained *model, const char *network)
{
    char bytes[TEXT_NUMBER_SIZE];
    printf("file        ");
    text_print(stdout, what->path);
    printf(", a model of %s\n", text_bytes(bytes, what->bytes));
    printf("network     %s\n", network);
    network_print_parameters(stdout, model->net, "parameters  ");
    printf("\n");
    print_tensor_line(&what->screen,
                      (const char *const[]){"tensor", "shape", "min", "max", "mean", "norm"});
    for (size_t t = 0; t < n_tensors(model->net); t++) {
        tensor one = tensor_of(model->net, t);
        print_tensor(&what->screen, &one);
    }
    printf("\nmetadata\n");
    return print_facts(&what->screen, &model->facts) ? EXIT_DONE : fail_memory();
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void add_tensor(json *document, cJSON *list, const tensor *t)
{
    cJSON *item = json_object(document, list, NULL);
    json_text(document, item, "name", t->name);
    cJSON *shape = json_array(document, item, "shape");
    for (size_t i = 0; i < t->n_dims; i++) {
        json_size(document, shape, NULL, t->dims[i]);
    }
    json_number(document, item, "min", t->numbers.min);
    json_number(document, item, "max", t->numbers.max);
    json_number(document, item, "mean", stats_mean(&t->numbers));
    json_number(document, item, "norm", stats_norm(&t->numbers));
}

static int print_json(const inspection *what, const trained *model, const char *network)
{
    json document;
    json_init(&document);
    json_text(&document, document.root, "file", what->path);
    json_text(&document, document.root, "kind", "model");
    json_size(&document, document.root, "bytes", what->bytes);
    json_text(&document, document.root, "network", network);
    json_size(&document, document.root, "parameters", nn_net_n_params(model->net));
    cJSON *tensors = json_array(&document, document.root, "tensors");
    for (size_t t = 0; t < n_tensors(model->net); t++) {
        tensor one = tensor_of(model->net, t);
        add_tensor(&document, tensors, &one);
    }
    cJSON *facts = json_object(&document, document.root, "metadata");
    for (size_t i = 0; i < model->facts.n; i++) {
        json_text(&document, facts, model->facts.items[i].key, model->facts.items[i].value);
    }
    bool printed = json_print(&document, stdout, true);
    json_release(&document);
    return printed ? EXIT_DONE : fail_memory();
}

int inspect_model(const inspection *what)
{
    trained model = {0};
    int code = trained_load(&model, what->path);
    if (code != EXIT_DONE) {
        return code;
    }
    char *network = network_text(nn_net_config(model.net));
    if (!network) {
        code = fail_memory();
    } else {
        code = what->json ? print_json(what, &model, network) : print_text(what, &model, network);
    }
    nn_free(network);
    trained_release(&model);
    return code;
}
