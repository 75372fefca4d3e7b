/* common/closest.h - "did you mean": the word that somebody may have meant.
 *
 *      struct sb_closest guess = sb_closest_begin(wrong);
 *      for each word: sb_closest_try(&guess, word);
 *      if (guess.best != NULL) ...
 */
#pragma once

#include "common/slice.h"

enum { SB_CLOSEST_MAX = 64 }; /* bytes; longer words are nobody's typing mistake */

struct sb_closest {
    struct sb_slice wrong;
    const char *best; /* borrowed from who gave it; NULL: nothing is near */
    unsigned score;   /* mistakes between wrong and best; first: too many */
};

struct sb_closest sb_closest_begin(struct sb_slice wrong);
void sb_closest_try(struct sb_closest *closest, const char *word);
