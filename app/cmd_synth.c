/* digits synth: a data set of generated digits. */

#include "commands.h"
#include "dataset.h"
#include "files.h"
#include "message.h"
#include "picture/pictures.h"
#include "sheet.h"
#include "synth.h"
#include "terminal.h"
#include "text.h"

#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

typedef struct {
    const char *out, *sheet;
    size_t n[N_PARTS];
    uint64_t seed;
    bool force, quiet;
} synth_values;

static const synth_values defaults = {.n = {[PART_TRAIN] = 60000, [PART_TEST] = 10000}, .seed = 1};

#define AT(field) .offset = offsetof(synth_values, field)

static const option_spec options[] = {
    {"out", OPTION_TEXT, 'o', AT(out), .value = "DIR", .help = "the folder to write to; needed"},
    {"train", OPTION_SIZE, AT(n[PART_TRAIN]), .value = "N", .help = "training digits",
     .range = RANGE(1, 1e7)},
    {"test", OPTION_SIZE, AT(n[PART_TEST]), .value = "N", .help = "test digits",
     .range = RANGE(1, 1e7)},
    {"seed", OPTION_SEED, AT(seed), .value = "N", .help = "decides how each digit is written"},
    {"sheet", OPTION_TEXT, AT(sheet), .value = "FILE",
     .help = "draw the first 200 test digits as a PNG"},
    {"force", OPTION_FLAG, 'f', AT(force),
     .help = "write to a folder that holds something else; data files in it are replaced"},
    {"quiet", OPTION_FLAG, 'q', AT(quiet), .help = "print only what went wrong"},
    {.kind = OPTION_END},
};

/* ---- digits ------------------------------------------------------------------------------- */

enum {
    SIDE = SYNTH_SIDE,
    PIXELS = SIDE * SIDE,
    SHEET_DIGITS = 200
};

typedef struct {
    const synth_values *values;
    nn_data parts[N_PARTS];
    char sha256[N_PARTS][N_FILES][SHA256_TEXT_SIZE];
    progress bar;
} run;

static void show_progress(run *r, dataset_part part, size_t done)
{
    if (progress_is_due(&r->bar)) {
        char count[TEXT_NUMBER_SIZE], label[2 * TEXT_NUMBER_SIZE];
        snprintf(label, sizeof label, "%s %s digits", text_count(count, r->values->n[part]),
                 part == PART_TRAIN ? "training" : "test");
        progress_show(&r->bar, (double)done / (double)r->values->n[part], label, NULL, 0);
    }
}

/* Draws one part. Training and test digits come from streams that do not meet, so that neither
 * depends on how many there are of the other; and the first digits are the same for any N. */
static int draw_part(run *r, dataset_part part)
{
    nn_rng rng;
    size_t n = r->values->n[part];
    nn_rng_seed(&rng, r->values->seed);
    if (part == PART_TEST) {
        nn_rng_jump(&rng);
    }
    uint8_t *pixels = nn_alloc_array(n, PIXELS), *labels = nn_alloc(n);
    r->parts[part] = (nn_data){.n = n,
                               .inputs = PIXELS,
                               .outputs = DATASET_CLASSES,
                               .rows = SIDE,
                               .columns = SIDE,
                               .pixels = pixels,
                               .labels = labels,
                               .owned = {pixels, labels}};
    if (!pixels || !labels) {
        return fail_memory();
    }
    for (size_t k = 0; k < n; k++) {
        labels[k] = (uint8_t)nn_rng_below(&rng, DATASET_CLASSES);
        synth_digit(&rng, labels[k], pixels + k * PIXELS);
        show_progress(r, part, k);
    }
    return EXIT_DONE;
}

/* ---- files -------------------------------------------------------------------------------- */

static bool is_own(const void *context, const char *name)
{
    (void)context;
    for (dataset_part part = 0; part < N_PARTS; part++) {
        for (dataset_file file = 0; file < N_FILES; file++) {
            const char *own = dataset_file_name(part, file);
            size_t length = strlen(own);
            if (strncmp(name, own, length) == 0 && strcmp(name + length, ".gz") == 0) {
                return true;
            }
        }
    }
    return strcmp(name, DATASET_MARKER) == 0;
}

/* Checks that the folder is missing, empty, or written by an earlier run: then its marker is
 * there. Anything else, real MNIST above all, is not overwritten. */
static nn_status check_folder(const synth_values *values)
{
    folder_survey survey;
    nn_status status = folder_look(&survey, values->out, is_own, NULL);
    if (status != NN_OK || values->force || !survey.present) {
        return status;
    }
    if (survey.n_foreign > 0) {
        return nn_fail(NN_ERR_IO,
                       "the folder '%s' holds something else: '%s'; --force writes to it",
                       values->out, survey.foreign);
    }
    char *marker = text_path(values->out, DATASET_MARKER);
    if (!marker) {
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    bool ours;
    status = file_is_there(&ours, marker);
    if (status == NN_OK && survey.n_own > 0 && !ours) {
        status = nn_fail(NN_ERR_IO,
                         "the folder '%s' holds data that are not generated; --force replaces them",
                         values->out);
    }
    nn_free(marker);
    return status;
}

/* Makes the text that tells people and `digits` what the files are. */
static char *marker_text(const run *r)
{
    char *lines = text_format("%s", "");
    for (dataset_part part = 0; part < N_PARTS && lines; part++) {
        for (dataset_file file = 0; file < N_FILES && lines; file++) {
            char *more = text_format("%s%s  %s\n", lines, r->sha256[part][file],
                                     dataset_file_name(part, file));
            nn_free(lines);
            lines = more;
        }
    }
    char *text = lines ? text_format("These digits are generated; they are not MNIST.\n"
                                     "digits synth --train %zu --test %zu --seed %llu\n\n"
                                     "SHA-256 of the files, uncompressed:\n%s",
                                     r->values->n[PART_TRAIN], r->values->n[PART_TEST],
                                     (unsigned long long)r->values->seed, lines)
                       : NULL;
    nn_free(lines);
    return text;
}

static nn_status write_text(const char *path, const char *text)
{
    nn_writer *writer;
    nn_status status = nn_writer_open(&writer, path);
    if (status != NN_OK) {
        return status;
    }
    nn_writer_tidy(writer);
    (void)nn_writer_write(writer, text, strlen(text)); /* the commit reports a failure */
    return nn_writer_commit(writer);
}

static nn_status write_marker(const run *r)
{
    char *text = marker_text(r), *path = text_path(r->values->out, DATASET_MARKER);
    nn_status status =
        text && path ? write_text(path, text) : nn_fail(NN_ERR_MEMORY, "out of memory");
    nn_free(text);
    nn_free(path);
    return status;
}

static nn_status write_file(const run *r, dataset_part part, dataset_file file)
{
    nn_idx idx = dataset_idx(&r->parts[part], file);
    char *path = text_format("%s/%s.gz", r->values->out, dataset_file_name(part, file));
    nn_status status = path ? nn_idx_save(&idx, path) : nn_fail(NN_ERR_MEMORY, "out of memory");
    nn_free(path);
    return status;
}

/* The marker comes first: a run that is cut short leaves nothing that could be taken for MNIST, the
 * next run may replace it, and new images beside old labels are known by the digests in it. */
static nn_status write_folder(run *r)
{
    for (dataset_part part = 0; part < N_PARTS; part++) {
        for (dataset_file file = 0; file < N_FILES; file++) {
            nn_idx idx = dataset_idx(&r->parts[part], file);
            dataset_sha256(r->sha256[part][file], &idx);
        }
    }
    nn_status status = folder_make(r->values->out);
    if (status == NN_OK) {
        status = write_marker(r);
    }
    for (dataset_part part = 0; part < N_PARTS; part++) {
        for (dataset_file file = 0; file < N_FILES && status == NN_OK; file++) {
            status = write_file(r, part, file);
        }
    }
    return status;
}

static nn_status write_sheet(const run *r)
{
    sheet_tile tiles[SHEET_DIGITS];
    const nn_data *data = &r->parts[PART_TEST];
    size_t n = data->n < SHEET_DIGITS ? data->n : SHEET_DIGITS;
    for (size_t k = 0; k < n; k++) {
        tiles[k] = (sheet_tile){.pixels = data->pixels + k * PIXELS, .truth = data->labels[k]};
    }
    return r->values->sheet
               ? sheet_write(r->values->sheet, SHEET_LABELLED, "generated digits", tiles, n)
               : NN_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void print_result(const synth_values *values)
{
    char a[TEXT_NUMBER_SIZE], b[TEXT_NUMBER_SIZE];
    if (values->quiet) {
        return;
    }
    printf("generated   %s training and %s test digits in ", text_count(a, values->n[PART_TRAIN]),
           text_count(b, values->n[PART_TEST]));
    text_print(stdout, values->out);
    if (values->sheet) {
        printf("\npictures    ");
        text_print(stdout, values->sheet);
    }
    printf("\nnext        ./digits train --data ");
    text_print_word(stdout, values->out);
    printf("\n");
}

static int check(const synth_values *values)
{
    if (!values->out) {
        complain("--out DIR says where to write");
        return EXIT_USAGE;
    }
    nn_status status = check_folder(values);
    if (status == NN_OK && values->sheet) {
        status = file_check_target(values->sheet, values->force ? NULL : pictures_check_png);
    }
    return fail(status, ROLE_OUTPUT);
}

static int run_synth(const void *values, size_t n_arguments, char **arguments)
{
    run r = {.values = values};
    (void)n_arguments;
    (void)arguments;
    int code = check(r.values);
    progress_init(&r.bar, r.values->quiet);
    for (dataset_part part = 0; part < N_PARTS && code == EXIT_DONE; part++) {
        code = draw_part(&r, part);
    }
    progress_clear(&r.bar);
    if (code == EXIT_DONE) {
        code = fail(write_folder(&r), ROLE_OUTPUT);
    }
    if (code == EXIT_DONE) {
        code = fail(write_sheet(&r), ROLE_OUTPUT);
    }
    if (code == EXIT_DONE) {
        print_result(r.values);
    }
    for (dataset_part part = 0; part < N_PARTS; part++) {
        nn_data_release(&r.parts[part]);
    }
    return code;
}

const command command_synth = {
    .name = "synth",
    .summary = "make a data set of generated digits",
    .arguments = "",
    .description = "Draws handwriting-like digits and writes them as the four files of an MNIST "
                   "data set, for trying things out without a network connection. A file "
                   "GENERATED.txt beside them keeps anyone from taking them for MNIST. The same "
                   "options give the same digits everywhere.",
    .examples = "  digits synth --out data/synth --sheet digits.png\n"
                "  digits synth --out /tmp/small --train 600 --test 200 --seed 7\n",
    .options = options,
    .defaults = &defaults,
    .size = sizeof defaults,
    .run = run_synth,
};
