/* tests/fuzz/common/fuzz_note.c - notes, checkpoints and verifier keys of
 * anybody.  First byte 'k': the rest is a verifier key; else it is a file of
 * notes.  What was not signed by the key does not verify, and what parses is
 * made of the same bytes again. */
#include <stdint.h>
#include <stdlib.h>

#include "common/checkpoint.h"
#include "common/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_key(struct sb_slice text)
{
    char again[SB_NOTE_KEY_TEXT];
    struct sb_note_key key, same;

    if (sb_note_key_parse(text, &key, NULL) != SB_OK)
        return;
    sb_note_key_put(&key, again);
    if (sb_note_key_parse(sb_slice_of(again), &same, NULL) != SB_OK ||
        !sb_slice_eq_nocase(text, sb_slice_of(again)))
        abort();
}

static void try_note(struct sb_slice bytes, const struct sb_note_key *key)
{
    struct sb_checkpoint checkpoint;
    struct sb_note note;

    if (sb_note_parse(bytes, &note, NULL) == SB_OK) {
        if (note.n == 0 || note.text.n == 0 || note.text.p != bytes.p || note.text.n >= bytes.n ||
            bytes.p[note.text.n] != '\n')
            abort();
        if (sb_note_verify(&note, key, NULL) == SB_OK)
            abort(); /* forged */
        if (sb_checkpoint_parse(note.text, &checkpoint, NULL) == SB_OK &&
            (checkpoint.size > SB_MERKLE_SIZE_MAX || checkpoint.origin.n == 0))
            abort();
    }
    if (sb_checkpoint_open(bytes, key, &checkpoint, NULL) == SB_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t public_key[SB_SIGN_PUBLIC] = {9}; /* nobody has its secret half */
    struct sb_slice text, note;
    struct sb_note_key key;

    if (size == 0 || size > SB_NOTE_MAX + 100)
        return 0;
    if (data[0] == 'k') {
        try_key(sb_slice_make(data + 1, size - 1));
        return 0;
    }
    if (sb_note_key_make(SB_SLICE_LIT("switchboard/audit"), public_key, &key, NULL) != SB_OK)
        abort();
    text = sb_slice_make(data + 1, size - 1);
    try_note(text, &key);
    while (sb_checkpoint_next(&text, &note))
        try_note(note, &key);
    return 0;
}
