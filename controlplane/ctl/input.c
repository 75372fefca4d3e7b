/* controlplane/ctl/input.c */
#include "controlplane/ctl/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "controlplane/ctl/ctl.h"

enum { PIECE = 64 * 1024 };

static int read_stdin(struct ctl *ctl, struct sb_buf *text)
{
    char piece[PIECE];

    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ctl_fail(ctl, "cannot read standard input: %s", strerror(errno));
        if (n == 0)
            return CTL_DONE;
        if (sb_buf_append(text, sb_slice_make(piece, (size_t)n)) != SB_OK)
            return ctl_fail(ctl, "standard input is over %zu bytes", text->limit);
    }
}

int ctl_input_read(struct ctl *ctl, const char *path, struct sb_buf *text)
{
    struct sb_errmsg err = {.text = ""};

    if (strcmp(path, "-") == 0)
        return read_stdin(ctl, text);
    return sb_file_read(path, text, &err) == SB_OK ? CTL_DONE : ctl_fail(ctl, "%s", err.text);
}
