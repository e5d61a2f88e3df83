/* Pictures to start from, and mutants of them, for fuzz_picture.c; as fuzz_seeds and fuzz_mutate.
 */
#ifndef INPUTS_H
#define INPUTS_H

#include "fuzz.h"

void png_seeds(fuzz_seed *seed);
size_t png_mutate(uint8_t *data, size_t n, size_t max, uint32_t random);

void jpeg_seeds(fuzz_seed *seed);
size_t jpeg_mutate(uint8_t *data, size_t n, size_t max, uint32_t random);

#endif
