/*
 * NN_WRAPS marks the few functions whose unsigned numbers are meant modulo 2^n: those that mix
 * random bits or take numbers apart. Everywhere else UndefinedBehaviorSanitizer stops the tests at
 * a sum, difference, product or shift that does not fit (clang's -fsanitize=integer), though C
 * defines it: of sizes and offsets it would be a mistake.
 */
#ifndef NN_WRAPS_H
#define NN_WRAPS_H

#if defined(__clang__)
#define NN_WRAPS __attribute__((no_sanitize("unsigned-integer-overflow", "unsigned-shift-base")))
#else
#define NN_WRAPS
#endif

#endif
