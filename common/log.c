/* common/log.c */
#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/logline.h"

unsigned char sb_log_levels[SB_LOG_GROUPS] = {
#define X(name) SB_LOG_INFO,
    SB_LOG_GROUP_MAP(X)
#undef X
};

static const char *log_program = "switchboard";
static enum sb_log_format log_format = SB_LOG_LOGFMT;
static const struct sb_clock *log_clock = &sb_clock_system;
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static sb_log_sink_cb *_Atomic log_sink;
static void *sink_ctx;
static atomic_uint_fast64_t lost;

static void send_line(struct sb_slice line)
{
    sb_log_sink_cb *sink = atomic_load(&log_sink);
    ssize_t n;

    if (sink != NULL) {
        (void)pthread_mutex_lock(&sink_lock);
        sink(sink_ctx, line);
        (void)pthread_mutex_unlock(&sink_lock);
        return;
    }
    do {
        n = write(STDERR_FILENO, line.p, line.n);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)line.n)
        (void)atomic_fetch_add(&lost, 1);
}

void sb_log_event(enum sb_log_level level, enum sb_log_group group, const char *fmt, ...)
{
    struct sb_logline_head head = {
        .time = sb_clock_wall(log_clock),
        .level = sb_log_level_name(level),
        .program = log_program,
        .pid = getpid(),
        .group = sb_log_group_name(group),
    };
    char line[SB_LOG_LINE_MAX];
    int saved = errno;
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = sb_logline_make(line, &head, log_format, fmt, ap);
    va_end(ap);
    send_line(sb_slice_make(line, n));
    errno = saved;
}

/* --- configuration --------------------------------------------------------------- */

void sb_log_setup(const char *program, enum sb_log_format format)
{
    log_program = program;
    log_format = format;
}

static bool find_level(struct sb_slice text, unsigned char *ret_level)
{
    for (unsigned i = 0; i <= SB_LOG_ERROR; i++) {
        if (sb_slice_is(text, sb_log_level_name((enum sb_log_level)i))) {
            *ret_level = (unsigned char)i;
            return true;
        }
    }
    return false;
}

static bool find_group(struct sb_slice text, size_t *ret_group)
{
    for (size_t i = 0; i < SB_LOG_GROUPS; i++) {
        if (sb_slice_eq_nocase(text, sb_slice_of(sb_log_group_name((enum sb_log_group)i)))) {
            *ret_group = i;
            return true;
        }
    }
    return false;
}

static int read_levels(const char *spec, unsigned char levels[SB_LOG_GROUPS], struct sb_errmsg *err)
{
    unsigned char level;
    struct sb_slice rest = sb_slice_of(spec);
    size_t group;

    for (size_t i = 0; i < SB_LOG_GROUPS; i++)
        levels[i] = SB_LOG_INFO;
    for (;;) {
        struct sb_slice item = {.p = rest.p, .n = sb_slice_find(rest, ',')};
        size_t equals = sb_slice_find(item, '=');
        bool one = equals < item.n;

        if (!find_level(one ? sb_slice_from(item, equals + 1) : item, &level))
            return sb_err_set(err, SB_EINVAL,
                              "'%.*s': a level is debug, info, warn or error, "
                              "alone or as group=level",
                              (int)sb_log_cap(item.n), item.p);
        if (one && !find_group(sb_slice_make(item.p, equals), &group))
            return sb_err_set(err, SB_EINVAL, "'%.*s' is no group of log events",
                              (int)sb_log_cap(equals), item.p);
        if (one)
            levels[group] = level;
        else
            memset(levels, level, SB_LOG_GROUPS);
        if (item.n == rest.n)
            break;
        rest = sb_slice_from(rest, item.n + 1);
    }
    return SB_OK;
}

int sb_log_check_levels(const char *spec, struct sb_errmsg *err)
{
    unsigned char levels[SB_LOG_GROUPS];

    return read_levels(spec, levels, err);
}

int sb_log_set_levels(const char *spec, struct sb_errmsg *err)
{
    unsigned char levels[SB_LOG_GROUPS];
    int rc = read_levels(spec, levels, err);

    if (rc != SB_OK)
        return rc;
    for (size_t i = 0; i < SB_LOG_GROUPS; i++)
        __atomic_store_n(&sb_log_levels[i], levels[i], __ATOMIC_RELAXED);
    return SB_OK;
}

void sb_log_set_sink(sb_log_sink_cb *sink, void *ctx)
{
    (void)pthread_mutex_lock(&sink_lock);
    sink_ctx = ctx;
    atomic_store(&log_sink, sink);
    (void)pthread_mutex_unlock(&sink_lock);
}

void sb_log_set_clock(const struct sb_clock *clock)
{
    log_clock = clock != NULL ? clock : &sb_clock_system;
}

uint64_t sb_log_lost(void)
{
    return atomic_load(&lost);
}

const char *sb_log_level_name(enum sb_log_level level)
{
    switch (level) {
#define X(name, text)                                                                              \
    case SB_LOG_##name:                                                                            \
        return text;
        SB_LOG_LEVEL_MAP(X)
#undef X
    }
    return "?";
}

const char *sb_log_group_name(enum sb_log_group group)
{
    switch (group) {
#define X(name)                                                                                    \
    case SB_LOG_##name:                                                                            \
        return #name;
        SB_LOG_GROUP_MAP(X)
#undef X
    case SB_LOG_GROUPS:
        break;
    }
    return "?";
}
