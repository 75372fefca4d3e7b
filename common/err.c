/* common/err.c */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *sb_err_str(int code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case SB_##name:                                                                                \
        return text;
        SB_ERR_MAP(X)
#undef X
    default:
        return "unknown error";
    }
}

const char *sb_err_name(int code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case SB_##name:                                                                                \
        return #name;
        SB_ERR_MAP(X)
#undef X
    default:
        return "UNKNOWN";
    }
}

int sb_err_from_errno(int errnum)
{
    switch (-errnum) {
#define X(name, value, text) case SB_##name:
        SB_ERR_MAP(X)
#undef X
        return -errnum;
    default:
        return SB_EIO;
    }
}

int sb_err_set(struct sb_errmsg *err, int code, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
    }
    return code;
}
