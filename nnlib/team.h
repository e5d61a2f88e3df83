/* A team of threads that share out one piece of work at a time. */
#ifndef NN_TEAM_H
#define NN_TEAM_H

#include "nnlib.h"

typedef struct nn_team nn_team;

/* Starts a team of `size` threads, the caller's counted in; 0: one for each processor. It is
 * smaller where the system gives no more. NN_ERR_MEMORY. */
nn_status nn_team_new(nn_team **out, size_t size);
void nn_team_free(nn_team *team);

/* Returns its size; 1 for NULL. */
size_t nn_team_size(const nn_team *team);

/* Does work(context, part) for each part < size, all at once, and returns when all are done. With a
 * NULL team the caller does part 0. */
void nn_team_run(nn_team *team, void (*work)(void *context, size_t part), void *context);

#endif
