#include "mistakes.h"

#include "files.h"
#include "png.h"
#include "sheet.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "errors.csv"
#define TABLE_START "index,label,prediction,p0"

enum {
    INDEX_DIGITS = 5,
    SHEET_SIDE = 28,
    SHEET_CLASSES = 10,
    NAME_SIZE = 128
};

/* ---- names -------------------------------------------------------------------------------- */

static bool is_mistake(const mistakes *m, size_t k)
{
    return m->report->predicted[k] != m->data->labels[k];
}

/* The output that decided, 0 to 1; one that is no probability (of a tanh layer, say) is cut. */
static float confidence(const mistakes *m, size_t k)
{
    float output = m->report->outputs[k * m->report->classes + m->report->predicted[k]];
    if (!(output > 0)) {
        return 0;
    }
    return output < 1 ? output : 1;
}

static int index_width(size_t total)
{
    int width = INDEX_DIGITS;
    for (size_t rest = total / 100000; rest > 0; rest /= 10) {
        width++;
    }
    return width;
}

static const char *picture_name(const mistakes *m, size_t k, char name[NAME_SIZE])
{
    char label[CLASS_NAME_SIZE], guess[CLASS_NAME_SIZE];
    snprintf(name, NAME_SIZE, "%0*zu-is-%s-read-as-%s-at-%.2f.png", index_width(m->report->total),
             k, trained_class(m->model, m->data->labels[k], label),
             trained_class(m->model, m->report->predicted[k], guess), (double)confidence(m, k));
    return name;
}

/* Reports whether a name looks like one of picture_name's. */
static bool is_picture(const char *name)
{
    const char *rest = name + strspn(name, "0123456789");
    const char *probability = strstr(rest, "-at-");
    for (const char *next = probability; next; next = strstr(next + 1, "-at-")) {
        probability = next;
    }
    return rest - name >= INDEX_DIGITS && strncmp(rest, "-is-", 4) == 0 &&
           strstr(rest, "-read-as-") && probability &&
           strlen(probability) == strlen("-at-0.86.png") &&
           strspn(probability + 4, "0123456789.") == 5 && text_ends_with(name, ".png");
}

static bool is_own(const void *context, const char *name)
{
    (void)context;
    return strcmp(name, TABLE) == 0 || strcmp(name, MISTAKES_SHEET) == 0 || is_picture(name);
}

/* Reports whether a name is that of a mistake which this run has not made. */
static bool is_stale(const void *context, const char *name)
{
    const mistakes *m = context;
    char expected[NAME_SIZE];
    if (strcmp(name, MISTAKES_SHEET) == 0) {
        return m->report->correct == m->report->total || !mistakes_have_sheet(m);
    }
    if (!is_picture(name)) {
        return false;
    }
    unsigned long long k = strtoull(name, NULL, 10);
    return k >= m->report->total || !is_mistake(m, (size_t)k) ||
           strcmp(picture_name(m, (size_t)k, expected), name) != 0;
}

/* ---- before ------------------------------------------------------------------------------- */

static nn_status out_of_memory(void)
{
    return nn_fail(NN_ERR_MEMORY, "out of memory");
}

/* Reports whether a folder has the table of an earlier run. The table is written first, so a folder
 * without it is nobody's. */
static nn_status has_table(bool *out, const char *folder)
{
    char start[sizeof TABLE_START];
    char *path = text_path(folder, TABLE);
    if (!path) {
        return out_of_memory();
    }
    size_t n;
    nn_status status = file_start(start, &n, sizeof start, path);
    *out = strcmp(start, TABLE_START) == 0;
    nn_free(path);
    return status;
}

nn_status mistakes_check(const char *folder, bool force)
{
    folder_survey survey;
    bool ours = false;
    nn_status status = folder_look(&survey, folder, is_own, NULL);
    if (status == NN_OK) {
        status = has_table(&ours, folder);
    }
    if (status != NN_OK || force || !survey.present) {
        return status;
    }
    if (survey.n_foreign > 0) {
        return nn_fail(NN_ERR_IO,
                       "the folder '%s' holds something else: '%s'; --force writes beside it",
                       folder, survey.foreign);
    }
    if (survey.n_own > 0 && !ours) {
        return nn_fail(NN_ERR_IO, "the folder '%s' is not of an earlier run; --force writes to it",
                       folder);
    }
    return NN_OK;
}

/* ---- table -------------------------------------------------------------------------------- */

static nn_status put_text(nn_writer *writer, const char *text)
{
    return nn_writer_write(writer, text, strlen(text));
}

/* Writers remember their first failure, so the single writes need no check. */
static void put_header(nn_writer *writer, size_t classes)
{
    char cell[TEXT_NUMBER_SIZE];
    (void)put_text(writer, "index,label,prediction");
    for (size_t c = 0; c < classes; c++) {
        snprintf(cell, sizeof cell, ",p%zu", c);
        (void)put_text(writer, cell);
    }
    (void)put_text(writer, "\n");
}

static void put_row(nn_writer *writer, const mistakes *m, size_t k)
{
    char label[CLASS_NAME_SIZE], guess[CLASS_NAME_SIZE], cell[NAME_SIZE];
    const float *outputs = m->report->outputs + k * m->report->classes;
    snprintf(cell, sizeof cell, "%zu,%s,%s", k, trained_class(m->model, m->data->labels[k], label),
             trained_class(m->model, m->report->predicted[k], guess));
    (void)put_text(writer, cell);
    for (size_t c = 0; c < m->report->classes; c++) {
        snprintf(cell, sizeof cell, ",%.9g", (double)outputs[c]);
        (void)put_text(writer, cell);
    }
    (void)put_text(writer, "\n");
}

static nn_status write_table(const mistakes *m, const char *path)
{
    nn_writer *writer;
    nn_status status = nn_writer_open(&writer, path);
    if (status != NN_OK) {
        return status;
    }
    nn_writer_tidy(writer);
    put_header(writer, m->report->classes);
    for (size_t k = 0; k < m->report->total; k++) {
        if (is_mistake(m, k)) {
            put_row(writer, m, k);
        }
    }
    return nn_writer_commit(writer);
}

/* ---- pictures ----------------------------------------------------------------------------- */

static const uint8_t *pixels_of(const mistakes *m, size_t k)
{
    return m->data->pixels + k * m->data->inputs;
}

static nn_status write_picture(const mistakes *m, size_t k, const char *path)
{
    size_t width = m->data->columns, height = m->data->rows;
    uint8_t *large = NULL;
    nn_status status = sheet_enlarge(&large, pixels_of(m, k), width, height, m->scale);
    if (status == NN_OK) {
        status = png_write_gray(path, large, width * m->scale, height * m->scale);
    }
    nn_free(large);
    return status;
}

static nn_status write_pictures(const mistakes *m, const char *folder)
{
    nn_status status = NN_OK;
    for (size_t k = 0; k < m->report->total && status == NN_OK; k++) {
        char name[NAME_SIZE];
        if (!is_mistake(m, k)) {
            continue;
        }
        char *path = text_path(folder, picture_name(m, k, name));
        status = path ? write_picture(m, k, path) : out_of_memory();
        nn_free(path);
    }
    return status;
}

bool mistakes_have_sheet(const mistakes *m)
{
    return m->data->rows == SHEET_SIDE && m->data->columns == SHEET_SIDE &&
           m->report->classes <= SHEET_CLASSES;
}

static sheet_tile tile_of(const mistakes *m, size_t k)
{
    return (sheet_tile){
        .pixels = pixels_of(m, k),
        .truth = m->data->labels[k],
        .guess = m->report->predicted[k],
        .probability = confidence(m, k),
        .index = k,
    };
}

static nn_status write_sheet(const mistakes *m, const char *path)
{
    size_t n = 0, n_mistakes = m->report->total - m->report->correct;
    if (n_mistakes == 0 || !mistakes_have_sheet(m)) {
        return NN_OK;
    }
    sheet_tile *tiles = nn_alloc_array(n_mistakes, sizeof *tiles);
    if (!tiles) {
        return out_of_memory();
    }
    for (size_t k = 0; k < m->report->total; k++) {
        if (is_mistake(m, k)) {
            tiles[n++] = tile_of(m, k);
        }
    }
    nn_status status = sheet_write(path, SHEET_MISREAD, m->heading, tiles, n);
    nn_free(tiles);
    return status;
}

/* ---- the folder --------------------------------------------------------------------------- */

/* Writes one file of the folder. */
static nn_status write_in(const mistakes *m, const char *folder, const char *name,
                          nn_status (*write)(const mistakes *m, const char *path))
{
    char *path = text_path(folder, name);
    nn_status status = path ? write(m, path) : out_of_memory();
    nn_free(path);
    return status;
}

nn_status mistakes_write(const mistakes *m, const char *folder)
{
    nn_status status = folder_make(folder);
    if (status == NN_OK) {
        status = write_in(m, folder, TABLE, write_table);
    }
    if (status == NN_OK) {
        status = write_pictures(m, folder);
    }
    if (status == NN_OK) {
        status = write_in(m, folder, MISTAKES_SHEET, write_sheet);
    }
    return status == NN_OK ? folder_remove(folder, is_stale, m) : status;
}
