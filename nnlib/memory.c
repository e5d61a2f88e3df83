/* The one door for memory: no other file calls malloc and its kin, so whoever links another
 * memory.c decides what each request gets. */
#define _DEFAULT_SOURCE 1 /* madvise */
#include "nnlib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ALIGNMENT = 64,       /* a cache line, and the widest vector register */
    HUGE_PAGE = 1 << 21,  /* what the system maps in one piece if asked */
    MANY_PAGES = 1 << 23, /* from this size on it pays to ask */
};

/* Asks for huge pages for a large block: a training set is read in random order, and each of its
 * thousands of small pages would be looked up anew. Where the system has none, nothing happens. */
static void ask_for_huge_pages(void *memory, size_t size)
{
#ifdef MADV_HUGEPAGE
    (void)madvise(memory, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)size;
#endif
}

void *nn_alloc(size_t size)
{
    void *memory = NULL;
    /* Beyond PTRDIFF_MAX the difference of two pointers into the block is undefined. */
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    if (size == 0) {
        return NULL;
    }
    bool large = size >= MANY_PAGES;
    if (posix_memalign(&memory, large ? HUGE_PAGE : ALIGNMENT, size) != 0) {
        errno = ENOMEM; /* for libraries that call this and cannot say what went wrong */
        return NULL;
    }
    if (large) {
        ask_for_huge_pages(memory, size);
    }
    return memset(memory, 0, size);
}

void *nn_alloc_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return nn_alloc(count * size);
}

void nn_free(void *memory)
{
    free(memory);
}
