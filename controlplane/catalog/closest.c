/* controlplane/catalog/closest.c - "did you mean". */
#include "controlplane/catalog/schema.h"

enum { WORD_MAX = 40 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

/* Characters to insert, delete or replace. */
static unsigned distance(struct sb_slice a, struct sb_slice b)
{
    unsigned row[WORD_MAX + 1];

    for (unsigned j = 0; j <= b.n; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned corner = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned above = row[j];

            row[j] = min3(above + 1, row[j - 1] + 1, corner + (a.p[i - 1] != b.p[j - 1]));
            corner = above;
        }
    }
    return row[b.n];
}

const char *cp_closest(struct sb_slice text, const char *const *words)
{
    const char *best = NULL;
    unsigned least = text.n < 6 ? 2 : 3; /* farther is another word */

    if (text.n == 0 || text.n > WORD_MAX)
        return NULL;
    for (; *words != NULL; words++) {
        struct sb_slice word = sb_slice_of(*words);
        unsigned d;

        if (word.n > WORD_MAX)
            continue;
        d = distance(text, word);
        if (d <= least && d < text.n) {
            least = d > 0 ? d - 1 : 0;
            best = *words;
        }
    }
    return best;
}
