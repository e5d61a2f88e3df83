/* digits predict: what a model reads in pictures. */

#include "commands.h"
#include "files.h"
#include "json.h"
#include "message.h"
#include "picture/pictures.h"
#include "picture/shape.h"
#include "png.h"
#include "terminal.h"
#include "text.h"
#include "trained.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

typedef struct {
    const char *model, *save;
    size_t index, first; /* OPTION_AUTOMATIC: all */
    unsigned prepare;    /* prepare_mode */
    bool show, json, pixels;
} predict_values;

static const predict_values defaults = {.model = TRAINED_PATH,
                                        .index = OPTION_AUTOMATIC,
                                        .first = OPTION_AUTOMATIC,
                                        .prepare = PREPARE_AUTO};

#define AT(field) .offset = offsetof(predict_values, field)

static const option_spec options[] = {
    {"model", OPTION_TEXT, 'm', AT(model), .value = "FILE", .help = "the model file"},
    {"prepare", OPTION_CHOICE, 'p', AT(prepare), .value = "WHEN",
     .help = "look for digits in a picture and make them like MNIST's; auto: unless it is 28 x 28, "
             "grey, and black around",
     .choice = prepare_mode_name},
    {"index", OPTION_SIZE, 'i', AT(index), .value = "I",
     .help = "of an IDX file, read picture I alone, counted from 0", .automatic = "all",
     .range = RANGE(0, 4294967295)},
    {"first", OPTION_SIZE, 'n', AT(first), .value = "N",
     .help = "of an IDX file, read the first N pictures", .automatic = "all",
     .range = RANGE(1, 4294967295)},
    {"show", OPTION_FLAG, 's', AT(show),
     .help = "draw what the network sees; done anyway for prepared pictures on a terminal"},
    {"save", OPTION_TEXT, AT(save), .value = "DIR",
     .help = "write what the network sees as PNG files to an empty or new folder"},
    {"json", OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {"pixels", OPTION_FLAG, AT(pixels), .help = "with --json, print the pixels that were read"},
    {.kind = OPTION_END},
};

/* ---- one run ------------------------------------------------------------------------------ */

typedef struct {
    const predict_values *values;
    trained model;
    size_t classes;
    terminal screen;
    bool has_header; /* the table's head is on the screen */
    size_t n_saved;
    json document; /* with --json */
    cJSON *list;
} run;

/* How far an answer can be trusted. */
typedef enum {
    SURE,
    UNSURE,  /* its probability is low */
    NO_DIGIT /* a blank picture, a scribble */
} verdict;

static const char *const verdict_names[] = {
    [SURE] = "sure", [UNSURE] = "unsure", [NO_DIGIT] = "no digit"};

/* What the network made of one picture. */
typedef struct {
    const char *file;
    size_t index; /* in the file */
    const pictures *from;
    const uint8_t *pixels; /* what it saw; NULL: nothing was found */
    const float *outputs;  /* [classes]; NULL then */
    size_t best;
    verdict verdict;
} reading;

/* ---- verdicts ----------------------------------------------------------------------------- */

/* Reports whether no digit can be in a picture: none was found, or a scribble, or it is all black.
 * The pictures of an IDX file are taken for what the file says they are. */
static bool is_no_digit(const reading *read)
{
    const pictures *from = read->from;
    if (!read->pixels) {
        return true;
    }
    if (from->prepared) {
        return !from->digits.digits[read->index].is_digit;
    }
    bool blank = true;
    for (size_t i = 0; i < from->data.inputs; i++) {
        blank = blank && read->pixels[i] == 0;
    }
    return blank && !from->from_idx;
}

/* Other outputs are taken at their word. */
static bool has_probabilities(const nn_net *net)
{
    const nn_config *config = nn_net_config(net);
    nn_activation last = config->layers[config->n_layers - 1].activation;
    return last == NN_SOFTMAX || last == NN_SIGMOID;
}

static verdict judge(const run *r, const reading *read)
{
    if (is_no_digit(read)) {
        return NO_DIGIT;
    }
    bool sure = !has_probabilities(r->model.net) || read->outputs[read->best] >= SURE_FROM;
    return sure ? SURE : UNSURE;
}

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

static void print_header(run *r)
{
    r->has_header = true;
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

/* Prints the file, the picture's place in it if there are several, and a doubt. */
static void print_name(const reading *read)
{
    char name[1024];
    snprintf(name, sizeof name, "%s", read->file);
    text_tame(name);
    printf("  %s", name);
    if (read->from->from_idx || read->from->data.n > 1) {
        printf("[%zu]", read->index);
    }
    if (read->verdict != SURE) {
        printf("  %s", verdict_names[read->verdict]);
    }
}

static void print_row(const run *r, const reading *read)
{
    char name[CLASS_NAME_SIZE];
    printf("%s%5s%s", terminal_code(&r->screen, STYLE_BOLD),
           read->verdict == NO_DIGIT ? "-" : trained_class(&r->model, read->best, name),
           terminal_code(&r->screen, STYLE_PLAIN));
    for (size_t c = 0; c < r->classes; c++) {
        print_percent(read->verdict == NO_DIGIT ? 0 : read->outputs[c], column_width(r));
    }
    print_name(read);
    putchar('\n');
}

/* Prints a row of the table; or, drawn, the picture and a table of its own. */
static void print_reading(run *r, const reading *read)
{
    bool drawn = read->pixels && (r->values->show || (r->screen.present && read->from->prepared));
    if (drawn) {
        terminal_picture(stdout, &r->screen, read->pixels, read->from->data.rows,
                         read->from->data.columns);
    }
    if (drawn || !r->has_header) {
        print_header(r);
    }
    print_row(r, read);
    if (drawn) {
        putchar('\n');
        r->has_header = false;
    }
}

/* ---- JSON --------------------------------------------------------------------------------- */

/* Adds where in the picture a prepared digit stands. */
static void add_box(run *r, cJSON *item, const box *b)
{
    cJSON *place = json_object(&r->document, item, "box");
    json_size(&r->document, place, "left", b->left);
    json_size(&r->document, place, "top", b->top);
    json_size(&r->document, place, "width", b->right - b->left);
    json_size(&r->document, place, "height", b->bottom - b->top);
}

static void add_answer(run *r, cJSON *item, const reading *read)
{
    char name[CLASS_NAME_SIZE];
    json_size(&r->document, item, "digit", read->best);
    json_text(&r->document, item, "class", trained_class(&r->model, read->best, name));
    json_number(&r->document, item, "probability", (double)read->outputs[read->best]);
    cJSON *all = json_array(&r->document, item, "probabilities");
    for (size_t c = 0; c < r->classes; c++) {
        json_number(&r->document, all, NULL, (double)read->outputs[c]);
    }
}

static void add_reading(run *r, const reading *read)
{
    cJSON *item = json_object(&r->document, r->list, NULL);
    json_text(&r->document, item, "file", read->file);
    json_size(&r->document, item, "index", read->index);
    json_text(&r->document, item, "verdict", verdict_names[read->verdict]);
    json_bool(&r->document, item, "prepared", read->from->prepared);
    if (!read->pixels) {
        return;
    }
    if (read->from->prepared) {
        add_box(r, item, &read->from->digits.digits[read->index].box);
    }
    if (read->verdict != NO_DIGIT) {
        add_answer(r, item, read);
    }
    if (r->values->pixels) {
        cJSON *all = json_array(&r->document, item, "pixels");
        for (size_t i = 0; i < read->from->data.inputs; i++) {
            json_size(&r->document, all, NULL, read->pixels[i]);
        }
    }
}

/* ---- pictures of what the network sees ---------------------------------------------------- */

static bool is_nobodys(const void *context, const char *name)
{
    (void)context;
    (void)name;
    return false;
}

/* Makes the folder, or takes one that is empty: nothing is overwritten. */
static int make_folder(const char *folder)
{
    folder_survey survey;
    nn_status status = folder_look(&survey, folder, is_nobodys, NULL);
    if (status == NN_OK && survey.n_foreign > 0) {
        status = nn_fail(NN_ERR_IO, "the folder '%s' is not empty: it holds '%s'", folder,
                         survey.foreign);
    }
    if (status == NN_OK) {
        status = folder_make(folder);
    }
    return fail(status, ROLE_OUTPUT);
}

/* Writes a file named after a running number and what was read. */
static int save_picture(run *r, const reading *read)
{
    char name[CLASS_NAME_SIZE];
    const char *what =
        read->verdict == NO_DIGIT ? "no-digit" : trained_class(&r->model, read->best, name);
    char *path = text_format("%s/%05zu-%s.png", r->values->save, r->n_saved, what);
    if (!path) {
        return fail_memory();
    }
    int code =
        fail(png_write_gray(path, read->pixels, read->from->data.columns, read->from->data.rows),
             ROLE_OUTPUT);
    nn_free(path);
    r->n_saved++;
    return code;
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

static int tell(run *r, reading *read)
{
    read->verdict = judge(r, read);
    if (r->values->json) {
        add_reading(r, read);
    } else {
        print_reading(r, read);
    }
    return r->values->save && read->pixels ? save_picture(r, read) : EXIT_DONE;
}

static int tell_all(run *r, const pictures *p, const char *file, size_t from, const float *outputs,
                    size_t n)
{
    int code = EXIT_DONE;
    for (size_t k = 0; k < n && code == EXIT_DONE; k++) {
        const float *own = outputs + k * r->classes;
        reading read = {.file = file,
                        .index = from + k,
                        .from = p,
                        .pixels = p->data.pixels + (from + k) * p->data.inputs,
                        .outputs = own,
                        .best = nn_argmax(own, r->classes)};
        code = tell(r, &read);
    }
    return code;
}

static int predict_pictures(run *r, const pictures *p, const char *file)
{
    nn_data chosen;
    size_t from;
    int code = trained_takes(&r->model, &p->data, file) ? EXIT_DONE : EXIT_DATA;
    if (code == EXIT_DONE && p->data.n == 0) {
        reading none = {.file = file, .from = p};
        return tell(r, &none);
    }
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
        code = tell_all(r, p, file, from, outputs, chosen.n);
    }
    nn_free(outputs);
    return code;
}

static int predict_file(run *r, const char *file)
{
    pictures p = {0};
    int code = pictures_load(&p, file, r->values->prepare);
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
    if (r.values->pixels && !r.values->json) {
        complain("--pixels needs --json");
        return EXIT_USAGE;
    }
    int code = trained_load(&r.model, r.values->model);
    if (code == EXIT_DONE && r.values->save) {
        code = make_folder(r.values->save);
    }
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
        "Reads the digits in pictures: photographs, scans and drawings (PNG, JPEG, PGM, PPM) of "
        "one "
        "digit or several, dark on light or light on dark, or the pictures of IDX files, plain or "
        "gzip.\n\n"
        "Digits are found and made as those of MNIST are; on a terminal, what the network sees is "
        "drawn. Prints each digit and the probability of each class in percent, and 'unsure' where "
        "the highest is low, or 'no digit' for blank paper and scribbles.",
    .examples = "  digits predict photo.jpg\n"
                "  digits predict --json --save seen page.png\n"
                "  digits predict --first 3 --show data/mnist/t10k-images-idx3-ubyte.gz\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .min_arguments = 1,
    .max_arguments = SIZE_MAX,
    .run = run_predict,
};
