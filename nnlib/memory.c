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
    MANY_PAGES = 1 << 20, /* from this size on it pays to ask */
    VERY_MANY_PAGES = 1 << 23,
};

/* Asks for huge pages for a large block: a training set is read in random order, the weights of a
 * wide layer column by column, and each of their thousands of small pages would be looked up anew.
 * Pages that the block may have had before are given back, for those would stay small. Where the
 * system has no huge ones, nothing happens. */
static void ask_for_huge_pages(void *memory, size_t size)
{
#ifdef MADV_HUGEPAGE
    const size_t whole = size / HUGE_PAGE * HUGE_PAGE;
    if (madvise(memory, whole, MADV_HUGEPAGE) == 0) {
        (void)madvise(memory, whole, MADV_DONTNEED);
    }
#else
    (void)memory;
    (void)size;
#endif
}

/* What a block of so many bytes takes: whole huge pages if it is large, but not so large that the
 * rest of the last one is not worth its memory. */
static size_t room_for(size_t size)
{
    const size_t whole = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    return size >= MANY_PAGES && size < VERY_MANY_PAGES ? whole : size;
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
    const size_t room = room_for(size);
    const bool large = room >= HUGE_PAGE;
    if (posix_memalign(&memory, large ? HUGE_PAGE : ALIGNMENT, room) != 0) {
        errno = ENOMEM; /* for libraries that call this and cannot say what went wrong */
        return NULL;
    }
    if (large) {
        ask_for_huge_pages(memory, room);
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
