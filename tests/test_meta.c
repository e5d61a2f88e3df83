/* Promise: a list of facts keeps its order, each key once, and is as it was when memory runs out.
 */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>

TestSuite(meta, .init = fixtures_begin, .fini = fixtures_end);

static void set(nn_meta *meta, const char *key, const char *value)
{
    cr_assert_eq(nn_meta_set(meta, key, value), NN_OK, "%s", nn_error_text());
}

Test(meta, empty_list_has_no_entry)
{
    nn_meta meta = {0};
    cr_assert_null(nn_meta_get(&meta, "seed"));
    cr_assert_null(nn_meta_get(&meta, ""));
    nn_meta_release(&meta);
}

Test(meta, entries_keep_their_order_and_their_values)
{
    static const char *const keys[] = {"seed", "a", "", "class names", "\xc3\xa9"};
    static const char *const values[] = {"1", "", "empty key", "zero,one", "\xe2\x82\xac \"x\""};
    nn_meta meta = {0};
    for (size_t k = 0; k < 5; k++) {
        set(&meta, keys[k], values[k]);
    }
    cr_assert_eq(meta.n, 5);
    for (size_t k = 0; k < 5; k++) {
        cr_assert_str_eq(meta.items[k].key, keys[k]);
        cr_assert_str_eq(meta.items[k].value, values[k]);
        cr_assert_str_eq(nn_meta_get(&meta, keys[k]), values[k]);
    }
    cr_assert_null(nn_meta_get(&meta, "Seed"));
    cr_assert_null(nn_meta_get(&meta, "see"));
    nn_meta_release(&meta);
}

Test(meta, value_is_replaced_in_its_place)
{
    nn_meta meta = {0};
    set(&meta, "a", "1");
    set(&meta, "b", "2");
    set(&meta, "a", "a longer value than before");
    cr_assert_eq(meta.n, 2);
    cr_assert_str_eq(meta.items[0].key, "a");
    cr_assert_str_eq(nn_meta_get(&meta, "a"), "a longer value than before");
    cr_assert_str_eq(nn_meta_get(&meta, "b"), "2");
    nn_meta_release(&meta);
}

Test(meta, strings_are_copied)
{
    char key[] = "key";
    char value[] = "value";
    nn_meta meta = {0};
    set(&meta, key, value);
    key[0] = 'K';
    value[0] = 'V';
    cr_assert_str_eq(nn_meta_get(&meta, "key"), "value");
    nn_meta_release(&meta);
}

Test(meta, value_may_be_set_from_itself)
{
    nn_meta meta = {0};
    set(&meta, "a", "1");
    set(&meta, "b", "2");
    set(&meta, "a", nn_meta_get(&meta, "a"));
    set(&meta, "b", nn_meta_get(&meta, "a"));
    cr_assert_str_eq(nn_meta_get(&meta, "a"), "1");
    cr_assert_str_eq(nn_meta_get(&meta, "b"), "1");
    nn_meta_release(&meta);
}

Test(meta, hundreds_of_entries_are_kept)
{
    nn_meta meta = {0};
    for (size_t k = 0; k < 300; k++) {
        set(&meta, fixture_text("key %zu", k), fixture_text("%zu", k * k));
    }
    cr_assert_eq(meta.n, 300);
    for (size_t k = 0; k < 300; k++) {
        cr_assert_str_eq(nn_meta_get(&meta, fixture_text("key %zu", k)),
                         fixture_text("%zu", k * k));
    }
    nn_meta_release(&meta);
}

/* A new entry takes three allocations, a new value one. */
Test(meta, failing_memory_leaves_the_list_as_it_was)
{
    nn_meta meta = {0};
    set(&meta, "a", "1");
    set(&meta, "b", "2");
    for (unsigned long n = 1; n <= 3; n++) {
        fault_clear();
        fault_at(FAULT_ALLOC, n, ENOMEM, false);
        cr_assert_eq(nn_meta_set(&meta, "c", "3"), NN_ERR_MEMORY, "allocation %lu", n);
        cr_assert_str_eq(nn_error_text(), "out of memory for the metadata entry 'c'");
        cr_assert_eq(meta.n, 2);
        cr_assert_null(nn_meta_get(&meta, "c"));
    }
    fault_clear();
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    cr_assert_eq(nn_meta_set(&meta, "a", "9"), NN_ERR_MEMORY);
    cr_assert_str_eq(nn_meta_get(&meta, "a"), "1");
    cr_assert_str_eq(nn_meta_get(&meta, "b"), "2");
    fault_clear();
    set(&meta, "c", "3");
    cr_assert_eq(meta.n, 3);
    nn_meta_release(&meta);
}

Test(meta, released_list_is_empty_and_can_be_used_again)
{
    nn_meta meta = {0};
    set(&meta, "a", "1");
    nn_meta_release(&meta);
    cr_assert_eq(meta.n, 0);
    cr_assert_null(meta.items);
    cr_assert_null(nn_meta_get(&meta, "a"));
    nn_meta_release(&meta);
    set(&meta, "b", "2");
    cr_assert_str_eq(nn_meta_get(&meta, "b"), "2");
    nn_meta_release(&meta);
    nn_meta_release(NULL);
}
