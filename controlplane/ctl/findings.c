/* controlplane/ctl/findings.c */
#include "controlplane/ctl/findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/slice.h"

static const char *const names[CTL_FINDING_KINDS] = {
#define X(name, text) [CTL_FINDING_##name] = (text),
    CTL_FINDING_MAP(X)
#undef X
};

const char *ctl_finding_name(enum ctl_finding_kind kind)
{
    return names[kind];
}

static void add(struct ctl_findings *findings, struct ctl_finding *finding, const char *fmt,
                va_list args) SB_PRINTF(3, 0);
static void add(struct ctl_findings *findings, struct ctl_finding *finding, const char *fmt,
                va_list args)
{
    char text[512];

    findings->total++;
    if (findings->n == CTL_FINDINGS_MAX)
        return;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    finding->text = sb_arena_dup(findings->arena, sb_slice_of(text)).p;
    findings->list[findings->n++] = *finding;
}

void ctl_findings_add(struct ctl_findings *findings, enum ctl_finding_kind kind, uint64_t from,
                      uint64_t to, const char *fmt, ...)
{
    struct ctl_finding finding = {.kind = kind, .has_place = true, .from = from, .to = to};
    va_list args;

    va_start(args, fmt);
    add(findings, &finding, fmt, args);
    va_end(args);
}

void ctl_findings_add_general(struct ctl_findings *findings, enum ctl_finding_kind kind,
                              const char *fmt, ...)
{
    struct ctl_finding finding = {.kind = kind};
    va_list args;

    va_start(args, fmt);
    add(findings, &finding, fmt, args);
    va_end(args);
}
