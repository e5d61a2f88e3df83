/* A training recipe: the network's shape and everything that decides what it learns. */

#ifndef DIGITS_RECIPE_H
#define DIGITS_RECIPE_H

#include "json.h"
#include "nnlib.h"
#include "options.h"

typedef struct {
    option_sizes hidden;
    unsigned activation; /* nn_activation of the hidden layers */
    unsigned output;     /* nn_activation of the last layer */
    unsigned loss;       /* nn_loss, or RECIPE_LOSS_AUTO until recipe_settle */
    unsigned initialiser;
    double dropout, input_dropout;
    unsigned mask; /* nn_mask */
    size_t epochs, batch;
    double learning_rate, momentum, decay, l2;
    size_t validation; /* images held out; OPTION_AUTOMATIC until the data are known */
    size_t patience;
    uint64_t seed;
} recipe;

/* The loss that goes with the output best: see recipe_settle. */
#define RECIPE_LOSS_AUTO ((unsigned)NN_N_LOSSES)

/* The default recipe, chosen by validation accuracy; README.md tells how. */
#define RECIPE_DEFAULTS                                                                            \
    {                                                                                              \
        .hidden = {1, {15}}, .activation = NN_SIGMOID, .output = NN_SOFTMAX,                       \
        .loss = RECIPE_LOSS_AUTO, .initialiser = NN_GLOROT, .dropout = 0.01, .input_dropout = 0,   \
        .mask = NN_MASK_SAMPLE, .epochs = 30, .batch = 32, .learning_rate = 0.3, .momentum = 0.9,  \
        .decay = 0.15, .l2 = 1e-4, .validation = OPTION_AUTOMATIC, .patience = 0, .seed = 1        \
    }

/* Names of the choices, for option tables. */
const char *recipe_activation(unsigned k);
const char *recipe_output(unsigned k);
const char *recipe_loss(unsigned k);
const char *recipe_initialiser(unsigned k);
const char *recipe_mask(unsigned k);

/* Chooses the loss where it is automatic: cross-entropy for softmax, binary cross-entropy for
 * sigmoid, squared error for the others. NN_ERR_ARGUMENT: output and loss do not go together;
 * NN_ERR_MEMORY. */
nn_status recipe_settle(recipe *steps);

/* Makes the network that a recipe asks for, once it is settled. NN_ERR_ARGUMENT, NN_ERR_MEMORY. */
nn_status recipe_network(nn_net **out, const recipe *steps, size_t inputs, size_t outputs);

/* Returns the recipe's part of nn_train_options. */
nn_train_options recipe_train_options(const recipe *steps);

/* Describes a network in a line: "784 -> 15 sigmoid (dropout 0.02) -> 10 softmax". nn_free gives
 * the text back; NULL when there is no memory. */
char *network_text(const nn_config *config);

/* Prints how many parameters a network has and where they are, each line after `label` or as many
 * blanks. */
void network_print_parameters(FILE *to, const nn_net *net, const char *label);

/* Add to a document, and to a model's facts, all options of a table that are `recorded`. */
void recorded_json(json *document, cJSON *parent, const option_spec *specs, const void *values);
nn_status recorded_meta(nn_meta *meta, const option_spec *specs, const void *values);

#endif
