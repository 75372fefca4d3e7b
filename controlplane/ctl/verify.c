/* controlplane/ctl/verify.c */
#include "controlplane/ctl/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/ctl/absent.h"
#include "controlplane/ctl/drops.h"
#include "controlplane/ctl/findings.h"
#include "controlplane/ctl/sequences.h"

enum {
    LINE_MAX_BYTES = 16 << 20,
    NAME_MAX_BYTES = 200,
    UNFIT_MAX = 40,
    SEGMENT_MAX = 1 << 22, /* stored hashes kept between two checkpoints, to tell where a row was */
    ODD_MAX = 1 << 16,     /* entries that do not fit, likewise */
};

/* An entry that does not fit its stored hash. */
struct odd {
    uint64_t leaf;
    struct sb_hash hash; /* of the row */
    char name[NAME_MAX_BYTES];
};

/* Rows that claim the leaf that is being read. */
struct claims {
    bool any, has_hash, fits;
    uint64_t leaf, n;
    struct sb_hash stored, first; /* first: of the first row */
    char name[NAME_MAX_BYTES];    /* of the first row, or of the one that fits */
    char other[NAME_MAX_BYTES];   /* of one that does not */
};

struct ctl_verify {
    const struct ctl_signed *checkpoints;
    size_t n_checkpoints, next_checkpoint;
    struct ctl_findings *findings;
    struct ctl_sequences *sequences;
    struct sb_buf partial; /* a line whose end has not come */
    struct claims claims;
    struct sb_merkle_edge stored, own; /* own: of the rows' hashes, since is_split */
    bool is_split;
    bool is_whole;  /* it began with the first entry */
    bool is_broken; /* the tree cannot be grown any more */
    uint64_t segment_from;
    struct sb_hash *segment; /* stored hashes since segment_from */
    size_t n_segment, segment_size;
    struct odd *odd;
    size_t n_odd, odd_size;
    uint64_t odd_total;
    struct ctl_absent absent;
    struct ctl_drops *drops;
    uint64_t n_saltless, saltless_from, saltless_to; /* requests, the first and the last */
    int64_t began; /* when the first record was received; INT64_MAX: there is none */
    struct ctl_verified result;
};

struct ctl_verify *ctl_verify_new(const struct sb_merkle_edge *start,
                                  const struct ctl_signed *checkpoints, size_t n,
                                  struct ctl_findings *findings)
{
    struct ctl_verify *verify = sb_mem_new(sizeof(*verify));

    verify->checkpoints = checkpoints;
    verify->n_checkpoints = n;
    verify->findings = findings;
    verify->sequences = ctl_sequences_new();
    verify->drops = ctl_drops_new();
    verify->stored = *start;
    verify->is_whole = start->size == 0;
    verify->began = INT64_MAX;
    verify->segment_from = verify->result.next = verify->result.proved = start->size;
    sb_buf_init(&verify->partial, LINE_MAX_BYTES);
    return verify;
}

void ctl_verify_destroy(struct ctl_verify **verifyp)
{
    struct ctl_verify *verify = *verifyp;

    *verifyp = NULL;
    if (verify == NULL)
        return;
    ctl_sequences_destroy(&verify->sequences);
    ctl_drops_destroy(&verify->drops);
    sb_buf_release(&verify->partial);
    sb_mem_free(verify->segment);
    sb_mem_free(verify->odd);
    sb_mem_free(verify);
}

struct ctl_verified ctl_verify_result(const struct ctl_verify *verify)
{
    return verify->result;
}

const struct ctl_drops *ctl_verify_drops(const struct ctl_verify *verify)
{
    return verify->drops;
}

/* --- growing arrays -------------------------------------------------------------------- */

/* Room for one more; false: no more is kept. */
static bool make_room(void **array, size_t n, size_t *size, size_t each, size_t most)
{
    size_t more = *size == 0 ? 1024 : *size * 2;
    void *bigger;

    if (n < *size)
        return true;
    if (n >= most)
        return false;
    bigger = sb_mem_try(more * each);
    if (bigger == NULL)
        return false;
    if (n > 0)
        memcpy(bigger, *array, n * each);
    sb_mem_free(*array);
    *array = bigger;
    *size = more;
    return true;
}

static void keep_hash(struct ctl_verify *verify, const struct sb_hash *hash)
{
    void *array = verify->segment;

    /* Only as long as all of them are there. */
    if (verify->n_segment == verify->claims.leaf - verify->segment_from &&
        make_room(&array, verify->n_segment, &verify->segment_size, sizeof(*hash), SEGMENT_MAX)) {
        verify->segment = array;
        verify->segment[verify->n_segment++] = *hash;
    }
}

static void keep_odd(struct ctl_verify *verify)
{
    void *array = verify->odd;

    verify->odd_total++;
    if (!make_room(&array, verify->n_odd, &verify->odd_size, sizeof(*verify->odd), ODD_MAX))
        return;
    verify->odd = array;
    verify->odd[verify->n_odd] =
        (struct odd){.leaf = verify->claims.leaf, .hash = verify->claims.first};
    (void)snprintf(verify->odd[verify->n_odd].name, NAME_MAX_BYTES, "%s", verify->claims.name);
    verify->n_odd++;
}

/* --- what an entry says of itself ---------------------------------------------------------- */

static void add_name(char name[NAME_MAX_BYTES], yyjson_val *entry)
{
    struct sb_slice kind = SB_SLICE_LIT("entry"), text = SB_SLICE_NONE;
    char at[SB_TIME_TEXT_MAX] = "";
    int64_t time = -1, revision = 0;

    (void)(sb_json_get_text(entry, "kind", &kind) == SB_OK);
    if (sb_json_get_text(entry, "generation", &text) != SB_OK &&
        sb_json_get_text(entry, "worker_id", &text) != SB_OK)
        text = SB_SLICE_NONE;
    if (sb_json_get_i64(entry, "received_at", &time) != SB_OK &&
        sb_json_get_i64(entry, "at", &time) != SB_OK)
        time = -1;
    if (time >= 0)
        (void)sb_time_format((sb_usec)time, 0, at);
    if (sb_slice_is(kind, "change") && sb_json_get_i64(entry, "revision", &revision) == SB_OK)
        (void)snprintf(name, NAME_MAX_BYTES, "change, revision %" PRId64 ", %s", revision, at);
    else
        (void)snprintf(name, NAME_MAX_BYTES, "%.*s%s%.*s%s%s", (int)(kind.n < 20 ? kind.n : 20),
                       kind.p, text.n > 0 ? " " : "", (int)(text.n < 80 ? text.n : 80),
                       text.n > 0 ? text.p : "", *at != '\0' ? ", " : "", at);
}

static void look_at_record(struct ctl_verify *verify, yyjson_val *entry, struct sb_slice kind)
{
    struct ctl_there there = {.leaf = verify->claims.leaf};
    struct ctl_sequence record;
    bool has_time = sb_json_get_i64(entry, "received_at", &there.received_at) == SB_OK &&
                    there.received_at >= 0;

    record.received_at = has_time ? there.received_at : -1;
    if (sb_json_get_text(entry, "worker_id", &record.worker) == SB_OK &&
        sb_json_get_u64(entry, "boot_id", &record.boot) == SB_OK &&
        sb_json_get_u64(entry, "sequence", &record.number) == SB_OK)
        ctl_sequences_add(verify->sequences, &record, verify->claims.leaf, verify->absent.n_missing,
                          verify->findings);
    if (!has_time)
        return;
    if (verify->began == INT64_MAX)
        verify->began = there.received_at;
    if (ctl_history_of_kind(kind, &there.table))
        ctl_drops_see_record(verify->drops, &there);
}

/* is_stored: it fits the hash that is stored; what it says of others counts only then. */
static void look_at_kind(struct ctl_verify *verify, yyjson_val *entry, bool is_stored)
{
    struct sb_slice kind;
    uint64_t rows;

    if (sb_json_get_text(entry, "kind", &kind) != SB_OK)
        kind = SB_SLICE_NONE;
    look_at_record(verify, entry, kind);
    if (!is_stored)
        return;
    ctl_drops_see_entry(verify->drops, entry, verify->claims.leaf);
    if (sb_slice_is(kind, "erased") && sb_json_get_u64(entry, "rows", &rows) == SB_OK)
        verify->result.erased += rows;
}

/* --- a checkpoint ----------------------------------------------------------------------------- */

/* Where a hash is among those of the segment. */
static const struct sb_hash *sorting; /* for qsort(), which takes no context */

static int compare_places(const void *a, const void *b)
{
    return memcmp(&sorting[*(const uint32_t *)a], &sorting[*(const uint32_t *)b],
                  sizeof(struct sb_hash));
}

static uint32_t *sort_segment(const struct ctl_verify *verify)
{
    uint32_t *places = sb_mem_try((verify->n_segment + 1) * sizeof(*places));

    if (places == NULL)
        return NULL;
    for (size_t i = 0; i < verify->n_segment; i++)
        places[i] = (uint32_t)i;
    sorting = verify->segment;
    qsort(places, verify->n_segment, sizeof(*places), compare_places);
    return places;
}

static bool find_place(const struct ctl_verify *verify, const uint32_t *places,
                       const struct sb_hash *hash, uint64_t *ret_leaf)
{
    size_t low = 0, high = verify->n_segment;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (memcmp(&verify->segment[places[middle]], hash, sizeof(*hash)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == verify->n_segment || !sb_hash_equal(&verify->segment[places[low]], hash))
        return false;
    *ret_leaf = verify->segment_from + places[low];
    return true;
}

/* A run of entries that all moved by as much, or one that was changed.  Gives
 * the index behind it. */
static size_t tell_odd(struct ctl_verify *verify, const uint32_t *places, size_t i)
{
    const struct odd *odd = &verify->odd[i];
    uint64_t was, next_was;
    size_t end = i + 1;

    if (places == NULL || !find_place(verify, places, &odd->hash, &was)) {
        ctl_findings_add(verify->findings, CTL_FINDING_CHANGED, odd->leaf, odd->leaf,
                         "entry %" PRIu64 " (%s): its columns were changed", odd->leaf, odd->name);
        return end;
    }
    while (end < verify->n_odd && verify->odd[end].leaf == odd->leaf + (end - i) &&
           find_place(verify, places, &verify->odd[end].hash, &next_was) &&
           next_was == was + (end - i))
        end++;
    if (end == i + 1)
        ctl_findings_add(verify->findings, CTL_FINDING_MOVED, odd->leaf, odd->leaf,
                         "entry %" PRIu64 " (%s) was entry %" PRIu64 ": entries were reordered",
                         odd->leaf, odd->name, was);
    else
        ctl_findings_add(verify->findings, CTL_FINDING_MOVED, odd->leaf, verify->odd[end - 1].leaf,
                         "entries %" PRIu64 " to %" PRIu64 " were entries %" PRIu64 " to %" PRIu64
                         ": %s",
                         odd->leaf, verify->odd[end - 1].leaf, was, was + (end - i) - 1,
                         was < odd->leaf ? "something was inserted before them"
                                         : "something was removed before them");
    return end;
}

static void tell_odds(struct ctl_verify *verify)
{
    uint32_t *places = verify->n_odd > 0 ? sort_segment(verify) : NULL;

    for (size_t i = 0; i < verify->n_odd;)
        i = tell_odd(verify, places, i);
    if (verify->odd_total > verify->n_odd)
        ctl_findings_add_general(verify->findings, CTL_FINDING_CHANGED,
                                 "%" PRIu64 " more entries before entry %" PRIu64
                                 " do not fit their hashes",
                                 verify->odd_total - verify->n_odd, verify->result.next);
    sb_mem_free(places);
}

static void tell_hashes(struct ctl_verify *verify)
{
    for (size_t i = 0; i < verify->n_odd; i++)
        ctl_findings_add(
            verify->findings, CTL_FINDING_HASH_CHANGED, verify->odd[i].leaf, verify->odd[i].leaf,
            "entry %" PRIu64 " (%s) is what was signed, but its stored hash was changed",
            verify->odd[i].leaf, verify->odd[i].name);
}

static void begin_segment(struct ctl_verify *verify)
{
    verify->segment_from = verify->result.next;
    verify->n_segment = verify->n_odd = 0;
    verify->odd_total = 0;
    verify->is_split = false;
}

static void judge_checkpoint(struct ctl_verify *verify, const struct ctl_signed *checkpoint)
{
    struct sb_hash stored, own;

    sb_merkle_root(&verify->stored, &stored);
    if (verify->is_split)
        sb_merkle_root(&verify->own, &own);
    if (sb_hash_equal(&stored, &checkpoint->root)) {
        tell_odds(verify);
    } else if (verify->is_split && sb_hash_equal(&own, &checkpoint->root)) {
        tell_hashes(verify);
        verify->stored = verify->own;
    } else {
        verify->is_broken = true;
        ctl_findings_add(
            verify->findings, CTL_FINDING_REWRITTEN, verify->segment_from, checkpoint->size - 1,
            "entries %" PRIu64 " to %" PRIu64 " are not those that the checkpoint of %" PRIu64
            " was signed for: rows and hashes were rewritten; of what follows "
            "nothing can be said",
            verify->segment_from, checkpoint->size - 1, checkpoint->size);
        if (verify->n_odd > 0)
            tell_odds(verify);
        begin_segment(verify);
        return;
    }
    verify->result.proved = checkpoint->size;
    verify->result.checkpoints++;
    begin_segment(verify);
}

static void pass_checkpoints(struct ctl_verify *verify)
{
    while (verify->next_checkpoint < verify->n_checkpoints &&
           verify->checkpoints[verify->next_checkpoint].size <= verify->result.next) {
        const struct ctl_signed *checkpoint = &verify->checkpoints[verify->next_checkpoint++];

        if (!verify->is_broken && checkpoint->size == verify->result.next)
            judge_checkpoint(verify, checkpoint);
    }
}

/* --- an entry ------------------------------------------------------------------------------------
 */

static void grow(struct ctl_verify *verify)
{
    const struct claims *claims = &verify->claims;
    const struct sb_hash *stored = claims->has_hash ? &claims->stored : &claims->first;
    const struct sb_hash *own = claims->n > 0 && !claims->fits ? &claims->first : stored;

    if (!claims->has_hash && claims->n == 0) {
        verify->is_broken = true;
        ctl_findings_add(verify->findings, CTL_FINDING_MISSING, claims->leaf, claims->leaf,
                         "entry %" PRIu64 " and its hash are missing; of what follows nothing can "
                         "be said",
                         claims->leaf);
        return;
    }
    if (claims->n > 0 && !claims->fits) {
        if (!verify->is_split)
            verify->own = verify->stored;
        verify->is_split = true;
        keep_odd(verify);
    }
    keep_hash(verify, stored);
    sb_merkle_append(&verify->stored, stored, NULL);
    if (verify->is_split)
        sb_merkle_append(&verify->own, own, NULL);
}

/* All rows of the leaf have come. */
static void close_claims(struct ctl_verify *verify)
{
    struct claims *claims = &verify->claims;

    if (!claims->any)
        return;
    if (!claims->has_hash && claims->n > 0) {
        claims->fits = true; /* there is nothing that it does not fit */
        ctl_findings_add(verify->findings, CTL_FINDING_HASH_CHANGED, claims->leaf, claims->leaf,
                         "the hash of entry %" PRIu64 " (%s) is missing", claims->leaf,
                         claims->name);
    }
    if (claims->n == 0 && claims->has_hash)
        ctl_absent_add(&verify->absent, claims->leaf, 0);
    if (claims->n > 1)
        ctl_findings_add(verify->findings, CTL_FINDING_INSERTED, claims->leaf, claims->leaf,
                         "%" PRIu64 " rows say that they are entry %" PRIu64
                         ": one was inserted (%s)",
                         claims->n, claims->leaf, claims->other);
    verify->result.entries += claims->n > 0 ? 1 : 0;
    verify->result.next = claims->leaf + 1;
    if (!verify->is_broken)
        grow(verify);
    pass_checkpoints(verify);
    claims->any = false;
}

static void add_claim(struct ctl_verify *verify, struct sb_slice entry)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct claims *claims = &verify->claims;
    char name[NAME_MAX_BYTES] = "no entry that can be read";
    struct sb_hash hash;
    bool fits;

    sb_merkle_leaf(entry, &hash);
    fits = claims->has_hash && sb_hash_equal(&hash, &claims->stored);
    claims->n++;
    if (sb_json_read(entry, LINE_MAX_BYTES, &doc, NULL) == SB_OK && (fits || claims->n == 1))
        look_at_kind(verify, yyjson_doc_get_root(doc), fits);
    if (doc != NULL && (!fits || claims->n > 1 || !claims->has_hash))
        add_name(name, yyjson_doc_get_root(doc));
    if (claims->n == 1) {
        claims->first = hash;
        (void)snprintf(claims->name, sizeof(claims->name), "%s", name);
    }
    if (claims->n > 1 && fits)
        (void)snprintf(claims->other, sizeof(claims->other), "%s", claims->name);
    else if (claims->n > 1)
        (void)snprintf(claims->other, sizeof(claims->other), "%s", name);
    if (fits)
        claims->first = hash;
    claims->fits = claims->fits || fits;
}

/* --- lines
 * ----------------------------------------------------------------------------------------- */

static bool take_text(struct sb_slice *line, struct sb_slice text)
{
    if (!sb_slice_starts_with(*line, text))
        return false;
    *line = sb_slice_from(*line, text.n);
    return true;
}

static bool take_number(struct sb_slice *line, uint64_t *ret_number)
{
    size_t n = 0;

    while (n < line->n && line->p[n] >= '0' && line->p[n] <= '9')
        n++;
    if (!sb_num_read_u64(sb_slice_make(line->p, n), ret_number) || *ret_number > INT64_MAX)
        return false;
    *line = sb_slice_from(*line, n);
    return true;
}

static bool take_hash(struct sb_slice *line, struct sb_hash *ret)
{
    if (line->n < 2 * sizeof(ret->bytes))
        return false;
    for (size_t i = 0; i < 2 * sizeof(ret->bytes); i++) {
        char c = line->p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

        if (digit < 0)
            return false;
        ret->bytes[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : ret->bytes[i / 2] | digit);
    }
    *line = sb_slice_from(*line, 2 * sizeof(ret->bytes));
    return true;
}

/* A record that has no leaf, and was there before the log, says its time. */
static bool is_older(const struct ctl_verify *verify, yyjson_val *entry)
{
    int64_t time;

    return (sb_json_get_i64(entry, "received_at", &time) == SB_OK ||
            (yyjson_obj_get(entry, "bytes_sha256") != NULL &&
             sb_json_get_i64(entry, "at", &time) == SB_OK)) &&
           time < verify->began;
}

static void tell_stray(struct ctl_verify *verify, struct sb_slice line)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    char name[NAME_MAX_BYTES] = "no entry that can be read";
    yyjson_val *root = NULL, *entry = NULL;
    int64_t leaf;

    if (sb_json_read(line, LINE_MAX_BYTES, &doc, NULL) == SB_OK) {
        root = yyjson_doc_get_root(doc);
        entry = yyjson_obj_get(root, "stray");
        add_name(name, entry);
    }
    if (yyjson_obj_get(root, "leaf") == NULL && is_older(verify, entry))
        verify->result.older++;
    else if (sb_json_get_i64(root, "leaf", &leaf) == SB_OK && leaf >= 0)
        ctl_findings_add(verify->findings, CTL_FINDING_INSERTED, (uint64_t)leaf, (uint64_t)leaf,
                         "a row says that it is entry %" PRId64 ", behind the end of the log: it "
                         "was inserted (%s)",
                         leaf, name);
    else
        ctl_findings_add_general(verify->findings, CTL_FINDING_INSERTED,
                                 "a row is in no log: it was inserted (%s)", name);
}

static int break_off(struct ctl_verify *verify, struct sb_slice line)
{
    ctl_findings_add_general(verify->findings, CTL_FINDING_BROKEN,
                             "behind entry %" PRIu64 " comes what is no line of a log: %.*s",
                             verify->result.next, line.n < 80 ? (int)line.n : 80, line.p);
    return SB_EPARSE;
}

static void take_unfit(struct ctl_verify *verify, struct sb_slice what)
{
    uint64_t leaf = verify->claims.leaf;

    if (sb_slice_is(what, "no salt")) {
        if (verify->n_saltless++ == 0)
            verify->saltless_from = leaf;
        verify->saltless_to = leaf;
        return;
    }
    if (sb_slice_is(what, "salt"))
        ctl_findings_add(verify->findings, CTL_FINDING_PLAIN, leaf, leaf,
                         "entry %" PRIu64 ": the salt beside it is not the one that it has the "
                         "hash of: it was changed",
                         leaf);
    else
        ctl_findings_add(verify->findings, CTL_FINDING_PLAIN, leaf, leaf,
                         "entry %" PRIu64
                         ": what is kept plain beside it (%.*s) is not what its hash "
                         "was made of: it, or its salt, was changed",
                         leaf, SB_SLICE_ARGS(what));
}

static int take_line(struct ctl_verify *verify, struct sb_slice line)
{
    struct claims *claims = &verify->claims;
    struct sb_slice rest = line, entry = SB_SLICE_NONE, unfit = SB_SLICE_NONE;
    struct sb_hash hash;
    bool has_hash = false;
    uint64_t leaf = 0;

    if (line.p == NULL)
        return break_off(verify, SB_SLICE_LIT(""));
    if (sb_slice_starts_with(line, SB_SLICE_LIT("{\"stray\":"))) {
        close_claims(verify);
        tell_stray(verify, line);
        return SB_OK;
    }
    if (!take_text(&rest, SB_SLICE_LIT("{\"leaf\":")) || !take_number(&rest, &leaf))
        return break_off(verify, line);
    if (take_text(&rest, SB_SLICE_LIT(",\"hash\":\""))) {
        has_hash = true;
        if (!take_hash(&rest, &hash) || !take_text(&rest, SB_SLICE_LIT("\"")))
            return break_off(verify, line);
    }
    if (take_text(&rest, SB_SLICE_LIT(",\"unfit\":\""))) {
        unfit = sb_slice_make(rest.p, sb_slice_find(rest, '"'));
        rest = sb_slice_from(rest, unfit.n);
        if (unfit.n > UNFIT_MAX || !take_text(&rest, SB_SLICE_LIT("\"")))
            return break_off(verify, line);
    }
    if (take_text(&rest, SB_SLICE_LIT(",\"entry\":"))) {
        if (rest.n < 2)
            return break_off(verify, line);
        entry = sb_slice_make(rest.p, rest.n - 1);
        rest = sb_slice_from(rest, rest.n - 1);
    }
    if (!sb_slice_is(rest, "}"))
        return break_off(verify, line);
    if (!claims->any || claims->leaf != leaf) {
        close_claims(verify);
        if (leaf != verify->result.next)
            return break_off(verify, line);
        *claims = (struct claims){.any = true, .leaf = leaf, .has_hash = has_hash};
        if (has_hash)
            claims->stored = hash;
    }
    if (unfit.n > 0)
        take_unfit(verify, unfit);
    if (entry.n > 0)
        add_claim(verify, entry);
    return SB_OK;
}

int ctl_verify_feed(struct ctl_verify *verify, struct sb_slice piece)
{
    while (piece.n > 0) {
        size_t n = sb_slice_find(piece, '\n');
        struct sb_slice line = sb_slice_make(piece.p, n);
        int rc = SB_OK;

        if (n == piece.n)
            return sb_buf_append(&verify->partial, piece);
        if (sb_buf_len(&verify->partial) > 0) {
            rc = sb_buf_append(&verify->partial, line);
            line = sb_buf_slice(&verify->partial);
        }
        if (rc == SB_OK)
            rc = take_line(verify, line);
        sb_buf_reset(&verify->partial);
        if (rc != SB_OK)
            return rc;
        piece = sb_slice_from(piece, n + 1);
    }
    return SB_OK;
}

/* --- the end
 * ----------------------------------------------------------------------------------------- */

/* Without the salt a hash proves nothing, so who destroys one leaves the log to say so. */
static void tell_saltless(struct ctl_verify *verify)
{
    if (verify->n_saltless > verify->result.erased)
        ctl_findings_add(
            verify->findings, CTL_FINDING_PLAIN, verify->saltless_from, verify->saltless_to,
            "%" PRIu64 " records from %" PRIu64 " to %" PRIu64 " lost their salts, "
            "and the log says that %" PRIu64 " were erased (an erasure is in it some "
            "seconds later): their digests prove nothing any more",
            verify->n_saltless, verify->saltless_from, verify->saltless_to, verify->result.erased);
}

void ctl_verify_end(struct ctl_verify *verify, uint64_t to)
{
    close_claims(verify);
    if (sb_buf_len(&verify->partial) > 0)
        (void)break_off(verify, sb_buf_slice(&verify->partial));
    if (!verify->is_broken)
        tell_odds(verify); /* of what nothing was signed for yet */
    for (size_t i = verify->next_checkpoint; i < verify->n_checkpoints; i++) {
        const struct ctl_signed *newest = &verify->checkpoints[verify->n_checkpoints - 1];

        if (verify->checkpoints[i].size > to)
            break;
        ctl_findings_add(verify->findings, CTL_FINDING_SHORTER, verify->result.next,
                         newest->size - 1,
                         "the log has %" PRIu64 " entries, and a checkpoint of %" PRIu64
                         " was signed: is this an old backup, or was its end cut off?",
                         verify->result.next, newest->size);
        break;
    }
    if (to == UINT64_MAX) /* else the entry that says so may be behind it */
        tell_saltless(verify);
    /* Behind what was rewritten nothing is proved, and it is told already. */
    ctl_drops_judge(verify->drops, verify->is_broken ? UINT64_MAX : verify->result.proved);
    verify->result.dropped = ctl_absent_end(&verify->absent, verify->drops, verify->findings);
    ctl_sequences_end(verify->sequences, verify->drops,
                      verify->is_whole && verify->result.older == 0, verify->findings);
}
