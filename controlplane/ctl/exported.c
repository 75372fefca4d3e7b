/* controlplane/ctl/exported.c */
#define _GNU_SOURCE /* memmem */
#include "controlplane/ctl/exported.h"

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/checkpoint.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/ctl/absent.h"
#include "controlplane/ctl/checkpoints.h"
#include "controlplane/ctl/drops.h"
#include "controlplane/ctl/findings.h"
#include "controlplane/ctl/sequences.h"

enum { LINE_MAX_BYTES = 16 << 20, DIGITS = 2 * SB_SHA256_BYTES };
#define USEC_PER_DAY (INT64_C(1000000) * SB_SEC_PER_DAY)
#define SKEW         (INT64_C(600) * 1000000) /* a worker's clock may be so far ahead */

/* What the entries of a file say of the day that it is of. */
struct span {
    int32_t day;                               /* of the head */
    int64_t first, last;                       /* times of entries; meaningful with n_timed */
    uint64_t n_timed, n_on;                    /* n_on: those of the day */
    uint64_t n_behind, behind_from, behind_to; /* records from after it: entries */
};

struct ctl_exported {
    const struct sb_note_key *key;
    const struct ctl_checkpoints *outside;
    struct ctl_findings *findings;
    struct ctl_sequences *sequences;
    struct ctl_absent absent;
    struct ctl_drops *drops;
    struct ctl_verified result;
    bool has_files;
    uint64_t from;          /* of the first file */
    struct ctl_signed last; /* where the file before ended; meaningful with has_last */
    bool has_last;
    size_t next_outside;
    /* Of the file that is read. */
    const char *name;
    unsigned file;         /* its number */
    struct sb_buf partial; /* a line whose end has not come */
    uint64_t line;         /* its number, from 1 */
    uint64_t to;
    uint64_t proved_line; /* of the last checkpoint that fits, or of the head */
    uint64_t proved_size;
    struct span span;
    int32_t last_day; /* of the file before; meaningful with has_last */
    bool has_head;
    bool is_useless; /* its head was not what it should be */
    bool is_broken;  /* the tree is not what was signed; what follows cannot be checked */
    struct sb_merkle_edge edge;
};

struct ctl_exported *ctl_exported_new(const struct sb_note_key *key,
                                      const struct ctl_checkpoints *outside,
                                      struct ctl_findings *findings)
{
    struct ctl_exported *exported = sb_mem_new(sizeof(*exported));

    exported->key = key;
    exported->outside = outside;
    exported->findings = findings;
    exported->sequences = ctl_sequences_new();
    exported->drops = ctl_drops_new();
    sb_buf_init(&exported->partial, LINE_MAX_BYTES);
    return exported;
}

void ctl_exported_destroy(struct ctl_exported **exportedp)
{
    struct ctl_exported *exported = *exportedp;

    *exportedp = NULL;
    if (exported == NULL)
        return;
    ctl_sequences_destroy(&exported->sequences);
    ctl_drops_destroy(&exported->drops);
    sb_buf_release(&exported->partial);
    sb_mem_free(exported);
}

const struct ctl_drops *ctl_exported_drops(const struct ctl_exported *exported)
{
    return exported->drops;
}

struct ctl_verified ctl_exported_result(const struct ctl_exported *exported, uint64_t *ret_from)
{
    *ret_from = exported->from;
    return exported->result;
}

/* --- the head -------------------------------------------------------------------------- */

static bool read_hash(struct sb_slice text, struct sb_hash *ret)
{
    if (text.n != DIGITS)
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

        if (digit < 0)
            return false;
        ret->bytes[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : ret->bytes[i / 2] | digit);
    }
    return true;
}

static bool read_edge(yyjson_val *array, uint64_t size, struct sb_merkle_edge *ret)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(array);
    struct sb_hash nodes[SB_MERKLE_EDGE_MAX];
    yyjson_val *one;
    size_t n = 0;

    if (!yyjson_is_arr(array) || yyjson_arr_size(array) > SB_MERKLE_EDGE_MAX)
        return false;
    while ((one = yyjson_arr_iter_next(&iter)) != NULL)
        if (!read_hash(sb_json_text(one), &nodes[n++]))
            return false;
    return sb_merkle_edge_read(size, sb_slice_make(nodes, n * sizeof(*nodes)), ret) == SB_OK;
}

static int refuse_head(struct ctl_exported *exported, const char *why)
{
    exported->is_useless = true;
    ctl_findings_add_general(exported->findings, CTL_FINDING_BROKEN, "%s line 1: %s",
                             exported->name, why);
    return SB_EPARSE;
}

/* What was signed as the beginning. */
static int check_start(struct ctl_exported *exported, yyjson_val *head)
{
    struct sb_slice note = SB_SLICE_NONE;
    struct sb_checkpoint checkpoint;
    struct sb_errmsg err = {.text = ""};
    struct sb_hash root;

    if (exported->edge.size == 0)
        return SB_OK;
    if (sb_json_get_text(head, "start", &note) != SB_OK)
        return refuse_head(exported, "the checkpoint that it starts from is missing");
    if (sb_checkpoint_open(note, exported->key, &checkpoint, &err) != SB_OK) {
        exported->is_useless = true;
        ctl_findings_add_general(exported->findings, CTL_FINDING_OTHER_KEY,
                                 "%s line 1: the checkpoint that it starts from is not signed by "
                                 "this key: %s",
                                 exported->name, err.text);
        return SB_EPARSE;
    }
    sb_merkle_root(&exported->edge, &root);
    if (checkpoint.size != exported->edge.size || !sb_hash_equal(&root, &checkpoint.root))
        return refuse_head(exported, "the edge is not what the checkpoint that it starts from was "
                                     "signed for");
    return SB_OK;
}

/* Nothing signs the label, so the entries have to bear it out (judge_day()); a name
 * that is a day is one more label. */
static int check_day(struct ctl_exported *exported, yyjson_val *head)
{
    const char *name = strrchr(exported->name, '/');
    struct sb_slice text = SB_SLICE_NONE, start;
    int32_t named;

    if (sb_json_get_text(head, "day", &text) != SB_OK ||
        sb_date_parse(text, &exported->span.day) != SB_OK)
        return refuse_head(exported, "it has no day");
    start = sb_slice_of(name != NULL ? name + 1 : exported->name);
    start.n = start.n < SB_DATE_TEXT_MAX - 1 ? start.n : SB_DATE_TEXT_MAX - 1;
    if (sb_date_parse(start, &named) == SB_OK && named != exported->span.day)
        ctl_findings_add_general(exported->findings, CTL_FINDING_OTHER_DAY,
                                 "%s line 1: the file says that it is of %.*s, its name says "
                                 "another day",
                                 exported->name, SB_SLICE_ARGS(text));
    return SB_OK;
}

/* Does it go on where the file before ended? */
static void check_order(struct ctl_exported *exported)
{
    uint64_t from = exported->edge.size, last = exported->last.size;
    struct sb_hash root;

    if (!exported->has_last)
        return;
    sb_merkle_root(&exported->edge, &root);
    if (from > last)
        ctl_findings_add(exported->findings, CTL_FINDING_MISSING, last, from - 1,
                         "entries %" PRIu64 " to %" PRIu64
                         " are in none of these files: %s begins behind them",
                         last, from - 1, exported->name);
    else if (from < last)
        ctl_findings_add_general(exported->findings, CTL_FINDING_BROKEN,
                                 "%s begins with entry %" PRIu64
                                 ", before the end of the file before it (%" PRIu64
                                 "): name each day once, in order",
                                 exported->name, from, last);
    else if (!sb_hash_equal(&root, &exported->last.root))
        ctl_findings_add(exported->findings, CTL_FINDING_CONTRADICTION, from, from,
                         "%s does not continue the file before it: two checkpoints of %" PRIu64
                         " entries are signed, and they differ: the log was forked",
                         exported->name, from);
    if (from >= last && exported->span.day <= exported->last_day)
        ctl_findings_add_general(exported->findings, CTL_FINDING_OTHER_DAY,
                                 "%s line 1: its day does not come behind that of the file before",
                                 exported->name);
}

static int read_head(struct ctl_exported *exported, yyjson_val *head)
{
    struct sb_slice format = SB_SLICE_NONE;
    uint64_t from;

    if (sb_json_get_text(head, "format", &format) != SB_OK ||
        !sb_slice_is(format, "switchboard-export-1"))
        return refuse_head(exported, "this is no head of an export that this program knows");
    if (sb_json_get_u64(head, "from", &from) != SB_OK ||
        sb_json_get_u64(head, "to", &exported->to) != SB_OK || from >= exported->to ||
        exported->to > SB_MERKLE_SIZE_MAX ||
        !read_edge(yyjson_obj_get(head, "edge"), from, &exported->edge))
        return refuse_head(exported, "from, to and edge are not those of a part of a log");
    if (check_day(exported, head) != SB_OK)
        return SB_EPARSE;
    return check_start(exported, head);
}

static int take_head(struct ctl_exported *exported, struct sb_slice line)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    int rc;

    exported->has_head = true;
    if (sb_json_read(line, LINE_MAX_BYTES, &doc, NULL) != SB_OK)
        return refuse_head(exported, "this is no export: it does not begin with a head");
    rc = read_head(exported, yyjson_doc_get_root(doc));
    if (rc != SB_OK)
        return rc;
    check_order(exported);
    if (!exported->has_files)
        exported->from = exported->edge.size;
    exported->has_files = true;
    exported->proved_line = 1;
    exported->proved_size = exported->result.next = exported->edge.size;
    if (exported->outside != NULL)
        exported->next_outside = ctl_checkpoints_above(exported->outside, exported->edge.size);
    return SB_OK;
}

/* --- a checkpoint ------------------------------------------------------------------------- */

/* From the first line that is not proven to this one. */
#define BETWEEN "%s lines %" PRIu64 " to %" PRIu64 ": "

static void tell_between(struct ctl_exported *exported, enum ctl_finding_kind kind,
                         const char *what, uint64_t size)
{
    uint64_t next = exported->edge.size;

    exported->is_broken = true;
    ctl_findings_add(exported->findings, kind, exported->proved_size,
                     (next > size ? next : size) - 1,
                     BETWEEN "%s; the checkpoint of %" PRIu64 " entries was signed for others, and "
                             "of what follows in the file nothing can be said",
                     exported->name, exported->proved_line + 1, exported->line, what, size);
}

static void judge(struct ctl_exported *exported, const struct sb_checkpoint *checkpoint)
{
    uint64_t next = exported->edge.size, proved = exported->proved_size;
    uint64_t apart = checkpoint->size > next ? checkpoint->size - next : next - checkpoint->size;
    struct sb_hash root;
    char what[200];

    sb_merkle_root(&exported->edge, &root);
    if (checkpoint->size != next) {
        (void)snprintf(what, sizeof(what),
                       "%" PRIu64 " line%s %s between entries %" PRIu64 " and %" PRIu64, apart,
                       apart == 1 ? "" : "s",
                       checkpoint->size > next ? "missing" : "too many, inserted", proved,
                       checkpoint->size > 0 ? checkpoint->size - 1 : 0);
        tell_between(exported, checkpoint->size > next ? CTL_FINDING_MISSING : CTL_FINDING_INSERTED,
                     what, checkpoint->size);
    } else if (!sb_hash_equal(&root, &checkpoint->root)) {
        (void)snprintf(what, sizeof(what),
                       "an entry from %" PRIu64 " to %" PRIu64
                       " was changed, or entries were reordered",
                       proved, next > 0 ? next - 1 : 0);
        tell_between(exported, CTL_FINDING_CHANGED, what, checkpoint->size);
    } else {
        exported->result.proved = next;
        exported->result.checkpoints++;
        exported->proved_size = next;
        exported->proved_line = exported->line;
        exported->last = (struct ctl_signed){.size = next, .root = root};
        exported->has_last = true;
    }
}

static int take_checkpoint(struct ctl_exported *exported, struct sb_slice line)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_checkpoint checkpoint;
    struct sb_errmsg err = {.text = "it is none"};
    struct sb_slice note = SB_SLICE_NONE;

    if (exported->is_broken)
        return SB_OK;
    if (sb_json_read(line, LINE_MAX_BYTES, &doc, NULL) != SB_OK ||
        sb_json_get_text(yyjson_doc_get_root(doc), "checkpoint", &note) != SB_OK ||
        sb_checkpoint_open(note, exported->key, &checkpoint, &err) != SB_OK)
        ctl_findings_add_general(exported->findings, CTL_FINDING_OTHER_KEY,
                                 "%s line %" PRIu64
                                 ": the checkpoint is not signed by this key: %s",
                                 exported->name, exported->line, err.text);
    else
        judge(exported, &checkpoint);
    return SB_OK;
}

/* Those that were kept elsewhere. */
static void look_outside(struct ctl_exported *exported)
{
    const struct ctl_checkpoints *outside = exported->outside;
    const struct ctl_signed *one;
    struct sb_hash root;

    if (outside == NULL || exported->next_outside >= outside->n)
        return;
    one = &outside->list[exported->next_outside];
    if (one->size > exported->edge.size)
        return;
    exported->next_outside++;
    sb_merkle_root(&exported->edge, &root);
    if (!sb_hash_equal(&root, &one->root))
        tell_between(exported, CTL_FINDING_REWRITTEN,
                     "this is not the log whose checkpoint was "
                     "kept outside",
                     one->size);
}

/* --- an entry --------------------------------------------------------------------------------- */

/* Those at the front of text, which ends anywhere. */
static struct sb_slice digits_of(struct sb_slice text)
{
    size_t n = 0;

    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    return sb_slice_make(text.p, n);
}

/* The number behind the label, the first one from *at on; *at is behind it then. */
static bool find_number(struct sb_slice *at, struct sb_slice label, uint64_t *ret)
{
    const char *found = memmem(at->p, at->n, label.p, label.n);

    if (found == NULL)
        return false;
    *at = sb_slice_from(*at, (size_t)(found - at->p) + label.n);
    return sb_num_read_u64(digits_of(*at), ret);
}

/* Behind the last one of these labels in text. */
static struct sb_slice behind_last(struct sb_slice text, struct sb_slice label)
{
    struct sb_slice behind = SB_SLICE_NONE;
    const char *found;

    while ((found = memmem(text.p, text.n, label.p, label.n)) != NULL)
        behind = text = sb_slice_from(text, (size_t)(found - text.p) + label.n);
    return behind;
}

/* An entry is of that time; is_record: it was received then, and logged at once or later. */
static void note_time(struct ctl_exported *exported, int64_t at, bool is_record)
{
    struct span *span = &exported->span;
    int64_t from = span->day * USEC_PER_DAY, to = from + USEC_PER_DAY + SKEW;

    if (span->n_timed == 0 || at < span->first)
        span->first = at;
    if (span->n_timed == 0 || at > span->last)
        span->last = at;
    span->n_timed++;
    if (at >= from && at < to)
        span->n_on++;
    else if (is_record && at < from)
        exported->result.late++;
    else if (is_record && span->n_behind++ == 0)
        span->behind_from = exported->edge.size;
    if (is_record && at >= to)
        span->behind_to = exported->edge.size;
}

/* Whether the entries can be those of the day that the head names. */
static void judge_day(struct ctl_exported *exported)
{
    const struct span *span = &exported->span;
    char day[SB_DATE_TEXT_MAX], first[SB_TIME_TEXT_MAX], last[SB_TIME_TEXT_MAX];

    if (span->n_timed == 0)
        return;
    (void)sb_date_format(span->day, day);
    (void)sb_time_format((sb_usec)span->first, 0, first);
    (void)sb_time_format((sb_usec)span->last, 0, last);
    if (span->n_on == 0)
        ctl_findings_add_general(exported->findings, CTL_FINDING_OTHER_DAY,
                                 "%s is not proven to be of %s: none of its entries is; they are "
                                 "of %s to %s",
                                 exported->name, day, first, last);
    else if (span->n_behind > 0)
        ctl_findings_add(
            exported->findings, CTL_FINDING_OTHER_DAY, span->behind_from, span->behind_to,
            "%s says that it is of %s, but %" PRIu64 " of the entries %" PRIu64 " to %" PRIu64
            " were received after it, up to %s",
            exported->name, day, span->n_behind, span->behind_from, span->behind_to, last);
}

struct record {
    struct ctl_sequence sequence;
    bool has_time, is_of_table;
    struct ctl_there there;
};

/* What a record is, without reading all of it: its members are sorted, "worker_id"
 * is the last, and none of ours that could be taken for the others stands before them. */
static bool find_record(struct sb_slice line, struct record *ret)
{
    static const struct sb_slice worker = SB_SLICE_INIT(",\"worker_id\":\""),
                                 boot = SB_SLICE_INIT("\"boot_id\":"),
                                 kind = SB_SLICE_INIT(",\"kind\":\""),
                                 time = SB_SLICE_INIT(",\"received_at\":"),
                                 sequence = SB_SLICE_INIT(",\"sequence\":");
    size_t end = line.n, at;
    struct sb_slice whole, word;
    uint64_t received_at;

    if (end < 3 || line.p[end - 1] != '}' || line.p[end - 2] != '"')
        return false;
    end -= 2;
    for (at = end; at > 0 && line.p[at - 1] != '"'; at--)
        continue;
    if (at < worker.n || memcmp(line.p + at - worker.n, worker.p, worker.n) != 0)
        return false;
    ret->sequence.worker = sb_slice_make(line.p + at, end - at);
    line = sb_slice_make(line.p, at);
    if (!find_number(&line, boot, &ret->sequence.boot))
        return false;
    whole = line;
    if (!find_number(&line, time, &received_at) || received_at > INT64_MAX)
        return false;
    ret->there.received_at = (int64_t)received_at;
    ret->has_time = true;
    word = behind_last(sb_slice_make(whole.p, (size_t)(line.p - whole.p)), kind);
    ret->is_of_table =
        word.n > 0 &&
        ctl_history_of_kind(sb_slice_make(word.p, sb_slice_find(word, '"')), &ret->there.table);
    return find_number(&line, sequence, &ret->sequence.number);
}

static void take_record(struct ctl_exported *exported, struct record *record)
{
    record->sequence.received_at = record->has_time ? record->there.received_at : -1;
    ctl_sequences_add(exported->sequences, &record->sequence, exported->edge.size,
                      exported->absent.n_missing, exported->findings);
    if (record->has_time)
        note_time(exported, record->there.received_at, true);
    record->there.leaf = exported->edge.size;
    record->there.file = exported->file;
    if (record->is_of_table)
        ctl_drops_see_record(exported->drops, &record->there);
}

/* false: it is no JSON object at all. */
static bool look_into(struct ctl_exported *exported, struct sb_slice line)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_slice kind = SB_SLICE_NONE;
    struct record record;
    yyjson_val *root;
    uint64_t rows = 0;
    int64_t at;

    if (find_record(line, &record)) {
        take_record(exported, &record);
        return true;
    }
    if (sb_json_read(line, LINE_MAX_BYTES, &doc, NULL) != SB_OK ||
        !yyjson_is_obj(yyjson_doc_get_root(doc)))
        return false;
    root = yyjson_doc_get_root(doc);
    (void)(sb_json_get_text(root, "kind", &kind) == SB_OK);
    if (sb_json_get_text(root, "worker_id", &record.sequence.worker) == SB_OK &&
        sb_json_get_u64(root, "boot_id", &record.sequence.boot) == SB_OK &&
        sb_json_get_u64(root, "sequence", &record.sequence.number) == SB_OK) {
        record.has_time =
            sb_json_get_i64(root, "received_at", &record.there.received_at) == SB_OK &&
            record.there.received_at >= 0;
        record.is_of_table = record.has_time && ctl_history_of_kind(kind, &record.there.table);
        take_record(exported, &record);
    }
    if (sb_json_get_i64(root, "at", &at) == SB_OK && at >= 0)
        note_time(exported, at, false);
    ctl_drops_see_entry(exported->drops, root, exported->edge.size);
    if (sb_slice_is(kind, "erased") && sb_json_get_u64(root, "rows", &rows) == SB_OK)
        exported->result.erased += rows;
    return true;
}

static void grow(struct ctl_exported *exported, const struct sb_hash *leaf)
{
    sb_merkle_append(&exported->edge, leaf, NULL);
    exported->result.next = exported->edge.size;
    look_outside(exported);
}

static int take_entry(struct ctl_exported *exported, struct sb_slice line)
{
    struct sb_hash leaf;

    if (exported->is_broken)
        return SB_OK;
    if (!look_into(exported, line)) {
        exported->is_broken = true;
        ctl_findings_add(exported->findings, CTL_FINDING_CHANGED, exported->edge.size,
                         exported->edge.size,
                         "%s line %" PRIu64 ", entry %" PRIu64
                         ": this is no entry; of what follows in the file nothing can be said",
                         exported->name, exported->line, exported->edge.size);
        return SB_OK;
    }
    sb_merkle_leaf(line, &leaf);
    exported->result.entries++;
    grow(exported, &leaf);
    return SB_OK;
}

static int take_absent(struct ctl_exported *exported, struct sb_slice digits)
{
    struct sb_hash leaf;

    if (exported->is_broken)
        return SB_OK;
    if (!read_hash(digits, &leaf)) {
        exported->is_broken = true;
        ctl_findings_add(exported->findings, CTL_FINDING_CHANGED, exported->edge.size,
                         exported->edge.size, "%s line %" PRIu64 ": this is no hash of an entry",
                         exported->name, exported->line);
        return SB_OK;
    }
    ctl_absent_add(&exported->absent, exported->edge.size, exported->file);
    grow(exported, &leaf);
    return SB_OK;
}

/* --- lines
 * ---------------------------------------------------------------------------------------- */

static int take_line(struct ctl_exported *exported, struct sb_slice line)
{
    static const struct sb_slice hash = SB_SLICE_INIT("{\"hash\":\""),
                                 checkpoint = SB_SLICE_INIT("{\"checkpoint\":");

    exported->line++;
    if (!exported->has_head)
        return take_head(exported, line);
    if (sb_slice_starts_with(line, checkpoint))
        return take_checkpoint(exported, line);
    if (sb_slice_starts_with(line, hash) && line.n == hash.n + DIGITS + 2)
        return take_absent(exported, sb_slice_make(line.p + hash.n, DIGITS));
    return take_entry(exported, line);
}

bool ctl_exported_is_one(struct sb_slice bytes)
{
    return sb_slice_starts_with(bytes, SB_SLICE_LIT("{\"format\":\"switchboard-export"));
}

void ctl_exported_begin(struct ctl_exported *exported, const char *name)
{
    exported->name = name;
    exported->file++;
    exported->line = exported->to = exported->proved_line = exported->proved_size = 0;
    exported->has_head = exported->is_useless = exported->is_broken = false;
    exported->edge = (struct sb_merkle_edge){.size = 0};
    exported->span = (struct span){.day = 0};
    sb_buf_reset(&exported->partial);
}

int ctl_exported_feed(struct ctl_exported *exported, struct sb_slice piece)
{
    while (piece.n > 0) {
        size_t n = sb_slice_find(piece, '\n');
        struct sb_slice line = sb_slice_make(piece.p, n);
        int rc = SB_OK;

        if (n == piece.n)
            return sb_buf_append(&exported->partial, piece);
        if (sb_buf_len(&exported->partial) > 0) {
            rc = sb_buf_append(&exported->partial, line);
            line = sb_buf_slice(&exported->partial);
        }
        SB_BUG_ON(line.p == NULL); /* what holds bytes has a place for them */
        if (rc == SB_OK)
            rc = take_line(exported, line);
        sb_buf_reset(&exported->partial);
        if (rc != SB_OK)
            return rc;
        piece = sb_slice_from(piece, n + 1);
    }
    return SB_OK;
}

void ctl_exported_end(struct ctl_exported *exported)
{
    /* A file that is not whole cannot be continued. */
    exported->has_last = exported->has_last && !exported->is_useless && !exported->is_broken &&
                         exported->proved_size == exported->to;
    exported->last_day = exported->span.day;
    if (exported->is_useless || exported->is_broken)
        return;
    judge_day(exported);
    if (!exported->has_head)
        ctl_findings_add_general(exported->findings, CTL_FINDING_BROKEN, "%s is empty",
                                 exported->name);
    else if (exported->proved_size < exported->to || sb_buf_len(&exported->partial) > 0)
        ctl_findings_add(exported->findings, CTL_FINDING_SHORTER, exported->edge.size,
                         exported->to - 1,
                         "%s ends behind line %" PRIu64 " with entry %" PRIu64
                         ", and should have those before %" PRIu64
                         " and a checkpoint of them: its end was cut off",
                         exported->name, exported->line,
                         exported->edge.size > 0 ? exported->edge.size - 1 : 0, exported->to);
    else if (exported->edge.size > exported->to)
        ctl_findings_add(exported->findings, CTL_FINDING_INSERTED, exported->to,
                         exported->edge.size - 1,
                         "%s lines %" PRIu64 " to %" PRIu64 " are behind its last checkpoint",
                         exported->name, exported->proved_line + 1, exported->line);
}

void ctl_exported_close(struct ctl_exported *exported)
{
    ctl_drops_judge(exported->drops, UINT64_MAX); /* a file ends with a checkpoint */
    exported->result.dropped =
        ctl_absent_end(&exported->absent, exported->drops, exported->findings);
    /* What is older than the log is not in any file, so a boot may have begun before. */
    ctl_sequences_end(exported->sequences, exported->drops, false, exported->findings);
}
