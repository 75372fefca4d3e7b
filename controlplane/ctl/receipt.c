/* controlplane/ctl/receipt.c */
#include "controlplane/ctl/receipt.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/canon.h"
#include "common/checkpoint.h"
#include "common/merkle.h"
#include "common/secret.h"
#include "proto/limits.h"
#include "proto/receipt.h"

struct run {
    const struct ctl_receipt_ask *ask;
    struct sb_arena *arena;
    struct ctl_receipt *to;
    struct sb_errmsg *err;
    struct sb_slice salt; /* hex, of the receipt or the promise; or none */
};

static void add(struct run *run, const char *name, bool is_proven, struct sb_slice text)
{
    run->to->checks[run->to->n++] =
        (struct ctl_check){.name = name, .is_proven = is_proven, .text = text};
    run->to->is_proven &= is_proven;
}

/* Exactly size bytes in hex. */
static bool read_hex(struct sb_slice text, uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    if (text.n != 2 * size)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = memchr(digits, text.p[i], sizeof(digits) - 1);

        if (at == NULL)
            return false;
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? (at - digits) << 4 : bytes[i / 2] | (at - digits));
    }
    return true;
}

static struct sb_slice member(yyjson_val *object, const char *name)
{
    return sb_json_text(yyjson_obj_get(object, name));
}

/* --- bodies ------------------------------------------------------------------------- */

static void check_body(struct run *run, yyjson_val *object, const char *name, struct sb_slice body)
{
    bool is_request = name[2] == 'q';
    struct sb_slice said = member(object, is_request ? "request_digest" : "response_digest");
    uint8_t told[SB_HASH_BYTES], is[SB_HASH_BYTES], salt[MSG_SALT_BYTES];

    if (!read_hex(run->salt, salt, sizeof(salt))) {
        add(run, name, false,
            sb_arena_printf(run->arena,
                            "the %s body cannot be checked: the salt of this record was destroyed",
                            name));
        return;
    }
    if (!read_hex(said, told, sizeof(told))) {
        add(run, name, false,
            sb_arena_printf(run->arena, "the record says nothing of the %s body", name));
        return;
    }
    sb_hash_salted(salt, &body, 1, is);
    if (memcmp(told, is, sizeof(is)) == 0)
        add(run, name, true,
            sb_arena_printf(run->arena, "the %s body (%zu bytes) is the one that was %s", name,
                            body.n, is_request ? "received" : "sent"));
    else
        add(run, name, false,
            sb_arena_printf(run->arena,
                            "the %s body (%zu bytes) is not the one that was %s: byte for byte it "
                            "must be what went over the wire, without the framing of chunks",
                            name, body.n, is_request ? "received" : "sent"));
}

static void check_bodies(struct run *run, yyjson_val *object)
{
    if (run->ask->has_request)
        check_body(run, object, "request", run->ask->request);
    if (run->ask->has_response)
        check_body(run, object, "response", run->ask->response);
}

/* The salt is no part of the entry, its hash is; older entries have none. */
static void check_salt(struct run *run, yyjson_val *entry)
{
    struct sb_slice said = member(entry, "salt_hash");
    uint8_t salt[MSG_SALT_BYTES], told[SB_HASH_BYTES], is[SB_HASH_BYTES];

    if (run->salt.n == 0 || said.n == 0)
        return;
    if (read_hex(run->salt, salt, sizeof(salt)) && read_hex(said, told, sizeof(told))) {
        sb_hash_salt(salt, is);
        if (memcmp(told, is, sizeof(is)) == 0)
            return;
    }
    add(run, "salt", false,
        sb_arena_printf(run->arena, "the salt is not the one that the record has the hash of"));
}

/* --- the receipt ----------------------------------------------------------------------- */

struct parts {
    struct sb_slice entry, checkpoint, generation;
    uint64_t leaf;
    struct sb_slice salt; /* hex, or none */
    struct sb_merkle_proof proof;
};

static int read_parts(struct run *run, yyjson_val *root, struct parts *ret)
{
    yyjson_val *proof = yyjson_obj_get(root, "proof");
    yyjson_val *hash;
    uint8_t salt[MSG_SALT_BYTES];
    size_t i, n;

    if (sb_slice_is(member(root, "status"), "pending"))
        return sb_err_set(run->err, SB_EAGAIN,
                          "this is no receipt yet: the record is under no signed checkpoint of the "
                          "log; ask for it again in a few seconds");
    ret->entry = member(root, "entry");
    ret->checkpoint = member(root, "checkpoint");
    ret->generation = member(root, "generation");
    if (ret->entry.n == 0 || ret->checkpoint.n == 0 || ret->generation.n == 0 ||
        !yyjson_is_arr(proof) || sb_json_get_u64(root, "leaf", &ret->leaf) != SB_OK)
        return sb_err_set(run->err, SB_EPARSE,
                          "this is no receipt: entry, checkpoint, generation, leaf or proof is "
                          "missing; GET /v1/generation/{id}/receipt gives one");
    if (yyjson_get_uint(yyjson_obj_get(root, "version")) != 1)
        return sb_err_set(run->err, SB_EVERSION,
                          "the receipt is not of version 1, which is all "
                          "that this program knows");
    ret->salt = member(root, "salt");
    if (ret->salt.n > 0 && !read_hex(ret->salt, salt, sizeof(salt)))
        return sb_err_set(run->err, SB_EPARSE, "salt: it must be %d bytes in hex", MSG_SALT_BYTES);
    if (yyjson_arr_size(proof) > SB_MERKLE_PROOF_MAX)
        return sb_err_set(run->err, SB_EPARSE, "proof: it has %zu hashes; there are at most %d",
                          yyjson_arr_size(proof), SB_MERKLE_PROOF_MAX);
    ret->proof.n = 0;
    yyjson_arr_foreach(proof, i, n, hash)
    {
        if (!read_hex(sb_json_text(hash), ret->proof.nodes[i].bytes, SB_SHA256_BYTES))
            return sb_err_set(run->err, SB_EPARSE, "proof[%zu]: it must be %d bytes in hex", i,
                              SB_SHA256_BYTES);
        ret->proof.n++;
    }
    return SB_OK;
}

static bool check_checkpoint(struct run *run, const struct parts *parts,
                             struct sb_checkpoint *ret_checkpoint)
{
    struct sb_errmsg err = {.text = ""};

    if (sb_checkpoint_open(parts->checkpoint, run->ask->key, ret_checkpoint, &err) != SB_OK) {
        add(run, "checkpoint", false,
            sb_arena_printf(run->arena, "the checkpoint is not signed by the key of %s: %s",
                            run->ask->key->name, err.text));
        return false;
    }
    run->to->origin = sb_arena_dup(run->arena, ret_checkpoint->origin);
    run->to->size = ret_checkpoint->size;
    add(run, "checkpoint", true,
        sb_arena_printf(run->arena,
                        "the checkpoint of the log %.*s over %" PRIu64
                        " entries is signed by its key",
                        SB_SLICE_ARGS(run->to->origin), ret_checkpoint->size));
    return true;
}

static bool is_canonical(struct sb_slice entry)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf canon = {.limit = 0};

    sb_buf_init(&canon, CTL_RECEIPT_MAX);
    return sb_canon_json(&canon, entry) == SB_OK && sb_slice_eq(sb_buf_slice(&canon), entry);
}

static void check_entry(struct run *run, const struct parts *parts,
                        const struct sb_checkpoint *checkpoint, yyjson_val *entry)
{
    struct sb_hash leaf;

    sb_merkle_leaf(parts->entry, &leaf);
    if (sb_merkle_verify_inclusion(&leaf, parts->leaf, checkpoint->size, &parts->proof,
                                   &checkpoint->root) != SB_OK)
        add(run, "entry", false,
            sb_arena_printf(run->arena,
                            "this record is not entry %" PRIu64
                            " of that log: record, place or proof was changed",
                            parts->leaf));
    else if (!is_canonical(parts->entry))
        add(run, "entry", false,
            sb_arena_printf(run->arena,
                            "entry %" PRIu64 " of that log is not in the one form that entries "
                            "have, so it may say two things",
                            parts->leaf));
    else if (!sb_slice_is(member(entry, "kind"), "request") ||
             !sb_slice_eq(member(entry, "generation"), parts->generation))
        add(run, "entry", false,
            sb_arena_printf(run->arena, "entry %" PRIu64 " of that log is not the record of %.*s",
                            parts->leaf, SB_SLICE_ARGS(parts->generation)));
    else
        add(run, "entry", true,
            sb_arena_printf(run->arena, "this record is entry %" PRIu64 " of that log, unchanged",
                            parts->leaf));
}

static int verify_receipt(struct run *run)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_checkpoint checkpoint;
    struct parts parts;
    bool is_signed;
    int rc = sb_json_read(run->ask->receipt, CTL_RECEIPT_MAX, &doc, run->err);

    if (rc == SB_OK)
        rc = read_parts(run, yyjson_doc_get_root(doc), &parts);
    if (rc != SB_OK)
        return rc;
    run->to->entry = sb_arena_dup(run->arena, parts.entry);
    run->to->leaf = parts.leaf;
    run->salt = sb_arena_dup(run->arena, parts.salt);
    if (sb_json_read(run->to->entry, CTL_RECEIPT_MAX, &run->to->doc, run->err) != SB_OK)
        return sb_err_set(run->err, SB_EPARSE, "entry: it is no JSON");
    is_signed = check_checkpoint(run, &parts, &checkpoint);
    if (is_signed)
        check_entry(run, &parts, &checkpoint, yyjson_doc_get_root(run->to->doc));
    check_salt(run, yyjson_doc_get_root(run->to->doc));
    check_bodies(run, yyjson_doc_get_root(run->to->doc));
    return SB_OK;
}

/* --- the promise ----------------------------------------------------------------------- */

struct sb_slice ctl_receipt_find_promise(struct sb_slice text)
{
    static const struct sb_slice name = SB_SLICE_INIT(MSG_RECEIPT_HEADER ":");

    while (text.n > 0) {
        size_t end = sb_slice_find(text, '\n');
        struct sb_slice line = sb_slice_make(text.p, end);

        text = sb_slice_from(text, end < text.n ? end + 1 : end);
        if (line.n > name.n && sb_slice_eq_nocase(sb_slice_make(line.p, name.n), name))
            line = sb_slice_from(line, name.n);
        else if (!sb_slice_starts_with(line, SB_SLICE_LIT("v1.")))
            continue;
        while (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
            line = sb_slice_from(line, 1);
        while (line.n > 0 && (unsigned char)line.p[line.n - 1] <= ' ')
            line.n--;
        return line;
    }
    return SB_SLICE_NONE;
}

/* The worker's key, when the log's key has certified it. */
static bool check_certificate(struct run *run, yyjson_val *promise,
                              struct msg_certificate *ret_certificate)
{
    struct sb_slice text = member(promise, "certificate");
    struct sb_errmsg err = {.text = ""};
    struct sb_note note;
    uint64_t boot = 0;
    int rc = sb_note_parse(text, &note, &err);

    if (rc == SB_OK)
        rc = sb_note_verify(&note, run->ask->key, &err);
    if (rc == SB_OK && msg_certificate_read(note.text, ret_certificate) != SB_OK)
        rc = sb_err_set(&err, SB_EPARSE, "it is no certificate");
    if (rc == SB_OK &&
        (sb_json_get_u64(promise, "boot_id", &boot) != SB_OK || boot != ret_certificate->boot ||
         !sb_slice_eq(member(promise, "worker_id"), ret_certificate->worker)))
        rc = sb_err_set(&err, SB_EINVAL, "it is another worker's");
    if (rc == SB_OK)
        add(run, "certificate", true,
            sb_arena_printf(run->arena,
                            "the key of worker %.*s, started as %" PRIu64
                            ", is certified by the log's key",
                            SB_SLICE_ARGS(ret_certificate->worker), boot));
    else
        add(run, "certificate", false,
            sb_arena_printf(run->arena, "the worker's key is not certified by the log's key: %s",
                            err.text));
    return rc == SB_OK;
}

/* Values are texts, numbers, or arrays and objects of them. */
static bool is_same(yyjson_val *a, yyjson_val *b)
{
    return a != NULL && b != NULL && yyjson_equals(a, b);
}

/* What was held when it was promised is what was recorded.  Long evidence is
 * promised by its digest. */
static bool is_same_evidence(yyjson_val *promised, yyjson_val *recorded, const uint8_t *salt)
{
    uint8_t told[SB_HASH_BYTES], is[SB_HASH_BYTES];
    yyjson_val *name, *value;
    struct sb_slice text;
    size_t i, n;

    yyjson_obj_foreach(promised, i, n, name, value)
    {
        if (!yyjson_equals_str(name, "evidence_digest")) {
            if (!is_same(value, yyjson_obj_get(recorded, yyjson_get_str(name))))
                return false;
            continue;
        }
        text = member(recorded, "evidence");
        sb_hash_salted(salt, &text, 1, is);
        if (!read_hex(sb_json_text(value), told, sizeof(told)) || memcmp(told, is, sizeof(is)) != 0)
            return false;
    }
    return true;
}

static bool is_kept_evidence(yyjson_val *promised, yyjson_val *recorded, const uint8_t *salt)
{
    yyjson_val *one;
    size_t i, n;

    if (yyjson_arr_size(promised) != yyjson_arr_size(recorded))
        return false;
    yyjson_arr_foreach(promised, i, n, one)
    {
        if (!is_same_evidence(one, yyjson_arr_get(recorded, i), salt))
            return false;
    }
    return true;
}

/* The name of the first member that the record does not keep; NULL: it keeps
 * the promise. */
static const char *find_broken(yyjson_val *promise, yyjson_val *entry, const uint8_t *salt)
{
    static const char *const kept[] = {"boot_id",   "demanded",       "endpoint_id", "generation",
                                       "provider",  "received_at",    "region",      "model_served",
                                       "residency", "request_digest", "tag",         "worker_id"};
    yyjson_val *evidence = yyjson_obj_get(promise, "evidence");

    for (size_t i = 0; i < SB_ARRAY_LEN(kept); i++) {
        yyjson_val *value = yyjson_obj_get(promise, kept[i]);

        if (value != NULL && !is_same(value, yyjson_obj_get(entry, kept[i])))
            return kept[i];
    }
    if (evidence != NULL && !is_kept_evidence(evidence, yyjson_obj_get(entry, "evidence"), salt))
        return "evidence";
    return NULL;
}

static void check_promise(struct run *run, yyjson_val *promise, yyjson_val *entry)
{
    struct sb_slice worker = member(promise, "worker_id");
    uint8_t salt[MSG_SALT_BYTES];
    const char *broken = NULL;

    if (!read_hex(member(promise, "salt"), salt, sizeof(salt)) ||
        (run->salt.n > 0 && !sb_slice_eq(member(promise, "salt"), run->salt)))
        broken = "salt";
    else if (entry != NULL)
        broken = find_broken(promise, entry, salt);
    if (broken != NULL)
        add(run, "promise", false,
            sb_arena_printf(run->arena,
                            "what worker %.*s promised is not what was recorded: %s differs",
                            SB_SLICE_ARGS(worker), broken));
    else
        add(run, "promise", true,
            sb_arena_printf(run->arena, "worker %.*s promised %s", SB_SLICE_ARGS(worker),
                            entry != NULL ? "what was recorded"
                                          : "this record, signed by its key"));
    if (entry == NULL && broken == NULL) {
        run->salt = member(promise, "salt");
        check_bodies(run, promise);
    }
}

static int verify_promise(struct run *run)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf json = {.limit = 0};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *root, *entry = yyjson_doc_get_root(run->to->doc);
    struct msg_certificate certificate;
    struct msg_promise promise;
    int rc;

    sb_buf_init(&json, MSG_PROMISE_MAX);
    rc = msg_promise_open(run->ask->promise, &json, &promise, run->err);
    if (rc == SB_OK)
        rc = sb_json_read(sb_buf_slice(&json), MSG_PROMISE_MAX, &doc, run->err);
    if (rc != SB_OK)
        return rc;
    root = yyjson_doc_get_root(doc);
    if (!check_certificate(run, root, &certificate))
        return SB_OK; /* anybody can have signed the rest */
    if (!sb_sign_is_valid(certificate.key, promise.is_signed, promise.signature))
        add(run, "promise", false,
            SB_SLICE_LIT("the promise was changed: it is not signed by the worker's key"));
    else
        check_promise(run, root, entry);
    if (entry == NULL) {
        run->to->entry = sb_arena_dup(run->arena, sb_buf_slice(&json));
        run->to->doc = doc;
        doc = NULL;
    }
    return SB_OK;
}

/* --- both ---------------------------------------------------------------------------------- */

int ctl_receipt_verify(const struct ctl_receipt_ask *ask, struct sb_arena *arena,
                       struct ctl_receipt *ret, struct sb_errmsg *err)
{
    struct ctl_receipt receipt = {.is_proven = true};
    struct run run = {.ask = ask, .arena = arena, .to = &receipt, .err = err};
    int rc = SB_OK;

    if (ask->receipt.n > 0)
        rc = verify_receipt(&run);
    if (rc == SB_OK && ask->promise.n > 0)
        rc = verify_promise(&run);
    if (rc != SB_OK) {
        ctl_receipt_release(&receipt);
        return rc;
    }
    *ret = receipt;
    return SB_OK;
}

void ctl_receipt_release(struct ctl_receipt *receipt)
{
    sb_json_free(&receipt->doc);
}
