/*
 * nnlib: a small neural-network library.
 *
 * Feed-forward networks of any depth and width, trained by back-propagation and stochastic
 * gradient descent with momentum, on data read from IDX files; models stored as safetensors.
 * The header follows the data:
 *
 *     status, memory, random numbers -> files -> IDX -> data sets -> network -> forward and
 *     backward -> gradient descent -> training -> checkpoints -> evaluation -> model files
 *
 * Notation (used in every comment): layer l has pre-activations a(l) = W(l) z(l-1) + b(l) and
 * outputs z(l) = h(a(l)); z(0) is the input. W(l)[j][i] joins unit i of layer l-1 to unit j of
 * layer l. In code, layers count from 0, so layer 0 is the first hidden layer.
 *
 * Rules that hold everywhere:
 *   - A fallible function returns nn_status; results come first in the argument list and are
 *     written only on NN_OK. nn_error_text() then says what went wrong, for this thread.
 *   - X_new and X_load allocate, X_free and X_release give back; both accept NULL or a zeroed
 *     structure. Views (nn_data_slice) own nothing and live as long as what they look at.
 *   - Different objects may be used from different threads at the same time; one object may not,
 *     except that a network which nobody changes may be read by many threads.
 *   - The same seed, data and options give the same bits on every machine: each sum of products
 *     is a chain of fused multiply-adds in a fixed order (see kernels/kernels.h).
 *   - What computes does so in the default floating-point environment, whatever rounding mode,
 *     flush-to-zero mode or traps the caller has set, and puts these back.
 *   - Files are the same in all locales.
 */
#ifndef NNLIB_H
#define NNLIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NN_VERSION "0.1.0"

/* The number type. Defining NN_DOUBLE for the library and its user gives a double-precision build
 * on the reference kernels, which the tests use to prove back-propagation. */
#ifdef NN_DOUBLE
typedef double nn_real;
#else
typedef float nn_real;
#endif

/* ---- status ------------------------------------------------------------------------------- */

typedef enum {
    NN_OK = 0,
    NN_ERR_ARGUMENT, /* the caller's numbers make no sense together */
    NN_ERR_MEMORY,   /* an allocation failed */
    NN_ERR_IO,       /* the system refused to open, read, write or rename */
    NN_ERR_DATA,     /* a data file or data set is not what it should be */
    NN_ERR_MODEL,    /* a model or checkpoint file is not what it should be */
    NN_ERR_DIVERGED, /* training blew up: a loss that is not finite or grew without bound */
    NN_ERR_STOPPED   /* the caller's callback asked to stop */
} nn_status;

/* Returns the text of this thread's last failure: one line, no full stop; "" before the first.
 * The pointer stays valid; the next failure overwrites the text. */
const char *nn_error_text(void);

/* Records a failure's text (printf format, shortened in the middle to 1023 bytes; control
 * characters are replaced by '?', so that a file's name cannot play tricks on a terminal). */
void nn_set_error(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* nn_fail(code, format, ...) records the text and is code: "return nn_fail(NN_ERR_IO, ...);" A
 * macro, so that compilers and analysers see that a failure never returns NN_OK. */
#define nn_fail(code, ...) (nn_set_error(__VA_ARGS__), nn_failure(code))

static inline nn_status nn_failure(nn_status code)
{
    return code;
}

/* ---- memory: the one door ----------------------------------------------------------------- */

/* Returns size zeroed bytes, aligned to 64, or NULL when there is no memory (errno is then ENOMEM)
 * or size is 0. */
void *nn_alloc(size_t size);

/* As nn_alloc for count objects of size bytes each; NULL as well when the product overflows. */
void *nn_alloc_array(size_t count, size_t size);

/* Gives back what nn_alloc returned; NULL is fine. */
void nn_free(void *memory);

/* ---- random numbers ----------------------------------------------------------------------- */

/* xoshiro256** (Blackman and Vigna 2018). The four words are the whole state: copy them to save
 * it, put them back to go on. Not all may be zero. */
typedef struct {
    uint64_t s[4];
} nn_rng;

/* Fills the state from a seed through SplitMix64 (Steele, Lea and Flood 2014). Any seed is good. */
void nn_rng_seed(nn_rng *rng, uint64_t seed);

/* Jumps 2^128 draws ahead: gives a stream that does not meet the one it was copied from. */
void nn_rng_jump(nn_rng *rng);

/* Returns the next 64 random bits. */
uint64_t nn_rng_next(nn_rng *rng);

/* Returns a uniform number in [0, 1), a multiple of 2^-53. */
double nn_rng_uniform(nn_rng *rng);

/* Returns a normal number, mean 0, variance 1 (Marsaglia and Bray's polar method, 1964). */
double nn_rng_normal(nn_rng *rng);

/* Returns a uniform integer in [0, n), without bias (Lemire 2019 for n below 2^32,
 * rejection above); n must not be 0. */
uint64_t nn_rng_below(nn_rng *rng, uint64_t n);

/* Shuffles index[n] (Fisher and Yates, as in Durstenfeld 1964); n below 2^32. */
void nn_rng_shuffle(nn_rng *rng, uint32_t *index, size_t n);

/* ---- files -------------------------------------------------------------------------------- */

/* Writes a file whole or not at all: bytes go to a temporary file in the target's folder;
 * commit flushes, syncs and renames it over the target. */
typedef struct nn_writer nn_writer;

/* Opens a writer for path. If that is a symbolic link, the file it names is written. NN_ERR_IO: the
 * folder is missing or not writable, or path is write-protected, or a folder, a device, a FIFO or a
 * socket; NN_ERR_MEMORY. */
nn_status nn_writer_open(nn_writer **out, const char *path);

/* Appends n bytes. The first failure (NN_ERR_IO) sticks: later calls and the commit return it. */
nn_status nn_writer_write(nn_writer *writer, const void *bytes, size_t n);

/* Makes the file appear under its name and frees writer, whatever the result. After NN_ERR_IO
 * the target is as it was before, unless only the folder could not be synced: then the new file is
 * in place, and the text says that it may not survive a loss of power. */
nn_status nn_writer_commit(nn_writer *writer);

/* Drops what was written and frees writer; the target stays as it was. NULL is fine. */
void nn_writer_abandon(nn_writer *writer);

/* Removes from the target's folder the temporary files that programs left which were killed while
 * they wrote. Those of living writers stay. What cannot be removed is left alone. */
void nn_writer_tidy(const nn_writer *writer);

/* Reads the first bytes of a file, as many as it has but at most size; *n says how many. NN_ERR_IO:
 * missing, unreadable, or not a regular file. */
nn_status nn_file_read(void *bytes, size_t *n, size_t size, const char *path);

/* Reads a whole file into memory, with a zero behind its n bytes; nn_free gives *bytes back.
 * NN_ERR_IO: as nn_file_read; NN_ERR_DATA: it has more than max bytes; NN_ERR_MEMORY. */
nn_status nn_file_load(uint8_t **bytes, size_t *n, size_t max, const char *path);

/* ---- IDX files ---------------------------------------------------------------------------- */

/* The element types of the IDX format, by the third byte of its magic number. */
typedef enum {
    NN_IDX_U8 = 0x08,
    NN_IDX_I8 = 0x09,
    NN_IDX_I16 = 0x0B,
    NN_IDX_I32 = 0x0C,
    NN_IDX_F32 = 0x0D,
    NN_IDX_F64 = 0x0E
} nn_idx_type;

#define NN_IDX_MAX_DIMS 4

/* An IDX file in memory: an array [dims[0]][dims[1]]... of count elements. */
typedef struct {
    nn_idx_type type;
    size_t n_dims; /* 1 to NN_IDX_MAX_DIMS */
    size_t dims[NN_IDX_MAX_DIMS];
    size_t count;     /* product of dims */
    size_t item_size; /* bytes an element */
    void *data;       /* count elements in this machine's byte order; nn_idx_release frees it */
} nn_idx;

/* Returns the type's name ("u8", "f32", ...), or NULL if there is no such type. */
const char *nn_idx_type_name(nn_idx_type type);

/* Reads an IDX file, plain or gzip (told apart by content, several gzip members allowed), whole
 * or not at all. Nothing is allocated beyond what the file's own bytes can hold.
 * NN_ERR_DATA: not an IDX file, unknown type, 0 or more than 4 dimensions, an empty dimension,
 * sizes that overflow or exceed what the file can hold, a file that ends early or goes on too
 * long, a damaged gzip stream (CRC, length). NN_ERR_IO: missing, unreadable, or not a regular
 * file. NN_ERR_MEMORY. */
nn_status nn_idx_load(nn_idx *out, const char *path);

/* Writes an IDX file, gzip-compressed if the path ends in ".gz" (without name or time in the
 * gzip header: the same data give the same bytes with the same zlib). NN_ERR_ARGUMENT: a type,
 * dimension or count that the format cannot hold. NN_ERR_IO, NN_ERR_MEMORY; the target then stays
 * as it was. */
nn_status nn_idx_save(const nn_idx *idx, const char *path);

/* Frees idx->data and zeroes *idx. */
void nn_idx_release(nn_idx *idx);

/* ---- data sets ---------------------------------------------------------------------------- */

/* n samples, each with `inputs` values and what the network should answer. Inputs are either
 * bytes, which a network sees as byte / 255, or numbers taken as they are. Answers are either
 * class numbers or target vectors. */
typedef struct {
    size_t n;               /* samples */
    size_t inputs;          /* values a sample, e.g. 784 */
    size_t outputs;         /* classes, or values a target vector */
    size_t rows, columns;   /* the picture's shape where there is one, else 0 */
    const uint8_t *pixels;  /* [n][inputs], 0..255, or NULL */
    const nn_real *values;  /* [n][inputs], used where pixels is NULL */
    const uint8_t *labels;  /* [n], 0..outputs-1, or NULL */
    const nn_real *targets; /* [n][outputs], used where labels is NULL; both NULL: no answers */
    void *owned[2]; /* what nn_data_release frees; a view or the caller's own arrays: NULL */
} nn_data;

/* Loads images (u8, [n][rows][columns]) and labels (u8, [n], each below classes).
 * NN_ERR_DATA: as nn_idx_load; or the files are swapped, of another type or shape, of unequal
 * counts, or a label is out of range. NN_ERR_ARGUMENT: classes is not 1 to 256. NN_ERR_IO,
 * NN_ERR_MEMORY. */
nn_status nn_data_load(nn_data *out, const char *images_path, const char *labels_path,
                       size_t classes);

/* Returns a view of n samples from `first`; both are cut to what there is. */
nn_data nn_data_slice(const nn_data *data, size_t first, size_t n);

/* Frees what nn_data_load allocated and zeroes *data. */
void nn_data_release(nn_data *data);

/* ---- networks ----------------------------------------------------------------------------- */

/* What a unit makes of its pre-activation. Softmax works on a whole layer and only in the last. */
typedef enum {
    NN_SIGMOID,    /* 1 / (1 + exp(-a)) */
    NN_TANH,       /* tanh a = 2 sigmoid(2a) - 1 */
    NN_RELU,       /* max(0, a) */
    NN_LEAKY_RELU, /* a for a > 0, else 0.01 a (Maas, Hannun and Ng 2013) */
    NN_IDENTITY,   /* a */
    NN_SOFTMAX,    /* exp(a[k]) / sum over c of exp(a[c]) */
    NN_N_ACTIVATIONS
} nn_activation;

/* What training minimises; a mean over the samples of a batch, in nats where a logarithm is. */
typedef enum {
    NN_CROSS_ENTROPY,        /* -log z[true class]; needs a softmax layer last */
    NN_BINARY_CROSS_ENTROPY, /* sum over k of -[y log z + (1-y) log(1-z)]; needs sigmoid last */
    NN_SQUARED_ERROR,        /* sum over k of (z-y)^2 / 2; any last layer but softmax */
    NN_N_LOSSES
} nn_loss;

/* How the weights W(l)[j][i] start; biases start at 0. fan_in and fan_out are the numbers of
 * units in layers l-1 and l. */
typedef enum {
    NN_GLOROT, /* uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010) */
    NN_LECUN,  /* normal, variance 1 / fan_in (LeCun, Bottou, Orr and Mueller 1998) */
    NN_HE,     /* normal, variance 2 / fan_in (He, Zhang, Ren and Sun 2015) */
    NN_NORMAL, /* normal, variance 1 */
    NN_ZERO,   /* all 0: the units of a layer stay alike for ever */
    NN_N_INITIALISERS
} nn_initialiser;

/* Return the option's name ("leaky-relu", "cross-entropy", "glorot"), or NULL past the last. */
const char *nn_activation_name(nn_activation activation);
const char *nn_loss_name(nn_loss loss);
const char *nn_initialiser_name(nn_initialiser initialiser);

/* Find an option by its name. NN_ERR_ARGUMENT: there is none such; the text lists them. */
nn_status nn_activation_find(nn_activation *out, const char *name);
nn_status nn_loss_find(nn_loss *out, const char *name);
nn_status nn_initialiser_find(nn_initialiser *out, const char *name);

typedef struct {
    size_t units;
    nn_activation activation;
    double dropout; /* share of the layer's outputs left out in training, 0 <= p < 1; last: 0 */
} nn_layer;

typedef struct {
    size_t inputs;
    size_t n_layers;        /* hidden layers and the output layer */
    const nn_layer *layers; /* [n_layers] */
    nn_loss loss;
    nn_initialiser initialiser;
    double input_dropout; /* share of the inputs left out in training */
} nn_config;

/* A network: its shape and its parameters. Gradients, velocities and activations live elsewhere
 * (nn_state, nn_sgd), so a finished network is small and can be shared. */
typedef struct nn_net nn_net;

#define NN_MAX_LAYERS 64
#define NN_MAX_UNITS ((size_t)1 << 20)

/* Makes a network and draws its weights from seed. The layers are copied.
 * NN_ERR_ARGUMENT: no or too many layers or units, softmax before the last layer, a loss that
 * does not go with the last activation, a dropout out of range; NN_ERR_MEMORY. */
nn_status nn_net_new(nn_net **out, const nn_config *config, uint64_t seed);

/* Makes a network equal to net in shape and parameters. NN_ERR_MEMORY. */
nn_status nn_net_clone(nn_net **out, const nn_net *net);

/* Copies the parameters of a network of the same shape. */
void nn_net_copy_params(nn_net *to, const nn_net *from);

void nn_net_free(nn_net *net);

/* Returns the network's shape; valid as long as the network. */
const nn_config *nn_net_config(const nn_net *net);

/* Returns the number of units in the last layer. */
size_t nn_net_outputs(const nn_net *net);

/* Returns the number of weights and biases: sum over layers of (inputs + 1) * units. */
size_t nn_net_n_params(const nn_net *net);

/* Point at W(l)[j][i], at b(l)[j], and at the k-th parameter in the order of a model file:
 * W(0) row by row, b(0), W(1), b(1), ...; indices are the caller's to keep in range. */
nn_real *nn_net_weight(nn_net *net, size_t l, size_t j, size_t i);
nn_real *nn_net_bias(nn_net *net, size_t l, size_t j);
nn_real *nn_net_param(nn_net *net, size_t k);

/* Reports whether every parameter is finite. */
bool nn_net_is_finite(const nn_net *net);

/* Returns the name of the kernels that the network computes with: "ref", "avx2", "avx512" or
 * "neon". The best that the processor has are taken, or those that the environment variable
 * NN_KERNEL names; the results are the same bit for bit. */
const char *nn_net_kernel(const nn_net *net);

/* ---- forward and backward ----------------------------------------------------------------- */

/* Some samples of a data set: data's samples index[0..n-1], or its first n if index is NULL. */
typedef struct {
    const nn_data *data;
    const uint32_t *index;
    size_t n;
} nn_batch;

/* The work space for one network shape and up to max_batch samples at a time: activations,
 * slopes, deltas, dropout masks and, where gradients are asked for, one gradient a parameter. */
typedef struct nn_state nn_state;

/* Makes a work space. NN_ERR_ARGUMENT: max_batch is 0; NN_ERR_MEMORY. */
nn_status nn_state_new(nn_state **out, const nn_net *net, size_t max_batch, bool gradients);
void nn_state_free(nn_state *state);

/* When dropout draws the units that it leaves out. */
typedef enum {
    NN_MASK_SAMPLE, /* anew for each sample (Srivastava et al. 2014) */
    NN_MASK_EPOCH   /* once for all samples until the next nn_draw_masks */
} nn_mask;

/* Feeds a batch forward as in use: no dropout. The outputs are then in nn_output. */
void nn_forward(const nn_net *net, nn_state *state, const nn_batch *batch);

/* Feeds a batch forward as in training: inverted dropout, a unit left out gives 0 and one kept
 * gives z / (1 - p). The masks are drawn from rng, for each sample or as nn_draw_masks left them
 * (NN_MASK_EPOCH); rng NULL keeps the masks of the call before, which must have had as many
 * samples. Leaves behind what nn_backward needs. */
void nn_forward_train(const nn_net *net, nn_state *state, const nn_batch *batch, nn_mask mask,
                      nn_rng *rng);

/* Draws one mask for all samples, for NN_MASK_EPOCH. */
void nn_draw_masks(const nn_net *net, nn_state *state, nn_rng *rng);

/* Returns the outputs of sample b of the last batch, [outputs]. */
const nn_real *nn_output(const nn_state *state, size_t b);

/* Returns the outputs of unit layer l for sample b of the last batch, [units]. */
const nn_real *nn_hidden(const nn_state *state, size_t l, size_t b);

/* Returns the mean loss of the last batch, and if correct is not NULL the number of samples whose
 * largest output (the first of equals) is that of the largest target; with a single output, whose
 * output is on the target's side of 0.5. */
double nn_batch_loss(const nn_net *net, nn_state *state, const nn_batch *batch, size_t *correct);

/* Back-propagates the last nn_forward_train (Rumelhart, Hinton and Williams 1986):
 *   delta(L)   = dC/da(L), divided by n; z - y for the two cross-entropies
 *   delta(l-1) = h'(a(l-1)) * (W(l)^T delta(l))
 *   dC/dW(l)[j][i] = sum over b of delta(l)[b][j] z(l-1)[b][i];  dC/db(l)[j] likewise with 1
 * and leaves the gradients of the mean loss in the state. */
void nn_backward(const nn_net *net, nn_state *state, const nn_batch *batch);

/* Return the gradient that belongs to nn_net_weight, nn_net_bias, nn_net_param. */
nn_real nn_weight_gradient(const nn_net *net, const nn_state *state, size_t l, size_t j, size_t i);
nn_real nn_bias_gradient(const nn_net *net, const nn_state *state, size_t l, size_t j);
nn_real nn_param_gradient(const nn_net *net, const nn_state *state, size_t k);

/* Compares back-propagation with the central difference [C(w+h) - C(w-h)] / 2h on every
 * parameter, for the batch of the last nn_forward_train and its dropout masks. Returns the largest
 * of |g - d| / max(1, |g| + |d|), or HUGE_VAL if one of them is not a number. Parameters are as
 * before afterwards; the state is not. */
double nn_gradient_error(nn_net *net, nn_state *state, const nn_batch *batch, double h);

/* ---- gradient descent --------------------------------------------------------------------- */

typedef struct {
    double learning_rate; /* mu > 0 */
    double momentum;      /* m, 0 <= m < 1 */
    double l2;            /* weight decay: + l2 w on the gradient of weights, not of biases */
} nn_sgd_options;

/* One velocity a parameter. */
typedef struct nn_sgd nn_sgd;

nn_status nn_sgd_new(nn_sgd **out, const nn_net *net);
void nn_sgd_free(nn_sgd *sgd);

/* A velocity, a delta or an output of the sigmoid whose magnitude falls below this becomes 0.
 * Velocities of pixels that are seldom inked decay geometrically, and so do the deltas of a network
 * that knows its training data by heart; without a floor they become subnormal numbers, which
 * processors handle a hundred times slower, and which some are set to take for 0. At 2^-60 nothing
 * that a float weight could notice is lost. */
#define NN_FLOOR 0x1p-60

/* Moves the parameters one step:  v <- m v - mu g;  w <- w + v  (Polyak 1964). */
void nn_sgd_step(nn_sgd *sgd, nn_net *net, const nn_state *state, const nn_sgd_options *options);

/* ---- training ----------------------------------------------------------------------------- */

/* What an epoch came to. */
typedef struct {
    size_t epoch;               /* from 1 */
    size_t epochs;              /* asked for */
    double loss;                /* mean over the epoch's samples, each as its batch saw it */
    double accuracy;            /* likewise, 0..1, with dropout at work */
    bool has_validation;        /* the next two are set */
    double validation_loss;     /* after the epoch, without dropout */
    double validation_accuracy; /* 0..1 */
    double learning_rate;       /* in this epoch */
    size_t images;              /* trained on in this epoch */
    bool best;                  /* the lowest validation loss so far */
} nn_epoch;

typedef struct {
    size_t epochs;        /* >= 1 */
    size_t batch;         /* samples a step; the last, short batch of an epoch is used as well */
    double learning_rate; /* mu, in the first epoch */
    double momentum;      /* m */
    double decay;         /* mu(k+1) = mu(k) / (1 + decay), k counting epochs */
    double l2;
    nn_mask mask;
    uint64_t seed;   /* of shuffling and dropout */
    size_t patience; /* stop after so many epochs without a lower validation loss and take the
                        best; 0: go on to the end and take the last */
    size_t threads;  /* at work on layers of more than 64 units; 0: one for each processor. The
                        result is the same, bit for bit, with any number */
    void *context;   /* handed to the callbacks */
    /* Called after each epoch and each batch, if not NULL; returning false stops training. */
    bool (*on_epoch)(void *context, const nn_epoch *epoch);
    bool (*on_batch)(void *context, size_t epoch, size_t images_done, double mean_loss);
} nn_train_options;

typedef struct {
    size_t epochs;      /* completed */
    size_t best_epoch;  /* whose parameters the network holds now, or after NN_ERR_STOPPED the last
                           completed one, which it has left since; 0: none completed */
    bool stopped_early; /* patience ran out */
} nn_train_result;

/* Trains by mini-batch stochastic gradient descent: each epoch shuffles the samples, takes the
 * next `batch` of them, averages their gradients and moves the parameters.
 * validation may be NULL unless patience is set; result may be NULL. Where that is faster and most
 * pixels are 0, the training pixels are kept a second time, packed: the inked ones and a bit for
 * each; if there is no memory for that, it goes without.
 * NN_ERR_ARGUMENT: options out of range, or data of another shape than the network's;
 * NN_ERR_MEMORY: the network is untouched in both. NN_ERR_STOPPED: a callback stopped it; the
 * network holds the parameters of that moment. NN_ERR_DIVERGED: a batch's loss was not finite, or
 * an epoch's mean loss exceeded NN_DIVERGED_FACTOR times (1 + the loss of the first batch); the
 * network holds the parameters after the last good epoch (with patience: the best one's), *result
 * says which. */
nn_status nn_train(nn_net *net, const nn_data *train, const nn_data *validation,
                   const nn_train_options *options, nn_train_result *result);

#define NN_DIVERGED_FACTOR 10.0

/* A training under way: what nn_train makes, runs and frees, for those who stop it and go on. */
typedef struct nn_trainer nn_trainer;

/* Makes a training at its start; nothing is learned yet. Options are copied; network and data must
 * outlive it, and nobody else may change them. NN_ERR_ARGUMENT, NN_ERR_MEMORY: as nn_train. */
nn_status nn_trainer_new(nn_trainer **out, nn_net *net, const nn_data *train,
                         const nn_data *validation, const nn_train_options *options);
void nn_trainer_free(nn_trainer *trainer);

/* Trains, from where it stands, to the end; result may be NULL. Returns what nn_train does, and
 * NN_ERR_ARGUMENT if it has diverged before. After NN_ERR_STOPPED it can be called again: what
 * comes out is bit for bit the same as without the stop. */
nn_status nn_trainer_run(nn_trainer *trainer, nn_train_result *result);

/* Where a training stands. */
typedef struct {
    size_t epochs; /* completed */
    size_t images; /* of the next one, trained on already */
} nn_position;

nn_position nn_trainer_position(const nn_trainer *trainer);

/* ---- checkpoints -------------------------------------------------------------------------- */

/* Writes down where a training stands, all that decides how it goes on: parameters, velocities,
 * generator, order of the samples and place in it, sums of the epoch, learning rate, best
 * parameters so far; as safetensors. May be called between batches, which is in a callback or
 * while nn_trainer_run is not at work. NN_ERR_DIVERGED: the training has diverged; NN_ERR_IO,
 * NN_ERR_MEMORY. The target is then as it was. */
nn_status nn_checkpoint_save(nn_trainer *trainer, const char *path);

/* Puts a training where the checkpoint says. It must be the same training: network, data, and all
 * options but the number of epochs, that of threads, and the callbacks. The file is checked as
 * strictly as a model. NN_ERR_ARGUMENT: it is of a training with other options, or more epochs are
 * done than are asked for; NN_ERR_DATA: of one on other data; the text names what differs.
 * NN_ERR_MODEL: it is no sound checkpoint; NN_ERR_IO, NN_ERR_MEMORY. The training then stands where
 * it stood. */
nn_status nn_checkpoint_load(nn_trainer *trainer, const char *path);

/* ---- evaluation --------------------------------------------------------------------------- */

typedef struct {
    size_t total, correct;
    double accuracy; /* correct / total */
    double ci95[2];  /* its 95 % interval (Wilson 1927) */
    double loss;     /* mean over the samples */
    size_t classes;
    size_t *confusion;  /* [classes][classes]: rows are the true class, columns the prediction */
    uint8_t *predicted; /* [total] */
    float *outputs;     /* [total][classes], probabilities for a softmax network */
} nn_report;

/* Runs the network over a labelled data set. NN_ERR_ARGUMENT: no labels, or another shape than
 * the network's; NN_ERR_MEMORY. */
nn_status nn_evaluate(nn_report *out, const nn_net *net, const nn_data *data);
void nn_report_release(nn_report *report);

/* Precision, recall and F1 of class k; 0 where nothing was predicted or nothing was there. */
double nn_report_precision(const nn_report *report, size_t k);
double nn_report_recall(const nn_report *report, size_t k);
double nn_report_f1(const nn_report *report, size_t k);

/* Computes the network's outputs for every sample, outputs[n][nn_net_outputs], in blocks.
 * NN_ERR_ARGUMENT: data of another shape than the network's; NN_ERR_MEMORY. */
nn_status nn_predict(float *outputs, const nn_net *net, const nn_data *data);

/* Returns the index of the largest of values[n], the first of equals. */
size_t nn_argmax(const float *values, size_t n);

/* ---- model files -------------------------------------------------------------------------- */

/* Facts about a model that travel with it, in order: key and value are UTF-8 strings. */
typedef struct {
    size_t n;
    struct nn_meta_item {
        char *key, *value;
    } * items;
} nn_meta;

/* Adds or replaces an entry; both strings are copied. NN_ERR_MEMORY: meta is as it was. */
nn_status nn_meta_set(nn_meta *meta, const char *key, const char *value);

/* Returns the value of key, or NULL. */
const char *nn_meta_get(const nn_meta *meta, const char *key);
void nn_meta_release(nn_meta *meta);

/* Writes a model as safetensors: an 8-byte little-endian header length, a JSON header, the
 * tensors. Tensors are F32, row-major: fc1.weight [units][inputs], fc1.bias [units], fc2.weight,
 * ... as PyTorch's nn.Linear keeps them. The header's __metadata__ (strings) holds what rebuilds
 * the network (format, architecture, loss, initialiser), the CRC-32 of the tensor bytes, and
 * meta's entries (meta may be NULL). NN_ERR_IO, NN_ERR_MEMORY; the target is then as it was.
 * NN_ERR_MODEL: a parameter is not finite, or an entry is not UTF-8. */
nn_status nn_model_save(const nn_net *net, const nn_meta *meta, const char *path);

/* Reads such a file. Everything is checked before a network is made: header length (at most
 * 1 MiB and the file's size), JSON in UTF-8 without U+0000, keys (none twice), tensor names,
 * types, shapes, offsets (contiguous, covering the file), the CRC, and that every number is
 * finite. meta may be NULL. NN_ERR_MODEL: any of these fails; NN_ERR_IO, NN_ERR_MEMORY. */
nn_status nn_model_load(nn_net **out, nn_meta *meta, const char *path);

/* ---- the perceptron ----------------------------------------------------------------------- */

/* A single unit with a step for its activation: the first machine that learned (Rosenblatt 1958).
 * A step has slope 0 wherever it has one, so back-propagation learns nothing through it; it is
 * therefore no nn_activation, and a perceptron has a rule of its own. */

/* Returns 1 for a >= 0, else 0. */
int nn_step_value(double a);

typedef struct {
    size_t inputs;
    double *weights; /* [inputs] */
    double bias;
} nn_perceptron;

/* Makes a perceptron with all weights and the bias 0. NN_ERR_ARGUMENT: no or too many inputs;
 * NN_ERR_MEMORY. */
nn_status nn_perceptron_new(nn_perceptron **out, size_t inputs);
void nn_perceptron_free(nn_perceptron *p);

/* Return a = w x + b for sample k of data, which has as many inputs as p, and the step of a. */
double nn_perceptron_sum(const nn_perceptron *p, const nn_data *data, size_t k);
int nn_perceptron_output(const nn_perceptron *p, const nn_data *data, size_t k);

/* Shows each sample of data once, in order; labels are 0 and 1. Weights change only where the
 * output z is not the label y:  w <- w + mu (y - z) x;  b <- b + mu (y - z)  with mu = rate.
 * Returns the number of mistakes; 0 means that the classes are separated. */
size_t nn_perceptron_pass(nn_perceptron *p, const nn_data *data, double rate);

/* Returns how many mistakes a perceptron that starts from 0 can make on data at most, however
 * often they are shown: R^2 |u|^2 / margin^2, with u the weights and bias of a separator, R the
 * greatest length of an input (1, x) and the margin the least distance of u (1, x) from 0
 * (Novikoff 1962). Any separator gives a bound, that of the widest margin the best one; infinity
 * if this one does not separate. */
double nn_perceptron_bound(const nn_perceptron *separator, const nn_data *data);

/* ---- computational graphs ----------------------------------------------------------------- */

/* A graph of numbers in double precision, differentiated by the chain rule from the result back
 * to its leaves (reverse mode; Linnainmaa 1970). Slow and plain: it shows what back-propagation
 * does, and proves by another way that it does it right. */
typedef struct nn_graph nn_graph;

/* A node's number, from 0 in the order in which they were made. */
typedef size_t nn_node;

typedef enum {
    NN_OP_LEAF,       /* a number given by the caller */
    NN_OP_ADD,        /* a + b */
    NN_OP_MULTIPLY,   /* a b */
    NN_OP_NEGATE,     /* -a */
    NN_OP_INCREMENT,  /* a + 1 */
    NN_OP_INVERSE,    /* 1 / a */
    NN_OP_EXP,        /* exp a */
    NN_OP_LOG,        /* ln a */
    NN_OP_SIGMOID,    /* 1 / (1 + exp -a), as one node */
    NN_OP_TANH,       /* tanh a */
    NN_OP_RELU,       /* max(0, a) */
    NN_OP_LEAKY_RELU, /* a for a > 0, else 0.01 a */
    NN_N_OPS
} nn_op;

/* Returns the operation as people write it ("1 / a"), or NULL past the last. */
const char *nn_op_name(nn_op op);

/* Makes an empty graph. NN_ERR_MEMORY. */
nn_status nn_graph_new(nn_graph **out);
void nn_graph_free(nn_graph *graph);

/* Append a node with its value. When memory runs out they return 0 and nn_graph_status tells;
 * operands that exist are the caller's duty. */
nn_node nn_graph_leaf(nn_graph *graph, double value);
nn_node nn_graph_unary(nn_graph *graph, nn_op op, nn_node a);
nn_node nn_graph_binary(nn_graph *graph, nn_op op, nn_node a, nn_node b);

/* Returns NN_ERR_MEMORY if a node could not be made, else NN_OK; to be asked once, at the end. */
nn_status nn_graph_status(const nn_graph *graph);

/* Change a leaf's value; compute the values of all nodes anew. */
void nn_graph_set(nn_graph *graph, nn_node leaf, double value);
void nn_graph_forward(nn_graph *graph);

/* Computes the gradient d root / d node of every node: each hands its own gradient, times the
 * local slope, to its operands; where a node feeds several, what comes back adds up. */
void nn_graph_backward(nn_graph *graph, nn_node root);

/* Return what is known of a node; its slope k is that towards its operand k (0 or 1). */
size_t nn_graph_n_nodes(const nn_graph *graph);
nn_op nn_graph_op(const nn_graph *graph, nn_node z);
double nn_graph_value(const nn_graph *graph, nn_node z);
double nn_graph_gradient(const nn_graph *graph, nn_node z);
double nn_graph_slope(const nn_graph *graph, nn_node z, size_t k);

#ifdef __cplusplus
}
#endif

#endif
