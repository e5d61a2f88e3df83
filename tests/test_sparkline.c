/* Promise: a curve has a character for each value, its least value is the lowest and its largest
 * the highest, and however many values there are it stays as short as it was asked to be. */
#include "text.h"
#include "train/sparkline.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const char *draw(const double *values, size_t n, size_t columns, bool utf8)
{
    static char text[SPARKLINE_TEXT_SIZE];
    sparkline s = {.n = 0};
    for (size_t i = 0; i < n; i++) {
        sparkline_add(&s, values[i]);
    }
    return sparkline_text(text, &s, columns, utf8);
}

Test(sparkline, draws_eight_heights)
{
    const double rising[] = {10, 20, 30, 40, 50, 60, 70, 80};
    cr_expect_str_eq(draw(rising, 8, 20, true), "▁▂▃▄▅▆▇█");
    cr_expect_str_eq(draw(rising, 8, 20, false), "_.-~=+*#");
}

Test(sparkline, places_values_between_the_least_and_the_largest)
{
    const double values[] = {0.4, 0.25, 0.1, 0.1, -0.2};
    cr_expect_str_eq(draw(values, 5, 20, true), "█▆▄▄▁"); /* 8 (v + 0.2) / 0.6: 8, 6, 4, 4, 0 */
}

Test(sparkline, needs_two_values)
{
    const double one[] = {1, (double)NAN, HUGE_VAL, -HUGE_VAL};
    cr_expect_str_eq(draw(one, 0, 20, true), "");
    cr_expect_str_eq(draw(one, 4, 20, true), "");
}

Test(sparkline, is_flat_where_values_are_equal)
{
    const double same[] = {3, 3, 3};
    cr_expect_str_eq(draw(same, 3, 20, true), "▁▁▁");
}

Test(sparkline, averages_neighbours_where_columns_are_few)
{
    const double values[] = {0, 2, 8, 10, 4, 6}; /* means 1, 9, 5 */
    cr_expect_str_eq(draw(values, 6, 3, true), "▁█▄");
    cr_expect_str_eq(draw(values, 6, 0, true), "");
}

Test(sparkline, takes_any_number_of_values)
{
    sparkline s = {.n = 0};
    char text[SPARKLINE_TEXT_SIZE];
    for (size_t i = 0; i < 1000000; i++) {
        sparkline_add(&s, (double)i);
        if (i < 1000 || i % 9973 == 0) {
            size_t columns = text_columns(sparkline_text(text, &s, SPARKLINE_COLUMNS, true));
            cr_assert(columns <= SPARKLINE_COLUMNS);
            cr_assert(i < 1 || columns >= (i + 1 < 32 ? i + 1 : 32), "%zu of %zu", columns, i);
        }
    }
    cr_expect(strncmp(text, "▁▁▁", 9) == 0);
    cr_expect_str_eq(text + strlen(text) - 9, "███");
}

Test(sparkline, survives_values_at_the_ends_of_double)
{
    const double wide[] = {-1e308, 1e308, 0, 5e-324};
    cr_expect_eq(text_columns(draw(wide, 4, 20, true)), 4);
}
