/* tests/fuzz/common/fuzz_splice.c - any text: yyjson and the splicer, with and
 * without vector instructions, must agree on it, on its members and on edits.
 * What to edit is taken from the text itself. */
#include <stdint.h>
#include <stdio.h>

#include "tests/lib/splice_scalar.h"

#include "tests/lib/splice_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_errors(struct sb_slice text)
{
    struct sb_splice_member members[2][SPLICE_CHECK_MEMBERS];
    struct sb_splice_error errors[2] = {{.offset = 0}, {.offset = 0}};
    struct sb_splice docs[2];
    int rc;

    for (int i = 0; i < 2; i++)
        sb_splice_init(&docs[i], members[i], SPLICE_CHECK_MEMBERS);
    rc = sb_splice_scan(&docs[0], text, 8, &errors[0]);
    if (splice_scalar_scan(&docs[1], text, 8, &errors[1]) != rc ||
        errors[0].offset != errors[1].offset || !sb_slice_eq(errors[0].member, errors[1].member))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char kinds[SPLICE_CHECK_MEMBERS + 1] = {0};
    struct sb_slice text = sb_slice_make(data, size);
    const char *wrong;
    int rc[2];

    for (size_t i = 0; i < size; i++)
        kinds[i % sizeof(kinds)] ^= data[i];
    wrong = splice_check(sb_splice_scan, sb_splice_visit, text, kinds, &rc[0]);
    if (wrong == NULL)
        wrong = splice_check(splice_scalar_scan, splice_scalar_visit, text, kinds, &rc[1]);
    if (wrong != NULL || rc[0] != rc[1]) {
        (void)fprintf(stderr, "%s\n", wrong != NULL ? wrong : "vector and scalar disagree");
        abort();
    }
    same_errors(text);
    return 0;
}
