/* common/closest.c */
#include "common/closest.h"

#include <string.h>

/* Levenshtein's distance: letters to insert, delete or change. */
static unsigned distance(struct sb_slice a, struct sb_slice b)
{
    unsigned row[SB_CLOSEST_MAX + 1]; /* distances of a's beginning to all beginnings of b */

    for (unsigned j = 0; j <= b.n; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned change = diagonal + (a.p[i - 1] == b.p[j - 1] ? 0 : 1);
            unsigned shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = change < shorter ? change : shorter;
        }
    }
    return row[b.n];
}

struct sb_closest sb_closest_begin(struct sb_slice wrong)
{
    /* a swap is two, and more is something else */
    return (struct sb_closest){.wrong = wrong, .score = (unsigned)wrong.n / 3 + 2};
}

void sb_closest_try(struct sb_closest *closest, const char *word)
{
    struct sb_slice right = sb_slice_of(word);
    unsigned d;

    if (closest->wrong.n == 0 || closest->wrong.n > SB_CLOSEST_MAX || right.n > SB_CLOSEST_MAX)
        return;
    d = distance(closest->wrong, right);
    if (closest->wrong.n >= 3 && sb_slice_starts_with(right, closest->wrong))
        d = 1; /* a beginning of it */
    if (d < closest->score) {
        closest->score = d;
        closest->best = word;
    }
}
