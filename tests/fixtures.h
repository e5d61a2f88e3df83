/*
 * What the tests of files share: a folder for each test, bytes to put into it, and a world that
 * fails on demand.
 *
 * fixtures.c holds its own copies of memory.c, clocale.c and file.c, in which every call to the
 * system can be made to fail. A test program that links fixtures.c uses these and not the
 * library's: put its object before a static nnlib.
 *
 * Everything that these functions return is given back by fixtures_end.
 */
#ifndef FIXTURES_H
#define FIXTURES_H

#include "nnlib.h"

/* ---- files -------------------------------------------------------------------------------- */

typedef struct {
    unsigned char *data;
    size_t n;
} blob;

/* The bytes of a string literal, which may hold zeros. */
#define BYTES(literal) fixture_bytes(literal, sizeof(literal) - 1)

/* For TestSuite(name, .init = fixtures_begin, .fini = fixtures_end): makes an empty folder under
 * $TMPDIR or /tmp, and removes it with all that is in it. */
void fixtures_begin(void);
void fixtures_end(void);

/* Returns the path of name in the test's folder; "" gives the folder itself. */
const char *fixture_path(const char *name);

/* Returns printf's text. */
const char *fixture_text(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Returns the number of entries in the test's folder, hidden ones as well. */
size_t fixture_count(void);

/* Copy n bytes; join two strings of bytes; cut n bytes off the end; repeat one byte n times. */
blob fixture_bytes(const void *data, size_t n);
blob fixture_join(blob a, blob b);
blob fixture_cut(blob a, size_t n);
blob fixture_repeat(unsigned char byte, size_t n);

/* Write and read a file in the test's folder; writing returns its path. */
const char *fixture_write(const char *name, blob content);
blob fixture_read(const char *name);

/* Compress as gzip does, and back (all members). */
blob fixture_gzip(blob plain);
blob fixture_gunzip(blob packed);

/* An IDX file: the header for n_dims dimensions, then the elements as they are. */
blob fixture_idx(unsigned char type, size_t n_dims, const uint32_t *dims, blob elements);

/* u8 images, pixel k of them all being 7 k mod 256, and labels, the k-th being k mod classes. */
blob fixture_images(uint32_t n, uint32_t rows, uint32_t columns);
blob fixture_labels(uint32_t n, uint32_t classes);

/* ---- locales ------------------------------------------------------------------------------ */

/* Makes a locale from its source ("ps_AF") and sets it for the program, or skips the test where
 * that cannot be done. */
void fixture_locale(const char *source);

/* ---- a failing world ---------------------------------------------------------------------- */

/* The calls that can be made to fail; fault_trace writes each as the letter beside it. */
typedef enum {
    FAULT_ALLOC,  /* -: posix_memalign */
    FAULT_JSON,   /* -: cJSON's malloc, once a fault has been asked of it */
    FAULT_LOCALE, /* -: newlocale */
    FAULT_OPEN,   /* o: openat */
    FAULT_STAT,   /* i: fstat, fstatat */
    FAULT_ACCESS, /* x: faccessat */
    FAULT_LINK,   /* l: readlinkat */
    FAULT_READ,   /* r */
    FAULT_WRITE,  /* w */
    FAULT_FSYNC,  /* s */
    FAULT_CLOSE,  /* c: closes all the same */
    FAULT_RENAME, /* n: renameat */
    FAULT_UNLINK, /* u: unlinkat */
    N_FAULTS
} fault;

/* Makes the n-th call from now on (from 1) fail with an errno, and if `on` all that follow. With
 * error 0 a write claims to have written nothing. */
void fault_at(fault which, unsigned long n, int error, bool on);

/* Calls act just before the n-th call from now on, as if another program came in between. */
void fault_before(fault which, unsigned long n, void (*act)(void));

/* Lets each read and write move at most n bytes; 0: as many as asked for. */
void fault_short(size_t n);

/* Ends all faults and empties the trace. */
void fault_clear(void);

/* Returns how often it was called since fault_clear. */
unsigned long fault_calls(fault which);

/* Returns the number of blocks taken from nn_alloc, or by cJSON, and not given back. fixtures_end
 * stops the program with a failure if there are any. */
size_t fault_blocks(void);

/* Returns the calls to the system since fault_clear, one letter each; allocations and locales
 * are left out, and no more than the first 255 are kept. */
const char *fault_trace(void);

#endif
