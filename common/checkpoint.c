/* common/checkpoint.c */
#include "common/checkpoint.h"

#include <inttypes.h>

#include "common/buf.h"
#include "common/notekey.h"
#include "common/num.h"

#define DASH SB_SLICE_LIT("\xe2\x80\x94 ")

/* Takes a line off text, without its end; false when there is no whole one. */
static bool take_line(struct sb_slice *text, struct sb_slice *ret_line)
{
    size_t n = sb_slice_find(*text, '\n');

    if (n == text->n)
        return false;
    *ret_line = sb_slice_make(text->p, n);
    *text = sb_slice_from(*text, n + 1);
    return true;
}

static int parse_size(struct sb_slice line, uint64_t *ret_size, struct sb_errmsg *err)
{
    if (!sb_num_read_u64(line, ret_size) || *ret_size > SB_MERKLE_SIZE_MAX ||
        (line.p[0] == '0' && line.n > 1))
        return sb_err_set(err, SB_EPARSE, "no checkpoint: its second line is no size of a tree");
    return SB_OK;
}

int sb_checkpoint_parse(struct sb_slice text, struct sb_checkpoint *ret, struct sb_errmsg *err)
{
    struct sb_checkpoint checkpoint;
    struct sb_slice size, root;
    size_t n;

    if (!take_line(&text, &checkpoint.origin) || !take_line(&text, &size) ||
        !take_line(&text, &root) || checkpoint.origin.n == 0)
        return sb_err_set(err, SB_EPARSE, "no checkpoint: origin, size and root are expected");
    if (parse_size(size, &checkpoint.size, err) != SB_OK)
        return SB_EPARSE;
    if (sb_base64_read(root, checkpoint.root.bytes, sizeof(checkpoint.root.bytes), &n) != SB_OK ||
        n != sizeof(checkpoint.root.bytes))
        return sb_err_set(err, SB_EPARSE, "no checkpoint: its third line is no base64 of a hash");
    while (text.n > 0)
        if (!take_line(&text, &root) || root.n == 0)
            return sb_err_set(err, SB_EPARSE, "no checkpoint: it has an empty line");
    *ret = checkpoint;
    return SB_OK;
}

int sb_checkpoint_open(struct sb_slice bytes, const struct sb_note_key *key,
                       struct sb_checkpoint *ret, struct sb_errmsg *err)
{
    struct sb_checkpoint checkpoint = {.size = 0};
    struct sb_note note;
    int rc = sb_note_parse(bytes, &note, err);

    if (rc == SB_OK)
        rc = sb_checkpoint_parse(note.text, &checkpoint, err);
    if (rc == SB_OK && !sb_slice_is(checkpoint.origin, key->name))
        rc = sb_err_set(err, SB_EINVAL, "a checkpoint of the log '%.*s', not of '%s'",
                        SB_SLICE_ARGS(checkpoint.origin), key->name);
    if (rc == SB_OK)
        rc = sb_note_verify(&note, key, err);
    if (rc == SB_OK)
        *ret = checkpoint;
    return rc;
}

int sb_checkpoint_sign(const struct sb_note_signer *signer, uint64_t size,
                       const struct sb_hash *root, struct sb_buf *out)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.data = NULL};
    char base64[SB_BASE64_SIZE(sizeof(root->bytes))];
    int rc;

    sb_buf_init(&text, SB_CHECKPOINT_MAX);
    sb_base64_put(sb_slice_make(root->bytes, sizeof(root->bytes)), base64, sizeof(base64));
    rc = sb_buf_printf(&text, "%s\n%" PRIu64 "\n%s\n", sb_note_signer_key(signer)->name, size,
                       base64);
    return rc == SB_OK ? sb_note_signer_sign(signer, sb_buf_slice(&text), out) : rc;
}

bool sb_checkpoint_next(struct sb_slice *text, struct sb_slice *ret_note)
{
    struct sb_slice rest, line, note;
    bool is_text = false;

    while (text->n > 0 && text->p[0] == '\n')
        *text = sb_slice_from(*text, 1);
    note = rest = *text;
    while (take_line(&rest, &line)) {
        if (line.n == 0 && is_text && sb_slice_starts_with(rest, DASH)) {
            while (sb_slice_starts_with(rest, DASH) && take_line(&rest, &line))
                continue;
            *ret_note = sb_slice_make(note.p, note.n - rest.n);
            *text = rest;
            return true;
        }
        is_text = line.n > 0;
        if (!is_text) /* what came before was torn */
            note = rest;
    }
    return false;
}
