/*
 * The floating-point environment that results depend on: rounding to nearest, subnormal numbers
 * kept, no traps. A thread may have another one when it calls the library (a flush-to-zero mode
 * set by an audio library, a rounding mode set by an interval package); "the same bytes" would then
 * be others. So what computes sets the default one on entry, and puts back what it found:
 *
 *     const nn_fpenv before = nn_fpenv_set();
 *     ...
 *     nn_fpenv_restore(&before);
 *
 * Compilers know nothing of this and may move arithmetic on registers across it. What lies between
 * the two therefore takes its numbers from memory or from a function marked NN_NOINLINE.
 */
#ifndef NN_FPENV_H
#define NN_FPENV_H

#include <fenv.h>
#include <stdbool.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define NN_NOINLINE __attribute__((noinline))

typedef struct {
    bool changed;
    fenv_t found; /* if changed */
} nn_fpenv;

/* Reports whether the default environment is known to be set: asking costs a few cycles, setting a
 * hundred. */
static inline bool nn_fpenv_is_default(void)
{
#if defined(__x86_64__)
    const unsigned sticky = 0x3f; /* the exceptions that have come up: not a setting */
    return (_mm_getcsr() & ~sticky) == 0x1f80;
#else
    return false;
#endif
}

static inline nn_fpenv nn_fpenv_set(void)
{
    nn_fpenv before = {.changed = false};
    if (!nn_fpenv_is_default() && fegetenv(&before.found) == 0) {
        before.changed = fesetenv(FE_DFL_ENV) == 0;
    }
    return before;
}

static inline void nn_fpenv_restore(const nn_fpenv *before)
{
    if (before->changed) {
        (void)fesetenv(&before->found);
    }
}

#endif
