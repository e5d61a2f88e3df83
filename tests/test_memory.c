/* Promise: memory comes zeroed and aligned, or not at all. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(memory, .init = fixtures_begin, .fini = fixtures_end);

static bool all_zero(const unsigned char *memory, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (memory[k] != 0) {
            return false;
        }
    }
    return true;
}

Test(memory, blocks_are_aligned_to_64_and_zeroed)
{
    for (size_t n = 1; n < 5000; n += n / 7 + 1) {
        unsigned char *memory = nn_alloc(n);
        cr_assert_not_null(memory);
        cr_assert_eq((uintptr_t)memory % 64, 0, "%zu bytes", n);
        cr_assert(all_zero(memory, n), "%zu bytes", n);
        memset(memory, 0xff, n); /* what the next block may be made of */
        nn_free(memory);
    }
}

Test(memory, large_blocks_are_aligned_and_zeroed_too)
{
    for (size_t n = (size_t)1 << 22; n <= (size_t)1 << 25; n *= 2) {
        for (int again = 0; again < 2; again++) {
            unsigned char *memory = nn_alloc(n + 5);
            cr_assert_not_null(memory);
            cr_assert_eq((uintptr_t)memory % 64, 0, "%zu bytes", n);
            cr_assert(all_zero(memory, n + 5), "%zu bytes", n);
            memset(memory, 0xff, n + 5);
            nn_free(memory);
        }
    }
}

Test(memory, size_0_gives_null)
{
    cr_assert_null(nn_alloc(0));
    cr_assert_null(nn_alloc_array(0, 8));
    cr_assert_null(nn_alloc_array(8, 0));
    cr_assert_eq(fault_calls(FAULT_ALLOC), 0);
}

Test(memory, sizes_beyond_ptrdiff_max_give_null)
{
    cr_assert_null(nn_alloc(SIZE_MAX));
    cr_assert_null(nn_alloc((size_t)PTRDIFF_MAX + 1));
    cr_assert_eq(fault_calls(FAULT_ALLOC), 0);
}

Test(memory, array_whose_size_overflows_gives_null)
{
    /* The product is 8 when it wraps around. */
    cr_assert_null(nn_alloc_array(SIZE_MAX / 8 + 2, 8));
    cr_assert_null(nn_alloc_array(8, SIZE_MAX / 8 + 2));
    cr_assert_null(nn_alloc_array(SIZE_MAX, SIZE_MAX));
    cr_assert_eq(fault_calls(FAULT_ALLOC), 0);
}

Test(memory, array_holds_count_times_size_bytes)
{
    unsigned char *memory = nn_alloc_array(1000, 24);
    cr_assert_not_null(memory);
    cr_assert(all_zero(memory, 24000));
    memset(memory, 1, 24000); /* a sanitizer sees it if there is less */
    nn_free(memory);
}

Test(memory, refusal_of_the_system_gives_null)
{
    fault_at(FAULT_ALLOC, 2, ENOMEM, false);
    void *memory = nn_alloc(100);
    cr_assert_not_null(memory);
    cr_assert_null(nn_alloc(100));
    nn_free(memory);
}

Test(memory, errno_says_that_there_was_none)
{
    errno = 0;
    cr_assert_null(nn_alloc(0));
    cr_assert_eq(errno, 0, "0 bytes are no shortage");
    cr_assert_null(nn_alloc(SIZE_MAX));
    cr_assert_eq(errno, ENOMEM);
    errno = 0;
    cr_assert_null(nn_alloc_array(SIZE_MAX, 2));
    cr_assert_eq(errno, ENOMEM);
    errno = 0;
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    cr_assert_null(nn_alloc(100));
    cr_assert_eq(errno, ENOMEM);
}

Test(memory, what_is_freed_goes_back_to_the_system)
{
    void *one = nn_alloc(100);
    void *two = nn_alloc_array(10, 10);
    cr_assert_eq(fault_blocks(), 2);
    nn_free(one);
    cr_assert_eq(fault_blocks(), 1);
    nn_free(two);
    cr_assert_eq(fault_blocks(), 0);
}

Test(memory, null_can_be_freed)
{
    nn_free(NULL);
}
