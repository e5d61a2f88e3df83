#ifndef CHECK_PREPARED_H
#define CHECK_PREPARED_H

#include "fuzz.h"
#include "picture/image.h"

/* Prepares the digits of a picture, and checks that each is sound, in the picture, and the same
 * when it is done again or in colour; and that memory is in proportion to the picture. */
void check_prepared(const image *picture);

#endif
