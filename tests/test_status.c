/* Promise: after a failure the caller has a code and one line of text that says what went wrong,
 * his own even when other threads fail too, and harmless to print. */
#include "nnlib.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

Test(status, text_is_empty_before_the_first_failure)
{
    cr_assert_str_empty(nn_error_text());
}

Test(status, fail_returns_the_code_and_keeps_the_text)
{
    cr_assert_eq(nn_fail(NN_ERR_DATA, "'%s' ends at %d of %d", "a.gz", 3, 5), NN_ERR_DATA);
    cr_assert_str_eq(nn_error_text(), "'a.gz' ends at 3 of 5");
    cr_assert_eq(nn_fail(NN_ERR_MODEL, "no"), NN_ERR_MODEL);
    cr_assert_str_eq(nn_error_text(), "no");
}

Test(status, text_may_be_built_from_the_text_before)
{
    (void)nn_fail(NN_ERR_IO, "disk full");
    (void)nn_fail(NN_ERR_IO, "cannot save: %s (%s)", nn_error_text(), nn_error_text());
    cr_assert_str_eq(nn_error_text(), "cannot save: disk full (disk full)");
}

Test(status, control_characters_become_question_marks)
{
    (void)nn_fail(NN_ERR_IO, "%s",
                  "a\x1b[31mb\nc\td\x7f"
                  "e\x01~ ");
    cr_assert_str_eq(nn_error_text(), "a?[31mb?c?d?e?~ ");
}

Test(status, second_control_set_in_utf8_becomes_question_marks)
{
    /* U+0080, U+009B (a terminal's CSI), U+009F; U+00A0 and U+00E9 are no controls. */
    (void)nn_fail(NN_ERR_IO, "%s", "\xc2\x80|\xc2\x9b|\xc2\x9f|\xc2\xa0|\xc3\xa9|\xc2");
    cr_assert_str_eq(nn_error_text(), "??|??|??|\xc2\xa0|\xc3\xa9|\xc2");
}

Test(status, text_of_1023_bytes_is_kept_whole)
{
    char name[1022];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)nn_fail(NN_ERR_IO, "<%s>", name);
    cr_assert_eq(strlen(nn_error_text()), 1023);
    cr_assert_eq(strspn(nn_error_text() + 1, "n"), 1021);
    cr_assert_eq(nn_error_text()[1022], '>');
}

Test(status, text_of_1024_bytes_is_shortened_and_still_ends)
{
    char name[1025];
    memset(name, 'n', sizeof name - 2);
    name[sizeof name - 2] = '>';
    name[sizeof name - 1] = '\0';
    (void)nn_fail(NN_ERR_IO, "%s", name);
    cr_assert_eq(strlen(nn_error_text()), 1023);
    cr_assert_eq(nn_error_text()[1022], '>');
    (void)nn_fail(NN_ERR_IO, "%s", name + 1);
    cr_assert_str_eq(nn_error_text(), name + 1);
}

Test(status, longer_text_loses_its_middle_and_keeps_both_ends)
{
    char name[5000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)nn_fail(NN_ERR_IO, "cannot open '%s': no such file", name);
    const char *text = nn_error_text();
    cr_assert_eq(strlen(text), 1023);
    cr_assert_eq(strncmp(text, "cannot open 'nnnn", 17), 0);
    cr_assert_not_null(strstr(text, "nnnn ... nnnn"));
    cr_assert_str_eq(text + 1023 - 19, "nnnn': no such file");
}

Test(status, text_of_any_length_is_cut_without_harm)
{
    static char name[20000];
    memset(name, 'n', sizeof name - 1);
    (void)nn_fail(NN_ERR_IO, "%s", name);
    cr_assert_eq(strlen(nn_error_text()), 1023);
}

static void *fail_elsewhere(void *seen)
{
    *(bool *)seen = nn_error_text()[0] != '\0';
    (void)nn_fail(NN_ERR_IO, "theirs");
    return NULL;
}

Test(status, each_thread_has_its_own_text)
{
    pthread_t thread;
    bool seen = true;
    (void)nn_fail(NN_ERR_IO, "ours");
    cr_assert_eq(pthread_create(&thread, NULL, fail_elsewhere, &seen), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_not(seen);
    cr_assert_str_eq(nn_error_text(), "ours");
}
