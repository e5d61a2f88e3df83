/*
 * Promises: a file is read whole and bounded, or refused with a reason; a file is written whole or
 * the target is as it was, whatever call fails, and no temporary stays behind.
 */
#define _XOPEN_SOURCE 700 /* posix_openpt */
#include "file.h"
#include "fixtures.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(file, .init = fixtures_begin, .fini = fixtures_end, .timeout = 30);

static void assert_failed(nn_status status, nn_status expected, const char *text)
{
    cr_assert_eq(status, expected, "status %d: %s", (int)status, nn_error_text());
    cr_assert_str_eq(nn_error_text(), text);
}

static void assert_holds(const char *name, const char *text)
{
    const blob content = fixture_read(name);
    cr_assert_eq(content.n, strlen(text), "%s holds '%s'", name, (char *)content.data);
    cr_assert_arr_eq(content.data, text, content.n);
}

/* Becomes somebody who owns nothing, if root; root may do everything. */
static void lose_rights(void)
{
    if (geteuid() == 0) {
        cr_assert_eq(chmod(fixture_path(""), 0777), 0);
        cr_assert_eq(seteuid(65534), 0);
    }
}

static void regain_rights(void)
{
    if (getuid() == 0) {
        cr_assert_eq(seteuid(0), 0);
    }
}

/* The next open takes it. */
static int free_descriptor(void)
{
    const int fd = dup(STDERR_FILENO);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    return fd;
}

/* As many before and after, if nothing was left open or closed that was another's. */
static size_t count_descriptors(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) != -1;
    }
    return n;
}

/* ---- reading ------------------------------------------------------------------------------ */

Test(file, reader_knows_the_size_and_reads_all)
{
    nn_reader reader;
    char text[16] = "";
    size_t got = 99;
    cr_assert_eq(nn_reader_open(&reader, fixture_write("a", BYTES("0123456789"))), NN_OK);
    cr_assert_eq(reader.size, 10);
    cr_assert_eq(nn_reader_read(&reader, text, 4, &got), NN_OK);
    cr_assert_eq(got, 4);
    cr_assert_eq(memcmp(text, "0123", 5), 0);
    cr_assert_eq(nn_reader_read(&reader, text, sizeof text, &got), NN_OK);
    cr_assert_eq(got, 6);
    cr_assert_eq(memcmp(text, "456789", 6), 0);
    cr_assert_eq(nn_reader_read(&reader, text, 1, &got), NN_OK);
    cr_assert_eq(got, 0);
    nn_reader_close(&reader);
}

Test(file, reader_of_an_empty_file_gets_nothing)
{
    nn_reader reader;
    char byte = 'x';
    size_t got = 99;
    cr_assert_eq(nn_reader_open(&reader, fixture_write("a", BYTES(""))), NN_OK);
    cr_assert_eq(reader.size, 0);
    cr_assert_eq(nn_reader_read(&reader, &byte, 1, &got), NN_OK);
    cr_assert_eq(got, 0);
    cr_assert_eq(byte, 'x');
    nn_reader_close(&reader);
}

Test(file, reader_survives_short_and_interrupted_reads)
{
    nn_reader reader;
    char text[8] = "";
    size_t got = 0;
    fault_at(FAULT_OPEN, 1, EINTR, false);
    fault_at(FAULT_READ, 3, EINTR, false);
    fault_short(2);
    cr_assert_eq(nn_reader_open(&reader, fixture_write("a", BYTES("0123456"))), NN_OK);
    cr_assert_eq(nn_reader_read(&reader, text, 7, &got), NN_OK);
    nn_reader_close(&reader);
    cr_assert_eq(got, 7);
    cr_assert_str_eq(text, "0123456");
    cr_assert_str_eq(fault_trace(), "ooirrrrrc");
}

Test(file, reader_never_takes_more_than_asked_for)
{
    nn_reader reader;
    char text[16] = "";
    size_t got = 0;
    fault_short(3);
    cr_assert_eq(nn_reader_open(&reader, fixture_write("a", BYTES("0123456789"))), NN_OK);
    cr_assert_eq(nn_reader_read(&reader, text, 4, &got), NN_OK);
    nn_reader_close(&reader);
    cr_assert_eq(got, 4);
    cr_assert_str_eq(text, "0123");
}

Test(file, closed_reader_reads_nothing)
{
    nn_reader reader;
    char byte = 'x';
    size_t got = 99;
    const char *path = fixture_write("a", BYTES("0123"));
    cr_assert_eq(nn_reader_open(&reader, path), NN_OK);
    nn_reader_close(&reader);
    assert_failed(nn_reader_read(&reader, &byte, 1, &got), NN_ERR_IO,
                  fixture_text("cannot read '%s': Bad file descriptor", path));
}

Test(file, descriptor_0_is_as_good_as_any)
{
    nn_reader reader;
    nn_writer *writer;
    (void)close(0); /* as a program finds it that was started without standard input */
    cr_assert_eq(nn_reader_open(&reader, fixture_write("a", BYTES("old"))), NN_OK);
    cr_assert_eq(reader.fd, 0);
    nn_reader_close(&reader);
    cr_assert_eq(fcntl(0, F_GETFD), -1);
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK); /* 0 is the folder */
    cr_assert_eq(fcntl(0, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    cr_assert_eq(nn_writer_write(writer, "new", 3), NN_OK);
    cr_assert_eq(nn_writer_commit(writer), NN_OK);
    assert_holds("a", "new");
    cr_assert_eq(fcntl(0, F_GETFD), -1);
    cr_assert_eq(symlink("a", fixture_path("link")), 0);
    cr_assert_eq(nn_writer_open(&writer, fixture_path("link")), NN_OK);
    nn_writer_abandon(writer);
    cr_assert_eq(fcntl(0, F_GETFD), -1);
}

Test(file, reader_closes_what_it_opens_and_shares_it_with_no_child)
{
    nn_reader reader;
    cr_assert_eq(nn_reader_open(&reader, fixture_write("a", BYTES("x"))), NN_OK);
    const int fd = reader.fd;
    cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    nn_reader_close(&reader);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
}

Test(file, reader_names_a_missing_file)
{
    nn_reader reader = {.size = 7};
    const char *path = fixture_path("a");
    assert_failed(nn_reader_open(&reader, path), NN_ERR_IO,
                  fixture_text("cannot open '%s': No such file or directory", path));
    cr_assert_eq(reader.size, 7);
    assert_failed(nn_reader_open(&reader, ""), NN_ERR_IO,
                  "cannot open '': No such file or directory");
}

Test(file, reader_names_an_unreadable_file)
{
    nn_reader reader;
    const char *path = fixture_write("a", BYTES("x"));
    cr_assert_eq(chmod(path, 0), 0);
    lose_rights();
    const nn_status status = nn_reader_open(&reader, path);
    regain_rights();
    assert_failed(status, NN_ERR_IO, fixture_text("cannot open '%s': Permission denied", path));
}

Test(file, reader_refuses_a_folder)
{
    nn_reader reader;
    assert_failed(
        nn_reader_open(&reader, fixture_path("")), NN_ERR_IO,
        fixture_text("cannot read '%s': it is a folder, not a regular file", fixture_path("")));
    cr_assert_str_eq(fault_trace(), "oic");
}

Test(file, reader_refuses_a_fifo_without_waiting)
{
    nn_reader reader;
    const char *path = fixture_path("pipe");
    cr_assert_eq(mkfifo(path, 0600), 0);
    assert_failed(nn_reader_open(&reader, path), NN_ERR_IO,
                  fixture_text("cannot read '%s': it is a FIFO, not a regular file", path));
}

Test(file, reader_refuses_a_device)
{
    nn_reader reader;
    assert_failed(nn_reader_open(&reader, "/dev/zero"), NN_ERR_IO,
                  "cannot read '/dev/zero': it is a device, not a regular file");
}

Test(file, reader_reports_errors_of_stat_and_read)
{
    nn_reader reader;
    char byte = 'x';
    size_t got = 99;
    const char *path = fixture_write("a", BYTES("0123"));
    const char *text = fixture_text("cannot read '%s': Input/output error", path);
    fault_at(FAULT_STAT, 1, EIO, false);
    assert_failed(nn_reader_open(&reader, path), NN_ERR_IO, text);
    cr_assert_str_eq(fault_trace(), "oic");
    fault_at(FAULT_READ, 1, EIO, false);
    cr_assert_eq(nn_reader_open(&reader, path), NN_OK);
    assert_failed(nn_reader_read(&reader, &byte, 1, &got), NN_ERR_IO, text);
    cr_assert_eq(got, 99);
    nn_reader_close(&reader);
}

/* ---- reading in one go -------------------------------------------------------------------- */

Test(file, first_bytes_are_read_up_to_a_limit)
{
    const char *path = fixture_write("a", BYTES("0123456789"));
    char bytes[16] = "";
    size_t n = 99;
    cr_assert_eq(nn_file_read(bytes, &n, 4, path), NN_OK);
    cr_assert_eq(n, 4);
    cr_assert_str_eq(bytes, "0123");
    cr_assert_eq(nn_file_read(bytes, &n, sizeof bytes, path), NN_OK);
    cr_assert_eq(n, 10);
    cr_assert_eq(nn_file_read(bytes, &n, 4, fixture_path("none")), NN_ERR_IO);
    fault_at(FAULT_READ, 1, EIO, false);
    assert_failed(nn_file_read(bytes, &n, 4, path), NN_ERR_IO,
                  fixture_text("cannot read '%s': Input/output error", path));
    cr_assert_eq(fault_calls(FAULT_OPEN) - 1, fault_calls(FAULT_CLOSE), "all but the missing one");
}

Test(file, whole_file_is_read_with_a_zero_behind_it)
{
    const char *path = fixture_write("a", BYTES("0123456789"));
    uint8_t *bytes = NULL;
    size_t n = 0;
    fault_short(3);
    cr_assert_eq(nn_file_load(&bytes, &n, 10, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(n, 10);
    cr_assert_str_eq((char *)bytes, "0123456789");
    nn_free(bytes);
    fixture_write("a", BYTES(""));
    cr_assert_eq(nn_file_load(&bytes, &n, 0, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(n, 0);
    cr_assert_eq(bytes[0], 0);
    nn_free(bytes);
}

Test(file, whole_file_is_refused_when_it_is_too_large_or_something_fails)
{
    const char *path = fixture_write("a", BYTES("0123456789"));
    uint8_t *bytes = NULL;
    size_t n = 99;
    assert_failed(nn_file_load(&bytes, &n, 9, path), NN_ERR_DATA,
                  fixture_text("'%s' is too large: 10 bytes, expected at most 9", path));
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    assert_failed(nn_file_load(&bytes, &n, 10, path), NN_ERR_MEMORY,
                  fixture_text("cannot read '%s': out of memory", path));
    fault_at(FAULT_READ, 1, EIO, false);
    assert_failed(nn_file_load(&bytes, &n, 10, path), NN_ERR_IO,
                  fixture_text("cannot read '%s': Input/output error", path));
    cr_assert_null(bytes);
    cr_assert_eq(fault_blocks(), 0);
    cr_assert_eq(fault_calls(FAULT_OPEN), fault_calls(FAULT_CLOSE));
}

Test(file, error_without_a_text_is_given_as_a_number)
{
    nn_reader reader;
    fault_at(FAULT_OPEN, 1, 99999, false);
    assert_failed(nn_reader_open(&reader, "a"), NN_ERR_IO, "cannot open 'a': error 99999");
}

/* ---- writing ------------------------------------------------------------------------------ */

static nn_status write_text(const char *path, const char *text)
{
    nn_writer *writer = NULL;
    nn_status status = nn_writer_open(&writer, path);
    if (status != NN_OK) {
        cr_assert_null(writer);
        return status;
    }
    status = nn_writer_write(writer, text, strlen(text));
    const nn_status committed = nn_writer_commit(writer);
    cr_assert(status == NN_OK || committed == status);
    return committed;
}

static mode_t mode_of(const char *name)
{
    struct stat info;
    cr_assert_eq(stat(fixture_path(name), &info), 0);
    return info.st_mode & 0777;
}

Test(file, writer_makes_a_file)
{
    cr_assert_eq(write_text(fixture_path("a"), "hello"), NN_OK);
    assert_holds("a", "hello");
    cr_assert_eq(fixture_count(), 1);
}

Test(file, writer_makes_an_empty_file)
{
    nn_writer *writer;
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    cr_assert_eq(nn_writer_write(writer, NULL, 0), NN_OK);
    cr_assert_eq(nn_writer_commit(writer), NN_OK);
    assert_holds("a", "");
}

Test(file, writer_replaces_a_file)
{
    fixture_write("a", BYTES("something longer"));
    cr_assert_eq(write_text(fixture_path("a"), "new"), NN_OK);
    assert_holds("a", "new");
    cr_assert_eq(fixture_count(), 1);
}

Test(file, target_is_untouched_until_commit)
{
    nn_writer *writer;
    fixture_write("a", BYTES("old"));
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    const blob much = fixture_repeat('x', 200000);
    cr_assert_eq(nn_writer_write(writer, much.data, much.n), NN_OK);
    assert_holds("a", "old");
    cr_assert_eq(fixture_count(), 2);
    cr_assert_eq(nn_writer_commit(writer), NN_OK);
    cr_assert_eq(fixture_read("a").n, 200000);
    cr_assert_eq(fixture_count(), 1);
}

Test(file, abandoned_writer_leaves_nothing)
{
    nn_writer *writer;
    fixture_write("a", BYTES("old"));
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    cr_assert_eq(nn_writer_write(writer, "new", 3), NN_OK);
    nn_writer_abandon(writer);
    nn_writer_abandon(NULL);
    assert_holds("a", "old");
    cr_assert_eq(fixture_count(), 1);
}

Test(file, pieces_of_all_sizes_arrive_in_order)
{
    /* Around the buffer's size, 65536: fits, fills, overflows, passes by. */
    static const size_t sizes[] = {1, 65534, 1, 1, 65535, 65536, 0, 3, 65536, 65537, 200000, 2};
    nn_writer *writer;
    blob all = BYTES("");
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        const blob piece = fixture_repeat((unsigned char)('a' + k), sizes[k]);
        cr_assert_eq(nn_writer_write(writer, piece.data, piece.n), NN_OK);
        all = fixture_join(all, piece);
    }
    cr_assert_eq(nn_writer_commit(writer), NN_OK);
    const blob found = fixture_read("a");
    cr_assert_eq(found.n, all.n);
    cr_assert_eq(memcmp(found.data, all.data, all.n), 0);
}

Test(file, small_writes_are_gathered)
{
    nn_writer *writer;
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    for (int k = 0; k < 65536; k++) {
        cr_assert_eq(nn_writer_write(writer, "x", 1), NN_OK);
    }
    cr_assert_eq(fault_calls(FAULT_WRITE), 0);
    cr_assert_eq(nn_writer_commit(writer), NN_OK);
    cr_assert_eq(fault_calls(FAULT_WRITE), 1);
    cr_assert_eq(fixture_read("a").n, 65536);
}

Test(file, bytes_are_synced_before_the_name_and_the_name_before_success)
{
    cr_assert_eq(write_text(fixture_path("a"), "x"), NN_OK);
    /* look at the target; open its folder, look for a link; create and hold; write, sync, close;
     * rename; sync the folder, close it */
    cr_assert_str_eq(fault_trace(), "ioloiwscnscc");
}

Test(file, writer_survives_short_and_interrupted_calls)
{
    fault_at(FAULT_OPEN, 2, EINTR, false);
    fault_at(FAULT_WRITE, 2, EINTR, false);
    fault_at(FAULT_FSYNC, 1, EINTR, false);
    fault_at(FAULT_CLOSE, 1, EINTR, false);
    fault_short(2);
    cr_assert_eq(write_text(fixture_path("a"), "hello"), NN_OK, "%s", nn_error_text());
    cr_assert_str_eq(fault_trace(), "iolooiwwwwsscnscc");
    assert_holds("a", "hello");
}

/* ---- writing: what kind of file ------------------------------------------------------------ */

Test(file, new_file_obeys_the_umask)
{
    (void)umask(027);
    cr_assert_eq(write_text(fixture_path("a"), "x"), NN_OK);
    cr_assert_eq(mode_of("a"), 0640);
}

Test(file, private_file_stays_private)
{
    (void)umask(022);
    cr_assert_eq(chmod(fixture_write("a", BYTES("old")), 0600), 0);
    cr_assert_eq(write_text(fixture_path("a"), "new"), NN_OK);
    cr_assert_eq(mode_of("a"), 0600);
}

Test(file, executable_file_does_not_stay_executable)
{
    (void)umask(022);
    cr_assert_eq(chmod(fixture_write("a", BYTES("old")), 0755), 0);
    cr_assert_eq(write_text(fixture_path("a"), "new"), NN_OK);
    cr_assert_eq(mode_of("a"), 0644);
}

Test(file, temporary_is_shared_with_no_child_process)
{
    nn_writer *writer;
    const int before = free_descriptor();
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    for (int fd = before; fd < before + 2; fd++) { /* the folder and the temporary */
        cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC, "descriptor %d", fd);
    }
    nn_writer_abandon(writer);
    cr_assert_eq(fcntl(before, F_GETFD), -1);
    cr_assert_eq(fcntl(before + 1, F_GETFD), -1);
}

Test(file, temporary_names_are_recognisable_and_those_in_use_are_left_alone)
{
    nn_writer *one;
    nn_writer *two;
    const char *first = fixture_text(".nnlib-%ld-0.tmp", (long)getpid());
    const char *second = fixture_text(".nnlib-%ld-1.tmp", (long)getpid());
    fixture_write(first, BYTES("left by a crash"));
    cr_assert_eq(nn_writer_open(&one, fixture_path("a")), NN_OK);
    cr_assert_eq(access(fixture_path(second), F_OK), 0);
    cr_assert_eq(nn_writer_open(&two, fixture_path("a")), NN_OK);
    cr_assert_eq(nn_writer_write(one, "one", 3), NN_OK);
    cr_assert_eq(nn_writer_write(two, "two", 3), NN_OK);
    cr_assert_eq(nn_writer_commit(two), NN_OK);
    assert_holds("a", "two");
    cr_assert_eq(nn_writer_commit(one), NN_OK);
    assert_holds("a", "one");
    assert_holds(first, "left by a crash");
    cr_assert_eq(fixture_count(), 2);
}

static pid_t child;

/* Runs a writer in another process that stops in the middle; it ends when its pipe is closed. */
static int write_elsewhere(const char *path)
{
    int ready[2], end[2];
    char c;
    cr_assert(pipe(ready) == 0 && pipe(end) == 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        nn_writer *writer;
        (void)close(end[1]);
        const bool ok = nn_writer_open(&writer, path) == NN_OK &&
                        nn_writer_write(writer, "half", 4) == NN_OK && write(ready[1], "r", 1) == 1;
        (void)!read(end[0], &c, 1);
        _exit(ok ? 0 : 1); /* without commit or clean-up, as if killed */
    }
    (void)close(end[0]);
    (void)close(ready[1]);
    cr_assert_eq(read(ready[0], &c, 1), 1);
    (void)close(ready[0]);
    return end[1];
}

static void tidy(const char *path)
{
    nn_writer *writer;
    cr_assert_eq(nn_writer_open(&writer, path), NN_OK);
    nn_writer_tidy(writer);
    nn_writer_abandon(writer);
}

Test(file, tidying_removes_what_the_dead_left_and_nothing_else)
{
    static const char *const others[] = {".nnlib-1-0.tmp2", ".nnlib--0.tmp", "nnlib-1-0.tmp",
                                         ".nnlib-01-0.tmp", ".nnlib-1-0"};
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
        fixture_write(others[k], BYTES("mine"));
    }
    const size_t before = fixture_count();
    const int end = write_elsewhere(fixture_path("a"));
    const char *stray = fixture_path(fixture_text(".nnlib-%ld-0.tmp", (long)child));
    tidy(fixture_path("b"));
    cr_assert_eq(access(stray, F_OK), 0, "its writer lives");
    cr_assert_eq(close(end), 0);
    int result;
    cr_assert_eq(waitpid(child, &result, 0), child);
    cr_assert_eq(result, 0);
    cr_assert_eq(access(stray, F_OK), 0, "its writer has died");
    tidy(fixture_path("b"));
    cr_assert_neq(access(stray, F_OK), 0);
    cr_assert_eq(fixture_count(), before);
}

Test(file, tidying_leaves_the_writers_of_its_own_process_alone)
{
    nn_writer *writer;
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    cr_assert_eq(nn_writer_write(writer, "x", 1), NN_OK);
    tidy(fixture_path("b"));
    cr_assert_eq(nn_writer_commit(writer), NN_OK);
    assert_holds("a", "x");
    cr_assert_eq(fixture_count(), 1);
}

static void unlink_temporary(void)
{
    cr_assert_eq(unlink(fixture_path(fixture_text(".nnlib-%ld-0.tmp", (long)getpid()))), 0);
}

/* Another process tidies between the temporary's creation and the lock on it. */
Test(file, temporary_that_was_tidied_away_before_it_was_held_is_made_again)
{
    const size_t before = count_descriptors();
    fault_before(FAULT_STAT, 2, unlink_temporary);
    cr_assert_eq(write_text(fixture_path("a"), "x"), NN_OK, "%s", nn_error_text());
    assert_holds("a", "x");
    cr_assert_eq(fixture_count(), 1);
    cr_assert_eq(fault_calls(FAULT_STAT), 3); /* the target, the temporary, the next one */
    cr_assert_eq(count_descriptors(), before);
}

static void leave_error_of_a_lock(void)
{
    errno = EWOULDBLOCK;
}

/* Calls that succeed leave errno as it was: it says nothing about them. */
Test(file, error_of_an_earlier_call_is_not_taken_for_a_lock)
{
    fault_before(FAULT_OPEN, 2, leave_error_of_a_lock); /* the temporary is opened, then locked */
    cr_assert_eq(write_text(fixture_path("a"), "x"), NN_OK, "%s", nn_error_text());
    assert_holds("a", "x");
    cr_assert_eq(fixture_count(), 1);
}

/* As a program finds it that was started without standard input. */
Test(file, tidying_works_on_descriptor_0)
{
    nn_writer *writer;
    fixture_write(".nnlib-1-0.tmp", BYTES("left by a crash"));
    cr_assert_eq(nn_writer_open(&writer, fixture_path("a")), NN_OK);
    (void)close(0);
    nn_writer_tidy(writer);
    cr_assert_eq(fcntl(0, F_GETFD), -1);
    nn_writer_abandon(writer);
    cr_assert_eq(fixture_count(), 0);
}

static void tidy_elsewhere(void)
{
    const pid_t process = fork();
    cr_assert_geq(process, 0);
    if (process == 0) {
        nn_writer *writer;
        if (nn_writer_open(&writer, fixture_path("b")) == NN_OK) {
            nn_writer_tidy(writer);
            nn_writer_abandon(writer);
        }
        _exit(0);
    }
    int result;
    cr_assert_eq(waitpid(process, &result, 0), process);
    cr_assert_eq(result, 0);
}

/* A lock that ended with the close would leave the temporary to others for a moment. */
Test(file, temporary_is_held_until_it_has_its_name)
{
    fault_before(FAULT_RENAME, 1, tidy_elsewhere);
    cr_assert_eq(write_text(fixture_path("a"), "x"), NN_OK, "%s", nn_error_text());
    assert_holds("a", "x");
    cr_assert_eq(fixture_count(), 1);
}

Test(file, writer_gives_up_when_every_temporary_name_is_taken)
{
    const char *path = fixture_path("a");
    fault_at(FAULT_OPEN, 2, EEXIST, true);
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot create a file beside '%s': File exists", path));
    cr_assert_eq(fault_calls(FAULT_OPEN), 1 + 1000);
    cr_assert_eq(fault_calls(FAULT_UNLINK), 0);
}

Test(file, name_as_long_as_a_name_may_be_is_written)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    cr_assert_eq(write_text(fixture_path(name), "x"), NN_OK, "%s", nn_error_text());
    assert_holds(name, "x");
}

Test(file, names_and_paths_that_are_too_long_are_refused)
{
    static char name[5001];
    memset(name, 'n', 256);
    const char *path = fixture_path(name);
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot create '%s': File name too long", path));
    memset(name, 'n', 5000);
    cr_assert_eq(write_text(name, "x"), NN_ERR_IO);
    cr_assert_not_null(strstr(nn_error_text(), "nnn': File name too long"));
    /* Systems differ in when they notice; we notice ourselves. */
    fault_at(FAULT_STAT, 1, ENOENT, false);
    cr_assert_eq(write_text(name, "x"), NN_ERR_IO);
    cr_assert_not_null(strstr(nn_error_text(), "nnn': File name too long"));
    fault_at(FAULT_STAT, 1, ENOENT, false);
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot create '%s': File name too long", path));
    cr_assert_eq(fixture_count(), 0);
}

Test(file, relative_name_stays_in_its_folder_when_the_working_folder_changes)
{
    nn_writer *writer;
    cr_assert_eq(mkdir(fixture_path("sub"), 0700), 0);
    cr_assert_eq(chdir(fixture_path("")), 0);
    cr_assert_eq(nn_writer_open(&writer, "a"), NN_OK);
    cr_assert_eq(chdir("sub"), 0);
    cr_assert_eq(nn_writer_write(writer, "x", 1), NN_OK);
    cr_assert_eq(nn_writer_commit(writer), NN_OK);
    assert_holds("a", "x");
    cr_assert_eq(chdir("/"), 0);
}

/* ---- writing: links ------------------------------------------------------------------------ */

static void assert_link(const char *name, const char *text)
{
    char found[256] = "";
    cr_assert_eq(readlink(fixture_path(name), found, sizeof found - 1), (ssize_t)strlen(text));
    cr_assert_str_eq(found, text);
}

Test(file, link_stays_a_link_and_its_target_is_replaced)
{
    fixture_write("real", BYTES("old"));
    cr_assert_eq(symlink("real", fixture_path("link")), 0);
    cr_assert_eq(write_text(fixture_path("link"), "new"), NN_OK);
    assert_link("link", "real");
    assert_holds("real", "new");
    cr_assert_eq(fixture_count(), 2);
}

Test(file, chain_of_links_through_folders_is_followed)
{
    cr_assert_eq(mkdir(fixture_path("one"), 0700), 0);
    cr_assert_eq(mkdir(fixture_path("two"), 0700), 0);
    cr_assert_eq(symlink("../two/b", fixture_path("one/a")), 0);
    cr_assert_eq(symlink(fixture_path("three"), fixture_path("two/b")), 0);
    fixture_write("three", BYTES("old"));
    cr_assert_eq(write_text(fixture_path("one/a"), "new"), NN_OK, "%s", nn_error_text());
    assert_holds("three", "new");
    assert_link("one/a", "../two/b");
    cr_assert_eq(fixture_count(), 3);
}

Test(file, link_may_have_a_longer_name_than_its_target)
{
    cr_assert_eq(symlink("b", fixture_path("long-name")), 0);
    cr_assert_eq(write_text(fixture_path("long-name"), "new"), NN_OK);
    assert_holds("b", "new");
    cr_assert_eq(fixture_count(), 2);
}

/* Returns the name of a device that nobody misses if a writer gone wrong replaces it: the far side
 * of a new pseudo-terminal. */
static const char *terminal(void)
{
    const int near_side = posix_openpt(O_RDWR | O_NOCTTY);
    if (near_side < 0 || grantpt(near_side) != 0 || unlockpt(near_side) != 0) {
        cr_skip_test("this system has no pseudo-terminals");
    }
    return ptsname(near_side);
}

Test(file, failure_leaves_standard_input_open)
{
    const int null = open("/dev/null", O_RDONLY);
    cr_assert_eq(dup2(null, 0), 0);
    cr_assert_eq(write_text(terminal(), "x"), NN_ERR_IO);
    cr_assert_neq(fcntl(0, F_GETFD), -1);
}

Test(file, link_to_nothing_makes_the_file_that_it_names)
{
    cr_assert_eq(symlink("real", fixture_path("link")), 0);
    cr_assert_eq(write_text(fixture_path("link"), "new"), NN_OK);
    assert_link("link", "real");
    assert_holds("real", "new");
}

Test(file, links_in_a_circle_are_refused)
{
    const char *path = fixture_path("a");
    const char *text = fixture_text("cannot create '%s': Too many levels of symbolic links", path);
    cr_assert_eq(symlink("b", path), 0);
    cr_assert_eq(symlink("a", fixture_path("b")), 0);
    assert_failed(write_text(path, "x"), NN_ERR_IO, text);
    fault_at(FAULT_STAT, 1, ENOENT, false); /* made after we looked */
    assert_failed(write_text(path, "x"), NN_ERR_IO, text);
    cr_assert_eq(fixture_count(), 2);
}

Test(file, link_into_a_missing_folder_is_refused)
{
    const char *path = fixture_path("a");
    cr_assert_eq(symlink("nowhere/b", path), 0);
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot open the folder of '%s': No such file or directory", path));
    assert_link("a", "nowhere/b");
}

Test(file, link_that_cannot_be_read_is_reported)
{
    const char *path = fixture_path("a");
    fault_at(FAULT_LINK, 1, EIO, false);
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot create '%s': Input/output error", path));
}

/* ---- writing: what is refused -------------------------------------------------------------- */

Test(file, writer_refuses_a_folder)
{
    const char *path = fixture_path("");
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot write '%s': it is a folder, not a regular file", path));
    assert_failed(write_text("/", "x"), NN_ERR_IO,
                  "cannot write '/': it is a folder, not a regular file");
    assert_failed(write_text(fixture_path("new/"), "x"), NN_ERR_IO,
                  fixture_text("cannot create '%s': Is a directory", fixture_path("new/")));
    assert_failed(write_text("", "x"), NN_ERR_IO, "cannot create '': No such file or directory");
    cr_assert_eq(fixture_count(), 0);
}

Test(file, writer_refuses_a_fifo_without_waiting)
{
    const char *path = fixture_path("pipe");
    cr_assert_eq(mkfifo(path, 0600), 0);
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot write '%s': it is a FIFO, not a regular file", path));
    cr_assert_eq(fixture_count(), 1);
}

Test(file, writer_refuses_devices_sockets_and_links_to_them)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *link = fixture_path("link");
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(chdir(fixture_path("")), 0);
    memcpy(address.sun_path, "socket", 7);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_failed(write_text("socket", "x"), NN_ERR_IO,
                  "cannot write 'socket': it is a socket, not a regular file");
    (void)close(fd);
    const char *device = terminal();
    assert_failed(write_text(device, "x"), NN_ERR_IO,
                  fixture_text("cannot write '%s': it is a device, not a regular file", device));
    cr_assert_eq(symlink(device, link), 0);
    assert_failed(write_text(link, "x"), NN_ERR_IO,
                  fixture_text("cannot write '%s': it is a device, not a regular file", link));
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(fixture_count(), 2);
}

Test(file, writer_refuses_a_missing_folder)
{
    const char *path = fixture_path("no/a");
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot open the folder of '%s': No such file or directory", path));
    fixture_write("file", BYTES(""));
    path = fixture_path("file/a");
    assert_failed(write_text(path, "x"), NN_ERR_IO,
                  fixture_text("cannot create '%s': Not a directory", path));
}

Test(file, writer_refuses_a_write_protected_folder)
{
    cr_assert_eq(mkdir(fixture_path("sub"), 0755), 0);
    cr_assert_eq(chmod(fixture_path("sub"), 0555), 0);
    const char *path = fixture_path("sub/a");
    lose_rights();
    const nn_status status = write_text(path, "x");
    regain_rights();
    assert_failed(status, NN_ERR_IO,
                  fixture_text("cannot create a file beside '%s': Permission denied", path));
}

Test(file, writer_refuses_a_write_protected_file)
{
    const char *path = fixture_write("a", BYTES("old"));
    cr_assert_eq(chmod(path, 0444), 0);
    lose_rights();
    const nn_status status = write_text(path, "x");
    regain_rights();
    assert_failed(status, NN_ERR_IO, fixture_text("cannot write '%s': Permission denied", path));
    assert_holds("a", "old");
    cr_assert_eq(fixture_count(), 1);
}

/* ---- writing: what fails ------------------------------------------------------------------- */

Test(file, writer_reports_that_there_is_no_memory)
{
    const char *path = fixture_path("a");
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    assert_failed(write_text(path, "x"), NN_ERR_MEMORY,
                  fixture_text("not enough memory to write '%s'", path));
    cr_assert_eq(fixture_count(), 0);
}

struct failure {
    unsigned long n;
    fault call;
    int error;
    char text[64]; /* with the path as %s */
};

ParameterizedTestParameters(file, failure_of_any_call_leaves_the_target_as_it_was)
{
    static struct failure failures[] = {
        {1, FAULT_STAT, EIO, "cannot create '%s': Input/output error"},
        {1, FAULT_ACCESS, EROFS, "cannot write '%s': Read-only file system"},
        {1, FAULT_OPEN, EMFILE, "cannot open the folder of '%s': Too many open files"},
        {2, FAULT_OPEN, ENOSPC, "cannot create a file beside '%s': No space left on device"},
        {1, FAULT_LINK, EIO, "cannot create '%s': Input/output error"},
        {1, FAULT_WRITE, ENOSPC, "cannot write '%s': No space left on device"},
        {1, FAULT_WRITE, 0, "cannot write '%s': Input/output error"},
        {2, FAULT_WRITE, EIO, "cannot write '%s': Input/output error"},
        {1, FAULT_FSYNC, EIO, "cannot write '%s': Input/output error"},
        {1, FAULT_CLOSE, EDQUOT, "cannot write '%s': Disk quota exceeded"},
        {1, FAULT_RENAME, EXDEV, "cannot replace '%s': Invalid cross-device link"},
    };
    return cr_make_param_array(struct failure, failures, sizeof failures / sizeof failures[0]);
}

ParameterizedTest(struct failure *failure, file, failure_of_any_call_leaves_the_target_as_it_was)
{
    const char *path = fixture_write("a", BYTES("old"));
    char text[1024];
    const char *place = strstr(failure->text, "%s");
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(place - failure->text), failure->text, path,
                   place + 2);
    fault_at(failure->call, failure->n, failure->error, false);
    fault_short(3); /* so that there are two writes */
    const size_t before = count_descriptors();
    assert_failed(write_text(path, "hello"), NN_ERR_IO, text);
    cr_assert_geq(fault_calls(failure->call), failure->n);
    cr_assert_eq(count_descriptors(), before);
    assert_holds("a", "old");
    cr_assert_eq(fixture_count(), 1);
}

Test(file, first_failure_sticks_and_is_told_again)
{
    nn_writer *writer;
    const char *path = fixture_path("a");
    const char *text = fixture_text("cannot write '%s': No space left on device", path);
    const blob much = fixture_repeat('x', 65536);
    cr_assert_eq(nn_writer_open(&writer, path), NN_OK);
    fault_at(FAULT_WRITE, 1, ENOSPC, false);
    fault_at(FAULT_FSYNC, 1, EIO, true);
    fault_at(FAULT_CLOSE, 1, EIO, false);
    assert_failed(nn_writer_write(writer, much.data, much.n), NN_ERR_IO, text);
    (void)nn_fail(NN_ERR_DATA, "something else");
    assert_failed(nn_writer_write(writer, "y", 1), NN_ERR_IO, text);
    (void)nn_fail(NN_ERR_DATA, "something else");
    assert_failed(nn_writer_write(writer, NULL, 0), NN_ERR_IO, text);
    assert_failed(nn_writer_commit(writer), NN_ERR_IO, text);
    cr_assert_eq(fault_calls(FAULT_WRITE), 1);
    cr_assert_eq(fault_calls(FAULT_RENAME), 0);
    cr_assert_eq(fixture_count(), 0);
}

Test(file, folder_that_cannot_be_synced_is_reported_with_the_new_file_in_place)
{
    const char *path = fixture_write("a", BYTES("old"));
    fault_at(FAULT_FSYNC, 2, EIO, false);
    assert_failed(write_text(path, "new"), NN_ERR_IO,
                  fixture_text("cannot make durable the new '%s': Input/output error", path));
    assert_holds("a", "new");
    cr_assert_eq(fixture_count(), 1);
}

Test(file, file_system_that_does_not_sync_folders_is_no_failure)
{
    static const int errors[] = {EINVAL, ENOTSUP};
    for (size_t k = 0; k < 2; k++) {
        fault_clear();
        fault_at(FAULT_FSYNC, 2, errors[k], false);
        cr_assert_eq(write_text(fixture_path("a"), "x"), NN_OK);
        cr_assert_eq(fault_calls(FAULT_FSYNC), 2);
    }
    fault_clear();
    fault_at(FAULT_FSYNC, 1, EINVAL, false); /* the file itself */
    cr_assert_eq(write_text(fixture_path("a"), "x"), NN_ERR_IO);
}

Test(file, limit_on_file_size_is_reported_and_nothing_stays)
{
    const struct rlimit limit = {100000, RLIM_INFINITY};
    const char *path = fixture_path("a");
    nn_writer *writer;
    const blob much = fixture_repeat('x', 150000);
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(nn_writer_open(&writer, path), NN_OK);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const nn_status status = nn_writer_write(writer, much.data, much.n);
    const char *text = fixture_text("cannot write '%s': File too large", path);
    assert_failed(status, NN_ERR_IO, text);
    assert_failed(nn_writer_commit(writer), NN_ERR_IO, text);
    cr_assert_eq(fixture_count(), 0);
}
