/* Promise: a value is taken if it is exactly what its option allows, and otherwise changes nothing;
 * whatever is taken is told again in words that read back to the same value. */
#include "options.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    bool flag;
    size_t size;
    uint64_t seed;
    double real;
    unsigned choice;
    option_sizes sizes;
    const char *text;
} values;

static const char *colour(unsigned k)
{
    static const char *const names[] = {"red", "green", "blue"};
    return k < 3 ? names[k] : NULL;
}

#define AT(field) .offset = offsetof(values, field)

static const option_spec flag = {"flag", OPTION_FLAG, AT(flag)};
static const option_spec size = {"size", OPTION_SIZE, AT(size), .range = RANGE(1, 1000)};
static const option_spec seed = {"seed", OPTION_SEED, AT(seed)};
static const option_spec share = {"share", OPTION_REAL, AT(real), .range = RANGE_BELOW(0, 1)};
static const option_spec rate = {"rate", OPTION_REAL, AT(real),
                                 .range = RANGE_ABOVE(0, (double)INFINITY)};
static const option_spec choice = {"choice", OPTION_CHOICE, AT(choice), .choice = colour};
static const option_spec sizes = {"sizes", OPTION_SIZES, AT(sizes), .range = RANGE(1, 20)};
static const option_spec text = {"text", OPTION_TEXT, AT(text)};

Test(options, takes_values_in_range_and_tells_them_again)
{
    static const struct {
        const option_spec *spec;
        const char *given, *told;
    } cases[] = {
        {&flag, "yes", "yes"},
        {&flag, "no", "no"},
        {&size, "1", "1"},
        {&size, "1000", "1000"},
        {&size, "007", "7"},
        {&seed, "0", "0"},
        {&seed, "18446744073709551615", "18446744073709551615"},
        {&share, "0", "0"},
        {&share, "0.1", "0.1"},
        {&share, ".5", "0.5"},
        {&share, "1e-3", "0.001"},
        {&share, "1e-7", "1e-07"},
        {&share, "0.3333333333333333", "0.3333333333333333"},
        {&share, "0.99999994", "0.99999994"}, /* the last float before 1 */
        {&rate, "1e300", "1e+300"},
        {&rate, "+1000", "1000"},
        {&choice, "green", "green"},
        {&sizes, "none", "none"},
        {&sizes, "20", "20"},
        {&sizes, "3,1,4", "3,1,4"},
        {&text, "a name", "a name"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        values v = {0};
        char told[OPTION_TEXT_SIZE];
        cr_expect(option_set(cases[k].spec, &v, cases[k].given), "%s", cases[k].given);
        cr_expect_str_eq(option_text(cases[k].spec, &v, told), cases[k].told);
        cr_expect(option_set(cases[k].spec, &v, told), "%s", told);
    }
}

Test(options, refuses_everything_else_and_changes_nothing)
{
    static const struct {
        const option_spec *spec;
        const char *given;
    } cases[] = {
        {&size, "0"},
        {&size, "1001"},
        {&size, ""},
        {&size, " 1"},
        {&size, "1 "},
        {&size, "-1"},
        {&size, "+1"},
        {&size, "1.0"},
        {&size, "0x1"},
        {&size, "1,000"},
        {&seed, "-1"},
        {&seed, "1e3"},
        {&seed, ""},
        {&size, "18446744073709551617"}, /* 2^64 + 1: 1, if it wrapped round */
        {&seed, "18446744073709551616"},
        {&share, "1"},
        {&share, "0.99999999"}, /* 1 as a float */
        {&rate, "1e-50"},       /* 0 as a float */
        {&share, "-1e-9"},
        {&share, "nan"},
        {&share, "inf"},
        {&share, "0.5 "},
        {&share, " 0.5"},
        {&share, "0,5"},
        {&share, "0x.8"},
        {&share, "1e-"},
        {&share, "."},
        {&share, ""},
        {&rate, "0"},
        {&rate, "1e999"},
        {&rate, "infinity"},
        {&choice, "gr"},
        {&choice, ""},
        {&choice, "Red"},
        {&sizes, ""},
        {&sizes, "21"},
        {&sizes, "1,"},
        {&sizes, ",1"},
        {&sizes, "1,,2"},
        {&sizes, "1,0"},
        {&sizes, "none,1"},
        {&flag, "maybe"},
        {&text, ""},
    };
    const values before = {
        .flag = true, .size = 5, .seed = 6, .real = 0.25, .choice = 1, .sizes = {2, {8, 9}}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        values v = before;
        cr_expect_not(option_set(cases[k].spec, &v, cases[k].given), "--%s '%s'",
                      cases[k].spec->name, cases[k].given);
        cr_expect(v.flag && v.size == before.size && v.seed == before.seed &&
                      v.choice == before.choice && v.real == before.real && v.sizes.n == 2 &&
                      v.sizes.items[0] == 8 && !v.text,
                  "--%s '%s'", cases[k].spec->name, cases[k].given);
    }
}

Test(options, takes_no_more_sizes_than_there_is_room_for)
{
    char list[2 * OPTION_SIZES_MAX + 2] = "1";
    values v = {0};
    for (size_t k = 1; k < OPTION_SIZES_MAX; k++) {
        strcat(list, ",1");
    }
    cr_assert(option_set(&sizes, &v, list));
    cr_assert_eq(v.sizes.n, OPTION_SIZES_MAX);
    strcat(list, ",1");
    cr_assert_not(option_set(&sizes, &v, list));
}

Test(options, says_what_a_value_must_be)
{
    static const struct {
        const option_spec *spec;
        const char *expected;
    } cases[] = {
        {&flag, "yes or no"},
        {&size, "a whole number from 1 to 1,000"},
        {&seed, "a whole number from 0 to 2^64 - 1"},
        {&share, "at least 0 and less than 1"},
        {&rate, "more than 0"},
        {&choice, "red, green or blue"},
        {&sizes, "'none' or whole numbers from 1 to 20 with commas between"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char expected[OPTION_TEXT_SIZE];
        cr_expect_str_eq(option_expected(cases[k].spec, expected), cases[k].expected);
    }
}

/* ---- command lines ------------------------------------------------------------------------ */

static int do_nothing(const void *v, size_t n_arguments, char **arguments)
{
    (void)v;
    (void)n_arguments;
    (void)arguments;
    return 0;
}

Test(options, a_line_does_not_depend_on_the_one_before)
{
    static const option_spec table[] = {{"flag", OPTION_FLAG, 'f', AT(flag)}, {.kind = OPTION_END}};
    static const values defaults = {.flag = false};
    const command cmd = {.name = "try",
                         .options = table,
                         .defaults = &defaults,
                         .size = sizeof defaults,
                         .run = do_nothing};
    values v = defaults;
    int first;
    char name[] = "try", half_read[] = "-hx", right[] = "-f";
    char *stopped[] = {name, half_read, NULL}, *line[] = {name, right, NULL};
    cr_assert_eq(options_parse(&cmd, &v, 2, stopped, &first), PARSED_HELP);
    cr_assert_eq(options_parse(&cmd, &v, 2, line, &first), PARSED_RUN);
    cr_assert_eq(first, 2);
    cr_assert(v.flag);
    char *nothing[] = {name, NULL};
    cr_assert_eq(options_parse(&cmd, &v, 1, nothing, &first), PARSED_RUN);
    cr_assert_eq(first, 1);
}
