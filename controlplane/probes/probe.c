/* controlplane/probes/probe.c */
#include "controlplane/probes/probe.h"

#include "common/arena.h"
#include "common/mem.h"
#include "controlplane/mail.h"

enum { CATALOG_ARENA = 64 * 1024 };

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

struct cp_probes *cp_probes_new(enum cp_probes_stage stage, uint64_t term)
{
    struct cp_probes *probes = sb_mem_new(sizeof(*probes));

    probes->mail.kind = CP_MAIL_PROBES;
    probes->mail.drop = cp_mail_free;
    probes->stage = stage;
    probes->term = term;
    return probes;
}

struct cp_catalog_mail *cp_catalog_mail_new(uint64_t term)
{
    struct cp_catalog_mail *catalog = sb_mem_new(sizeof(*catalog));

    catalog->mail.kind = CP_MAIL_CATALOG;
    catalog->mail.drop = cp_mail_free;
    catalog->term = term;
    catalog->arena = sb_arena_new(CATALOG_ARENA);
    return catalog;
}
