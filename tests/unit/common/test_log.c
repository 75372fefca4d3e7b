/* tests/unit/common/test_log.c */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

static char got[4 * SB_LOG_LINE_MAX];
static size_t got_len;
static unsigned lines;
static struct fake_clock fake = FAKE_CLOCK_INIT;

static void on_line(void *ctx, struct sb_slice line)
{
    (void)ctx;
    lines++;
    if (got_len + line.n < sizeof(got)) {
        memcpy(got + got_len, line.p, line.n);
        got_len += line.n;
        got[got_len] = '\0';
    }
}

static int set_up(void **state)
{
    (void)state;
    got_len = lines = 0;
    got[0] = '\0';
    fake.wall_at = UINT64_C(1772330645123987);
    sb_log_setup("test-log", SB_LOG_LOGFMT);
    sb_log_set_clock(&fake.clock);
    sb_log_set_sink(on_line, NULL);
    return sb_log_set_levels("info", NULL);
}

static int tear_down(void **state)
{
    (void)state;
    sb_log_set_sink(NULL, NULL);
    sb_log_set_clock(NULL);
    return 0;
}

static void an_event_is_one_line_with_its_head(void **state)
{
    char expected[300];

    (void)state;
    sb_log_info(SYNC, "adopted snapshot version=%" PRIu64 " worker=%s", UINT64_C(12), "w-1");
    (void)snprintf(expected, sizeof(expected),
                   "time=2026-03-01T02:04:05.123Z level=info program=test-log pid=%ld group=SYNC "
                   "msg=\"adopted snapshot\" version=12 worker=w-1\n",
                   (long)getpid());
    assert_string_equal(got, expected);
}

static void the_same_event_as_json(void **state)
{
    char expected[300];

    (void)state;
    sb_log_setup("test-log", SB_LOG_JSON);
    sb_log_error(SPOOL, "cannot write segment=%s free=%d", "a \"b\"", -3);
    (void)snprintf(expected, sizeof(expected),
                   "{\"time\":\"2026-03-01T02:04:05.123Z\",\"level\":\"error\","
                   "\"program\":\"test-log\",\"pid\":%ld,\"group\":\"SPOOL\","
                   "\"msg\":\"cannot write\",\"segment\":\"a \\\"b\\\"\",\"free\":-3}\n",
                   (long)getpid());
    assert_string_equal(got, expected);
}

static int evaluated;

static int count_evaluation(void)
{
    return ++evaluated;
}

static void arguments_of_a_level_that_is_off_are_not_evaluated(void **state)
{
    (void)state;
    evaluated = 0;
    sb_log_debug(REQ, "never n=%d", count_evaluation());
    assert_int_equal(evaluated, 0);
    assert_int_equal(lines, 0);
    sb_log_info(REQ, "once n=%d", count_evaluation());
    assert_int_equal(evaluated, 1);
    assert_int_equal(lines, 1);
}

static void levels_are_set_for_all_and_per_group(void **state)
{
    (void)state;
    assert_int_equal(sb_log_set_levels("warn,req=debug,Pool=error", NULL), SB_OK);
    sb_log_info(MAIN, "no");
    sb_log_warn(MAIN, "yes");
    sb_log_debug(REQ, "yes");
    sb_log_warn(POOL, "no");
    sb_log_error(POOL, "yes");
    assert_int_equal(lines, 3);
}

static void a_wrong_level_changes_nothing_and_is_named(void **state)
{
    static const char *const wrong[] = {
        "",           "loud",   "info,", "info,req", "info,req=", "req=loud", "info,nobody=debug",
        "info,,warn", "=debug", "INFO"};
    struct sb_errmsg err = {""};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        if (sb_log_set_levels(wrong[i], &err) != SB_EINVAL)
            fail_msg("'%s' was accepted", wrong[i]);
    }
    assert_int_equal(sb_log_set_levels("debug,nobody=debug", &err), SB_EINVAL);
    assert_non_null(strstr(err.text, "'nobody' is no group"));
    assert_int_equal(sb_log_set_levels("debug,req=loud", &err), SB_EINVAL);
    assert_int_equal(sb_log_check_levels("debug,req=loud", &err), SB_EINVAL);
    assert_int_equal(sb_log_check_levels("error,req=error", &err), SB_OK);
    assert_non_null(strstr(err.text, "'req=loud': a level is debug, info, warn or error"));
    sb_log_debug(REQ, "no");
    assert_int_equal(lines, 0);
}

static void errno_survives_an_event(void **state)
{
    (void)state;
    errno = ENOTDIR;
    sb_log_info(MAIN, "any value=%.9f", 0.1);
    assert_int_equal(errno, ENOTDIR);
}

static void a_slice_is_logged_no_further_than_it_is_shown(void **state)
{
    static char big[100000];

    (void)state;
    memset(big, 'x', sizeof(big)); /* and no NUL at its end */
    sb_log_info(MAIN, "slices none=%.*s some=%.*s big=%.*s end=%d", SB_LOG_SLICE(SB_SLICE_NONE),
                SB_LOG_SLICE(SB_SLICE_LIT("abc")), SB_LOG_SLICE(sb_slice_make(big, sizeof(big))),
                1);
    assert_non_null(strstr(got, " none=\"\" some=abc big=\"xxx"));
    assert_non_null(strstr(got, "xxx...\" end=1\n"));
    assert_true(got_len < SB_LOG_VALUE_MAX + 200);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        sb_log_info(COURIER, "event from=%s", (const char *)arg);
    return NULL;
}

static void lines_of_threads_do_not_mix_on_stderr(void **state)
{
    static char read_back[4096];
    pthread_t threads[4];
    int pipes[2], kept = dup(STDERR_FILENO);
    unsigned newlines = 0, whole = 0;
    char tail[64] = "";
    ssize_t n;

    (void)state;
    sb_log_set_sink(NULL, NULL);
    assert_int_equal(pipe(pipes), 0);
    /* F_SETPIPE_SZ, which <fcntl.h> shows with _GNU_SOURCE only: 800 lines fit. */
    assert_true(fcntl(pipes[1], 1031, 1 << 20) >= 0);
    assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t) "abcd"),
                         0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(pipes[1]);
    /* Every line must end as it was written. */
    while ((n = read(pipes[0], read_back, sizeof(read_back))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            memmove(tail, tail + 1, sizeof(tail) - 1);
            tail[sizeof(tail) - 1] = read_back[i];
            if (read_back[i] != '\n')
                continue;
            newlines++;
            whole += memcmp(tail + sizeof(tail) - 11, " from=abcd\n", 11) == 0;
        }
    }
    (void)close(pipes[0]);
    (void)close(kept);
    assert_int_equal(newlines, 800);
    assert_int_equal(whole, 800);
}

static void what_stderr_does_not_take_is_counted(void **state)
{
    uint64_t before = sb_log_lost();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), kept = dup(STDERR_FILENO);

    (void)state;
    sb_log_set_sink(NULL, NULL);
    assert_true(full >= 0);
    assert_true(dup2(full, STDERR_FILENO) >= 0);
    sb_log_info(MAIN, "lost");
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(full);
    (void)close(kept);
    assert_true(sb_log_lost() == before + 1);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(an_event_is_one_line_with_its_head),
        LOG_TEST(the_same_event_as_json),
        LOG_TEST(arguments_of_a_level_that_is_off_are_not_evaluated),
        LOG_TEST(levels_are_set_for_all_and_per_group),
        LOG_TEST(a_wrong_level_changes_nothing_and_is_named),
        LOG_TEST(errno_survives_an_event),
        LOG_TEST(a_slice_is_logged_no_further_than_it_is_shown),
        LOG_TEST(lines_of_threads_do_not_mix_on_stderr),
        LOG_TEST(what_stderr_does_not_take_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
