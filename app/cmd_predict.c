/* digits predict: what a model reads in pictures. */

#include "commands.h"
#include "json.h"
#include "message.h"
#include "pictures.h"
#include "terminal.h"
#include "text.h"
#include "trained.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

typedef struct {
    const char *model;
    size_t index, first; /* OPTION_AUTOMATIC: all */
    bool show, json;
} predict_values;

static const predict_values defaults = {
    .model = TRAINED_PATH, .index = OPTION_AUTOMATIC, .first = OPTION_AUTOMATIC};

#define AT(field) .offset = offsetof(predict_values, field)

static const option_spec options[] = {
    {"model", OPTION_TEXT, 'm', AT(model), .value = "FILE", .help = "the model file"},
    {"index", OPTION_SIZE, 'i', AT(index), .value = "I",
     .help = "of an IDX file, read picture I alone, counted from 0", .automatic = "all",
     .range = RANGE(0, 4294967295)},
    {"first", OPTION_SIZE, 'n', AT(first), .value = "N",
     .help = "of an IDX file, read the first N pictures", .automatic = "all",
     .range = RANGE(1, 4294967295)},
    {"show", OPTION_FLAG, 's', AT(show), .help = "draw the pictures"},
    {"json", OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {.kind = OPTION_END},
};

/* ---- one run ------------------------------------------------------------------------------ */

typedef struct {
    const predict_values *values;
    trained model;
    size_t classes;
    terminal screen;
    json document; /* with --json */
    cJSON *list;
} run;

/* What the network made of one picture. */
typedef struct {
    const char *file;
    size_t index; /* in the file */
    bool from_idx;
    const nn_data *data;  /* of the file */
    const float *outputs; /* [classes] */
    size_t best;
} reading;

/* ---- text --------------------------------------------------------------------------------- */

static int column_width(const run *r)
{
    size_t width = 4;
    for (size_t c = 0; c < r->classes; c++) {
        char name[CLASS_NAME_SIZE];
        size_t length = strlen(trained_class(&r->model, c, name));
        width = length + 1 > width ? length + 1 : width;
    }
    return (int)width;
}

static void print_header(const run *r)
{
    char name[CLASS_NAME_SIZE];
    printf("%sdigit", terminal_code(&r->screen, STYLE_FAINT));
    for (size_t c = 0; c < r->classes; c++) {
        printf("%*s", column_width(r), trained_class(&r->model, c, name));
    }
    printf("  picture%s\n", terminal_code(&r->screen, STYLE_PLAIN));
}

/* Prints a probability in whole percent, a dot for nearly nothing. */
static void print_percent(float probability, int width)
{
    int percent = (int)(100 * probability + 0.5F);
    if (percent > 0) {
        printf("%*d", width, percent);
    } else {
        printf("%*s", width, ".");
    }
}

static void print_name(const reading *read)
{
    char name[1024];
    snprintf(name, sizeof name, "%s", read->file);
    text_tame(name);
    printf("  %s", name);
    if (read->from_idx) {
        printf("[%zu]", read->index);
    }
}

static void print_reading(const run *r, const reading *read)
{
    char name[CLASS_NAME_SIZE];
    if (r->values->show) {
        terminal_picture(stdout, &r->screen, read->data->pixels + read->index * read->data->inputs,
                         read->data->rows, read->data->columns);
        print_header(r);
    }
    printf("%s%5s%s", terminal_code(&r->screen, STYLE_BOLD),
           trained_class(&r->model, read->best, name), terminal_code(&r->screen, STYLE_PLAIN));
    for (size_t c = 0; c < r->classes; c++) {
        print_percent(read->outputs[c], column_width(r));
    }
    print_name(read);
    printf("%s", r->values->show ? "\n\n" : "\n");
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void add_reading(run *r, const reading *read)
{
    char name[CLASS_NAME_SIZE];
    cJSON *item = json_object(&r->document, r->list, NULL);
    json_text(&r->document, item, "file", read->file);
    json_size(&r->document, item, "index", read->index);
    json_size(&r->document, item, "digit", read->best);
    json_text(&r->document, item, "class", trained_class(&r->model, read->best, name));
    json_number(&r->document, item, "probability", (double)read->outputs[read->best]);
    cJSON *all = json_array(&r->document, item, "probabilities");
    for (size_t c = 0; c < r->classes; c++) {
        json_number(&r->document, all, NULL, (double)read->outputs[c]);
    }
}

/* ---- files -------------------------------------------------------------------------------- */

/* Picks the pictures that were asked for; `from` is the first one's place in the file. */
static int select_pictures(const run *r, nn_data *chosen, size_t *from, const nn_data *all,
                           const char *file)
{
    const predict_values *values = r->values;
    *from = values->index == OPTION_AUTOMATIC ? 0 : values->index;
    if (*from >= all->n) {
        complain("--index must be less than %zu, the number of pictures in '%s', not '%zu'", all->n,
                 file, values->index);
        return EXIT_USAGE;
    }
    *chosen = nn_data_slice(all, *from, values->index == OPTION_AUTOMATIC ? values->first : 1);
    return EXIT_DONE;
}

static void tell(run *r, const pictures *p, const char *file, size_t from, const float *outputs,
                 size_t n)
{
    for (size_t k = 0; k < n; k++) {
        const float *own = outputs + k * r->classes;
        reading read = {.file = file,
                        .index = from + k,
                        .from_idx = p->from_idx,
                        .data = &p->data,
                        .outputs = own,
                        .best = nn_argmax(own, r->classes)};
        if (r->values->json) {
            add_reading(r, &read);
        } else {
            print_reading(r, &read);
        }
    }
}

static int predict_pictures(run *r, const pictures *p, const char *file)
{
    nn_data chosen;
    size_t from;
    int code = trained_takes(&r->model, &p->data, file) ? EXIT_DONE : EXIT_DATA;
    if (code == EXIT_DONE) {
        code = select_pictures(r, &chosen, &from, &p->data, file);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    float *outputs = nn_alloc_array(chosen.n, r->classes * sizeof *outputs);
    if (!outputs) {
        return fail_memory();
    }
    code = fail(nn_predict(outputs, r->model.net, &chosen), ROLE_DATA);
    if (code == EXIT_DONE) {
        tell(r, p, file, from, outputs, chosen.n);
    }
    nn_free(outputs);
    return code;
}

static int predict_file(run *r, const char *file)
{
    pictures p = {0};
    int code = pictures_load(&p, file);
    if (code == EXIT_DONE) {
        code = predict_pictures(r, &p, file);
    }
    pictures_release(&p);
    return code;
}

/* Reads every file, also after one that cannot be read; the first failure decides the code. */
static int predict_files(run *r, size_t n, char **files)
{
    int code = EXIT_DONE;
    if (!r->values->json && !r->values->show) {
        print_header(r);
    }
    for (size_t i = 0; i < n; i++) {
        int one = predict_file(r, files[i]);
        code = code == EXIT_DONE ? one : code;
    }
    return code;
}

static int predict_as_json(run *r, size_t n, char **files)
{
    json_init(&r->document);
    json_text(&r->document, r->document.root, "model", r->values->model);
    json_text(&r->document, r->document.root, "trained_on",
              nn_meta_get(&r->model.facts, FACT_DATA));
    r->list = json_array(&r->document, r->document.root, "predictions");
    int code = predict_files(r, n, files);
    if (!json_print(&r->document, stdout, true)) {
        code = fail_memory();
    }
    json_release(&r->document);
    return code;
}

static int run_predict(const void *values, size_t n_arguments, char **arguments)
{
    run r = {.values = values, .screen = terminal_of(stdout)};
    if (r.values->index != OPTION_AUTOMATIC && r.values->first != OPTION_AUTOMATIC) {
        complain("--index and --first exclude each other");
        return EXIT_USAGE;
    }
    int code = trained_load(&r.model, r.values->model);
    if (code == EXIT_DONE) {
        r.classes = nn_net_outputs(r.model.net);
        code = r.values->json ? predict_as_json(&r, n_arguments, arguments)
                              : predict_files(&r, n_arguments, arguments);
    }
    trained_release(&r.model);
    return code;
}

const command command_predict = {
    .name = "predict",
    .summary = "read the digits in pictures",
    .arguments = "FILE...",
    .description =
        "Reads the digit in each picture: grey PNG files of 28 x 28 pixels, light ink on dark "
        "ground as in MNIST, or the pictures of IDX files, plain or gzip. Prints the digit and "
        "the probability of each class in percent.",
    .examples = "  digits predict seven.png\n"
                "  digits predict --first 3 --show data/mnist/t10k-images-idx3-ubyte.gz\n"
                "  digits predict --json errors/0*.png\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .min_arguments = 1,
    .max_arguments = SIZE_MAX,
    .run = run_predict,
};
