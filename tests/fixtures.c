#define _DEFAULT_SOURCE 1 /* as memory.c, which is included below */
/* Criterion brings libnanomsg, which has an nn_free of its own and would call ours if it saw it. */
#pragma GCC visibility push(hidden)
#include "nnlib.h"
#pragma GCC visibility pop
#include "fixtures.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- memory that fixtures_end gives back --------------------------------------------------- */

struct block {
    struct block *next;
    max_align_t memory[];
};

static struct block *blocks;
static char *test_folder;

static void *take(size_t n)
{
    struct block *block = calloc(1, sizeof *block + n + 1);
    cr_assert_not_null(block);
    block->next = blocks;
    blocks = block;
    return block->memory;
}

/* ---- the folder --------------------------------------------------------------------------- */

static void remove_tree(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return;
    }
    if (!S_ISDIR(info.st_mode)) {
        (void)unlink(path);
        return;
    }
    (void)chmod(path, S_IRWXU);
    DIR *list = opendir(path);
    for (struct dirent *entry = NULL; list != NULL && (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            remove_tree(fixture_text("%s/%s", path, entry->d_name));
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    (void)rmdir(path);
}

void fixtures_begin(void)
{
    const char *base = getenv("TMPDIR");
    const char *pattern =
        fixture_text("%s/nnlib-test-XXXXXX", base != NULL && *base != '\0' ? base : "/tmp");
    test_folder = take(strlen(pattern));
    memcpy(test_folder, pattern, strlen(pattern) + 1);
    cr_assert_not_null(mkdtemp(test_folder), "cannot make %s", pattern);
    fault_clear();
}

void fixtures_end(void)
{
    fault_clear();
    remove_tree(test_folder);
    while (blocks != NULL) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
    if (fault_blocks() != 0) {
        (void)fprintf(stderr, "%zu blocks of memory were not given back\n", fault_blocks());
        abort(); /* an assertion that fails here would be printed and forgotten */
    }
}

const char *fixture_text(const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const size_t n = (size_t)vsnprintf(NULL, 0, format, arguments);
    char *text = take(n);
    (void)vsnprintf(text, n + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

const char *fixture_path(const char *name)
{
    return *name == '\0' ? test_folder : fixture_text("%s/%s", test_folder, name);
}

size_t fixture_count(void)
{
    size_t n = 0;
    DIR *list = opendir(test_folder);
    cr_assert_not_null(list);
    while (readdir(list) != NULL) {
        n++;
    }
    (void)closedir(list);
    return n - 2; /* . and .. */
}

/* ---- bytes -------------------------------------------------------------------------------- */

blob fixture_bytes(const void *data, size_t n)
{
    blob copy = {take(n), n};
    if (n > 0) {
        memcpy(copy.data, data, n);
    }
    return copy;
}

blob fixture_join(blob a, blob b)
{
    blob joined = {take(a.n + b.n), a.n + b.n};
    memcpy(joined.data, a.data, a.n);
    memcpy(joined.data + a.n, b.data, b.n);
    return joined;
}

blob fixture_cut(blob a, size_t n)
{
    cr_assert_leq(n, a.n);
    return fixture_bytes(a.data, a.n - n);
}

blob fixture_repeat(unsigned char byte, size_t n)
{
    blob all = {take(n), n};
    memset(all.data, byte, n);
    return all;
}

const char *fixture_write(const char *name, blob content)
{
    const char *path = fixture_path(name);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "cannot make %s", path);
    cr_assert_eq(fwrite(content.data, 1, content.n, file), content.n);
    cr_assert_eq(fclose(file), 0);
    return path;
}

blob fixture_read(const char *name)
{
    FILE *file = fopen(fixture_path(name), "rb");
    cr_assert_not_null(file, "there is no %s", name);
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    const size_t n = (size_t)ftell(file);
    rewind(file);
    blob content = {take(n), n};
    cr_assert_eq(fread(content.data, 1, n, file), n);
    (void)fclose(file);
    return content;
}

blob fixture_gzip(blob plain)
{
    z_stream z = {.next_in = plain.data, .avail_in = (uInt)plain.n};
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t room = deflateBound(&z, (uLong)plain.n);
    blob packed = {take(room), 0};
    z.next_out = packed.data;
    z.avail_out = (uInt)room;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.n = z.total_out;
    (void)deflateEnd(&z);
    return packed;
}

blob fixture_gunzip(blob packed)
{
    blob plain = {take(0), 0};
    z_stream z = {.next_in = packed.data, .avail_in = (uInt)packed.n};
    cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
    while (z.avail_in > 0) {
        unsigned char piece[4096];
        z.next_out = piece;
        z.avail_out = sizeof piece;
        const int result = inflate(&z, Z_NO_FLUSH);
        cr_assert(result == Z_OK || result == Z_STREAM_END, "inflate returned %d", result);
        plain = fixture_join(plain, (blob){piece, sizeof piece - z.avail_out});
        if (result == Z_STREAM_END) {
            cr_assert_eq(inflateReset(&z), Z_OK);
        }
    }
    (void)inflateEnd(&z);
    return plain;
}

blob fixture_idx(unsigned char type, size_t n_dims, const uint32_t *dims, blob elements)
{
    blob header = {take(4 + 4 * n_dims), 4 + 4 * n_dims};
    header.data[2] = type;
    header.data[3] = (unsigned char)n_dims;
    for (size_t k = 0; k < n_dims; k++) {
        header.data[4 + 4 * k] = (unsigned char)(dims[k] >> 24);
        header.data[5 + 4 * k] = (unsigned char)(dims[k] >> 16);
        header.data[6 + 4 * k] = (unsigned char)(dims[k] >> 8);
        header.data[7 + 4 * k] = (unsigned char)dims[k];
    }
    return fixture_join(header, elements);
}

blob fixture_images(uint32_t n, uint32_t rows, uint32_t columns)
{
    blob pixels = fixture_repeat(0, (size_t)n * rows * columns);
    for (size_t k = 0; k < pixels.n; k++) {
        pixels.data[k] = (unsigned char)(7 * k);
    }
    return fixture_idx(0x08, 3, (const uint32_t[]){n, rows, columns}, pixels);
}

blob fixture_labels(uint32_t n, uint32_t classes)
{
    blob labels = fixture_repeat(0, n);
    for (size_t k = 0; k < n; k++) {
        labels.data[k] = (unsigned char)(k % classes);
    }
    return fixture_idx(0x08, 1, &n, labels);
}

/* ---- locales ------------------------------------------------------------------------------ */

void fixture_locale(const char *source)
{
    const char *make =
        fixture_text("localedef -i %s -f UTF-8 '%s' >&2", source, fixture_path(source));
    if (system(make) != 0 || setenv("LOCPATH", fixture_path(""), 1) != 0 ||
        setlocale(LC_ALL, source) == NULL) {
        cr_skip("the system cannot make the locale %s", source);
    }
}

/* ---- a failing world ---------------------------------------------------------------------- */

static struct {
    unsigned long calls;
    unsigned long at; /* 0: never */
    int error;
    bool on;
    unsigned long act_at;
    void (*act)(void);
} faults[N_FAULTS];

static size_t live; /* blocks of memory.c, and of cJSON, in use */
static size_t most; /* bytes a transfer; 0: no limit */
static char trace[256];

static void *faulty_malloc(size_t n);
static void faulty_free(void *memory);

static void hook_json(fault which)
{
    cJSON_Hooks hooks = {faulty_malloc, faulty_free};
    if (which == FAULT_JSON) {
        cJSON_InitHooks(&hooks);
    }
}

void fault_at(fault which, unsigned long n, int error, bool on)
{
    hook_json(which);
    faults[which].at = faults[which].calls + n;
    faults[which].error = error;
    faults[which].on = on;
}

void fault_before(fault which, unsigned long n, void (*act)(void))
{
    hook_json(which);
    faults[which].act_at = faults[which].calls + n;
    faults[which].act = act;
}

void fault_short(size_t n)
{
    most = n;
}

void fault_clear(void)
{
    memset(faults, 0, sizeof faults);
    memset(trace, 0, sizeof trace);
    most = 0;
}

unsigned long fault_calls(fault which)
{
    return faults[which].calls;
}

size_t fault_blocks(void)
{
    return live;
}

const char *fault_trace(void)
{
    return trace;
}

/* Counts a call and decides whether it fails; errno is then set. */
static bool fails(fault which)
{
    static const char letters[N_FAULTS] = "---oixlrwscnu";
    const size_t used = strlen(trace);
    if (letters[which] != '-' && used + 1 < sizeof trace) {
        trace[used] = letters[which];
    }
    const unsigned long call = ++faults[which].calls;
    const unsigned long at = faults[which].at;
    if (faults[which].act != NULL && call == faults[which].act_at) {
        faults[which].act();
    }
    if (at == 0 || call < at || (call > at && !faults[which].on)) {
        return false;
    }
    errno = faults[which].error;
    return true;
}

static size_t transfer(size_t n)
{
    return most != 0 && n > most ? most : n;
}

static int faulty_posix_memalign(void **out, size_t alignment, size_t n)
{
    const int result = fails(FAULT_ALLOC) ? ENOMEM : posix_memalign(out, alignment, n);
    live += result == 0;
    return result;
}

static void *faulty_malloc(size_t n)
{
    void *memory = fails(FAULT_JSON) ? NULL : malloc(n);
    live += memory != NULL;
    return memory;
}

static void faulty_free(void *memory)
{
    live -= memory != NULL;
    free(memory);
}

static locale_t faulty_newlocale(int categories, const char *name, locale_t base)
{
    return fails(FAULT_LOCALE) ? (locale_t)0 : newlocale(categories, name, base);
}

static int faulty_openat(int at, const char *path, int flags, mode_t mode)
{
    return fails(FAULT_OPEN) ? -1 : openat(at, path, flags, mode);
}

static int faulty_fstat(int fd, struct stat *info)
{
    return fails(FAULT_STAT) ? -1 : fstat(fd, info);
}

static int faulty_fstatat(int at, const char *path, struct stat *info, int flags)
{
    return fails(FAULT_STAT) ? -1 : fstatat(at, path, info, flags);
}

static int faulty_faccessat(int at, const char *path, int mode, int flags)
{
    return fails(FAULT_ACCESS) ? -1 : faccessat(at, path, mode, flags);
}

static ssize_t faulty_readlinkat(int at, const char *path, char *text, size_t n)
{
    return fails(FAULT_LINK) ? -1 : readlinkat(at, path, text, n);
}

static ssize_t faulty_read(int fd, void *to, size_t n)
{
    return fails(FAULT_READ) ? -1 : read(fd, to, transfer(n));
}

static ssize_t faulty_write(int fd, const void *from, size_t n)
{
    if (fails(FAULT_WRITE)) {
        return errno == 0 ? 0 : -1;
    }
    return write(fd, from, transfer(n));
}

static int faulty_fsync(int fd)
{
    return fails(FAULT_FSYNC) ? -1 : fsync(fd);
}

static int faulty_close(int fd)
{
    const int result = close(fd);
    return fails(FAULT_CLOSE) ? -1 : result;
}

static int faulty_renameat(int from_at, const char *from, int to_at, const char *to)
{
    return fails(FAULT_RENAME) ? -1 : renameat(from_at, from, to_at, to);
}

static int faulty_unlinkat(int at, const char *path, int flags)
{
    return fails(FAULT_UNLINK) ? -1 : unlinkat(at, path, flags);
}

/* The code under test, on the calls above. */
#define posix_memalign faulty_posix_memalign
#define free faulty_free
#include "../nnlib/memory.c" /* NOLINT(bugprone-suspicious-include) */

#define newlocale faulty_newlocale
#include "../nnlib/clocale.c" /* NOLINT(bugprone-suspicious-include) */

#define openat faulty_openat
#define fstat faulty_fstat
#define fstatat faulty_fstatat
#define faccessat faulty_faccessat
#define readlinkat faulty_readlinkat
#define read faulty_read
#define write faulty_write
#define fsync faulty_fsync
#define close faulty_close
#define renameat faulty_renameat
#define unlinkat faulty_unlinkat
#include "../nnlib/file.c" /* NOLINT(bugprone-suspicious-include) */
