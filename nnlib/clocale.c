#include "clocale.h"

#include <errno.h>

bool nn_clocale_set(nn_clocale *out)
{
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0) {
        errno = ENOMEM; /* there is a "C" everywhere */
        return false;
    }
    *out = (nn_clocale){.found = uselocale(c), .c = c};
    return true;
}

void nn_clocale_restore(const nn_clocale *saved)
{
    const int error = errno;
    (void)uselocale(saved->found);
    freelocale(saved->c);
    errno = error;
}
