/* What an IDX file holds: its shape, its numbers, labels counted, pictures drawn. */

#include "inspect.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "stats.h"
#include "text.h"

enum {
    MAX_COUNTED = 32, /* labels of more values are not counted one by one */
    BAR_WIDTH = 40,
    SIDE_BY_SIDE = 12 /* pictures at most, however wide the terminal is */
};

/* How often each value is there, in an array of labels. */
typedef struct {
    size_t n; /* values counted; 0: these are no labels */
    size_t times[MAX_COUNTED];
} label_counts;

static label_counts count_labels(const nn_idx *idx, const stats *numbers)
{
    label_counts counts = {0};
    if (idx->type != NN_IDX_U8 || idx->n_dims != 1 || numbers->max >= MAX_COUNTED) {
        return counts;
    }
    counts.n = (size_t)numbers->max + 1;
    for (size_t k = 0; k < idx->count; k++) {
        counts.times[((const uint8_t *)idx->data)[k]]++;
    }
    return counts;
}

static bool are_pictures(const nn_idx *idx)
{
    return idx->type == NN_IDX_U8 && idx->n_dims == 3;
}

/* ---- text --------------------------------------------------------------------------------- */

static void print_shape(const nn_idx *idx)
{
    char text[TEXT_NUMBER_SIZE];
    printf("shape       ");
    for (size_t i = 0; i < idx->n_dims; i++) {
        printf("%s%s", i > 0 ? " x " : "", text_count(text, idx->dims[i]));
    }
    printf(" of type %s\n", nn_idx_type_name(idx->type));
}

static void print_numbers(const nn_idx *idx, const stats *numbers)
{
    char a[TEXT_NUMBER_SIZE], b[TEXT_NUMBER_SIZE];
    if (numbers->n_odd > 0) {
        printf("not finite  %s of the values\n", text_count(a, numbers->n_odd));
    }
    if (numbers->n > numbers->n_odd) {
        printf("values      %s to %s, mean %.4g, %.1f %% of them not zero\n",
               text_real(a, numbers->min), text_real(b, numbers->max), stats_mean(numbers),
               100 - 100 * (double)numbers->n_zero / (double)idx->count);
    }
}

static void print_labels(const label_counts *counts, const terminal *screen)
{
    const size_t around = 24;
    size_t room = terminal_room(screen), most = 1;
    size_t width = room < BAR_WIDTH + around ? (room > around ? room - around : 0) : BAR_WIDTH;
    for (size_t k = 0; k < counts->n; k++) {
        most = counts->times[k] > most ? counts->times[k] : most;
    }
    printf("\nlabels\n");
    for (size_t k = 0; k < counts->n; k++) {
        char text[TEXT_NUMBER_SIZE];
        printf("%12zu%10s  ", k, text_count(text, counts->times[k]));
        for (size_t i = 0; i < counts->times[k] * width / most; i++) {
            fputs(screen->utf8 ? "\xe2\x96\xa0" : "#", stdout); /* U+25A0, a square */
        }
        printf("\n");
    }
}

/* Draws the pictures from k on that fit side by side, n at most; returns how many. */
static size_t print_some_pictures(const inspection *what, const nn_idx *idx, size_t k, size_t n)
{
    captioned_picture some[SIDE_BY_SIDE] = {{.pixels = NULL}};
    size_t rows = idx->dims[1], columns = idx->dims[2];
    n = n < SIDE_BY_SIDE ? n : SIDE_BY_SIDE;
    for (size_t i = 0; i < n; i++) {
        some[i].pixels = (const uint8_t *)idx->data + (k + i) * rows * columns;
        snprintf(some[i].captions[0], sizeof some[i].captions[0], "picture %zu", k + i);
    }
    printf("\n");
    return terminal_pictures(stdout, &what->screen, some, n, rows, columns, 2);
}

static void print_pictures(const inspection *what, const nn_idx *idx)
{
    size_t n = what->show < idx->dims[0] ? what->show : idx->dims[0];
    if (what->show == OPTION_AUTOMATIC) {
        (void)print_some_pictures(what, idx, 0, n);
        return;
    }
    for (size_t k = 0; k < n;) {
        k += print_some_pictures(what, idx, k, n - k);
    }
}

static void print_text(const inspection *what, const nn_idx *idx, const stats *numbers,
                       const label_counts *counts)
{
    char a[TEXT_NUMBER_SIZE], b[TEXT_NUMBER_SIZE];
    printf("file        ");
    text_print(stdout, what->path);
    printf(", an IDX file of %s\n", text_bytes(a, what->bytes));
    print_shape(idx);
    printf("size        %s in memory\n", text_bytes(b, idx->count * idx->item_size));
    print_numbers(idx, numbers);
    if (counts->n > 0) {
        print_labels(counts, &what->screen);
    }
    if (are_pictures(idx)) {
        print_pictures(what, idx);
    }
}

/* ---- JSON --------------------------------------------------------------------------------- */

static int print_json(const inspection *what, const nn_idx *idx, const stats *numbers,
                      const label_counts *counts)
{
    json document;
    json_init(&document);
    json_text(&document, document.root, "file", what->path);
    json_text(&document, document.root, "kind", "idx");
    json_size(&document, document.root, "bytes", what->bytes);
    json_text(&document, document.root, "type", nn_idx_type_name(idx->type));
    cJSON *shape = json_array(&document, document.root, "shape");
    for (size_t i = 0; i < idx->n_dims; i++) {
        json_size(&document, shape, NULL, idx->dims[i]);
    }
    json_number(&document, document.root, "min", numbers->min);
    json_number(&document, document.root, "max", numbers->max);
    json_number(&document, document.root, "mean", stats_mean(numbers));
    json_size(&document, document.root, "not_zero", numbers->n - numbers->n_zero);
    json_size(&document, document.root, "not_finite", numbers->n_odd);
    if (counts->n > 0) {
        cJSON *labels = json_array(&document, document.root, "labels");
        for (size_t k = 0; k < counts->n; k++) {
            json_size(&document, labels, NULL, counts->times[k]);
        }
    }
    bool printed = json_print(&document, stdout, true);
    json_release(&document);
    return printed ? EXIT_DONE : fail_memory();
}

int inspect_idx(const inspection *what)
{
    nn_idx idx;
    int code = fail(nn_idx_load(&idx, what->path), ROLE_DATA);
    if (code != EXIT_DONE) {
        return code;
    }
    stats numbers = stats_of_idx(&idx);
    label_counts counts = count_labels(&idx, &numbers);
    if (what->json) {
        code = print_json(what, &idx, &numbers, &counts);
    } else {
        print_text(what, &idx, &numbers, &counts);
    }
    nn_idx_release(&idx);
    return code;
}
