/* Tables of names: for options that a user or a model file gives by name. */
#ifndef NN_NAMES_H
#define NN_NAMES_H

#include "nnlib.h"

/* Returns names[which], or NULL past the last. */
const char *nn_name_of(const char *const *names, size_t n, size_t which);

/* Finds name among names[n]. NN_ERR_ARGUMENT: not there; the text names the kind of thing and
 * lists the choices. */
nn_status nn_name_find(size_t *out, const char *const *names, size_t n, const char *kind,
                       const char *name);

#endif
