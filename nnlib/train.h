/* A training under way; for train.c, which makes it go, and checkpoint.c, which writes it down. */
#ifndef NN_TRAIN_H
#define NN_TRAIN_H

#include "ink.h"
#include "net.h"

/* What a training has come to, beside parameters, velocities and the order of the samples. Every
 * member is 64 bits wide: a checkpoint holds them as they are. */
typedef struct {
    nn_rng rng;             /* of shuffling and dropout */
    nn_rng mask_rng;        /* as rng was before it drew this epoch's masks (NN_MASK_EPOCH) */
    uint64_t epochs_done;   /* completed, validation included */
    uint64_t images;        /* of the present epoch's that were trained on; 0: it has not begun */
    uint64_t correct;       /* of these */
    uint64_t best_epoch;    /* that of best_validation; 0: none yet */
    double loss_sum;        /* over these images */
    double learning_rate;   /* in the present epoch */
    double first_loss;      /* of the first batch of all */
    double best_validation; /* the lowest validation loss so far */
} nn_progress;

struct nn_trainer {
    nn_net *net;
    const nn_data *train, *validation;
    nn_train_options options;
    nn_team *team; /* NULL: no layer is worth it */
    nn_state *state;
    nn_ink *ink; /* the training pixels once more; NULL: not worth it */
    nn_sgd *sgd;
    nn_net *kept;    /* the parameters to fall back to: the last good epoch's, or the best one's */
    bool swapped;    /* patience has ended: net holds the best parameters, kept the last ones */
    bool diverged;   /* there is nothing to go on with */
    uint32_t *order; /* [train->n], shuffled anew each epoch */
    nn_progress now;
    bool has_crc;    /* the next two are known; checkpoint.c computes them once */
    uint32_t crc[2]; /* of the training data and of the validation data */
};

#endif
