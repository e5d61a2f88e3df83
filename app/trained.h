/* A trained network as its file keeps it: the network and the facts that travel with it. */

#ifndef DIGITS_TRAINED_H
#define DIGITS_TRAINED_H

#include "dataset.h"
#include "nnlib.h"

#include <stdbool.h>

/* The model file that train writes and the other commands read unless told otherwise. */
#define TRAINED_PATH "model.safetensors"

/* Facts in the model file beside the training options, which go by their own names. */
#define FACT_PROGRAM "program"             /* "digits 0.1.0" */
#define FACT_CLASSES "classes"             /* "0 1 2 3 4 5 6 7 8 9" */
#define FACT_PICTURE "picture"             /* rows x columns: "28x28" */
#define FACT_DATA "data"                   /* dataset_name */
#define FACT_IMAGES_SHA256 "images-sha256" /* of the uncompressed training files */
#define FACT_LABELS_SHA256 "labels-sha256"
#define FACT_EPOCHS_DONE "epochs-done" /* completed */
#define FACT_BEST_EPOCH "best-epoch"   /* whose parameters these are */
#define FACT_OUTCOME "outcome"         /* "finished", "stopped early", "interrupted", "diverged" */

typedef struct {
    nn_net *net;
    nn_meta facts;
    const char *path; /* the caller's */
} trained;

/* Loads a model file. Complains and returns the exit code; *out is to be released if that is
 * EXIT_DONE. */
int trained_load(trained *out, const char *path);
void trained_release(trained *model);

/* Tells whether path is a sound model file, without complaint; as nn_model_load. */
nn_status trained_check(const char *path);

/* Computes a model file's digest. NN_ERR_IO, NN_ERR_MEMORY. */
nn_status trained_sha256(char text[SHA256_TEXT_SIZE], const char *path);

/* Room for a class's name. */
#define CLASS_NAME_SIZE 16

/* Writes the name of class k, its number if the model does not name its classes in letters, digits
 * and dashes, and returns name. */
const char *trained_class(const trained *model, size_t k, char name[CLASS_NAME_SIZE]);

/* Reports whether a model takes pictures of this shape; complains about `what`, a file, if not. */
bool trained_takes(const trained *model, const nn_data *pictures, const char *what);

#endif
