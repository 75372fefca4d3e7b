/* controlplane/ctl/cmd_audit.c - audit query, audit changes, audit actions,
 * events, probes, prices. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/moment.h"
#include "controlplane/ctl/show.h"

static const struct ctl_field request_fields[] = {
    {"RECEIVED (UTC)", "received_at", CTL_SHOW_TIME, false},
    {"KEY", "key", CTL_SHOW_NAME, false},
    {"MODEL", "model_asked", CTL_SHOW_TEXT, true},
    {"ENDPOINT", "endpoint", CTL_SHOW_TEXT, true},
    {"REGION", "region", CTL_SHOW_TEXT, false},
    {"OUTCOME", "outcome", CTL_SHOW_STATE, false},
    {"TRIES", "attempts", CTL_SHOW_LENGTH, false},
    {"IN", "tokens.prompt", CTL_SHOW_COUNT, false},
    {"OUT", "tokens.completion", CTL_SHOW_COUNT, false},
    {"TOOK", "took_ms", CTL_SHOW_MSEC, false},
    {"COST $", "cost", CTL_SHOW_DECIMAL, false},
    {"GENERATION", "generation_id", CTL_SHOW_TEXT, true},
};
/* A narrow terminal says who got what, and where it was served. */
static const unsigned request_leaves[SB_ARRAY_LEN(request_fields)] = {0, 0, 0, 0, 0, 0,
                                                                      4, 1, 1, 3, 0, 0};
/* What they were served on. */
static const struct ctl_field evidence_fields[] = {
    {"RECEIVED (UTC)", "received_at", CTL_SHOW_TIME, false},
    {"KEY", "key", CTL_SHOW_NAME, false},
    {"PROVIDER", "provider", CTL_SHOW_TEXT, false},
    {"ENDPOINT", "endpoint", CTL_SHOW_TEXT, false},
    {"REGION", "region", CTL_SHOW_TEXT, false},
    {"EVIDENCE HELD", "evidence", CTL_SHOW_EVIDENCE, true},
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
    {"OUTCOME", "outcome", CTL_SHOW_STATE, false},
    {"GENERATION", "generation_id", CTL_SHOW_TEXT, true},
};
static const struct ctl_field change_fields[] = {
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
    {"WHEN (UTC)", "at", CTL_SHOW_TIME, false},
    {"WHO", "author", CTL_SHOW_NAME, false},
    {"AS", "role", CTL_SHOW_TEXT, false},
    {"FROM", "address", CTL_SHOW_TEXT, false},
    {"BY", "by", CTL_SHOW_TEXT, false},
    {"KIND", "kind", CTL_SHOW_TEXT, false},
    {"NAME", "name", CTL_SHOW_TEXT, true},
    {"ACTION", "action", CTL_SHOW_STATE, false},
    {"NOTE", "note", CTL_SHOW_TEXT, true},
};
static const unsigned change_leaves[SB_ARRAY_LEN(change_fields)] = {0, 0, 0, 0, 1, 1, 0, 0, 0, 0};

/* Of one flag. */
static const struct ctl_field flag_fields[] = {
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
    {"WHEN (UTC)", "at", CTL_SHOW_TIME, false},
    {"WHO", "author", CTL_SHOW_NAME, false},
    {"NAME", "name", CTL_SHOW_TEXT, true},
    {"WAS", "flag.before.value", CTL_SHOW_TEXT, false},
    {"IS", "flag.after.value", CTL_SHOW_TEXT, false},
    {"EVIDENCE", "flag.after.evidence", CTL_SHOW_TEXT, true},
    {"EXPIRES", "flag.after.expires_on", CTL_SHOW_TEXT, false},
    {"NOTE", "note", CTL_SHOW_TEXT, true},
};
static const struct ctl_field action_fields[] = {
    {"WHEN (UTC)", "at", CTL_SHOW_TIME, false},  {"WHO", "author", CTL_SHOW_NAME, false},
    {"AS", "role", CTL_SHOW_TEXT, false},        {"FROM", "address", CTL_SHOW_TEXT, false},
    {"ACTION", "action", CTL_SHOW_STATE, false}, {"SUBJECT", "subject", CTL_SHOW_TEXT, true},
};

static const struct ctl_field event_fields[] = {
    {"ID", "id", CTL_SHOW_VERSION, false},           {"WHEN (UTC)", "at", CTL_SHOW_TIME, false},
    {"SEVERITY", "severity", CTL_SHOW_STATE, false}, {"EVENT", "kind", CTL_SHOW_TEXT, false},
    {"SUBJECT", "subject", CTL_SHOW_NAME, true},     {"WHAT", "text", CTL_SHOW_TEXT, true},
};

static const struct ctl_field probe_fields[] = {
    {"STARTED (UTC)", "started_at", CTL_SHOW_TIME, false},
    {"PROVIDER", "provider", CTL_SHOW_NAME, false},
    {"ENDPOINT", "endpoint", CTL_SHOW_TEXT, true},
    {"KIND", "kind", CTL_SHOW_TEXT, false},
    {"REASON", "reason", CTL_SHOW_TEXT, false},
    {"OUTCOME", "outcome", CTL_SHOW_STATE, false},
    {"STATUS", "status", CTL_SHOW_COUNT, false},
    {"CONNECT", "connect_ms", CTL_SHOW_MSEC, false},
    {"FIRST", "first_token_ms", CTL_SHOW_MSEC, false},
    {"TOK/S", "tokens_per_second", CTL_SHOW_RATE, false},
    {"COST $", "cost", CTL_SHOW_DECIMAL, false},
};

static const unsigned probe_leaves[SB_ARRAY_LEN(probe_fields)] = {0, 0, 0, 1, 3, 0, 0, 2, 0, 0, 0};

static const struct ctl_field price_fields[] = {
    {"WHEN (UTC)", "at", CTL_SHOW_TIME, false},
    {"ENDPOINT", "endpoint", CTL_SHOW_NAME, true},
    {"WHO", "author", CTL_SHOW_TEXT, false},
    {"VERDICT", "verdict", CTL_SHOW_STATE, false},
    {"WAS $/M IN", "before.prompt", CTL_SHOW_DECIMAL, false},
    {"OUT", "before.completion", CTL_SHOW_DECIMAL, false},
    {"IS $/M IN", "after.prompt", CTL_SHOW_DECIMAL, false},
    {"OUT", "after.completion", CTL_SHOW_DECIMAL, false},
};

/* --- filters ------------------------------------------------------------------------ */

static int add_moment(struct ctl_query *query, const char *name)
{
    const char *text = ctl_flag(query->ctl, name);
    char moment[SB_TIME_TEXT_MAX];

    if (text == NULL)
        return CTL_DONE;
    if (!ctl_moment_read(text, sb_clock_wall(&sb_clock_system), moment))
        return ctl_misuse(query->ctl,
                          "--%s %s is no time: 2026-01-31, 2026-01-31T12:00:00Z, or 2h (ago) is",
                          name, text);
    ctl_query_add(query, name, sb_arena_dup(query->ctl->arena, sb_slice_of(moment)).p);
    return CTL_DONE;
}

static int make_query(struct ctl_query *query, const char *const *names)
{
    int status = add_moment(query, "from");

    if (status == CTL_DONE)
        status = add_moment(query, "to");
    for (; status == CTL_DONE && *names != NULL; names++) {
        char *name = sb_arena_alloc(query->ctl->arena, strlen(*names) + 1);

        for (size_t i = 0; (*names)[i] != '\0'; i++) {
            name[i] = (*names)[i];
            if (name[i] == '-')
                name[i] = '_';
        }
        ctl_query_add(query, name, ctl_flag(query->ctl, *names));
    }
    return status;
}

static int read_limit(struct ctl *ctl, uint64_t fallback, uint64_t *ret_limit)
{
    const char *limit = ctl_flag(ctl, "limit");

    *ret_limit = fallback;
    if (limit != NULL && (!sb_num_read_u64(sb_slice_of(limit), ret_limit) || *ret_limit == 0))
        return ctl_misuse(ctl, "--limit %s is not a number from 1", limit);
    return CTL_DONE;
}

/* --- streams -------------------------------------------------------------------------- */

static int on_piece(void *ctx, struct sb_slice piece)
{
    struct ctl *ctl = ctx;

    while (piece.n > 0) {
        ssize_t n = write(STDOUT_FILENO, piece.p, piece.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            ctl->reader_is_gone = errno == EPIPE;
            if (!ctl->reader_is_gone)
                (void)ctl_fail(ctl, "cannot write: %s", strerror(errno));
            return SB_ECANCELED;
        }
        piece = sb_slice_from(piece, (size_t)n);
    }
    return SB_OK;
}

static int stream(struct ctl *ctl, const char *path, struct ctl_query *query, const char *format)
{
    struct ctl_request request = {.method = "GET", .on_piece = on_piece, .piece_ctx = ctl};
    const char *limit = ctl_flag(ctl, "limit");
    yyjson_val *root = NULL;

    if (strcmp(format, "csv") != 0 && strcmp(format, "ndjson") != 0)
        return ctl_misuse(ctl, "--format %s: there are csv and ndjson", format);
    ctl_query_add(query, "format", format);
    ctl_query_add(query, "limit", limit);
    request.path = ctl_query_path(query, path);
    ctl->shows_progress = false;
    return ctl_call(ctl, &request, &root);
}

/* --- lists -------------------------------------------------------------------------------- */

/* leaves: as of ctl_show_fitted(); or NULL. */
static int list_fitted(struct ctl *ctl, const char *path, struct ctl_query *query,
                       const struct ctl_field *fields, const unsigned *leaves, unsigned n_fields)
{
    const char *format = ctl_flag(ctl, "format");
    yyjson_val *rows = NULL;
    uint64_t limit = 0;
    int status = read_limit(ctl, 50, &limit);

    if (status == CTL_DONE && format != NULL)
        return stream(ctl, path, query, format);
    if (status == CTL_DONE)
        status = ctl_get_list(ctl, path, query, (size_t)limit, &rows);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, rows);
    else
        ctl_show_fitted(ctl, rows, fields, leaves, n_fields, "nothing was found");
    if (ctl->format == CTL_AS_TABLE && yyjson_arr_size(rows) == limit &&
        ctl_flag(ctl, "limit") == NULL)
        ctl_note(ctl, "These are the newest %" PRIu64 "; --limit N shows more.", limit);
    return CTL_DONE;
}

static int list(struct ctl *ctl, const char *path, struct ctl_query *query,
                const struct ctl_field *fields, unsigned n_fields)
{
    return list_fitted(ctl, path, query, fields, NULL, n_fields);
}

int ctl_run_audit_query(struct ctl *ctl)
{
    static const char *const names[] = {"key",       "model",       "provider",      "endpoint",
                                        "region",    "outcome",     "generation-id", "zdr",
                                        "residency", "no-training", "distillable",   "left",
                                        "evidence",  "min-cost",    "client",        NULL};
    struct ctl_query query = {.ctl = ctl};
    int status = make_query(&query, names);

    ctl_query_add_switch(&query, "evidence-withdrawn", "evidence_withdrawn");
    if (status != CTL_DONE)
        return status;
    if (ctl_flag(ctl, "evidence") != NULL || ctl_has(ctl, "evidence-withdrawn"))
        return list(ctl, "/admin/v1/audit/requests", &query, evidence_fields,
                    SB_ARRAY_LEN(evidence_fields));
    return list_fitted(ctl, "/admin/v1/audit/requests", &query, request_fields, request_leaves,
                       SB_ARRAY_LEN(request_fields));
}

/* Of an endpoint that says nothing itself, what its provider says counts. */
static void note_providers(struct ctl *ctl)
{
    struct sb_slice flag = sb_slice_of(ctl_flag(ctl, "flag"));
    const char *name = ctl_flag(ctl, "name");

    if (name != NULL && strchr(name, '@') != NULL &&
        (sb_slice_is(flag, "zdr") || sb_slice_is(flag, "no_training")))
        ctl_note(ctl,
                 "These are changes of the endpoint itself; where it says nothing, %.*s of its "
                 "provider counts, whose changes --name PROVIDER shows.",
                 SB_SLICE_ARGS(flag));
}

int ctl_run_audit_changes(struct ctl *ctl)
{
    static const char *const names[] = {"author", "role", "client",   "kind",
                                        "name",   "flag", "revision", NULL};
    struct ctl_query query = {.ctl = ctl};
    int status = make_query(&query, names);

    if (status != CTL_DONE)
        return status;
    if (ctl_flag(ctl, "flag") != NULL) {
        note_providers(ctl);
        return list(ctl, "/admin/v1/audit/changes", &query, flag_fields, SB_ARRAY_LEN(flag_fields));
    }
    return list_fitted(ctl, "/admin/v1/audit/changes", &query, change_fields, change_leaves,
                       SB_ARRAY_LEN(change_fields));
}

int ctl_run_audit_actions(struct ctl *ctl)
{
    static const char *const names[] = {"author", "role", "client", "action", "subject", NULL};
    struct ctl_query query = {.ctl = ctl};
    int status = make_query(&query, names);

    return status == CTL_DONE ? list(ctl, "/admin/v1/audit/actions", &query, action_fields,
                                     SB_ARRAY_LEN(action_fields))
                              : status;
}

int ctl_run_events(struct ctl *ctl)
{
    static const char *const names[] = {"kind", "severity", "subject-kind", "subject", NULL};
    struct ctl_query query = {.ctl = ctl};
    int status = make_query(&query, names);

    return status == CTL_DONE
               ? list(ctl, "/admin/v1/events", &query, event_fields, SB_ARRAY_LEN(event_fields))
               : status;
}

int ctl_run_probes(struct ctl *ctl)
{
    static const char *const names[] = {"kind", "provider", "endpoint", "outcome", NULL};
    struct ctl_query query = {.ctl = ctl};
    int status = make_query(&query, names);

    return status == CTL_DONE ? list_fitted(ctl, "/admin/v1/probes", &query, probe_fields,
                                            probe_leaves, SB_ARRAY_LEN(probe_fields))
                              : status;
}

int ctl_run_prices(struct ctl *ctl)
{
    static const char *const names[] = {"endpoint", "verdict", NULL};
    struct ctl_query query = {.ctl = ctl};
    int status = make_query(&query, names);

    return status == CTL_DONE
               ? list(ctl, "/admin/v1/prices", &query, price_fields, SB_ARRAY_LEN(price_fields))
               : status;
}
