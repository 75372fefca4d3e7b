/* controlplane/probe.c */
#include "controlplane/probe.h"

#define X(name, number, text)                                                                      \
    case (number):                                                                                 \
        return text;

const char *cp_probe_kind_name(enum cp_probe_kind kind)
{
    switch ((int)kind) {
        CP_PROBE_KIND_MAP(X)
    default:
        return "unknown";
    }
}

const char *cp_probe_reason_name(enum cp_probe_reason reason)
{
    switch ((int)reason) {
        CP_PROBE_REASON_MAP(X)
    default:
        return "unknown";
    }
}
