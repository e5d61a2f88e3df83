/* The names of the activation functions and initialisers; what they compute is in act.h and
 * net.c. */
#include "act.h"
#include "names.h"

static const char *const activation_names[NN_N_ACTIVATIONS] = {
#define ROW(constant, name, function) [constant] = (name),
    NN_UNIT_ACTIVATIONS(ROW)
#undef ROW
        [NN_SOFTMAX] = "softmax",
};

const char *nn_activation_name(nn_activation activation)
{
    return nn_name_of(activation_names, NN_N_ACTIVATIONS, activation);
}

nn_status nn_activation_find(nn_activation *out, const char *name)
{
    size_t found;
    nn_status status = nn_name_find(&found, activation_names, NN_N_ACTIVATIONS, "activation", name);
    if (status == NN_OK) {
        *out = (nn_activation)found;
    }
    return status;
}
