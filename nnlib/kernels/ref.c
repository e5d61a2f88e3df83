/* The reference kernels: the contract of kernels.h in plain C, for any processor. */
#include "portable.h"

const nn_kernels nn_kernels_ref = {
    .name = "ref",
    .load_pixels = portable_load_pixels,
    .forward = portable_forward,
    .forward_pixels = portable_forward_pixels,
    .activate = portable_activate,
    .softmax = portable_softmax,
    .backward = portable_backward,
    .gradient = portable_gradient,
    .gradient_pixels = portable_gradient_pixels,
    .gradient_bias = portable_gradient_bias,
    .step = portable_step,
    .learn_pixels = portable_learn_pixels,
};
