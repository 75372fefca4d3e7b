/* tests/lib/tempdir.h - a directory of the test's own, gone with the test. */
#pragma once

#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct tempdir {
    char path[64];
};

static inline bool tempdir_make(struct tempdir *dir)
{
    (void)snprintf(dir->path, sizeof(dir->path), "/tmp/sb_test.XXXXXX");
    return mkdtemp(dir->path) != NULL;
}

/* Removes it with all that is in it; links are removed, not followed. */
static inline bool tempdir_remove(struct tempdir *dir)
{
    char *roots[] = {dir->path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    bool ok = walk != NULL;
    FTSENT *at;

    while (walk != NULL && (at = fts_read(walk)) != NULL) {
        if (at->fts_info != FTS_D)
            ok = remove(at->fts_accpath) == 0 && ok;
    }
    if (walk != NULL)
        (void)fts_close(walk);
    return ok;
}
