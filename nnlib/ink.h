/* Making and freeing the packed pixels that kernels.h describes. */
#ifndef NN_INK_H
#define NN_INK_H

#include "net.h"

/* Packs the pixels of a training set, or sets *out to NULL where that would not pay: the kernels
 * take no ink, the samples are not made of pixels, or so many of them are inked that the records
 * would take more than half as much memory; or there is not even that much. */
void nn_ink_new(nn_ink **out, const nn_kernels *kernels, const nn_data *data);
void nn_ink_free(nn_ink *ink);

#endif
