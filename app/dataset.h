/* The four files of a data set: where they are, what they hold, and what they are. */

#ifndef DIGITS_DATASET_H
#define DIGITS_DATASET_H

#include "nnlib.h"

#include <stdbool.h>

#define SHA256_TEXT_SIZE 65 /* 64 hexadecimal digits and the end */

/* What `digits synth` leaves beside its files, with their digests in it: the IDX format has no
 * room to say that digits are generated. */
#define DATASET_MARKER "GENERATED.txt"

#define DATASET_CLASSES 10

typedef enum {
    PART_TRAIN,
    PART_TEST,
    N_PARTS
} dataset_part;
typedef enum {
    FILE_IMAGES,
    FILE_LABELS,
    N_FILES
} dataset_file;

typedef enum {
    DATASET_UNKNOWN,
    DATASET_MNIST,    /* the digests are those of the original files */
    DATASET_GENERATED /* a marker beside the files lists their digests */
} dataset_kind;

/* One part of a data set: images and labels. */
typedef struct {
    nn_data data;
    dataset_kind kind;
    dataset_part part;
    char *folder;
    char *path[N_FILES];
    char sha256[N_FILES][SHA256_TEXT_SIZE]; /* of the uncompressed files */
} dataset;

/* Returns what people call the data: "MNIST", "generated digits (digits synth)". */
const char *dataset_name(dataset_kind kind);

/* Returns a file's name without .gz: "train-images-idx3-ubyte". */
const char *dataset_file_name(dataset_part part, dataset_file file);

/* Finds and loads one part of a data set: in `folder` if not NULL, else in $DIGITS_DATA if set,
 * else in ./data/mnist, then in ${XDG_DATA_HOME:-~/.local/share}/digits/mnist. Complains about
 * what is missing or wrong and returns the exit code; *out is to be released if it is EXIT_DONE. */
int dataset_load(dataset *out, const char *folder, dataset_part part);

void dataset_release(dataset *set);

/* Returns the images or the labels of data as an IDX array that shares its memory. */
nn_idx dataset_idx(const nn_data *data, dataset_file file);

/* Computes the digest of the uncompressed file that nn_idx_save makes of an array of bytes. */
void dataset_sha256(char text[SHA256_TEXT_SIZE], const nn_idx *idx);

#endif
