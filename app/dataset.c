#include "dataset.h"

#include "files.h"
#include "message.h"
#include "text.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const file_names[N_PARTS][N_FILES] = {
    [PART_TRAIN] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
    [PART_TEST] = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
};

/* SHA-256 of the original files, uncompressed. */
static const char *const mnist_sha256[N_PARTS][N_FILES] = {
    [PART_TRAIN] = {"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
    [PART_TEST] = {"0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                   "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
};

const char *dataset_name(dataset_kind kind)
{
    static const char *const names[] = {
        [DATASET_UNKNOWN] = "an unknown data set",
        [DATASET_MNIST] = "MNIST",
        [DATASET_GENERATED] = "generated digits (digits synth)",
    };
    return names[kind];
}

const char *dataset_file_name(dataset_part part, dataset_file file)
{
    return file_names[part][file];
}

/* ---- what the data are -------------------------------------------------------------------- */

nn_idx dataset_idx(const nn_data *data, dataset_file file)
{
    bool images = file == FILE_IMAGES;
    const uint8_t *bytes = images ? data->pixels : data->labels;
    return (nn_idx){
        .type = NN_IDX_U8,
        .n_dims = images ? 3 : 1,
        .dims = {data->n, images ? data->rows : 0, images ? data->columns : 0},
        .count = images ? data->n * data->inputs : data->n,
        .item_size = 1,
        .data = (void *)bytes, /* nobody writes to it */
    };
}

static void put_big_endian(uint8_t bytes[4], size_t value)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

void dataset_sha256(char text[SHA256_TEXT_SIZE], const nn_idx *idx)
{
    uint8_t header[4 + 4 * NN_IDX_MAX_DIMS] = {0, 0, (uint8_t)idx->type, (uint8_t)idx->n_dims};
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx context;
    for (size_t i = 0; i < idx->n_dims; i++) {
        put_big_endian(header + 4 + 4 * i, idx->dims[i]);
    }
    sha256_init(&context);
    sha256_update(&context, 4 + 4 * idx->n_dims, header);
    sha256_update(&context, idx->count, idx->data);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
}

static bool is_mnist(const dataset *set)
{
    return strcmp(set->sha256[FILE_IMAGES], mnist_sha256[set->part][FILE_IMAGES]) == 0 &&
           strcmp(set->sha256[FILE_LABELS], mnist_sha256[set->part][FILE_LABELS]) == 0;
}

static nn_status no_memory(void)
{
    return nn_fail(NN_ERR_MEMORY, "out of memory");
}

/* Says which of the files the marker beside them lists; none if there is no marker. */
static nn_status read_marker(bool listed[N_FILES], const dataset *set, const char *path)
{
    char marker[4096];
    size_t n;
    nn_status status = file_start(marker, &n, sizeof marker, path);
    for (dataset_file file = 0; file < N_FILES && status == NN_OK; file++) {
        listed[file] = strstr(marker, set->sha256[file]) != NULL;
    }
    return status;
}

/* A marker comes before the files that it lists, so one that lists only the images or only the
 * labels tells that the others are of an earlier run: labels would stand for the wrong images. */
static nn_status check_marker(dataset *set, const char *path)
{
    bool listed[N_FILES] = {false, false};
    nn_status status = read_marker(listed, set, path);
    if (status == NN_OK && listed[FILE_IMAGES] != listed[FILE_LABELS]) {
        return nn_fail(NN_ERR_DATA,
                       "'%s' and '%s' are not of one data set, by '%s': 'digits synth' was cut "
                       "short, or one of them replaced",
                       set->path[FILE_IMAGES], set->path[FILE_LABELS], path);
    }
    if (status == NN_OK && listed[FILE_IMAGES]) {
        set->kind = DATASET_GENERATED;
    }
    return status;
}

static nn_status identify(dataset *set)
{
    for (dataset_file file = 0; file < N_FILES; file++) {
        nn_idx idx = dataset_idx(&set->data, file);
        dataset_sha256(set->sha256[file], &idx);
    }
    if (is_mnist(set)) {
        set->kind = DATASET_MNIST;
        return NN_OK;
    }
    char *marker = text_path(set->folder, DATASET_MARKER);
    nn_status status = marker ? check_marker(set, marker) : no_memory();
    nn_free(marker);
    return status;
}

/* ---- where the files are ------------------------------------------------------------------ */

/* Finds a file under any of its usual names; *out is NULL if there is none. */
static nn_status find_file(char **out, const char *folder, const char *name)
{
    static const struct {
        char before_idx;
        const char *suffix;
    } variants[] = {{'-', ".gz"}, {'-', ""}, {'.', ".gz"}, {'.', ""}};
    size_t stem = (size_t)(strstr(name, "-idx") - name);
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        char *path =
            text_format("%s%s%.*s%c%s%s", folder, text_ends_with(folder, "/") ? "" : "/", (int)stem,
                        name, variants[i].before_idx, name + stem + 1, variants[i].suffix);
        if (!path) {
            return no_memory();
        }
        if (path_look(path) != PATH_MISSING) {
            *out = path;
            return NN_OK;
        }
        nn_free(path);
    }
    *out = NULL;
    return NN_OK;
}

static nn_status find_files(dataset *set)
{
    nn_status status = NN_OK;
    for (dataset_file file = 0; file < N_FILES && status == NN_OK; file++) {
        status = find_file(&set->path[file], set->folder, file_names[set->part][file]);
    }
    return status;
}

/* Where to look when nobody says where: up to two folders, allocated. */
static nn_status usual_folders(char *folders[2])
{
    const char *data_home = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    folders[0] = text_format("data/mnist");
    if (data_home && *data_home) {
        folders[1] = text_format("%s/digits/mnist", data_home);
    } else if (home && *home) {
        folders[1] = text_format("%s/.local/share/digits/mnist", home);
    } else {
        return folders[0] ? NN_OK : no_memory();
    }
    return folders[0] && folders[1] ? NN_OK : no_memory();
}

static void advise_where_from(void)
{
    advise("scripts/fetch_mnist.sh fetches MNIST; without a network,");
    advise("'digits synth --out DIR' makes digits of its own for '--data DIR'");
}

static int complain_absent(dataset_part part, char *const folders[2])
{
    complain("no MNIST found: no '%s', with or without .gz", file_names[part][FILE_IMAGES]);
    advise("looked in '%s'%s%s%s", folders[0], folders[1] ? " and '" : "",
           folders[1] ? folders[1] : "", folders[1] ? "'" : "");
    advise_where_from();
    return EXIT_DATA;
}

static int complain_missing(const dataset *set, dataset_file file)
{
    if (path_look(set->folder) == PATH_MISSING) {
        complain("there is no folder '%s'", set->folder);
    } else {
        complain("no '%s' in '%s', with or without .gz", file_names[set->part][file], set->folder);
    }
    advise_where_from();
    return EXIT_DATA;
}

static void forget_files(dataset *set)
{
    for (dataset_file file = 0; file < N_FILES; file++) {
        nn_free(set->path[file]);
        set->path[file] = NULL;
    }
    nn_free(set->folder);
    set->folder = NULL;
}

/* Takes the given folder, whatever it holds. */
static nn_status take_folder(dataset *set, const char *folder)
{
    set->folder = text_format("%s", folder);
    return set->folder ? find_files(set) : no_memory();
}

/* Takes the first of the usual folders that has one of the files. */
static int take_usual_folder(dataset *set)
{
    char *folders[2] = {NULL, NULL};
    nn_status status = usual_folders(folders);
    bool found = false;
    for (size_t i = 0; i < 2 && folders[i] && status == NN_OK && !found; i++) {
        forget_files(set);
        status = take_folder(set, folders[i]);
        found = set->path[FILE_IMAGES] || set->path[FILE_LABELS];
    }
    int code = fail(status, ROLE_DATA);
    if (code == EXIT_DONE && !found) {
        code = complain_absent(set->part, folders);
    }
    nn_free(folders[0]);
    nn_free(folders[1]);
    return code;
}

static int locate(dataset *set, const char *folder)
{
    const char *named = getenv("DIGITS_DATA");
    int code;
    if (!folder && named && *named) {
        folder = named;
    }
    code = folder ? fail(take_folder(set, folder), ROLE_DATA) : take_usual_folder(set);
    for (dataset_file file = 0; file < N_FILES && code == EXIT_DONE; file++) {
        if (!set->path[file]) {
            code = complain_missing(set, file);
        }
    }
    return code;
}

/* ---- loading ------------------------------------------------------------------------------ */

int dataset_load(dataset *out, const char *folder, dataset_part part)
{
    dataset set = {.part = part};
    int code = locate(&set, folder);
    if (code == EXIT_DONE) {
        code = fail(
            nn_data_load(&set.data, set.path[FILE_IMAGES], set.path[FILE_LABELS], DATASET_CLASSES),
            ROLE_DATA);
    }
    if (code == EXIT_DONE) {
        code = fail(identify(&set), ROLE_DATA);
    }
    if (code == EXIT_DONE) {
        *out = set;
    } else {
        dataset_release(&set);
    }
    return code;
}

void dataset_release(dataset *set)
{
    nn_data_release(&set->data);
    forget_files(set);
}
