/* controlplane/ctl/cmd_prove.c - audit prove, audit consistency. */
#include <inttypes.h>
#include <string.h>

#include "common/file.h"
#include "common/notekey.h"
#include "common/num.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/findings.h"
#include "controlplane/ctl/proofs.h"

enum { CHECKPOINTS_MAX = INT32_MAX /* bytes of a file: years of them */ };

/* --- trust --------------------------------------------------------------------------- */

static const struct ctl_part whole = {.to = UINT64_MAX};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    ctl_progress(ctx, "reading checkpoints", done, total);
}

static int load_checkpoints(struct ctl *ctl, const struct ctl_part *part,
                            struct ctl_findings *findings, struct ctl_trust *trust)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.data = NULL};
    const char *named = ctl_flag(ctl, "checkpoints");
    struct sb_errmsg err = {.text = ""};
    struct ctl_part watched = *part;
    unsigned torn = 0;
    int rc;

    trust->path =
        named != NULL ? named : sb_arena_printf(ctl->arena, "%s/checkpoints", ctl_home()).p;
    sb_buf_init(&text, CHECKPOINTS_MAX);
    rc = sb_file_read(trust->path, &text, &err);
    if (rc == SB_ENOENT && named == NULL) {
        ctl_note(ctl,
                 "There is no %s: only checkpoints of the database are used, which who "
                 "controls it may have taken away. --checkpoints FILE names those kept "
                 "outside.",
                 trust->path);
        return CTL_DONE;
    }
    if (rc != SB_OK)
        return ctl_fail(ctl, "%s", err.text);
    watched.on_progress = on_progress;
    watched.ctx = ctl;
    ctl_checkpoints_read(&trust->checkpoints, sb_buf_slice(&text), &trust->key, &watched, findings,
                         &torn);
    if (torn > 0)
        ctl_note(ctl,
                 "%s has %u text%s that are no checkpoints; a crash while one was written "
                 "leaves such.",
                 trust->path, torn, torn == 1 ? "" : "s");
    return CTL_DONE;
}

static int load_key(struct ctl *ctl, struct ctl_trust *ret)
{
    const char *path = ctl_flag(ctl, "log-key");
    struct sb_errmsg err = {.text = ""};

    *ret = (struct ctl_trust){.path = NULL};
    if (path == NULL)
        path = sb_arena_printf(ctl->arena, "%s/log.key.pub", ctl_home()).p;
    if (sb_note_key_load(path, &ret->key, &err) != SB_OK)
        return ctl_fail(ctl, "%s; --log-key FILE names the public key of the log", err.text);
    return CTL_DONE;
}

int ctl_trust_load(struct ctl *ctl, const struct ctl_part *part, struct ctl_findings *findings,
                   struct ctl_trust *ret)
{
    int status = load_key(ctl, ret);

    return status == CTL_DONE ? load_checkpoints(ctl, part, findings, ret) : status;
}

int ctl_trust_load_key(struct ctl *ctl, struct ctl_findings *findings, struct ctl_trust *ret)
{
    int status = load_key(ctl, ret);

    return status == CTL_DONE && ctl_flag(ctl, "checkpoints") != NULL
               ? load_checkpoints(ctl, &whole, findings, ret)
               : status;
}

/* --- hashes -------------------------------------------------------------------------------- */

static bool read_hash(yyjson_val *value, struct sb_hash *ret)
{
    struct sb_slice text = sb_json_text(value);

    if (!yyjson_is_str(value) || text.n != 2 * sizeof(ret->bytes))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

        if (digit < 0)
            return false;
        ret->bytes[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : ret->bytes[i / 2] | digit);
    }
    return true;
}

/* false: not an array of at most `most` hashes. */
static bool read_hashes(yyjson_val *root, const char *name, size_t most, struct sb_hash *ret,
                        unsigned *ret_n)
{
    yyjson_val *array = yyjson_obj_get(root, name), *one;
    yyjson_arr_iter iter = yyjson_arr_iter_with(array);

    if (!yyjson_is_arr(array) || yyjson_arr_size(array) > most)
        return false;
    *ret_n = 0;
    while ((one = yyjson_arr_iter_next(&iter)) != NULL)
        if (!read_hash(one, &ret[(*ret_n)++]))
            return false;
    return true;
}

int ctl_fetch_edge(struct ctl *ctl, uint64_t size, struct sb_merkle_edge *ret)
{
    const char *path = sb_arena_printf(ctl->arena, "/admin/v1/audit/edge?size=%" PRIu64, size).p;
    struct sb_hash nodes[SB_MERKLE_EDGE_MAX];
    yyjson_val *root = NULL;
    unsigned n;
    int status = ctl_get(ctl, path, &root);

    if (status != CTL_DONE)
        return status;
    if (!read_hashes(root, "edge", SB_MERKLE_EDGE_MAX, nodes, &n) ||
        sb_merkle_edge_read(size, sb_slice_make(nodes, n * sizeof(*nodes)), ret) != SB_OK)
        return ctl_fail(ctl, "the answer has no edge of a tree of %" PRIu64 " entries", size);
    return CTL_DONE;
}

/* The signed root of a size: from outside, else the answer's own note when the
 * key has signed it. */
static int find_root(struct ctl *ctl, struct ctl_trust *trust, struct ctl_findings *findings,
                     uint64_t size, struct sb_slice note, struct sb_hash *ret_root)
{
    const struct ctl_signed *known = ctl_checkpoints_find(&trust->checkpoints, size);
    struct sb_errmsg err = {.text = "the database has none"};
    struct ctl_signed one;

    if (known != NULL) {
        *ret_root = known->root;
        return CTL_DONE;
    }
    if (note.n == 0 ||
        ctl_checkpoints_add(&trust->checkpoints, note, &trust->key, findings, &one, &err) != SB_OK)
        return ctl_fail(ctl, "no checkpoint of %" PRIu64 " entries is signed by %s: %s", size,
                        trust->key.name, err.text);
    if (one.size != size)
        return ctl_fail(ctl,
                        "the checkpoint of the answer is of %" PRIu64 " entries, not of %" PRIu64,
                        one.size, size);
    *ret_root = one.root;
    return CTL_DONE;
}

static struct sb_slice text_of(yyjson_val *root, const char *name)
{
    struct sb_slice text = SB_SLICE_NONE;

    return sb_json_get_text(root, name, &text) == SB_OK ? text : SB_SLICE_NONE;
}

/* --- audit prove -------------------------------------------------------------------------------
 */

static bool is_number(const char *text)
{
    uint64_t number;

    return sb_num_read_u64(sb_slice_of(text), &number);
}

static int check_inclusion(struct ctl *ctl, struct ctl_trust *trust, struct ctl_findings *findings,
                           yyjson_val *root)
{
    struct sb_slice entry = text_of(root, "entry");
    struct sb_merkle_proof proof;
    struct sb_hash leaf, tree;
    uint64_t index, size;
    int status;

    if (sb_json_get_u64(root, "leaf", &index) != SB_OK ||
        sb_json_get_u64(root, "size", &size) != SB_OK ||
        !read_hashes(root, "proof", SB_MERKLE_PROOF_MAX, proof.nodes, &proof.n))
        return ctl_fail(ctl, "the answer is no proof");
    if (entry.n == 0)
        return ctl_fail(ctl, "entry %" PRIu64 " is missing: the log has its hash only", index);
    status = find_root(ctl, trust, findings, size, text_of(root, "checkpoint"), &tree);
    if (status != CTL_DONE)
        return status;
    sb_merkle_leaf(entry, &leaf);
    if (sb_merkle_verify_inclusion(&leaf, index, size, &proof, &tree) != SB_OK)
        return ctl_fail(ctl,
                        "entry %" PRIu64 " is not what was signed: it was changed, or the tree was",
                        index);
    if (ctl->format != CTL_AS_TABLE) {
        ctl_print_value(ctl, root);
        return CTL_DONE;
    }
    ctl_print_styled(ctl, CTL_GOOD, sb_slice_of("proved"));
    ctl_print(ctl, ": entry %" PRIu64 " is in the log %s of %" PRIu64 " entries, as signed\n\n",
              index, trust->key.name, size);
    ctl_print(ctl, "%.*s\n", SB_SLICE_ARGS(ctl_text_clean(ctl->arena, entry)));
    return CTL_DONE;
}

int ctl_run_audit_prove(struct ctl *ctl)
{
    struct ctl_findings *findings = sb_arena_alloc(ctl->arena, sizeof(*findings));
    struct ctl_part part = {.ends_only = true};
    struct ctl_query query = {.ctl = ctl};
    const char *id = ctl->args.operands[0];
    struct ctl_trust trust = {.path = NULL};
    yyjson_val *root = NULL;
    int status;

    findings->arena = ctl->arena;
    ctl_query_add(&query, is_number(id) ? "leaf" : "generation_id", id);
    ctl_query_add(&query, "size", ctl_flag(ctl, "size"));
    status = ctl_get(ctl, ctl_query_path(&query, "/admin/v1/audit/proof"), &root);
    if (status == CTL_DONE && sb_json_get_u64(root, "size", &part.from) != SB_OK)
        status = ctl_fail(ctl, "the answer is no proof");
    part.to = part.from;
    if (status == CTL_DONE)
        status = ctl_trust_load(ctl, &part, findings, &trust);
    if (status == CTL_DONE)
        status = check_inclusion(ctl, &trust, findings, root);
    ctl_checkpoints_release(&trust.checkpoints);
    return status;
}

/* --- audit consistency
 * ---------------------------------------------------------------------------- */

static int check_consistency(struct ctl *ctl, struct ctl_trust *trust,
                             struct ctl_findings *findings, uint64_t from, uint64_t to)
{
    const char *path =
        sb_arena_printf(ctl->arena, "/admin/v1/audit/consistency?from=%" PRIu64 "&to=%" PRIu64,
                        from, to)
            .p;
    struct sb_merkle_proof proof;
    struct sb_hash old_root, new_root;
    yyjson_val *root = NULL;
    int status = ctl_get(ctl, path, &root);

    if (status != CTL_DONE)
        return status;
    if (!read_hashes(root, "proof", SB_MERKLE_PROOF_MAX, proof.nodes, &proof.n))
        return ctl_fail(ctl, "the answer is no proof");
    status = find_root(ctl, trust, findings, from, text_of(root, "from_checkpoint"), &old_root);
    if (status == CTL_DONE)
        status = find_root(ctl, trust, findings, to, text_of(root, "to_checkpoint"), &new_root);
    if (status != CTL_DONE)
        return status;
    if (sb_merkle_verify_consistency(from, &old_root, to, &new_root, &proof) != SB_OK)
        return ctl_fail(ctl,
                        "the log of %" PRIu64 " entries does not continue that of %" PRIu64
                        ": they are two histories",
                        to, from);
    if (ctl->format != CTL_AS_TABLE) {
        ctl_print_value(ctl, root);
        return CTL_DONE;
    }
    ctl_print_styled(ctl, CTL_GOOD, sb_slice_of("proved"));
    ctl_print(ctl,
              ": the log %s of %" PRIu64 " entries begins with the %" PRIu64
              " that were signed before\n",
              trust->key.name, to, from);
    return CTL_DONE;
}

int ctl_run_audit_consistency(struct ctl *ctl)
{
    struct ctl_findings *findings = sb_arena_alloc(ctl->arena, sizeof(*findings));
    const char *const *sizes = ctl->args.operands;
    struct ctl_part part = {.ends_only = true};
    struct ctl_trust trust;
    uint64_t from, to;
    int status;

    if (!sb_num_read_u64(sb_slice_of(sizes[0]), &from) ||
        !sb_num_read_u64(sb_slice_of(sizes[1]), &to) || from > to || from == 0 || to > INT64_MAX)
        return ctl_misuse(ctl, "two sizes of the log are wanted, the smaller one first: audit "
                               "consistency 1000 2000");
    findings->arena = ctl->arena;
    part.from = from;
    part.to = to;
    status = ctl_trust_load(ctl, &part, findings, &trust);
    if (status == CTL_DONE)
        status = check_consistency(ctl, &trust, findings, from, to);
    ctl_checkpoints_release(&trust.checkpoints);
    return status;
}
