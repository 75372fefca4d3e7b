/* tests/fuzz/replay_main.c - runs a fuzz target over the files of the folders
 * given by name, so that every compiler runs every corpus on every test run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies the input into a block of its own size, so that a sanitizer sees a
 * read past its end. */
static int replay(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *in = fopen(path, "rbe");
    uint8_t *exact;
    size_t n;

    if (in == NULL) {
        perror(path);
        return -1;
    }
    n = fread(data, 1, sizeof(data), in);
    (void)fclose(in);
    exact = malloc(n > 0 ? n : 1);
    if (exact == NULL)
        return -1;
    memcpy(exact, data, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long replayed = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *entry;

        if (dir == NULL) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        while ((entry = readdir(dir)) != NULL) {
            char path[4096];

            if (entry->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            if (replay(path) != 0)
                return EXIT_FAILURE;
            replayed++;
        }
        (void)closedir(dir);
    }
    (void)printf("replayed %lu inputs\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus proves nothing */
}
