/* common/logline.h - one log event as a line of text.
 *
 * The form that log.h promises; pure, so that tests and the fuzzer reach it
 * without a log.  Others use log.h.
 */
#pragma once

#include <stdarg.h>
#include <sys/types.h>

#include "common/log.h"

struct sb_logline_head {
    sb_usec time; /* wall clock */
    const char *level;
    const char *program;
    const char *group;
    pid_t pid;
};

/* Writes the line with its newline, not terminated; returns its length, which
 * is at most SB_LOG_LINE_MAX.  Members that do not fit are left out, and a
 * last one says so: truncated=true.  fmt must be checked against ap. */
size_t sb_logline_make(char text[SB_LOG_LINE_MAX], const struct sb_logline_head *head,
                       enum sb_log_format format, const char *fmt, va_list ap) SB_PRINTF(4, 0);
