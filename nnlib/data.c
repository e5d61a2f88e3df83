#include "net.h"

#include <string.h>

enum {
    IMAGE_DIMS = 3, /* images, rows, columns */
    LABEL_DIMS = 1,
    MAX_CLASSES = 256 /* a label is a byte */
};

/* Checks that idx, read from path, is what it should hold. */
static nn_status check_kind(const nn_idx *idx, const char *path, const char *what, size_t n_dims)
{
    if (idx->n_dims != n_dims) {
        return nn_fail(NN_ERR_DATA, "'%s' has %zu dimension%s, expected %zu for %s", path,
                       idx->n_dims, idx->n_dims == 1 ? "" : "s", n_dims, what);
    }
    if (idx->type != NN_IDX_U8) {
        return nn_fail(NN_ERR_DATA, "'%s' holds elements of type %s, expected u8 for %s", path,
                       nn_idx_type_name(idx->type), what);
    }
    return NN_OK;
}

static nn_status check_labels(const nn_idx *labels, const char *path, size_t classes)
{
    const uint8_t *label = labels->data;
    for (size_t k = 0; k < labels->count; k++) {
        if (label[k] >= classes) {
            return nn_fail(NN_ERR_DATA, "'%s': label %zu is %u, expected 0 to %zu", path, k,
                           (unsigned)label[k], classes - 1);
        }
    }
    return NN_OK;
}

/* Checks that the two files, each sound by itself, make a data set. */
static nn_status check_pair(const nn_idx *images, const char *images_path, const nn_idx *labels,
                            const char *labels_path, size_t classes)
{
    if (images->n_dims == LABEL_DIMS && labels->n_dims == IMAGE_DIMS) {
        return nn_fail(NN_ERR_DATA, "'%s' holds labels and '%s' images: swapped?", images_path,
                       labels_path);
    }
    nn_status status = check_kind(images, images_path, "images", IMAGE_DIMS);
    if (status == NN_OK) {
        status = check_kind(labels, labels_path, "labels", LABEL_DIMS);
    }
    if (status != NN_OK) {
        return status;
    }
    if (images->dims[0] != labels->dims[0]) {
        return nn_fail(NN_ERR_DATA, "'%s' holds %zu images, but '%s' %zu labels", images_path,
                       images->dims[0], labels_path, labels->dims[0]);
    }
    return check_labels(labels, labels_path, classes);
}

nn_status nn_data_load(nn_data *out, const char *images_path, const char *labels_path,
                       size_t classes)
{
    nn_idx images = {0};
    nn_idx labels = {0};
    if (classes == 0 || classes > MAX_CLASSES) {
        return nn_fail(NN_ERR_ARGUMENT, "cannot load data of %zu classes, expected 1 to %d",
                       classes, MAX_CLASSES);
    }
    nn_status status = nn_idx_load(&images, images_path);
    if (status == NN_OK) {
        status = nn_idx_load(&labels, labels_path);
    }
    if (status == NN_OK) {
        status = check_pair(&images, images_path, &labels, labels_path, classes);
    }
    if (status != NN_OK) {
        nn_idx_release(&images);
        nn_idx_release(&labels);
        return status;
    }
    *out = (nn_data){
        .n = images.dims[0],
        .inputs = images.dims[1] * images.dims[2],
        .outputs = classes,
        .rows = images.dims[1],
        .columns = images.dims[2],
        .pixels = images.data,
        .labels = labels.data,
        .owned = {images.data, labels.data},
    };
    return NN_OK;
}

nn_status nn_check_labels(const nn_data *data)
{
    for (size_t k = 0; data->labels && k < data->n; k++) {
        if (data->labels[k] >= data->outputs) {
            return nn_fail(NN_ERR_ARGUMENT, "sample %zu is labelled %u, but there are %zu classes",
                           k, (unsigned)data->labels[k], data->outputs);
        }
    }
    return NN_OK;
}

nn_data nn_data_slice(const nn_data *data, size_t first, size_t n)
{
    nn_data view = *data;
    memset(view.owned, 0, sizeof view.owned);
    if (first > data->n) {
        first = data->n;
    }
    view.n = n < data->n - first ? n : data->n - first;
    /* Adding to a null pointer is undefined, even 0. */
    if (view.pixels != NULL) {
        view.pixels += first * data->inputs;
    }
    if (view.values != NULL) {
        view.values += first * data->inputs;
    }
    if (view.labels != NULL) {
        view.labels += first;
    }
    if (view.targets != NULL) {
        view.targets += first * data->outputs;
    }
    return view;
}

void nn_data_release(nn_data *data)
{
    if (data == NULL) {
        return;
    }
    for (size_t k = 0; k < sizeof data->owned / sizeof data->owned[0]; k++) {
        nn_free(data->owned[k]);
    }
    memset(data, 0, sizeof *data);
}
