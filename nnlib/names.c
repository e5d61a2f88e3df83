#include "names.h"

#include <stdio.h>
#include <string.h>

const char *nn_name_of(const char *const *names, size_t n, size_t which)
{
    return which < n ? names[which] : NULL;
}

nn_status nn_name_find(size_t *out, const char *const *names, size_t n, const char *kind,
                       const char *name)
{
    char choices[256] = "";
    size_t used = 0;
    for (size_t k = 0; k < n; k++) {
        if (strcmp(names[k], name) == 0) {
            *out = k;
            return NN_OK;
        }
        if (used < sizeof choices) {
            used += (size_t)snprintf(choices + used, sizeof choices - used, "%s%s",
                                     k > 0 ? ", " : "", names[k]);
        }
    }
    return nn_fail(NN_ERR_ARGUMENT, "no %s is called '%s'; there are %s", kind, name, choices);
}
