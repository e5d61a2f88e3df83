/* The one door for memory: no other file calls malloc and its kin, so whoever links another
 * memory.c decides what each request gets. */
#include "nnlib.h"

#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64 /* a cache line, and the widest vector register */
};

void *nn_alloc(size_t size)
{
    void *memory = NULL;
    /* Beyond PTRDIFF_MAX the difference of two pointers into the block is undefined. */
    if (size == 0 || size > PTRDIFF_MAX) {
        return NULL;
    }
    if (posix_memalign(&memory, ALIGNMENT, size) != 0) {
        return NULL;
    }
    return memset(memory, 0, size);
}

void *nn_alloc_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return nn_alloc(count * size);
}

void nn_free(void *memory)
{
    free(memory);
}
