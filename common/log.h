/* common/log.h - events for operators: one line each on stderr.
 *
 *      sb_log_warn(SYNC, "refused snapshot version=%" PRIu64 " code=%s: %s",
 *                  offered, sb_err_name(rc), err.text);
 *
 * gives, as logfmt or as JSON,
 *
 *      time=2026-03-01T12:00:00.123Z level=warn program=switchboard-worker
 *      pid=4711 group=SYNC msg="refused snapshot: hash differs" version=12
 *      code=EHASH
 *      {"time":"...","level":"warn",...,"msg":"...","version":12,"code":"EHASH"}
 *
 * The structure is read from the format, never from the values: each word of
 * the format like key=... is a member (a comma, colon or semicolon at its end
 * belongs to the sentence), all other words together are the sentence "msg".
 * So a value may hold anything, a provider's or client's bytes too: it is
 * quoted and escaped as a whole, capped at SB_LOG_VALUE_MAX bytes, and cannot
 * pass for another member or line.  What is one %d, %u or %f is a number in
 * JSON, everything else is text.  Keys are [a-z0-9_.]; one that was used
 * before in the event (pid too) becomes key_2.  Put no quotes around a
 * conversion, and no blank into one ("% d").
 *
 * Arguments are not evaluated when the level is off.  One write(2) per event,
 * at most SB_LOG_LINE_MAX bytes, so lines of threads and processes never mix.
 * Every function may be called from any thread; those that configure belong
 * to the start of main(), or to a test.
 *
 * Never log prompts, completions or secrets.  common/ and proto/ log at debug
 * only: they return errors.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"

#define SB_LOG_LEVEL_MAP(X)                                                                        \
    X(DEBUG, "debug")                                                                              \
    X(INFO, "info")                                                                                \
    X(WARN, "warn")                                                                                \
    X(ERROR, "error")

/* X(group): what an event is about. */
#define SB_LOG_GROUP_MAP(X)                                                                        \
    X(MAIN)                                                                                        \
    X(CONF)                                                                                        \
    X(SYNC)                                                                                        \
    X(BUS)                                                                                         \
    X(ROUTE)                                                                                       \
    X(REQ)                                                                                         \
    X(POOL)                                                                                        \
    X(DIAL)                                                                                        \
    X(SPOOL)                                                                                       \
    X(COURIER)                                                                                     \
    X(STORE)                                                                                       \
    X(LEADER)                                                                                      \
    X(PUB)                                                                                         \
    X(COLLECT)                                                                                     \
    X(ADMIN)                                                                                       \
    X(PROBE)                                                                                       \
    X(TABLES)                                                                                      \
    X(EVENT)                                                                                       \
    X(NOTARY)                                                                                      \
    X(FLEET)                                                                                       \
    X(SUPER)

enum sb_log_level {
#define X(name, text) SB_LOG_##name,
    SB_LOG_LEVEL_MAP(X)
#undef X
};

enum sb_log_group {
#define X(name) SB_LOG_##name,
    SB_LOG_GROUP_MAP(X)
#undef X
        SB_LOG_GROUPS
};

enum sb_log_format { SB_LOG_LOGFMT, SB_LOG_JSON };

enum {
    SB_LOG_LINE_MAX = 4096, /* with its newline; PIPE_BUF: a pipe takes it whole */
    SB_LOG_VALUE_MAX = 512, /* bytes of one value before escaping; "..." follows */
};

/* Lowest level that is written, per group. */
extern unsigned char sb_log_levels[SB_LOG_GROUPS];

#define sb_log_is_on(level, group)                                                                 \
    ((unsigned char)(level) >= __atomic_load_n(&sb_log_levels[(group)], __ATOMIC_RELAXED))

#define sb_log_at(level, group, ...)                                                               \
    do {                                                                                           \
        if (SB_UNLIKELY(sb_log_is_on((level), SB_LOG_##group)))                                    \
            sb_log_event((level), SB_LOG_##group, __VA_ARGS__);                                    \
    } while (0)

#define sb_log_debug(group, ...) sb_log_at(SB_LOG_DEBUG, group, __VA_ARGS__)
#define sb_log_info(group, ...)  sb_log_at(SB_LOG_INFO, group, __VA_ARGS__)
#define sb_log_warn(group, ...)  sb_log_at(SB_LOG_WARN, group, __VA_ARGS__)
#define sb_log_error(group, ...) sb_log_at(SB_LOG_ERROR, group, __VA_ARGS__)

/* Writes the event whatever the level; use the macros. */
void sb_log_event(enum sb_log_level level, enum sb_log_group group, const char *fmt, ...)
    SB_PRINTF(3, 4);

/* "%.*s" arguments of a slice from outside: not more of it than is shown. */
#define SB_LOG_SLICE(slice) (int)sb_log_cap((slice).n), (slice).n > 0 ? (slice).p : ""

static inline size_t sb_log_cap(size_t n)
{
    return n <= SB_LOG_VALUE_MAX ? n : SB_LOG_VALUE_MAX + 1; /* one more, so that "..." shows */
}

/* The program's name in every event (borrowed), and the form of the line. */
void sb_log_setup(const char *program, enum sb_log_format format);
/* A level for all groups, and exceptions: "info", "warn,req=debug,pool=debug".
 * SB_EINVAL names what is allowed; nothing has changed then. */
int sb_log_set_levels(const char *spec, struct sb_errmsg *err) SB_MUSTCHECK;
/* The same, and nothing changes: for settings. */
int sb_log_check_levels(const char *spec, struct sb_errmsg *err) SB_MUSTCHECK;

/* Tests: events go to sink(ctx, line) with the newline, and not to stderr;
 * NULL puts stderr back.  Called under a lock: it must not log. */
typedef void sb_log_sink_cb(void *ctx, struct sb_slice line);
void sb_log_set_sink(sb_log_sink_cb *sink, void *ctx);
/* Tests: borrows the clock of the time stamps; NULL is the system's. */
void sb_log_set_clock(const struct sb_clock *clock);

/* Events that stderr did not take (full pipe of a stuck reader, closed file). */
uint64_t sb_log_lost(void);

const char *sb_log_level_name(enum sb_log_level level);
const char *sb_log_group_name(enum sb_log_group group);
