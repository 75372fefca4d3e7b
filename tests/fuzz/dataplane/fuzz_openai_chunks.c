/* tests/fuzz/dataplane/fuzz_openai_chunks.c - lines of any bytes as the chunks
 * of a stream: read as repetitions of each other they must come to the same as
 * read one by one. */
#include <stdint.h>
#include <stdlib.h>

#include "tests/lib/chunks_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice rest = sb_slice_make(data, size);
    struct chunks_run run;

    chunks_run_init(&run);
    while (rest.n > 0) {
        size_t n = sb_slice_find(rest, '\n');
        /* a block of its own size, so that a sanitizer sees a read past it */
        char *line = malloc(n + 1);

        if (line == NULL)
            abort();
        memcpy(line, rest.p, n);
        line[n] = '\n'; /* data is always followed by its line's end */
        if (chunks_run_feed(&run, sb_slice_make(line, n)) != NULL)
            abort();
        free(line);
        rest = sb_slice_from(rest, n < rest.n ? n + 1 : n);
    }
    chunks_run_release(&run);
    return 0;
}
