/* The promise: each part of each piece of work is done exactly once, before nn_team_run returns. */
#include "team.h"

#include <criterion/criterion.h>

enum {
    MAX_PARTS = 8
};

typedef struct {
    size_t done[MAX_PARTS]; /* each part writes its own */
} tally;

static void count_part(void *context, size_t part)
{
    tally *t = context;
    t->done[part]++;
}

static void check_parts(nn_team *team, size_t size)
{
    tally t = {{0}};
    cr_assert_eq(nn_team_size(team), size);
    for (size_t call = 1; call <= 1000; call++) {
        nn_team_run(team, count_part, &t);
        for (size_t part = 0; part < MAX_PARTS; part++) {
            cr_assert_eq(t.done[part], part < size ? call : 0);
        }
    }
}

Test(team, every_part_is_done_once_a_call)
{
    for (size_t size = 1; size <= MAX_PARTS; size++) {
        nn_team *team = NULL;
        cr_assert_eq(nn_team_new(&team, size), NN_OK);
        check_parts(team, size);
        nn_team_free(team);
    }
}

Test(team, nobody_is_a_team_of_the_caller)
{
    check_parts(NULL, 1);
    nn_team_free(NULL);
}

Test(team, size_0_is_one_thread_a_processor)
{
    nn_team *team = NULL;
    cr_assert_eq(nn_team_new(&team, 0), NN_OK);
    cr_assert_geq(nn_team_size(team), 1);
    nn_team_free(team);
}

Test(team, idle_team_can_be_dismissed)
{
    for (size_t k = 0; k < 100; k++) {
        nn_team *team = NULL;
        cr_assert_eq(nn_team_new(&team, 3), NN_OK);
        nn_team_free(team);
    }
}
