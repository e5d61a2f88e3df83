/* The reference kernels: the contract of kernels.h in plain C, for any processor. */
#include "portable.h"

const nn_kernels nn_kernels_ref = {
    .name = "ref",
    .load_pixels = portable_load_pixels,
    .forward = portable_forward,
    .activate = portable_activate,
    .softmax = portable_softmax,
    .backward = portable_backward,
    .gradient = portable_gradient,
    .step = portable_step,
};
