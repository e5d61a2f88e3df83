#include "utf8.h"

#include <stdint.h>

/* The first bytes of characters, what must follow them, and the least character of each length:
 * the same one in more bytes would get past whoever looks for its bytes. */
static const struct {
    size_t more; /* bytes to follow */
    uint32_t least;
    uint8_t mask, start;
} forms[] = {
    {0, 0, 0x80, 0x00},
    {1, 0x80, 0xe0, 0xc0},
    {2, 0x800, 0xf0, 0xe0},
    {3, 0x10000, 0xf8, 0xf0},
};

/* Returns the length of the character that text[n] begins with, n not being 0; 0 if it is none. */
static size_t character_length(const char *text, size_t n)
{
    const uint8_t first = (uint8_t)*text;
    for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
        if ((first & forms[k].mask) != forms[k].start || forms[k].more >= n) {
            continue;
        }
        uint32_t character = (uint32_t)(first & ~forms[k].mask);
        for (size_t at = 1; at <= forms[k].more; at++) {
            const uint8_t next = (uint8_t)text[at];
            if ((next & 0xc0) != 0x80) {
                return 0;
            }
            character = character << 6 | (next & 0x3f);
        }
        const bool surrogate = character >= 0xd800 && character <= 0xdfff;
        const bool good = character >= forms[k].least && character <= 0x10ffff && !surrogate;
        return good ? 1 + forms[k].more : 0;
    }
    return 0;
}

bool nn_is_utf8(const char *text, size_t n)
{
    while (n > 0) {
        const size_t length = character_length(text, n);
        if (length == 0) {
            return false;
        }
        text += length;
        n -= length;
    }
    return true;
}
