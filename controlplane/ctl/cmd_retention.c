/* controlplane/ctl/cmd_retention.c - hold set, hold list, hold lift, erase, audit
 * export. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/timefmt.h"
#include "common/zstd.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/moment.h"
#include "controlplane/ctl/show.h"

enum { BODY_MAX = 64 * 1024, FILE_MODE = 0640 };

/* --- holds ------------------------------------------------------------------------------ */

static const struct ctl_field fields[] = {
    {"NAME", "name", CTL_SHOW_NAME, false},           {"STATE", "state", CTL_SHOW_STATE, false},
    {"FROM", "from", CTL_SHOW_TEXT, false},           {"TO", "to", CTL_SHOW_TEXT, false},
    {"SET (UTC)", "set_at", CTL_SHOW_TIME, false},    {"BY", "set_by", CTL_SHOW_TEXT, false},
    {"LIFTED BY", "lifted_by", CTL_SHOW_TEXT, false}, {"NOTE", "note", CTL_SHOW_TEXT, true},
};

/* Sends a body; shows the answer as it is, unless it is for people. */
static int post(struct ctl *ctl, const char *path, struct sb_buf *body, yyjson_val **ret)
{
    struct ctl_request request = {.method = "POST",
                                  .path = path,
                                  .content_type = "application/json",
                                  .body = sb_buf_slice(body)};
    int status = ctl_call(ctl, &request, ret);

    if (status == CTL_DONE && ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, *ret);
    return status;
}

int ctl_run_hold_set(struct ctl *ctl)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = BODY_MAX};
    const char *from = ctl_flag(ctl, "from"), *to = ctl_flag(ctl, "to");
    const char *note = ctl_flag(ctl, "note");
    yyjson_val *hold = NULL;
    struct sb_json json;
    int status;

    if (from == NULL)
        return ctl_misuse(ctl, "--from is missing: the first day that stays, as 2026-01-31");
    if (note == NULL)
        return ctl_misuse(ctl, "--note is missing: why, for those who find the hold later");
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "name", sb_slice_of(ctl->args.operands[0]));
    sb_json_add_text(&json, "from", sb_slice_of(from));
    sb_json_add_text(&json, "to", sb_slice_of(to != NULL ? to : from));
    sb_json_add_text(&json, "note", sb_slice_of(note));
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return ctl_misuse(ctl, "these flags are too long");
    status = post(ctl, "/admin/v1/holds", &body, &hold);
    if (status == CTL_DONE && ctl->format == CTL_AS_TABLE)
        ctl_print(ctl, "held: nothing of %.*s to %.*s is dropped or erased\n",
                  SB_SLICE_ARGS(ctl_member_text(hold, "from")),
                  SB_SLICE_ARGS(ctl_member_text(hold, "to")));
    return status;
}

int ctl_run_hold_list(struct ctl *ctl)
{
    yyjson_val *list = NULL;
    int status = ctl_get_list(ctl, "/admin/v1/holds", NULL, CTL_ALL, &list);

    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, list);
    else
        ctl_show_list(ctl, list, fields, SB_ARRAY_LEN(fields), "there is no hold");
    return CTL_DONE;
}

int ctl_run_hold_lift(struct ctl *ctl)
{
    struct ctl_request request = {.method = "DELETE"};
    yyjson_val *hold = NULL;
    int status;

    request.path =
        sb_arena_printf(ctl->arena, "/admin/v1/holds/%s", ctl_escape(ctl, ctl->args.operands[0])).p;
    status = ctl_call(ctl, &request, &hold);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, hold);
    else
        ctl_print(ctl, "lifted: retention and erasing hold for these days again\n");
    return CTL_DONE;
}

/* --- erasing --------------------------------------------------------------------------------- */

static int add_moment(struct ctl *ctl, struct sb_json *json, const char *name)
{
    const char *text = ctl_flag(ctl, name);
    char moment[SB_TIME_TEXT_MAX];

    if (text == NULL)
        return CTL_DONE;
    if (!ctl_moment_read(text, sb_clock_wall(&sb_clock_system), moment))
        return ctl_misuse(ctl,
                          "--%s %s is no time: 2026-01-31, 2026-01-31T12:00:00Z, or 2h (ago) is",
                          name, text);
    sb_json_add_text(json, name, sb_slice_of(moment));
    return CTL_DONE;
}

static uint64_t number_of(yyjson_val *answer, const char *name)
{
    uint64_t number = 0;

    return sb_json_get_u64(answer, name, &number) == SB_OK ? number : 0;
}

int ctl_run_erase(struct ctl *ctl)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = BODY_MAX};
    const char *tenant = ctl_flag(ctl, "tenant"), *user = ctl_flag(ctl, "user");
    bool dry_run = ctl_has(ctl, "dry-run");
    yyjson_val *answer = NULL;
    struct sb_json json;
    uint64_t records;
    int status;

    if (tenant == NULL || user == NULL)
        return ctl_misuse(ctl, "--tenant and --user are both needed: whose user, and which");
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "tenant", sb_slice_of(tenant));
    sb_json_add_text(&json, "user", sb_slice_of(user));
    status = add_moment(ctl, &json, "from");
    if (status == CTL_DONE)
        status = add_moment(ctl, &json, "to");
    sb_json_add_bool(&json, "dry_run", dry_run);
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return ctl_misuse(ctl, "these flags are too long");
    if (status == CTL_DONE)
        status = post(ctl, "/admin/v1/erasures", &body, &answer);
    if (status != CTL_DONE || ctl->format != CTL_AS_TABLE)
        return status;
    records = number_of(answer, "records");
    if (dry_run)
        ctl_print(ctl, "%" PRIu64 " record%s of this user, %" PRIu64 " under a legal hold\n",
                  records, records == 1 ? "" : "s", number_of(answer, "held"));
    else
        ctl_print(ctl, "erased: nothing in %" PRIu64 " record%s leads to this user any more\n",
                  records, records == 1 ? "" : "s");
    return CTL_DONE;
}

/* --- exporting -------------------------------------------------------------------------------- */

struct exporting {
    struct ctl *ctl;
    struct sb_zstd_writer *writer;
    const char *path, *aside;
    int fd;
    uint64_t bytes; /* written */
};

static int write_piece(void *ctx, struct sb_slice piece)
{
    struct exporting *exporting = ctx;

    while (piece.n > 0) {
        ssize_t n = write(exporting->fd, piece.p, piece.n);

        if (n < 0 && errno != EINTR) {
            (void)ctl_fail(exporting->ctl, "cannot write %s: %s", exporting->aside,
                           strerror(errno));
            return SB_ECANCELED;
        }
        exporting->bytes += n > 0 ? (uint64_t)n : 0;
        piece = sb_slice_from(piece, n > 0 ? (size_t)n : 0);
    }
    return SB_OK;
}

static int on_piece(void *ctx, struct sb_slice piece)
{
    struct exporting *exporting = ctx;
    int rc = sb_zstd_write(exporting->writer, piece);

    if (rc != SB_OK && rc != SB_ECANCELED)
        (void)ctl_fail(exporting->ctl, "cannot compress: %s", sb_err_str(rc));
    return rc == SB_OK ? SB_OK : SB_ECANCELED;
}

static int fetch(struct exporting *exporting, const char *day)
{
    struct ctl *ctl = exporting->ctl;
    struct ctl_request request = {.method = "GET", .on_piece = on_piece, .piece_ctx = exporting};
    yyjson_val *root = NULL;
    int status, rc;

    request.path = sb_arena_printf(ctl->arena, "/admin/v1/audit/export?day=%s", day).p;
    status = ctl_call(ctl, &request, &root);
    if (status != CTL_DONE)
        return status;
    rc = sb_zstd_end(exporting->writer);
    if (rc == SB_ECANCELED)
        return CTL_FAILED;
    if (rc != SB_OK)
        return ctl_fail(ctl, "cannot compress: %s", sb_err_str(rc));
    if (fsync(exporting->fd) != 0 || rename(exporting->aside, exporting->path) != 0)
        return ctl_fail(ctl, "cannot write %s: %s", exporting->path, strerror(errno));
    return CTL_DONE;
}

static int tell_exported(const struct exporting *exporting, const char *day)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = BODY_MAX};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct ctl *ctl = exporting->ctl;
    struct sb_json json;

    if (ctl->format == CTL_AS_TABLE) {
        ctl_print(ctl,
                  "%s: %" PRIu64 " bytes; switchboardctl audit verify checks it by the log's "
                  "public key alone\n",
                  exporting->path, exporting->bytes);
        return CTL_DONE;
    }
    sb_json_init(&json, &text);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "day", sb_slice_of(day));
    sb_json_add_text(&json, "file", sb_slice_of(exporting->path));
    sb_json_add_u64(&json, "bytes", exporting->bytes);
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK ||
        sb_json_read(sb_buf_slice(&text), BODY_MAX, &doc, NULL) != SB_OK)
        return ctl_fail(ctl, "out of memory");
    ctl_print_value(ctl, yyjson_doc_get_root(doc));
    return CTL_DONE;
}

int ctl_run_audit_export(struct ctl *ctl)
{
    const char *day = ctl->args.operands[0], *out = ctl_flag(ctl, "out");
    struct exporting exporting = {.ctl = ctl};
    int32_t number;
    int status;

    if (sb_date_parse(sb_slice_of(day), &number) != SB_OK)
        return ctl_misuse(ctl, "%s is no day: 2026-01-31 is", day);
    exporting.path =
        sb_arena_printf(ctl->arena, "%s/%s.ndjson.zst", out != NULL ? out : ".", day).p;
    exporting.aside = sb_arena_printf(ctl->arena, "%s.part", exporting.path).p;
    exporting.fd =
        open(exporting.aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (exporting.fd < 0)
        return ctl_fail(ctl, "cannot write %s: %s", exporting.aside, strerror(errno));
    exporting.writer = sb_zstd_writer_new(write_piece, &exporting);
    status = fetch(&exporting, day);
    sb_zstd_writer_destroy(&exporting.writer);
    (void)close(exporting.fd);
    if (status == CTL_DONE)
        return tell_exported(&exporting, day);
    (void)unlink(exporting.aside);
    return status;
}
