#define _GNU_SOURCE 1 /* sched_getaffinity, _SC_NPROCESSORS_ONLN */
#include "team.h"

#include <pthread.h>
#include <stdatomic.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

typedef struct {
    nn_team *team;
    size_t part;
    pthread_t thread;
} member;

struct nn_team {
    size_t n_members; /* threads that were started, without the caller */
    member *members;
    size_t looks; /* before one who waits goes to sleep */
    void (*work)(void *context, size_t part);
    void *context;
    atomic_size_t calls;   /* pieces of work so far */
    atomic_size_t working; /* members that have not finished theirs */
    atomic_bool dismissed;
    pthread_mutex_t lock; /* of those who sleep, and of what wakes them */
    pthread_cond_t called, finished;
};

/* Waking a sleeper takes longer than many a piece of work, so whoever waits looks up this often
 * before, for about a millisecond: longer than what the caller does alone between two pieces of
 * work. Not where there are more threads than processors. It does nothing in between: an
 * instruction that lets the processor rest may make a virtual machine's host take it away. */
#define LOOKS ((size_t)3000000)

static void look_while(const nn_team *team, const atomic_size_t *number, size_t value)
{
    size_t looks = 0;
    while (looks < team->looks && atomic_load_explicit(number, memory_order_relaxed) == value) {
        looks++;
    }
}

/* Waits for a call after the seen-th; false when the team is dismissed. */
static bool wait_for_call(nn_team *team, size_t *seen)
{
    look_while(team, &team->calls, *seen);
    pthread_mutex_lock(&team->lock);
    while (team->calls == *seen && !team->dismissed) {
        pthread_cond_wait(&team->called, &team->lock);
    }
    bool called = team->calls != *seen;
    *seen = team->calls;
    pthread_mutex_unlock(&team->lock);
    return called;
}

static void *member_main(void *context)
{
    member *self = context;
    nn_team *team = self->team;
    size_t seen = 0;
    while (wait_for_call(team, &seen)) {
        team->work(team->context, self->part);
        if (atomic_fetch_sub(&team->working, 1) == 1) {
            pthread_mutex_lock(&team->lock);
            pthread_cond_signal(&team->finished);
            pthread_mutex_unlock(&team->lock);
        }
    }
    return NULL;
}

static void start_members(nn_team *team, size_t wanted)
{
    while (team->n_members < wanted) {
        member *m = &team->members[team->n_members];
        *m = (member){.team = team, .part = team->n_members + 1};
        if (pthread_create(&m->thread, NULL, member_main, m) != 0) {
            return;
        }
        team->n_members++;
    }
}

/* Those that this process may use. */
static size_t processors(void)
{
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        return (size_t)CPU_COUNT(&allowed);
    }
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

nn_status nn_team_new(nn_team **out, size_t size)
{
    size = size > 0 ? size : processors();
    nn_team *team = nn_alloc(sizeof *team);
    member *members = nn_alloc_array(size, sizeof *members);
    if (!team || !members) {
        nn_free(team);
        nn_free(members);
        return nn_fail(NN_ERR_MEMORY, "out of memory for %zu threads", size);
    }
    *team = (nn_team){.members = members, .looks = size <= processors() ? LOOKS : 0};
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->called, NULL);
    pthread_cond_init(&team->finished, NULL);
    start_members(team, size - 1);
    *out = team;
    return NN_OK;
}

void nn_team_free(nn_team *team)
{
    if (!team) {
        return;
    }
    pthread_mutex_lock(&team->lock);
    team->dismissed = true;
    pthread_cond_broadcast(&team->called);
    pthread_mutex_unlock(&team->lock);
    for (size_t k = 0; k < team->n_members; k++) {
        pthread_join(team->members[k].thread, NULL);
    }
    pthread_cond_destroy(&team->finished);
    pthread_cond_destroy(&team->called);
    pthread_mutex_destroy(&team->lock);
    nn_free(team->members);
    nn_free(team);
}

size_t nn_team_size(const nn_team *team)
{
    return team ? team->n_members + 1 : 1;
}

void nn_team_run(nn_team *team, void (*work)(void *context, size_t part), void *context)
{
    if (team) {
        pthread_mutex_lock(&team->lock);
        team->work = work;
        team->context = context;
        team->working = team->n_members;
        team->calls++;
        pthread_cond_broadcast(&team->called);
        pthread_mutex_unlock(&team->lock);
    }
    work(context, 0);
    if (team) {
        for (size_t left = team->n_members; left > 0; left--) {
            look_while(team, &team->working, left);
        }
        pthread_mutex_lock(&team->lock);
        while (team->working > 0) {
            pthread_cond_wait(&team->finished, &team->lock);
        }
        pthread_mutex_unlock(&team->lock);
    }
}
