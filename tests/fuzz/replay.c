/*
 * usage: fuzz_<what>_replay [--mutants N] [--write FOLDER] [FILE...]
 *
 * Feeds a fuzz target, without libFuzzer: its seeds, N mutants of them (the same in each run), and
 * the named files. Those whose names end in .hex are text: pairs of hexadecimal digits, blanks
 * between them as you like, and comments from # to the end of the line; so that an input that once
 * broke something can be kept with a word on what it was. Other files are taken as they are.
 *
 *   --mutants N      how many; 2000 without it
 *   --write FOLDER   instead of all that, write the seeds into it, for libFuzzer to start from
 */
#define _XOPEN_SOURCE 700
#include "fuzz.h"

#include <ctype.h>
#include <string.h>

enum {
    MAX_SEEDS = 256,
    MAX_INPUT = 4096 /* bytes of a mutant; seeds may be larger */
};

typedef struct {
    uint8_t *data;
    size_t n;
} input;

static input seeds[MAX_SEEDS];
static size_t n_seeds;
static nn_rng random_numbers;

static void add_seed(const void *data, size_t n)
{
    require(n_seeds < MAX_SEEDS);
    input *seed = &seeds[n_seeds++];
    seed->n = n;
    seed->data = malloc(n + 1);
    require(seed->data);
    memcpy(seed->data, data, n);
}

static void free_seeds(void)
{
    for (size_t k = 0; k < n_seeds; k++) {
        free(seeds[k].data);
    }
}

/* A copy of just the right size, so that a sanitizer sees each byte read behind its end. */
static void feed(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    require(copy);
    memcpy(copy, data, n);
    fuzz_one(copy, n);
    free(copy);
}

/* ---- mutants ------------------------------------------------------------------------------ */

static size_t below(size_t n)
{
    return (size_t)nn_rng_below(&random_numbers, n);
}

static size_t change_byte(uint8_t *data, size_t n)
{
    static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xff, '0', '9', '"', ',', '{'};
    uint8_t *byte = &data[below(n)];
    switch (below(3)) {
    case 0:
        *byte ^= (uint8_t)(1U << below(8));
        break;
    case 1:
        *byte = extremes[below(sizeof extremes)];
        break;
    default:
        *byte = (uint8_t)below(256);
    }
    return n;
}

/* Removes a piece, or repeats it behind itself. */
static size_t change_length(uint8_t *data, size_t n, size_t max)
{
    const size_t at = below(n), piece = 1 + below(n - at < 16 ? n - at : 16);
    if (below(2) == 0 && piece < n) {
        memmove(data + at, data + at + piece, n - at - piece);
        return n - piece;
    }
    if (n + piece > max) {
        return n;
    }
    memmove(data + at + piece, data + at, n - at);
    return n + piece;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max)
{
    if (n == 0) {
        data[0] = (uint8_t)below(256);
        return max > 0;
    }
    for (size_t k = 1 + below(3); k > 0; k--) {
        n = below(4) == 0 ? change_length(data, n, max) : change_byte(data, n);
    }
    return n;
}

/* Each mutant is a seed changed one to four times. */
static void feed_mutants(unsigned long count)
{
    uint8_t data[MAX_INPUT];
    for (unsigned long k = 0; k < count && n_seeds > 0; k++) {
        const input *seed = &seeds[k % n_seeds];
        size_t n = seed->n < sizeof data ? seed->n : sizeof data;
        memcpy(data, seed->data, n);
        for (size_t change = 1 + below(4); change > 0; change--) {
            n = fuzz_mutate(data, n, sizeof data, (uint32_t)nn_rng_next(&random_numbers));
        }
        feed(data, n);
    }
}

/* ---- files -------------------------------------------------------------------------------- */

static unsigned digit_value(const char *path, int digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit != 0 ? strchr(digits, tolower(digit)) : NULL;
    if (!at) {
        fprintf(stderr, "'%s' is not hexadecimal text\n", path);
        exit(2);
    }
    return (unsigned)(at - digits);
}

/* Turns text into the bytes that it stands for, in place, and returns how many. */
static size_t parse_hex(const char *path, uint8_t *text, size_t n)
{
    size_t digits = 0;
    bool comment = false;
    for (size_t k = 0; k < n; k++) {
        comment = (comment || text[k] == '#') && text[k] != '\n';
        if (comment || isspace(text[k])) {
            continue;
        }
        const unsigned value = digit_value(path, text[k]);
        uint8_t *byte = &text[digits / 2];
        *byte = (uint8_t)(digits % 2 == 0 ? value << 4 : *byte | value);
        digits++;
    }
    return digits / 2;
}

static bool ends_in(const char *path, const char *end)
{
    const size_t n = strlen(path), length = strlen(end);
    return n >= length && strcmp(path + n - length, end) == 0;
}

static uint8_t *read_file(const char *path, size_t *n)
{
    size_t room = 1 << 16;
    uint8_t *data = malloc(room);
    FILE *file = fopen(path, "rb");
    if (!file || !data) {
        perror(path);
        exit(2);
    }
    while ((*n += fread(data + *n, 1, room - *n, file)) == room) {
        data = realloc(data, room *= 2);
        require(data);
    }
    fclose(file);
    return data;
}

static void feed_file(const char *path)
{
    size_t n = 0;
    uint8_t *data = read_file(path, &n);
    if (ends_in(path, ".hex")) {
        n = parse_hex(path, data, n);
    }
    feed(data, n);
    free(data);
}

static void write_seeds(const char *folder)
{
    for (size_t k = 0; k < n_seeds; k++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/seed-%03zu", folder, k);
        FILE *file = fopen(name, "wb");
        if (!file || fwrite(seeds[k].data, 1, seeds[k].n, file) != seeds[k].n || fclose(file)) {
            perror(name);
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    unsigned long mutants = 2000;
    const char *folder = NULL;
    int k = 1;
    for (; k + 1 < argc && argv[k][0] == '-'; k += 2) {
        if (strcmp(argv[k], "--mutants") == 0) {
            mutants = strtoul(argv[k + 1], NULL, 10);
        } else if (strcmp(argv[k], "--write") == 0) {
            folder = argv[k + 1];
        } else {
            fprintf(stderr, "unknown option '%s'\n", argv[k]);
            return 2;
        }
    }
    fuzz_seeds(add_seed);
    if (folder) {
        write_seeds(folder);
        free_seeds();
        return 0;
    }
    nn_rng_seed(&random_numbers, 1);
    for (size_t seed = 0; seed < n_seeds; seed++) {
        feed(seeds[seed].data, seeds[seed].n);
    }
    feed_mutants(mutants);
    const int files = argc - k;
    for (; k < argc; k++) {
        feed_file(argv[k]);
    }
    printf("%zu seeds, %lu mutants, %d files: every promise held\n", n_seeds, mutants, files);
    free_seeds();
    return 0;
}
