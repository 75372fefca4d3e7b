/* controlplane/ctl/checkpoints.c */
#include "controlplane/ctl/checkpoints.h"

#include <inttypes.h>
#include <string.h>

#include "common/checkpoint.h"
#include "common/mem.h"
#include "controlplane/ctl/findings.h"

enum { STEP = 256 /* notes between two reports of progress: some 15 ms */ };

void ctl_checkpoints_release(struct ctl_checkpoints *checkpoints)
{
    sb_mem_free(checkpoints->list);
    *checkpoints = (struct ctl_checkpoints){.list = NULL};
}

size_t ctl_checkpoints_above(const struct ctl_checkpoints *checkpoints, uint64_t size)
{
    size_t low = 0, high = checkpoints->n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (checkpoints->list[middle].size <= size)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct ctl_signed *ctl_checkpoints_find(const struct ctl_checkpoints *checkpoints,
                                              uint64_t size)
{
    size_t above = ctl_checkpoints_above(checkpoints, size);

    return above > 0 && checkpoints->list[above - 1].size == size ? &checkpoints->list[above - 1]
                                                                  : NULL;
}

static void insert(struct ctl_checkpoints *checkpoints, const struct ctl_signed *one)
{
    size_t at = ctl_checkpoints_above(checkpoints, one->size);

    if (checkpoints->n == checkpoints->size) {
        size_t size = checkpoints->size == 0 ? 256 : 2 * checkpoints->size;
        struct ctl_signed *list = sb_mem_new(size * sizeof(*list));

        if (checkpoints->n > 0)
            memcpy(list, checkpoints->list, checkpoints->n * sizeof(*list));
        sb_mem_free(checkpoints->list);
        checkpoints->list = list;
        checkpoints->size = size;
    }
    memmove(&checkpoints->list[at + 1], &checkpoints->list[at],
            (checkpoints->n - at) * sizeof(*checkpoints->list));
    checkpoints->list[at] = *one;
    checkpoints->n++;
}

int ctl_checkpoints_add(struct ctl_checkpoints *checkpoints, struct sb_slice note,
                        const struct sb_note_key *key, struct ctl_findings *findings,
                        struct ctl_signed *ret, struct sb_errmsg *err)
{
    const struct ctl_signed *known;
    struct sb_checkpoint checkpoint;
    int rc = sb_checkpoint_open(note, key, &checkpoint, err);

    if (rc != SB_OK)
        return rc;
    *ret = (struct ctl_signed){.size = checkpoint.size, .root = checkpoint.root};
    known = ctl_checkpoints_find(checkpoints, checkpoint.size);
    if (known == NULL)
        insert(checkpoints, ret);
    else if (!sb_hash_equal(&known->root, &checkpoint.root))
        ctl_findings_add(findings, CTL_FINDING_CONTRADICTION, 0,
                         checkpoint.size > 0 ? checkpoint.size - 1 : 0,
                         "two checkpoints of %" PRIu64
                         " entries are signed, and they differ: the log was forked",
                         checkpoint.size);
    return SB_OK;
}

/* A whole note whose text is a checkpoint, whoever signed it. */
static bool is_checkpoint(struct sb_slice bytes, struct sb_checkpoint *ret)
{
    struct sb_note note;

    return sb_note_parse(bytes, &note, NULL) == SB_OK &&
           sb_checkpoint_parse(note.text, ret, NULL) == SB_OK;
}

/* One of the file. */
static void read_one(struct ctl_checkpoints *checkpoints, struct sb_slice note,
                     const struct sb_note_key *key, struct ctl_findings *findings, unsigned *torn)
{
    struct sb_checkpoint checkpoint;
    struct ctl_signed one;
    struct sb_errmsg err;
    int rc = ctl_checkpoints_add(checkpoints, note, key, findings, &one, &err);

    if (rc == SB_OK)
        return;
    if (is_checkpoint(note, &checkpoint))
        ctl_findings_add_general(findings, CTL_FINDING_OTHER_KEY,
                                 "a checkpoint of %" PRIu64 " entries is not signed by this "
                                 "key: %s",
                                 checkpoint.size, err.text);
    else
        (*torn)++;
}

/* Those next to the part; none: no bytes. */
struct around {
    struct sb_slice before, after;
    uint64_t before_size, after_size;
};

/* Keeps one that is outside of the part, if it is the next to it so far; false:
 * it is inside, or no checkpoint at all. */
static bool keep_outside(struct around *around, const struct ctl_part *part, struct sb_slice note)
{
    struct sb_checkpoint checkpoint;

    if ((part->from == 0 && part->to == UINT64_MAX) || !is_checkpoint(note, &checkpoint))
        return false;
    if (checkpoint.size <= part->from) {
        if (around->before.n == 0 || checkpoint.size >= around->before_size) {
            around->before = note;
            around->before_size = checkpoint.size;
        }
        return true;
    }
    if (checkpoint.size < part->to)
        return part->ends_only;
    if (around->after.n == 0 || checkpoint.size <= around->after_size) {
        around->after = note;
        around->after_size = checkpoint.size;
    }
    return true;
}

void ctl_checkpoints_read(struct ctl_checkpoints *checkpoints, struct sb_slice text,
                          const struct sb_note_key *key, const struct ctl_part *part,
                          struct ctl_findings *findings, unsigned *ret_torn)
{
    struct around around = {.before_size = 0};
    const size_t total = text.n;
    struct sb_slice note;

    *ret_torn = 0;
    for (size_t n = 0; sb_checkpoint_next(&text, &note); n++) {
        if (!keep_outside(&around, part, note))
            read_one(checkpoints, note, key, findings, ret_torn);
        if (part->on_progress != NULL && n % STEP == 0)
            part->on_progress(part->ctx, total - text.n, total);
    }
    if (around.before.n > 0)
        read_one(checkpoints, around.before, key, findings, ret_torn);
    if (around.after.n > 0)
        read_one(checkpoints, around.after, key, findings, ret_torn);
    *ret_torn += text.n > 0 ? 1 : 0;
}
