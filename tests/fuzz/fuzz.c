#define _XOPEN_SOURCE 700
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

/* ---- broken promises ---------------------------------------------------------------------- */

static FILE *messages; /* where stderr went before fuzz_silence; NULL: it goes there still */

void fuzz_broken(const char *promise, const char *file, int line)
{
    fprintf(messages ? messages : stderr, "%s:%d: broken promise: %s\nlast error text: %s\n", file,
            line, promise, nn_error_text());
    fflush(NULL);
    abort();
}

void fuzz_silence(void)
{
    FILE *nowhere = messages ? NULL : fopen("/dev/null", "w");
    if (nowhere) {
        messages = stderr;
        stderr = nowhere; /* a variable in glibc; the sanitizers write to the descriptor */
    }
}

/* ---- files -------------------------------------------------------------------------------- */

static char folder[256];

static void remove_folder(void)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        if (entry->d_name[0] != '.') {
            unlink(fuzz_path(entry->d_name));
        }
    }
    if (list) {
        closedir(list);
    }
    rmdir(folder);
}

static void make_folder(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/fuzz-XXXXXX", base && *base ? base : "/tmp");
    require(mkdtemp(folder));
    require(atexit(remove_folder) == 0);
}

const char *fuzz_path(const char *name)
{
    static char paths[4][sizeof folder + 256];
    static size_t turn;
    char *path = paths[turn++ % 4];
    if (!*folder) {
        make_folder();
    }
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *fuzz_write(const char *name, const void *data, size_t n)
{
    FILE *file = fopen(fuzz_path(name), "wb");
    require(file);
    require(fwrite(data, 1, n, file) == n);
    require(fclose(file) == 0);
    return fuzz_path(name);
}

uint8_t *fuzz_read(const char *name, size_t *n)
{
    FILE *file = fopen(fuzz_path(name), "rb");
    require(file);
    require(fseek(file, 0, SEEK_END) == 0);
    const long size = ftell(file);
    require(size >= 0);
    uint8_t *data = malloc((size_t)size + 1);
    require(data);
    rewind(file);
    require(fread(data, 1, (size_t)size, file) == (size_t)size);
    require(fclose(file) == 0);
    *n = (size_t)size;
    return data;
}

/* ---- memory ------------------------------------------------------------------------------- */

/* Of the sanitizers; NULL without one. */
extern int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
                                                     void (*given)(const volatile void *))
    __attribute__((weak));
extern size_t __sanitizer_get_allocated_size(const volatile void *memory) __attribute__((weak));

static size_t live, peak;

static void on_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    live += size;
    peak = live > peak ? live : peak;
}

static void on_free(const volatile void *memory)
{
    const size_t size = memory ? __sanitizer_get_allocated_size(memory) : 0;
    live -= size < live ? size : live; /* it may have been taken before we began */
}

void fuzz_memory_begin(void)
{
    static bool installed;
    if (!installed && __sanitizer_install_malloc_and_free_hooks) {
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    }
    installed = true;
    live = peak = 0;
}

size_t fuzz_memory_peak(void)
{
    return peak;
}

extern void __msan_unpoison(const volatile void *memory, size_t n) __attribute__((weak));

void fuzz_written(const void *data, size_t n)
{
    if (__msan_unpoison) {
        __msan_unpoison(data, n);
    }
}

bool fuzz_must_see_writing(void)
{
    return __msan_unpoison != NULL;
}

/* ---- numbers ------------------------------------------------------------------------------ */

void fuzz_put_u32(uint8_t *to, uint32_t value)
{
    for (size_t k = 0; k < 4; k++) {
        to[k] = (uint8_t)(value >> (24 - 8 * k));
    }
}

uint32_t fuzz_get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* ---- IDX ---------------------------------------------------------------------------------- */

/* Bytes an element, by the third byte of the file; 0: there is no such type. */
static size_t element_size(uint8_t type)
{
    static const uint8_t sizes[] = {[8] = 1, [9] = 1, [11] = 2, [12] = 4, [13] = 4, [14] = 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

bool fuzz_is_idx(const uint8_t *data, size_t n)
{
    if (n < 4 || data[0] != 0 || data[1] != 0 || data[3] < 1 || data[3] > 4 ||
        n < 4 + (size_t)4 * data[3]) {
        return false;
    }
    /* What remains after dividing by each dimension in turn must be 1. */
    const size_t size = element_size(data[2]), body = n - 4 - (size_t)4 * data[3];
    size_t rest = size > 0 && body % size == 0 ? body / size : 0;
    for (size_t d = 0; d < data[3] && rest > 0; d++) {
        const size_t dim = fuzz_get_u32(data + 4 + 4 * d);
        rest = dim > 0 && rest % dim == 0 ? rest / dim : 0;
    }
    return rest == 1;
}

void fuzz_check_idx(const nn_idx *idx)
{
    size_t count = 1;
    require(nn_idx_type_name(idx->type));
    require(idx->item_size == element_size((uint8_t)idx->type));
    require(idx->n_dims >= 1 && idx->n_dims <= NN_IDX_MAX_DIMS);
    for (size_t d = 0; d < idx->n_dims; d++) {
        require(idx->dims[d] >= 1);
        count *= idx->dims[d];
    }
    require(idx->count == count && idx->data);
}

/* ---- libFuzzer's side --------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned random);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_one(data, n);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned random)
{
    return fuzz_mutate(data, n, max, random);
}
