/* controlplane/ctl/cmd_verify.c - audit verify: is the log what was signed? */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/notekey.h"
#include "common/num.h"
#include "common/timefmt.h"
#include "common/zstd.h"
#include "controlplane/ctl/checkpoints.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/drops.h"
#include "controlplane/ctl/exported.h"
#include "controlplane/ctl/findings.h"
#include "controlplane/ctl/proofs.h"
#include "controlplane/ctl/verify.h"

enum { PIECE = 1 << 16, SHOWN_MAX = 50 };

struct run {
    struct ctl *ctl;
    struct ctl_trust trust;
    struct ctl_findings *findings;
    struct ctl_verify *verify;
    const struct ctl_drops *drops; /* when it has ended */
    uint64_t from, to;             /* to: UINT64_MAX is the head */
    uint64_t newest;               /* size of the newest checkpoint, for progress */
    struct sb_merkle_edge edge;
};

/* --- where it begins and ends ------------------------------------------------------------ */

static int read_number(struct ctl *ctl, const char *flag, uint64_t fallback, uint64_t *ret)
{
    const char *text = ctl_flag(ctl, flag);

    *ret = fallback;
    if (text != NULL && (!sb_num_read_u64(sb_slice_of(text), ret) || *ret > INT64_MAX))
        return ctl_misuse(ctl, "--%s %s is no number of an entry", flag, text);
    return CTL_DONE;
}

/* The newest checkpoint of the database: no better than those of the file, but
 * newer. */
static int learn_newest(struct run *run)
{
    struct sb_errmsg err = {.text = ""};
    struct ctl_signed newest;
    struct sb_slice note;
    yyjson_val *root = NULL;
    int status = ctl_get(run->ctl, "/admin/v1/audit/checkpoints?limit=1", &root), rc;

    if (status != CTL_DONE)
        return status;
    root = yyjson_arr_get_first(yyjson_obj_get(root, "data"));
    if (root == NULL || sb_json_get_text(root, "note", &note) != SB_OK)
        return CTL_DONE;
    rc = ctl_checkpoints_add(&run->trust.checkpoints, note, &run->trust.key, run->findings, &newest,
                             &err);
    if (rc != SB_OK)
        ctl_findings_add_general(run->findings, CTL_FINDING_OTHER_KEY,
                                 "the newest checkpoint of the database is not signed by this key: "
                                 "%s",
                                 err.text);
    return CTL_DONE;
}

/* Begins at the last checkpoint that is not behind --from, when its edge is what
 * was signed; else from the first entry. */
static int find_start(struct run *run)
{
    size_t above = ctl_checkpoints_above(&run->trust.checkpoints, run->from);
    const struct ctl_signed *start;
    struct sb_merkle_edge edge;
    struct sb_hash root;
    int status;

    run->from = 0;
    if (above == 0)
        return CTL_DONE;
    start = &run->trust.checkpoints.list[above - 1];
    status = ctl_fetch_edge(run->ctl, start->size, &edge);
    if (status != CTL_DONE)
        return status;
    sb_merkle_root(&edge, &root);
    if (sb_hash_equal(&root, &start->root)) {
        run->edge = edge;
        run->from = start->size;
        return CTL_DONE;
    }
    ctl_findings_add(run->findings, CTL_FINDING_REWRITTEN, 0, start->size - 1,
                     "the tree of the first %" PRIu64
                     " entries is not the one that was signed; checking from the beginning",
                     start->size);
    return CTL_DONE;
}

/* The first checkpoint that covers --to, or the newest. */
static void find_end(struct run *run)
{
    const struct ctl_checkpoints *all = &run->trust.checkpoints;
    size_t at;

    if (run->to == UINT64_MAX)
        return;
    at = run->to > 0 ? ctl_checkpoints_above(all, run->to - 1) : 0;
    if (at < all->n)
        run->to = all->list[at].size;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int feed(struct run *run, struct sb_slice piece)
{
    int rc = ctl_verify_feed(run->verify, piece);
    uint64_t next = ctl_verify_result(run->verify).next;

    ctl_progress(run->ctl, "verifying", next, next > run->newest ? next : run->newest);
    return rc;
}

static int on_piece(void *ctx, struct sb_slice piece)
{
    struct run *run = ctx;
    int rc = feed(run, piece);

    if (rc == SB_OK || rc == SB_EPARSE) /* a finding says so */
        return rc == SB_OK ? SB_OK : SB_ECANCELED;
    (void)ctl_fail(run->ctl, "cannot go on: %s", sb_err_str(rc));
    return SB_ECANCELED;
}

static int read_server(struct run *run)
{
    struct ctl_request request = {.method = "GET", .on_piece = on_piece, .piece_ctx = run};
    yyjson_val *root = NULL;

    request.path =
        run->to == UINT64_MAX
            ? sb_arena_printf(run->ctl->arena, "/admin/v1/audit/log?from=%" PRIu64, run->from).p
            : sb_arena_printf(run->ctl->arena, "/admin/v1/audit/log?from=%" PRIu64 "&to=%" PRIu64,
                              run->from, run->to)
                  .p;
    return ctl_call(run->ctl, &request, &root);
}

static int read_file(struct run *run, const char *path)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = sb_mem_new(PIECE);
    int status = CTL_DONE;

    if (fd < 0)
        status = ctl_fail(run->ctl, "cannot read %s: %s", path, strerror(errno));
    while (status == CTL_DONE) {
        ssize_t n = read(fd, bytes, PIECE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = ctl_fail(run->ctl, "cannot read %s: %s", path, strerror(errno));
        if (n <= 0 || feed(run, sb_slice_make(bytes, (size_t)n)) != SB_OK)
            break;
    }
    if (fd > STDIN_FILENO)
        (void)close(fd);
    sb_mem_free(bytes);
    return status;
}

/* --- telling ------------------------------------------------------------------------------------
 */

static const char *grouped(struct ctl *ctl, uint64_t number)
{
    char digits[SB_NUM_U64_MAX], *out = sb_arena_alloc(ctl->arena, (size_t)2 * SB_NUM_U64_MAX);
    size_t n = sb_num_put_u64(digits, number), at = 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[at++] = ' ';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

static void show_findings(struct ctl *ctl, const struct ctl_findings *findings)
{
    static const struct ctl_column columns[] = {{"FINDING", false, false, 0},
                                                {"WHAT", false, false, 0}};
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));
    size_t n = findings->n < SHOWN_MAX ? findings->n : SHOWN_MAX;

    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        ctl_table_add(table, CTL_BAD, sb_slice_of(ctl_finding_name(findings->list[i].kind)));
        ctl_table_add(table, CTL_PLAIN, sb_slice_of(findings->list[i].text));
    }
    ctl_print_table(ctl, table);
    if (findings->total > n)
        ctl_print(ctl, "... and %" PRIu64 " more; -o json shows up to %d\n", findings->total - n,
                  (int)CTL_FINDINGS_MAX);
    ctl_print(ctl, "\n");
}

static const char *time_text(struct ctl *ctl, int64_t usec)
{
    char text[SB_TIME_TEXT_MAX];
    size_t n = usec >= 0 ? sb_time_format((sb_usec)usec, 0, text) : 0;

    return sb_arena_dup(ctl->arena, sb_slice_make(text, n)).p;
}

static const char *day_text(struct ctl *ctl, int32_t day)
{
    char text[SB_DATE_TEXT_MAX];

    return sb_arena_dup(ctl->arena, sb_slice_make(text, sb_date_format(day, text))).p;
}

/* The newest ones. */
static void show_drops(struct ctl *ctl, const struct ctl_drops *drops)
{
    static const struct ctl_column columns[] = {{"DROPPED", false, false, 0},
                                                {"OF", false, false, 0},
                                                {"RECORDS", true, false, 0},
                                                {"AT (UTC)", false, false, 0},
                                                {"SAYS ENTRY", true, false, 0}};
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));
    size_t n;
    const struct ctl_drop *list = ctl_drops_list(drops, &n);
    size_t first = n > SHOWN_MAX ? n - SHOWN_MAX : 0;

    if (n == 0)
        return;
    for (size_t i = first; i < n; i++) {
        ctl_table_add(table, list[i].wrong != NULL ? CTL_BAD : CTL_PLAIN,
                      sb_slice_of(ctl_history_name(list[i].table)));
        ctl_table_add(table, CTL_PLAIN, sb_slice_of(day_text(ctl, list[i].day)));
        ctl_table_add(table, CTL_PLAIN, sb_slice_of(grouped(ctl, list[i].rows)));
        ctl_table_add(table, CTL_PLAIN, sb_slice_of(time_text(ctl, list[i].at)));
        ctl_table_add(table, CTL_PLAIN, sb_slice_of(grouped(ctl, list[i].leaf)));
    }
    ctl_print_table(ctl, table);
    if (first > 0)
        ctl_print(ctl, "... and %zu before them; -o json shows all\n", first);
    ctl_print(ctl, "\n");
}

static void add_line(struct ctl *ctl, const char *name, const char *fmt, ...) SB_PRINTF(3, 4);
static void add_line(struct ctl *ctl, const char *name, const char *fmt, ...)
{
    char text[400];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ctl_print_styled(ctl, CTL_DIM, sb_slice_of(name));
    ctl_print(ctl, "%*s%s\n", (int)(13 - strlen(name)), "", text);
}

static void show(const struct run *run, const struct ctl_verified *result)
{
    struct ctl *ctl = run->ctl;
    char text[160];

    show_findings(ctl, run->findings);
    show_drops(ctl, run->drops);
    add_line(ctl, "log", "%s", run->trust.key.name);
    if (result->next > run->from)
        add_line(ctl, "checked", "%s entries, %s to %s", grouped(ctl, result->entries),
                 grouped(ctl, run->from), grouped(ctl, result->next - 1));
    else
        add_line(ctl, "checked", "no entries");
    add_line(ctl, "signed", "up to %s entries, by %s checkpoint%s", grouped(ctl, result->proved),
             grouped(ctl, result->checkpoints), result->checkpoints == 1 ? "" : "s");
    if (result->next > result->proved)
        add_line(ctl, "not yet", "%s entries behind the last checkpoint that fits",
                 grouped(ctl, result->next - result->proved));
    if (result->dropped > 0)
        add_line(ctl, "dropped", "%s entries by retention, as the log itself says",
                 grouped(ctl, result->dropped));
    if (result->erased > 0)
        add_line(ctl, "erased", "the salts of %s records, as the log itself says",
                 grouped(ctl, result->erased));
    if (result->late > 0)
        add_line(ctl, "late", "%s record%s from before the day of the file",
                 grouped(ctl, result->late), result->late == 1 ? "" : "s");
    if (result->older > 0)
        add_line(ctl, "older",
                 "%s record%s from before the first one of the log: nothing proves %s",
                 grouped(ctl, result->older), result->older == 1 ? "" : "s",
                 result->older == 1 ? "it" : "them");
    if (run->findings->total == 0) {
        ctl_print_styled(ctl, CTL_GOOD,
                         sb_slice_of("nothing was removed, changed, inserted or reordered"));
    } else {
        (void)snprintf(text, sizeof(text), "%s finding%s: this is not the log that was signed",
                       grouped(ctl, run->findings->total), run->findings->total == 1 ? "" : "s");
        ctl_print_styled(ctl, CTL_BAD, sb_slice_of(text));
    }
    ctl_print(ctl, "\n");
}

static void put_drops(struct ctl *ctl, const struct ctl_drops *drops, struct sb_json *json)
{
    size_t n;
    const struct ctl_drop *list = ctl_drops_list(drops, &n);

    sb_json_add_array(json, "drops");
    for (size_t i = 0; i < n; i++) {
        sb_json_open_object(json);
        sb_json_add_text(json, "table", sb_slice_of(ctl_history_name(list[i].table)));
        sb_json_add_text(json, "day", sb_slice_of(day_text(ctl, list[i].day)));
        sb_json_add_u64(json, "rows", list[i].rows);
        if (list[i].has_entries) {
            sb_json_add_u64(json, "from", list[i].first);
            sb_json_add_u64(json, "to", list[i].last);
        }
        sb_json_add_text(json, "at", sb_slice_of(time_text(ctl, list[i].at)));
        sb_json_add_u64(json, "entry", list[i].leaf);
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
}

static void put_json(const struct run *run, const struct ctl_verified *result, struct sb_json *json)
{
    sb_json_open_object(json);
    sb_json_add_text(json, "log", sb_slice_of(run->trust.key.name));
    sb_json_add_bool(json, "ok", run->findings->total == 0);
    sb_json_add_u64(json, "from", run->from);
    sb_json_add_u64(json, "next", result->next);
    sb_json_add_u64(json, "entries", result->entries);
    sb_json_add_u64(json, "signed", result->proved);
    sb_json_add_u64(json, "checkpoints", result->checkpoints);
    sb_json_add_u64(json, "dropped", result->dropped);
    put_drops(run->ctl, run->drops, json);
    sb_json_add_u64(json, "erased", result->erased);
    sb_json_add_u64(json, "late", result->late);
    sb_json_add_u64(json, "older", result->older);
    sb_json_add_u64(json, "findings_total", run->findings->total);
    sb_json_add_array(json, "findings");
    for (size_t i = 0; i < run->findings->n; i++) {
        const struct ctl_finding *finding = &run->findings->list[i];

        sb_json_open_object(json);
        sb_json_add_text(json, "kind", sb_slice_of(ctl_finding_name(finding->kind)));
        if (finding->has_place) {
            sb_json_add_u64(json, "from", finding->from);
            sb_json_add_u64(json, "to", finding->to);
        }
        sb_json_add_text(json, "text", ctl_text_clean(run->ctl->arena, sb_slice_of(finding->text)));
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
    sb_json_close_object(json);
}

static int tell(const struct run *run, struct ctl_verified result)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.data = NULL};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_json json;

    if (run->ctl->format == CTL_AS_TABLE) {
        show(run, &result);
    } else {
        sb_buf_init(&text, CTL_OUT_MAX);
        sb_json_init(&json, &text);
        put_json(run, &result, &json);
        if (sb_json_end(&json) != SB_OK ||
            sb_json_read(sb_buf_slice(&text), CTL_OUT_MAX, &doc, NULL) != SB_OK)
            return ctl_fail(run->ctl, "out of memory");
        ctl_print_value(run->ctl, yyjson_doc_get_root(doc));
    }
    return run->findings->total == 0 ? CTL_DONE : CTL_FAILED;
}

/* --- the command
 * ------------------------------------------------------------------------------------ */

/* A daemon that has just begun has signed none, which is no reason to look for another file; some
 * of another key are one. */
static int tell_none(const struct run *run, bool is_offline)
{
    if (is_offline || run->findings->total > 0)
        return ctl_fail(run->ctl, "there is no checkpoint to verify with; is %s the right file?",
                        run->trust.path);
    return ctl_fail(
        run->ctl,
        "there is no checkpoint to verify with, neither in %s nor in the database. A "
        "control daemon with a --log-key signs the first one after its "
        "--checkpoint-interval (10 s unless set otherwise): try again then. Where there "
        "were some already, they were removed",
        run->trust.path);
}

static int run_all(struct run *run)
{
    struct ctl *ctl = run->ctl;
    bool is_offline = ctl->args.n_operands > 0;
    int status = CTL_DONE;
    size_t first, n;

    if (!is_offline)
        status = learn_newest(run);
    if (status == CTL_DONE && run->trust.checkpoints.n == 0)
        return tell_none(run, is_offline);
    if (status == CTL_DONE && !is_offline && run->from > 0)
        status = find_start(run);
    if (status != CTL_DONE)
        return status;
    find_end(run);
    first = ctl_checkpoints_above(&run->trust.checkpoints, run->from);
    n = run->trust.checkpoints.n - first;
    while (n > 0 && run->trust.checkpoints.list[first + n - 1].size > run->to)
        n--;
    run->newest = run->trust.checkpoints.list[run->trust.checkpoints.n - 1].size;
    run->verify = ctl_verify_new(&run->edge, run->trust.checkpoints.list + first, n, run->findings);
    for (unsigned i = 0; status == CTL_DONE && i < ctl->args.n_operands; i++)
        status = read_file(run, ctl->args.operands[i]);
    if (!is_offline)
        status = read_server(run);
    /* An answer that breaks off proves nothing about what did not come. */
    if (status != CTL_DONE && run->findings->total == 0)
        return status;
    ctl_verify_end(run->verify, run->to);
    run->drops = ctl_verify_drops(run->verify);
    return tell(run, ctl_verify_result(run->verify));
}

/* --- exported days ---------------------------------------------------------------------------
 */

static int open_file(struct ctl *ctl, const char *path, int *ret_fd)
{
    *ret_fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    return *ret_fd >= 0 ? CTL_DONE : ctl_fail(ctl, "cannot read %s: %s", path, strerror(errno));
}

/* By their names and what they begin with: the others are what audit/log gave. */
static int are_exports(struct ctl *ctl, bool *ret)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ctl->args.n_operands; i++) {
        char begin[64];
        ssize_t size;
        int fd;

        if (strcmp(ctl->args.operands[i], "-") == 0)
            continue; /* can be read only once */
        if (open_file(ctl, ctl->args.operands[i], &fd) != CTL_DONE)
            return CTL_FAILED;
        size = read(fd, begin, sizeof(begin));
        (void)close(fd);
        if (size > 0 && (sb_zstd_is_one(sb_slice_make(begin, (size_t)size)) ||
                         ctl_exported_is_one(sb_slice_make(begin, (size_t)size))))
            n++;
    }
    *ret = n > 0;
    return n == 0 || n == ctl->args.n_operands
               ? CTL_DONE
               : ctl_misuse(ctl, "these files are not all exported days");
}

static int on_lines(void *ctx, struct sb_slice lines)
{
    return ctl_exported_feed(ctx, lines);
}

struct input {
    struct run *run;
    struct ctl_exported *exported;
    struct sb_zstd_reader *reader;
    const char *path;
};

static int feed_export(struct input *input, struct sb_slice piece, bool is_plain)
{
    uint64_t total = input->run->findings->total;
    int rc =
        is_plain ? ctl_exported_feed(input->exported, piece) : sb_zstd_read(input->reader, piece);

    if (rc == SB_EPARSE && !is_plain && total == input->run->findings->total)
        ctl_findings_add_general(input->run->findings, CTL_FINDING_BROKEN,
                                 "%s is damaged: it cannot be decompressed any further",
                                 input->path);
    return rc;
}

static int read_export(struct input *input)
{
    struct ctl *ctl = input->run->ctl;
    char *bytes = sb_mem_new(PIECE);
    bool is_first = true, is_plain = false;
    ssize_t n = 0;
    int rc = SB_OK, fd, status = open_file(ctl, input->path, &fd);

    while (status == CTL_DONE && rc == SB_OK) {
        n = read(fd, bytes, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = ctl_fail(ctl, "cannot read %s: %s", input->path, strerror(errno));
        if (n <= 0)
            break;
        if (is_first)
            is_plain = !sb_zstd_is_one(sb_slice_make(bytes, (size_t)n));
        is_first = false;
        rc = feed_export(input, sb_slice_make(bytes, (size_t)n), is_plain);
        ctl_progress(ctl, "verifying", 0, 0);
    }
    if (rc == SB_OK && !sb_zstd_is_whole(input->reader))
        ctl_findings_add_general(input->run->findings, CTL_FINDING_BROKEN,
                                 "%s is damaged: its end was cut off", input->path);
    if (status == CTL_DONE && rc != SB_OK && rc != SB_EPARSE) /* a finding says that */
        status = ctl_fail(ctl, "%s: cannot go on: %s", input->path, sb_err_str(rc));
    if (fd > STDIN_FILENO)
        (void)close(fd);
    sb_mem_free(bytes);
    return status;
}

static int verify_exports(struct run *run)
{
    struct ctl *ctl = run->ctl;
    struct input input = {.run = run};
    struct ctl_verified result;
    int status = ctl_trust_load_key(ctl, run->findings, &run->trust);

    if (status != CTL_DONE)
        return status;
    input.exported = ctl_exported_new(&run->trust.key, &run->trust.checkpoints, run->findings);
    for (unsigned i = 0; status == CTL_DONE && i < ctl->args.n_operands; i++) {
        input.path = ctl->args.operands[i];
        input.reader = sb_zstd_reader_new(on_lines, input.exported);
        ctl_exported_begin(input.exported, input.path);
        status = read_export(&input);
        ctl_exported_end(input.exported);
        sb_zstd_reader_destroy(&input.reader);
    }
    ctl_exported_close(input.exported);
    result = ctl_exported_result(input.exported, &run->from);
    run->drops = ctl_exported_drops(input.exported);
    if (status == CTL_DONE)
        status = tell(run, result);
    ctl_exported_destroy(&input.exported);
    return status;
}

int ctl_run_audit_verify(struct ctl *ctl)
{
    bool is_export = false;
    struct run run = {.ctl = ctl,
                      .findings = sb_arena_alloc(ctl->arena, sizeof(*run.findings)),
                      .edge = {.size = 0}};
    int status;

    run.findings->arena = ctl->arena;
    status = read_number(ctl, "from", 0, &run.from);
    if (status == CTL_DONE)
        status = read_number(ctl, "to", UINT64_MAX, &run.to);
    if (status == CTL_DONE && ctl->args.n_operands > 0 && (run.from > 0 || run.to != UINT64_MAX))
        status = ctl_misuse(ctl, "--from and --to are for the log of the server; files are checked "
                                 "from the first entry to the last");
    if (status == CTL_DONE)
        status = are_exports(ctl, &is_export);
    if (status == CTL_DONE && is_export) {
        status = verify_exports(&run);
    } else if (status == CTL_DONE) {
        const struct ctl_part part = {.from = run.from, .to = run.to};

        status = ctl_trust_load(ctl, &part, run.findings, &run.trust);
        if (status == CTL_DONE)
            status = run_all(&run);
    }
    ctl_verify_destroy(&run.verify);
    ctl_checkpoints_release(&run.trust.checkpoints);
    return status;
}
