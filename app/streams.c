#define _GNU_SOURCE 1 /* fopencookie */
#include "streams.h"

#include <errno.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 1 << 16
};

/* Where a stream goes. */
typedef struct {
    int file;
    bool gives_up; /* after a failure nothing more is written: it would follow upon a gap */
    int error;     /* of the first failure */
} outlet;

#if defined(__GLIBC__)
#define OWN_STREAMS 1
#else
#define OWN_STREAMS 0
#endif

/* MemorySanitizer takes what the C library hands over for unset. */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#undef OWN_STREAMS
#define OWN_STREAMS 0
#endif
#endif

static outlet output = {.file = STDOUT_FILENO, .gives_up = true};

#if OWN_STREAMS

/* Returns n, or 0 with the reason in errno. */
static ssize_t pour(void *to, const char *bytes, size_t n)
{
    outlet *o = to;
    int error = o->gives_up ? o->error : 0;
    for (size_t done = 0; done < n && error == 0;) {
        const ssize_t k = write(o->file, bytes + done, n - done);
        if (k > 0) {
            done += (size_t)k;
        } else if (k == 0) {
            error = EIO; /* no error and no progress: not for ever */
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    if (error == 0) {
        return (ssize_t)n;
    }
    o->error = error;
    errno = error;
    return 0;
}

/* The C library lets a program set stdout and stderr. Where there is no memory for that, they stay
 * as they are. */
static void replace_streams(void)
{
    static outlet messages = {.file = STDERR_FILENO};
    const cookie_io_functions_t functions = {.write = pour};
    FILE *out = fopencookie(&output, "w", functions);
    FILE *err = fopencookie(&messages, "w", functions);
    stdout = out ? out : stdout;
    stderr = err ? err : stderr;
    (void)setvbuf(stderr, NULL, _IONBF, 0);
}

#else

static void replace_streams(void)
{
}

#endif

void streams_open(void)
{
    static char buffer[BUFFER_SIZE];
    replace_streams();
    /* Long enough for most output to fail at the end, where the reason is known in any case. */
    (void)setvbuf(stdout, buffer, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, sizeof buffer);
}

bool streams_close(int *error)
{
    errno = 0;
    const bool arrived = fflush(stdout) == 0 && !ferror(stdout);
    *error = output.error ? output.error : errno;
    return arrived;
}

int streams_file(FILE *stream)
{
    return stream == stdout ? STDOUT_FILENO : stream == stderr ? STDERR_FILENO : fileno(stream);
}
