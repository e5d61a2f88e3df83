/*
 * What the fuzz targets share. A target, fuzz_<what>.c, defines the three functions below; it is
 * built twice:
 *
 *   fuzz_<what>          with libFuzzer, which looks for new inputs (preset fuzz, scripts/fuzz.sh)
 *   fuzz_<what>_replay   with replay.c, for every compiler and sanitizer: each run of the tests
 *                        feeds it the seeds, a fixed number of mutants of them, and what was found
 *                        in former runs (finds/<what>/, see replay.c)
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "nnlib.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- what a target defines ---------------------------------------------------------------- */

/* Hands an input to the code under test, and stops the program (require) if a promise is broken. */
void fuzz_one(const uint8_t *data, size_t n);

/* Calls seed for each input to start from; they are made in code, not stored. */
typedef void fuzz_seed(const void *data, size_t n);
void fuzz_seeds(fuzz_seed *seed);

/* Changes data[n], which has room for max bytes, and returns the new length. random is new at each
 * call. Where a format has checksums, most mutants should have right ones. */
size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random);

/* ---- what it is given --------------------------------------------------------------------- */

/* Changes data[n] without knowing what it is: libFuzzer's mutations, which draw on its dictionary,
 * or those of replay.c. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

/* Changes a safetensors file, so that most mutants have a right CRC-32; as fuzz_mutate. */
size_t fuzz_mutate_safetensors(uint8_t *data, size_t n, size_t max, uint32_t random);

/* Stops with a message unless the condition, a promise, holds. */
#define require(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))

_Noreturn void fuzz_broken(const char *promise, const char *file, int line);

/* Returns the path of a file in the target's own folder; good until the fourth call after it. */
const char *fuzz_path(const char *name);

/* Writes a file there and returns its path; the contents of the same name before are gone. */
const char *fuzz_write(const char *name, const void *data, size_t n);

/* Reads a file there: *n bytes, for free. */
uint8_t *fuzz_read(const char *name, size_t *n);

/* What the code under test prints on stderr goes nowhere from now on. */
void fuzz_silence(void);

/* Start to count memory, wherever it comes from; and return the most that was held at a time since
 * then. Only sanitizers count: without one it is 0. */
void fuzz_memory_begin(void);
size_t fuzz_memory_peak(void);

/* Tells MemorySanitizer that data[n] has been written, by a library that it does not know. */
void fuzz_written(const void *data, size_t n);

/* Whether MemorySanitizer is there, to which all else that such libraries write is unwritten. */
bool fuzz_must_see_writing(void);

/* Big-endian numbers at any address. */
void fuzz_put_u32(uint8_t *to, uint32_t value);
uint32_t fuzz_get_u32(const uint8_t *from);

/* Whether data[n] is an IDX file of one to four dimensions, by its description and not by the code
 * under test. */
bool fuzz_is_idx(const uint8_t *data, size_t n);

/* Checks that what was loaded holds together. */
void fuzz_check_idx(const nn_idx *idx);

#endif
