/*
 * Promises: an IDX file, plain or gzip, is read whole and exactly, or refused with one line that
 * says what was expected and what was found; what is saved can be read by anyone.
 */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

TestSuite(idx, .init = fixtures_begin, .fini = fixtures_end, .timeout = 120);

/* Three bytes, 1 2 3, as an IDX file and as the gzip file that gzip's specification (RFC 1952)
 * makes of it with one stored block. */
#define THREE "\0\0\x08\x01\0\0\0\x03\x01\x02\x03"
#define THREE_GZIP                                                                                 \
    "\x1f\x8b\x08\0\0\0\0\0\0\xff"                                                                 \
    "\x01\x0b\0\xf4\xff" THREE "\x8b\xe5\xbd\xa4"                                                  \
    "\x0b\0\0\0"

static nn_idx loaded(blob content)
{
    nn_idx idx;
    const nn_status status = nn_idx_load(&idx, fixture_write("file", content));
    cr_assert_eq(status, NN_OK, "%s", nn_error_text());
    return idx;
}

/* Loads content from a file called "file" and expects a failure; the text has FILE for its path. */
static void assert_refused(blob content, nn_status status, const char *text)
{
    nn_idx idx = {NN_IDX_F64, 1, {2, 3, 4, 5}, 6, 7, NULL};
    const char *path = fixture_write("file", content);
    const char *place = strstr(text, "FILE");
    cr_assert_not_null(place);
    cr_assert_eq(nn_idx_load(&idx, path), status, "%s", nn_error_text());
    cr_assert_str_eq(nn_error_text(),
                     fixture_text("%.*s%s%s", (int)(place - text), text, path, place + 4));
    cr_assert(idx.type == NN_IDX_F64 && idx.n_dims == 1, "the result was touched");
    cr_assert_arr_eq(idx.dims, ((const size_t[]){2, 3, 4, 5}), sizeof idx.dims);
    cr_assert(idx.count == 6 && idx.item_size == 7 && idx.data == NULL, "the result was touched");
}

static void assert_bad(blob content, const char *text)
{
    assert_refused(content, NN_ERR_DATA, text);
}

/* Random bytes that do not compress (a linear congruential generator's high bits). */
static blob noise(size_t n)
{
    blob some = fixture_repeat(0, n);
    uint32_t state = 1;
    for (size_t k = 0; k < n; k++) {
        state = (uint32_t)(state * UINT64_C(1664525) + 1013904223);
        some.data[k] = (unsigned char)(state >> 24);
    }
    return some;
}

static blob vector(blob elements)
{
    return fixture_idx(0x08, 1, (const uint32_t[]){(uint32_t)elements.n}, elements);
}

/* Noise of which the last 32,000 bytes repeat those before. Deflate reaches back 32 KiB at most;
 * the reader, which takes 64 KiB of a file at a time, must still know them behind the end of the
 * first piece. */
static blob far_repetition(void)
{
    const blob some = noise(67000);
    return fixture_join(some, fixture_bytes(some.data + 35000, 32000));
}

Test(idx, repetitions_far_back_are_unpacked)
{
    const blob all = far_repetition(), packed = fixture_gzip(vector(all));
    nn_idx idx;
    cr_assert_lt(packed.n, 68000); /* the repetition is told by what it repeats */
    cr_assert_eq(nn_idx_load(&idx, fixture_write("far.gz", packed)), NN_OK, "%s", nn_error_text());
    cr_assert_arr_eq(idx.data, all.data, all.n);
    nn_idx_release(&idx);
}

Test(idx, repetitions_far_back_are_packed)
{
    const blob all = far_repetition();
    const nn_idx idx = {NN_IDX_U8, 1, {(uint32_t)all.n}, all.n, 1, all.data};
    cr_assert_eq(nn_idx_save(&idx, fixture_path("far.gz")), NN_OK, "%s", nn_error_text());
    cr_assert_lt(fixture_read("far.gz").n, 68000);
}

/* ---- what is read -------------------------------------------------------------------------- */

Test(idx, reads_unsigned_bytes)
{
    nn_idx idx = loaded(BYTES("\0\0\x08\x01\0\0\0\x03\x00\x7f\xff"));
    cr_assert_eq(idx.type, NN_IDX_U8);
    cr_assert_eq(idx.n_dims, 1);
    cr_assert_eq(idx.dims[0], 3);
    cr_assert_eq(idx.dims[1], 0);
    cr_assert_eq(idx.count, 3);
    cr_assert_eq(idx.item_size, 1);
    cr_assert_arr_eq(idx.data, ((const uint8_t[]){0, 127, 255}), 3);
    nn_idx_release(&idx);
}

Test(idx, reads_signed_bytes)
{
    nn_idx idx = loaded(BYTES("\0\0\x09\x01\0\0\0\x03\x80\xff\x7f"));
    const int8_t *data = idx.data;
    cr_assert_eq(idx.type, NN_IDX_I8);
    cr_assert_eq(idx.item_size, 1);
    cr_assert(data[0] == -128 && data[1] == -1 && data[2] == 127);
    nn_idx_release(&idx);
}

Test(idx, reads_16_bit_integers)
{
    nn_idx idx = loaded(BYTES("\0\0\x0b\x01\0\0\0\x03\x01\x02\x80\x00\xff\xfe"));
    const int16_t *data = idx.data;
    cr_assert_eq(idx.type, NN_IDX_I16);
    cr_assert_eq(idx.item_size, 2);
    cr_assert(data[0] == 258 && data[1] == -32768 && data[2] == -2);
    nn_idx_release(&idx);
}

Test(idx, reads_32_bit_integers)
{
    nn_idx idx = loaded(BYTES("\0\0\x0c\x01\0\0\0\x02\x01\x02\x03\x04\xff\xff\xff\xfe"));
    const int32_t *data = idx.data;
    cr_assert_eq(idx.type, NN_IDX_I32);
    cr_assert_eq(idx.item_size, 4);
    cr_assert(data[0] == 16909060 && data[1] == -2);
    nn_idx_release(&idx);
}

Test(idx, reads_floats)
{
    nn_idx idx = loaded(BYTES("\0\0\x0d\x01\0\0\0\x03\x3f\x80\0\0\xc0\x20\0\0\x40\x49\x0f\xdb"));
    const float *data = idx.data;
    cr_assert_eq(idx.type, NN_IDX_F32);
    cr_assert_eq(idx.item_size, 4);
    cr_assert(data[0] == 1.0F && data[1] == -2.5F && data[2] == 3.14159274F);
    nn_idx_release(&idx);
}

Test(idx, reads_doubles)
{
    nn_idx idx = loaded(BYTES("\0\0\x0e\x01\0\0\0\x02\x3f\xf8\0\0\0\0\0\0"
                              "\xbf\xb9\x99\x99\x99\x99\x99\x9a"));
    const double *data = idx.data;
    cr_assert_eq(idx.type, NN_IDX_F64);
    cr_assert_eq(idx.item_size, 8);
    cr_assert(data[0] == 1.5 && data[1] == -0.1);
    nn_idx_release(&idx);
}

Test(idx, reads_up_to_four_dimensions)
{
    nn_idx idx = loaded(BYTES("\0\0\x08\x04\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\x03"
                              "abcdef"));
    cr_assert_eq(idx.n_dims, 4);
    cr_assert_arr_eq(idx.dims, ((const size_t[]){1, 2, 1, 3}), sizeof idx.dims);
    cr_assert_eq(idx.count, 6);
    cr_assert_arr_eq(idx.data, "abcdef", 6);
    nn_idx_release(&idx);
}

Test(idx, types_have_names)
{
    static const char *const names[] = {"u8", "i8", NULL, "i16", "i32", "f32", "f64"};
    for (int type = 0; type < 300; type++) {
        const char *name = nn_idx_type_name((nn_idx_type)type);
        const char *expected = type >= 0x08 && type <= 0x0e ? names[type - 0x08] : NULL;
        cr_assert(expected == NULL ? name == NULL : name != NULL && strcmp(name, expected) == 0,
                  "type %d", type);
    }
}

Test(idx, release_zeroes_and_takes_null)
{
    nn_idx idx = loaded(BYTES(THREE));
    nn_idx_release(&idx);
    cr_assert(idx.type == 0 && idx.n_dims == 0 && idx.dims[0] == 0);
    cr_assert(idx.count == 0 && idx.item_size == 0 && idx.data == NULL);
    nn_idx_release(&idx);
    nn_idx_release(NULL);
}

/* ---- gzip --------------------------------------------------------------------------------- */

static void assert_three(blob content)
{
    nn_idx idx = loaded(content);
    cr_assert_eq(idx.count, 3);
    cr_assert_arr_eq(idx.data, "\1\2\3", 3);
    nn_idx_release(&idx);
}

Test(idx, reads_gzip_made_by_hand)
{
    assert_three(BYTES(THREE_GZIP));
}

Test(idx, gzip_is_told_by_content_and_not_by_name)
{
    nn_idx idx;
    cr_assert_eq(nn_idx_load(&idx, fixture_write("plain.gz", BYTES(THREE))), NN_OK);
    nn_idx_release(&idx);
    cr_assert_eq(nn_idx_load(&idx, fixture_write("packed", BYTES(THREE_GZIP))), NN_OK);
    nn_idx_release(&idx);
}

Test(idx, reads_several_gzip_members_cut_anywhere)
{
    for (size_t cut = 0; cut <= 11; cut++) {
        const blob head = fixture_gzip(fixture_bytes(THREE, cut));
        const blob tail = fixture_gzip(fixture_bytes(&THREE[cut], 11 - cut));
        const blob none = fixture_gzip(BYTES(""));
        assert_three(fixture_join(head, tail));
        assert_three(fixture_join(none, fixture_join(head, fixture_join(tail, none))));
    }
}

Test(idx, reads_gzip_headers_with_every_field)
{
    /* flags FTEXT, FHCRC, FEXTRA, FNAME, FCOMMENT; the header's CRC-16 is the low half of the
     * CRC-32 of the bytes before it */
    blob header = BYTES("\x1f\x8b\x08\x1f\x01\x02\x03\x04\x02\x03"
                        "\x03\0abc"
                        "name\0"
                        "comment\0");
    const uLong crc = crc32(0, header.data, (uInt)header.n);
    const unsigned char crc16[] = {(unsigned char)crc, (unsigned char)(crc >> 8)};
    const blob rest = fixture_bytes(&THREE_GZIP[10], sizeof THREE_GZIP - 1 - 10);
    header = fixture_join(header, fixture_bytes(crc16, 2));
    assert_three(fixture_join(header, rest));
    header.data[header.n - 1] ^= 1;
    assert_bad(fixture_join(header, rest),
               "'FILE' is damaged near byte 30 of 54: header crc mismatch");
}

static void assert_loads_as(blob content, blob elements)
{
    nn_idx idx = loaded(content);
    cr_assert_eq(idx.count, elements.n);
    cr_assert_eq(memcmp(idx.data, elements.data, elements.n), 0);
    nn_idx_release(&idx);
}

Test(idx, reads_files_of_many_pieces)
{
    /* The sizes put the end of the file around the ends of 64 KiB pieces. */
    for (size_t n = 131072 - 12; n < 131072 + 12; n++) {
        const blob elements = noise(n);
        assert_loads_as(vector(elements), elements);
        assert_loads_as(fixture_gzip(vector(elements)), elements);
    }
}

Test(idx, reads_files_that_come_in_drops)
{
    const blob elements = noise(70001);
    for (size_t most = 1; most < 70000; most = most * 5 + 2) {
        fault_short(most);
        assert_loads_as(vector(elements), elements);
        assert_loads_as(fixture_gzip(vector(elements)), elements);
    }
}

Test(idx, reads_what_deflate_packs_best)
{
    const blob zeros = fixture_repeat(0, 5000000);
    const blob packed = fixture_gzip(vector(zeros));
    cr_assert_gt(zeros.n / packed.n, 1000);
    assert_loads_as(packed, zeros);
}

Test(idx, opens_the_file_once_and_asks_for_little_memory)
{
    nn_idx idx;
    const char *path = fixture_write("file", fixture_gzip(vector(noise(1000000))));
    fault_clear();
    cr_assert_eq(nn_idx_load(&idx, path), NN_OK);
    cr_assert_eq(fault_calls(FAULT_OPEN), 1);
    cr_assert_eq(fault_calls(FAULT_CLOSE), 1);
    cr_assert_eq(fault_calls(FAULT_ALLOC), 4); /* source, zlib's state and window, elements */
    nn_idx_release(&idx);
}

/* ---- damage ------------------------------------------------------------------------------- */

Test(idx, rejects_every_truncation_of_a_plain_file)
{
    const blob whole = BYTES(THREE);
    for (size_t n = 0; n < whole.n; n++) {
        nn_idx idx;
        cr_assert_eq(nn_idx_load(&idx, fixture_write("file", fixture_bytes(whole.data, n))),
                     NN_ERR_DATA, "the first %zu bytes", n);
    }
}

Test(idx, rejects_every_truncation_of_a_gzip_file)
{
    const blob whole = fixture_join(BYTES(THREE_GZIP), fixture_gzip(BYTES("")));
    const size_t first = sizeof THREE_GZIP - 1;
    for (size_t n = 0; n < whole.n; n++) {
        nn_idx idx;
        const nn_status status =
            nn_idx_load(&idx, fixture_write("file", fixture_bytes(whole.data, n)));
        if (n == first) { /* just the first of the two members */
            cr_assert_eq(status, NN_OK);
            nn_idx_release(&idx);
        } else {
            cr_assert_eq(status, NN_ERR_DATA, "the first %zu bytes", n);
        }
    }
}

Test(idx, no_flipped_bit_of_a_gzip_file_changes_what_is_read)
{
    blob file = fixture_gzip(vector(fixture_join(noise(100), fixture_repeat(7, 400))));
    nn_idx good = loaded(file);
    for (size_t bit = 0; bit < 8 * file.n; bit++) {
        nn_idx idx;
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        const nn_status status = nn_idx_load(&idx, fixture_write("file", file));
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (status == NN_OK) { /* the header's time, say, or a match that copies an equal byte */
            cr_assert_eq(idx.count, good.count);
            cr_assert_eq(memcmp(idx.data, good.data, good.count), 0);
            nn_idx_release(&idx);
        } else {
            cr_assert_eq(status, NN_ERR_DATA, "bit %zu: %s", bit, nn_error_text());
        }
    }
    nn_idx_release(&good);
}

Test(idx, names_both_crcs)
{
    blob file = BYTES(THREE_GZIP);
    file.data[file.n - 8] ^= 0xff;
    assert_bad(file,
               "'FILE' is damaged: its gzip trailer says CRC-32 a4bde574, its bytes give a4bde58b");
}

Test(idx, names_both_lengths)
{
    blob file = BYTES(THREE_GZIP);
    file.data[file.n - 3] = 2;
    assert_bad(file, "'FILE' is damaged: its gzip trailer says 523 bytes, unpacking gives 11");
}

Test(idx, names_both_crcs_wherever_the_trailer_lies)
{
    /* A name in the gzip header moves the trailer across the end of the first 64 KiB piece. */
    for (size_t end = 65536 - 2; end <= 65536 + 12; end++) {
        const blob rest = fixture_bytes(&THREE_GZIP[10], sizeof THREE_GZIP - 1 - 10);
        const blob name = fixture_repeat('n', end - 10 - 1 - rest.n);
        blob file = fixture_join(BYTES("\x1f\x8b\x08\x08\0\0\0\0\0\xff"),
                                 fixture_join(name, fixture_join(BYTES("\0"), rest)));
        cr_assert_eq(file.n, end);
        assert_three(file);
        file.data[file.n - 8] ^= 0xff;
        assert_bad(
            file,
            "'FILE' is damaged: its gzip trailer says CRC-32 a4bde574, its bytes give a4bde58b");
    }
}

Test(idx, names_the_place_of_damage)
{
    blob file = BYTES(THREE_GZIP);
    file.data[10] = 7; /* a block of the type that there is not */
    assert_bad(file, "'FILE' is damaged near byte 11 of 34: invalid block type");
    file = BYTES(THREE_GZIP);
    file.data[2] = 7;
    assert_bad(file, "'FILE' is damaged near byte 4 of 34: unknown compression method");
}

Test(idx, rejects_gzip_that_breaks_off_in_the_elements)
{
    blob file = fixture_gzip(vector(noise(100000)));
    const blob half = fixture_cut(file, file.n - 50000);
    nn_idx idx;
    cr_assert_eq(nn_idx_load(&idx, fixture_write("file", half)), NN_ERR_DATA);
    const char *text = strstr(nn_error_text(), "breaks off after ");
    cr_assert_not_null(text, "%s", nn_error_text());
    char *rest = NULL;
    const unsigned long found = strtoul(text + strlen("breaks off after "), &rest, 10);
    cr_assert(found > 40000 && found < 50000, "%s", text);
    cr_assert_str_eq(rest, " unpacked bytes, expected 100008 and a trailer");
}

Test(idx, rejects_gzip_without_its_trailer)
{
    assert_bad(fixture_cut(BYTES(THREE_GZIP), 8),
               "'FILE' is cut off: its gzip stream breaks off after 11 unpacked bytes, expected 11 "
               "and a trailer");
}

Test(idx, rejects_gzip_that_ends_after_its_first_two_bytes)
{
    assert_bad(BYTES("\x1f\x8b"),
               "'FILE' is cut off: its gzip stream breaks off after 0 unpacked bytes, expected 4 "
               "and a trailer");
}

Test(idx, rejects_bytes_after_a_gzip_file)
{
    assert_bad(fixture_join(BYTES(THREE_GZIP), BYTES("\0\0\0")),
               "'FILE' goes on too long: its gzip stream ends at byte 34, the file at 37");
    assert_bad(fixture_join(BYTES(THREE_GZIP), BYTES("\x1f\x8c\x08")),
               "'FILE' is damaged near byte 36 of 37: incorrect header check");
}

/* ---- wrong sizes -------------------------------------------------------------------------- */

Test(idx, rejects_an_empty_file)
{
    assert_bad(BYTES(""), "'FILE' is empty, expected an IDX file");
    assert_bad(fixture_gzip(BYTES("")), "'FILE' is empty, expected an IDX file");
}

Test(idx, rejects_a_file_that_ends_in_its_header)
{
    assert_bad(BYTES("\0\0\x08"), "'FILE' ends early: expected 4 bytes, found 3");
    assert_bad(BYTES("\x1f"), "'FILE' ends early: expected 4 bytes, found 1");
    assert_bad(BYTES("\0\0\x08\x03\0\0\0\x01\0\0"),
               "'FILE' ends early: expected 16 bytes, found 10");
    assert_bad(fixture_gzip(BYTES("\0\0\x08\x03\0\0\0\x01\0\0")),
               "'FILE' ends early: expected 16 bytes unpacked, found 10");
}

Test(idx, rejects_a_file_shorter_than_its_header_says)
{
    const blob file = BYTES("\0\0\x0b\x01\0\0\0\x03\1\1\2\2\3");
    assert_bad(file, "'FILE' ends early: expected 14 bytes, found 13");
    assert_bad(fixture_gzip(file), "'FILE' ends early: expected 14 bytes unpacked, found 13");
}

Test(idx, rejects_a_file_longer_than_its_header_says)
{
    const blob file = BYTES(THREE "\0\0");
    assert_bad(file, "'FILE' goes on too long: expected 11 bytes, found 13");
    assert_bad(fixture_gzip(file),
               "'FILE' goes on too long: expected 11 bytes unpacked, found more");
    assert_bad(fixture_join(BYTES(THREE_GZIP), fixture_gzip(BYTES("x"))),
               "'FILE' goes on too long: expected 11 bytes unpacked, found more");
}

Test(idx, rejects_empty_dimensions)
{
    const char *text = "'FILE' holds nothing: its size is 0 x 28 x 28, expected at least 1 each";
    assert_bad(BYTES("\0\0\x08\x03\0\0\0\0\0\0\0\x1c\0\0\0\x1c"), text);
    assert_bad(fixture_gzip(BYTES("\0\0\x08\x03\0\0\0\0\0\0\0\x1c\0\0\0\x1c")), text);
    assert_bad(BYTES("\0\0\x08\x02\xff\xff\xff\xff\0\0\0\0"),
               "'FILE' holds nothing: its size is 4294967295 x 0, expected at least 1 each");
}

Test(idx, rejects_sizes_that_overflow)
{
    /* 2^32-1 to the fourth; and 2^16 to the fourth, which wraps around to 0 in 64 bits */
    const char *text = "'FILE' claims 4294967295 x 4294967295 x 4294967295 x 4294967295 elements "
                       "of 8 bytes: more than memory can address";
    const blob dims = fixture_repeat(0xff, 16);
    assert_bad(fixture_join(BYTES("\0\0\x0e\x04"), dims), text);
    assert_bad(fixture_gzip(fixture_join(BYTES("\0\0\x0e\x04"), dims)), text);
    assert_bad(BYTES("\0\0\x08\x04\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0"),
               "'FILE' claims 65536 x 65536 x 65536 x 65536 elements of 1 byte: more than memory "
               "can address");
    /* 2^31 * 2^31 elements of 2 bytes: one more than PTRDIFF_MAX bytes */
    assert_bad(BYTES("\0\0\x0b\x02\x80\0\0\0\x80\0\0\0"),
               "'FILE' claims 2147483648 x 2147483648 elements of 2 bytes: more than memory can "
               "address");
}

Test(idx, rejects_more_than_packed_bytes_can_hold_before_asking_for_memory)
{
    const blob packed = fixture_gzip(BYTES("\0\0\x0c\x03\0\1\0\0\0\0\0\x1c\0\0\0\x1c"));
    fault_clear();
    assert_bad(packed, fixture_text("'FILE' claims 65536 x 28 x 28 elements, 205520912 bytes "
                                    "unpacked: its %zu packed bytes cannot hold that",
                                    packed.n));
    cr_assert_leq(fault_calls(FAULT_ALLOC), 3); /* not for the elements */
}

/* A gzip file of 31 bytes, one stored block, that holds no more than a header for n bytes. */
static blob claim(uint32_t n)
{
    const blob header = fixture_idx(0x08, 1, &n, BYTES(""));
    const uLong crc = crc32(0, header.data, (uInt)header.n);
    const unsigned char trailer[] = {(unsigned char)crc,
                                     (unsigned char)(crc >> 8),
                                     (unsigned char)(crc >> 16),
                                     (unsigned char)(crc >> 24),
                                     8,
                                     0,
                                     0,
                                     0};
    return fixture_join(
        fixture_join(BYTES("\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x08\0\xf7\xff"), header),
        fixture_bytes(trailer, sizeof trailer));
}

Test(idx, takes_packed_bytes_to_hold_less_than_1032_times_their_number)
{
    cr_assert_eq(claim(1).n, 31);
    assert_bad(claim(1032 * 31 - 8 - 1),
               "'FILE' ends early: expected 31991 bytes unpacked, found 8");
    assert_bad(claim(1032 * 31 - 8), "'FILE' claims 31984 elements, 31992 bytes unpacked: its 31 "
                                     "packed bytes cannot hold that");
}

Test(idx, rejects_more_than_a_plain_file_holds_before_asking_for_memory)
{
    assert_bad(BYTES("\0\0\x0c\x03\0\1\0\0\0\0\0\x1c\0\0\0\x1c"),
               "'FILE' ends early: expected 205520912 bytes, found 16");
    cr_assert_eq(fault_calls(FAULT_ALLOC), 1);
}

/* ---- something else ------------------------------------------------------------------------ */

Test(idx, rejects_a_wrong_magic_number)
{
    assert_bad(BYTES("\1\0\x08\x01\0\0\0\x03\1\2\3"),
               "'FILE' is not an IDX file: it starts with 01 00 08 01, expected "
               "00 00 <type> <dimensions>");
    assert_bad(BYTES("\0\xff\x08\x01"), "'FILE' is not an IDX file: it starts with 00 ff 08 01, "
                                        "expected 00 00 <type> <dimensions>");
}

Test(idx, rejects_unknown_types)
{
    for (unsigned type = 0; type < 256; type++) {
        blob file = BYTES(THREE);
        file.data[2] = (unsigned char)type;
        if (nn_idx_type_name((nn_idx_type)type) == NULL) {
            assert_bad(file, fixture_text("'FILE' has the unknown element type %02x, expected 08, "
                                          "09, 0b, 0c, 0d or 0e",
                                          type));
        }
    }
}

Test(idx, rejects_0_and_more_than_4_dimensions)
{
    assert_bad(BYTES("\0\0\x08\0"), "'FILE' has 0 dimensions, expected 1 to 4");
    assert_bad(BYTES("\0\0\x08\5"), "'FILE' has 5 dimensions, expected 1 to 4");
    assert_bad(BYTES("\0\0\x08\xff"), "'FILE' has 255 dimensions, expected 1 to 4");
}

struct stranger {
    char start[32];
    size_t n;
    char name[80];
};

ParameterizedTestParameters(idx, names_files_that_are_something_else)
{
#define START(literal) literal, sizeof(literal) - 1
    static struct stranger strangers[] = {
        {START("PK\3\4\x14\0\0\0"), "a zip archive, not an IDX file"},
        {START("\xfd\x37zXZ\0\0"), "an xz file, not an IDX file"},
        {START("BZh91AY&SY"), "a bzip2 file, not an IDX file"},
        {START("\x28\xb5\x2f\xfd\x24"), "a zstd file, not an IDX file"},
        {START("7z\xbc\xaf\x27\x1c\0"), "a 7z archive, not an IDX file"},
        {START("\x1f\x9d\x90\0"), "a compress (.Z) file, not an IDX file"},
        {START("\x93NUMPY\1\0"), "a NumPy file, not an IDX file"},
        {START("\x89PNG\r\n\x1a\n"), "a PNG picture, not an IDX file"},
        {START("version https://git-lfs.github"),
         "a Git LFS pointer, not an IDX file (a failed download?)"},
        {START("<?xml version='1.0'?><Error>"),
         "an XML page, not an IDX file (a failed download?)"},
        {START("<!DOCTYPE html><html>"), "an HTML page, not an IDX file (a failed download?)"},
        {START("\r\n\t <html>"), "an HTML page, not an IDX file (a failed download?)"},
        {START("\xef\xbb\xbf\n<html>"), "an HTML page, not an IDX file (a failed download?)"},
        {START("\xef\xbb\xbf<html>"), "an HTML page, not an IDX file (a failed download?)"},
        {START("<p>?"), "an HTML page, not an IDX file (a failed download?)"},
    };
    return cr_make_param_array(struct stranger, strangers, sizeof strangers / sizeof strangers[0]);
}

ParameterizedTest(struct stranger *stranger, idx, names_files_that_are_something_else)
{
    const char *text = fixture_text("'FILE' is %s", stranger->name);
    const blob start = fixture_bytes(stranger->start, stranger->n);
    assert_bad(start, text);
    assert_bad(fixture_join(start, noise(1000)), text);
    assert_bad(fixture_gzip(start), text);
    assert_bad(fixture_gzip(fixture_join(start, noise(100000))), text);
}

Test(idx, names_a_gzip_file_inside_a_gzip_file)
{
    assert_bad(fixture_gzip(BYTES(THREE_GZIP)),
               "'FILE' is a gzip file inside a gzip file, not an IDX file");
}

Test(idx, near_misses_are_not_named)
{
    static const char *const starts[] = {
        "PK\3\5",     "\xfd\x37zXa", "BZ9h",    "\x28\xb5\x2f\xfe",        "7z\xbc\xaf\x27\x1d",
        "\x1f\x9e..", "\x93NUMP.",   "\x89PNg", "version https://git-lf.", "?<?xml",
        "   x <",     "\xef\xbb<a",
    };
    for (size_t k = 0; k < sizeof starts / sizeof starts[0]; k++) {
        nn_idx idx;
        const blob file = fixture_bytes(starts[k], strlen(starts[k]));
        cr_assert_eq(nn_idx_load(&idx, fixture_write("file", file)), NN_ERR_DATA);
        cr_assert_not_null(strstr(nn_error_text(), "is not an IDX file: it starts with"), "%s",
                           nn_error_text());
    }
    assert_bad(BYTES("    \0\0\0\0"), "'FILE' is not an IDX file: it starts with 20 20 20 20, "
                                      "expected 00 00 <type> <dimensions>");
}

Test(idx, a_page_that_begins_within_64_bytes_is_named)
{
    const blob blanks = fixture_repeat(' ', 63);
    assert_bad(fixture_join(blanks, BYTES("<html>")),
               "'FILE' is an HTML page, not an IDX file (a failed download?)");
    assert_bad(fixture_join(blanks, BYTES(" <html>")),
               "'FILE' is not an IDX file: it starts with 20 20 20 20, expected 00 00 <type> "
               "<dimensions>");
}

Test(idx, damage_behind_a_wrong_magic_number_is_reported_as_damage)
{
    assert_bad(fixture_cut(fixture_gzip(BYTES("<html>")), 1),
               "'FILE' is cut off: its gzip stream breaks off after 6 unpacked bytes, expected 4 "
               "and a trailer");
}

/* ---- a failing world ---------------------------------------------------------------------- */

Test(idx, reports_missing_files_and_folders)
{
    nn_idx idx;
    const char *path = fixture_path("none");
    cr_assert_eq(nn_idx_load(&idx, path), NN_ERR_IO);
    cr_assert_str_eq(nn_error_text(),
                     fixture_text("cannot open '%s': No such file or directory", path));
    path = fixture_path("");
    cr_assert_eq(nn_idx_load(&idx, path), NN_ERR_IO);
    cr_assert_str_eq(nn_error_text(),
                     fixture_text("cannot read '%s': it is a folder, not a regular file", path));
}

/* Loads content, the n-th call of one kind failing, for every n. Returns how many there were. */
static unsigned long fail_each_call(blob content, fault call, int error, nn_status expected)
{
    const char *path = fixture_write("file", content);
    for (unsigned long n = 1;; n++) {
        nn_idx idx = {.count = 99};
        fault_clear();
        fault_at(call, n, error, n % 2 == 0);
        const nn_status status = nn_idx_load(&idx, path);
        const unsigned long opened = fault_calls(FAULT_OPEN);
        const unsigned long closed = fault_calls(FAULT_CLOSE);
        fault_clear();
        if (status == NN_OK) {
            nn_idx_release(&idx);
            return n - 1;
        }
        cr_assert_eq(status, expected, "call %lu: %s", n, nn_error_text());
        cr_assert_eq(idx.count, 99);
        cr_assert(closed == opened || call == FAULT_OPEN);
        cr_assert_not_null(strstr(nn_error_text(), path));
    }
}

Test(idx, loading_survives_every_refused_allocation)
{
    const blob file = vector(noise(150000));
    cr_assert_eq(fail_each_call(file, FAULT_ALLOC, ENOMEM, NN_ERR_MEMORY), 2);
    cr_assert_eq(fail_each_call(fixture_gzip(file), FAULT_ALLOC, ENOMEM, NN_ERR_MEMORY), 4);
}

Test(idx, loading_survives_every_failed_read)
{
    const blob file = vector(noise(150000));
    cr_assert_eq(fail_each_call(file, FAULT_READ, EIO, NN_ERR_IO), 3);
    cr_assert_geq(fail_each_call(fixture_gzip(file), FAULT_READ, EIO, NN_ERR_IO), 3);
}

static void shorten(void)
{
    cr_assert_eq(truncate(fixture_path("file"), 70000), 0);
}

static void lengthen(void)
{
    FILE *file = fopen(fixture_path("file"), "ab");
    cr_assert_not_null(file);
    cr_assert_eq(fputs("more", file) < 0, 0);
    cr_assert_eq(fclose(file), 0);
}

Test(idx, rejects_a_file_that_shrinks_while_it_is_read)
{
    fault_before(FAULT_READ, 2, shorten);
    assert_bad(vector(noise(150000)), "'FILE' ends early: expected 150008 bytes, found 70000");
}

Test(idx, rejects_a_file_that_grows_while_it_is_read)
{
    fault_before(FAULT_READ, 2, lengthen);
    assert_bad(vector(noise(150000)), "'FILE' goes on too long: expected 150008 bytes, found more");
}

Test(idx, reports_a_read_that_fails_while_a_stranger_is_looked_at)
{
    fault_at(FAULT_READ, 3, EIO, false); /* the first two fill the piece and see its end */
    assert_refused(BYTES("BZh9"), NN_ERR_IO, "cannot read 'FILE': Input/output error");
}

/* ---- saving ------------------------------------------------------------------------------- */

static nn_idx array(nn_idx_type type, size_t item_size, size_t count, void *data)
{
    return (nn_idx){.type = type,
                    .n_dims = 1,
                    .dims = {count},
                    .count = count,
                    .item_size = item_size,
                    .data = data};
}

static void assert_saves(const nn_idx *idx, blob expected)
{
    cr_assert_eq(nn_idx_save(idx, fixture_path("saved")), NN_OK, "%s", nn_error_text());
    const blob plain = fixture_read("saved");
    cr_assert_eq(plain.n, expected.n);
    cr_assert_eq(memcmp(plain.data, expected.data, plain.n), 0);
    cr_assert_eq(nn_idx_save(idx, fixture_path("saved.gz")), NN_OK, "%s", nn_error_text());
    const blob packed = fixture_read("saved.gz");
    /* magic, deflate, no flags, no time, best compression, unknown system */
    cr_assert_arr_eq(packed.data, "\x1f\x8b\x08\0\0\0\0\0\x02\xff", 10);
    const blob unpacked = fixture_gunzip(packed);
    cr_assert_eq(unpacked.n, expected.n);
    cr_assert_eq(memcmp(unpacked.data, expected.data, unpacked.n), 0);
}

Test(idx, saves_every_type_big_endian)
{
    int8_t i8[] = {-128, 127};
    int16_t i16[] = {258, -2};
    int32_t i32[] = {16909060, -2};
    float f32[] = {1.0F, -2.5F};
    double f64[] = {1.5, -0.1};
    nn_idx idx = array(NN_IDX_U8, 1, 2, "\x7f\xff");
    assert_saves(&idx, BYTES("\0\0\x08\x01\0\0\0\x02\x7f\xff"));
    idx = array(NN_IDX_I8, 1, 2, i8);
    assert_saves(&idx, BYTES("\0\0\x09\x01\0\0\0\x02\x80\x7f"));
    idx = array(NN_IDX_I16, 2, 2, i16);
    assert_saves(&idx, BYTES("\0\0\x0b\x01\0\0\0\x02\x01\x02\xff\xfe"));
    idx = array(NN_IDX_I32, 4, 2, i32);
    assert_saves(&idx, BYTES("\0\0\x0c\x01\0\0\0\x02\1\2\3\4\xff\xff\xff\xfe"));
    idx = array(NN_IDX_F32, 4, 2, f32);
    assert_saves(&idx, BYTES("\0\0\x0d\x01\0\0\0\x02\x3f\x80\0\0\xc0\x20\0\0"));
    idx = array(NN_IDX_F64, 8, 2, f64);
    assert_saves(&idx, BYTES("\0\0\x0e\x01\0\0\0\x02\x3f\xf8\0\0\0\0\0\0"
                             "\xbf\xb9\x99\x99\x99\x99\x99\x9a"));
    cr_assert_eq(i16[0], 258, "the caller's array was changed");
}

Test(idx, saves_every_dimension)
{
    nn_idx idx = array(NN_IDX_U8, 1, 70000, fixture_repeat(0, 70000).data);
    idx.n_dims = 4;
    memcpy(idx.dims, (const size_t[]){1, 2, 35000, 1}, sizeof idx.dims);
    assert_saves(&idx, fixture_join(BYTES("\0\0\x08\4\0\0\0\1\0\0\0\2\0\0\x88\xb8\0\0\0\1"),
                                    fixture_repeat(0, 70000)));
}

Test(idx, saves_arrays_of_many_pieces)
{
    const blob elements = noise(400000);
    blob turned = fixture_repeat(0, elements.n);
    for (size_t k = 0; k < elements.n; k += 2) {
        uint16_t value;
        memcpy(&value, elements.data + k, 2);
        turned.data[k] = (unsigned char)(value >> 8);
        turned.data[k + 1] = (unsigned char)value;
    }
    const nn_idx idx = array(NN_IDX_I16, 2, 200000, elements.data);
    assert_saves(&idx, fixture_join(BYTES("\0\0\x0b\1\0\3\x0d\x40"), turned));
}

Test(idx, saves_the_last_byte_whatever_the_size)
{
    for (size_t n = 65535; n <= 65537; n++) {
        const blob elements = noise(n);
        const nn_idx idx = array(NN_IDX_U8, 1, n, elements.data);
        assert_saves(&idx, vector(elements));
    }
}

Test(idx, saves_dimensions_of_four_bytes)
{
    const blob elements = fixture_repeat(7, 0x01020304);
    const nn_idx idx = array(NN_IDX_U8, 1, elements.n, elements.data);
    cr_assert_eq(nn_idx_save(&idx, fixture_path("saved")), NN_OK);
    const blob saved = fixture_read("saved");
    cr_assert_eq(saved.n, 8 + elements.n);
    cr_assert_arr_eq(saved.data, "\0\0\x08\1\1\2\3\4\7", 9);
}

Test(idx, what_is_saved_is_loaded_again)
{
    blob elements = noise(80000);
    nn_idx again;
    const nn_idx idx = array(NN_IDX_F64, 8, 10000, elements.data);
    cr_assert_eq(nn_idx_save(&idx, fixture_path("a.gz")), NN_OK);
    cr_assert_eq(nn_idx_load(&again, fixture_path("a.gz")), NN_OK, "%s", nn_error_text());
    cr_assert_eq(again.type, NN_IDX_F64);
    cr_assert_eq(again.count, 10000);
    cr_assert_eq(memcmp(again.data, elements.data, elements.n), 0);
    nn_idx_release(&again);
}

Test(idx, same_array_gives_same_bytes)
{
    const nn_idx idx = array(NN_IDX_U8, 1, 100000, noise(100000).data);
    cr_assert_eq(nn_idx_save(&idx, fixture_path("a.gz")), NN_OK);
    cr_assert_eq(nn_idx_save(&idx, fixture_path("b.gz")), NN_OK);
    const blob a = fixture_read("a.gz");
    const blob b = fixture_read("b.gz");
    cr_assert_eq(a.n, b.n);
    cr_assert_eq(memcmp(a.data, b.data, a.n), 0);
}

Test(idx, only_the_end_of_the_name_decides_on_gzip)
{
    static const char *const plain[] = {"a.gz.idx", "agz", "a.GZ", "gz"};
    const nn_idx idx = array(NN_IDX_U8, 1, 3, "\1\2\3");
    for (size_t k = 0; k < sizeof plain / sizeof plain[0]; k++) {
        cr_assert_eq(nn_idx_save(&idx, fixture_path(plain[k])), NN_OK);
        cr_assert_eq(fixture_read(plain[k]).data[0], 0, "%s", plain[k]);
    }
    cr_assert_eq(chdir(fixture_path("")), 0);
    cr_assert_eq(nn_idx_save(&idx, ".gz"), NN_OK); /* just as long as the ending */
    cr_assert_eq(fixture_read(".gz").data[0], 0x1f);
    cr_assert_eq(nn_idx_save(&idx, "gz"), NN_OK);
    cr_assert_eq(nn_idx_save(&idx, "z"), NN_OK);
    cr_assert_eq(fixture_read("z").data[0], 0);
    cr_assert_eq(chdir("/"), 0);
}

static void assert_not_saved(nn_idx idx, const char *text)
{
    const char *path = fixture_path("file");
    cr_assert_eq(nn_idx_save(&idx, path), NN_ERR_ARGUMENT);
    cr_assert_str_eq(nn_error_text(), fixture_text("cannot write '%s': %s", path, text));
    cr_assert_eq(fixture_count(), 0);
}

Test(idx, refuses_to_save_what_the_format_cannot_hold)
{
    const nn_idx good = array(NN_IDX_I16, 2, 3, "abcdef");
    nn_idx bad = good;
    bad.type = (nn_idx_type)0x0a;
    assert_not_saved(bad, "no element type 0a of 2 bytes");
    bad = good;
    bad.item_size = 4;
    assert_not_saved(bad, "no element type 0b of 4 bytes");
    bad = good;
    bad.n_dims = 0;
    assert_not_saved(bad, "0 dimensions, expected 1 to 4");
    bad.n_dims = 5;
    assert_not_saved(bad, "5 dimensions, expected 1 to 4");
    bad = good;
    bad.dims[0] = 0;
    assert_not_saved(bad, "dimension 0 is 0, expected 1 to 4294967295");
    bad.dims[0] = (size_t)UINT32_MAX + 1;
    assert_not_saved(bad, "dimension 0 is 4294967296, expected 1 to 4294967295");
    bad = good;
    bad.count = 4;
    assert_not_saved(bad, "4 elements do not fill 3");
    bad = good;
    bad.data = NULL;
    assert_not_saved(bad, "0 elements do not fill 3");
    bad = good;
    bad.n_dims = 4;
    for (size_t k = 0; k < 4; k++) {
        bad.dims[k] = 65536; /* the product wraps around to 0 */
    }
    bad.count = 0;
    assert_not_saved(bad, "0 elements do not fill 65536 x 65536 x 65536 x 65536");
}

/* Saves, the n-th call of one kind failing, for every n; the old file stays. Returns how many. */
static unsigned long fail_each_save(const char *name, fault call, int error, nn_status expected)
{
    const blob elements = noise(300000);
    const nn_idx idx = array(NN_IDX_U8, 1, elements.n, elements.data);
    fixture_write(name, BYTES("old"));
    for (unsigned long n = 1;; n++) {
        fault_clear();
        fault_at(call, n, error, n % 2 == 0);
        const nn_status status = nn_idx_save(&idx, fixture_path(name));
        fault_clear();
        cr_assert_eq(fixture_count(), 1);
        if (status == NN_OK) {
            return n - 1;
        }
        cr_assert_eq(status, expected, "call %lu: %s", n, nn_error_text());
        cr_assert_not_null(strstr(nn_error_text(), fixture_path(name)));
        cr_assert_eq(fixture_read(name).n, 3);
    }
}

Test(idx, saving_survives_every_refused_allocation)
{
    cr_assert_eq(fail_each_save("file", FAULT_ALLOC, ENOMEM, NN_ERR_MEMORY), 2);
    cr_assert_eq(unlink(fixture_path("file")), 0);
    cr_assert_gt(fail_each_save("file.gz", FAULT_ALLOC, ENOMEM, NN_ERR_MEMORY), 2);
}

Test(idx, saving_survives_every_failed_write)
{
    cr_assert_gt(fail_each_save("file", FAULT_WRITE, ENOSPC, NN_ERR_IO), 3);
    cr_assert_eq(unlink(fixture_path("file")), 0);
    cr_assert_gt(fail_each_save("file.gz", FAULT_WRITE, ENOSPC, NN_ERR_IO), 3);
}

Test(idx, saving_survives_every_failed_open_and_rename)
{
    cr_assert_eq(fail_each_save("file", FAULT_OPEN, EACCES, NN_ERR_IO), 2);
    cr_assert_eq(fail_each_save("file", FAULT_RENAME, EACCES, NN_ERR_IO), 1);
}
