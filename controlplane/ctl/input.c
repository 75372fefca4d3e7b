/* controlplane/ctl/input.c */
#include "controlplane/ctl/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/file.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/moment.h"

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

/* --- secrets ---------------------------------------------------------------------- */

/* Straight into the buffer.  stop: characters after which no more is read. */
static int read_into(struct ctl *ctl, struct sb_slice stop, struct sb_buf *text)
{
    for (;;) {
        size_t room = sb_buf_room(text);
        ssize_t n;

        if (room == 0)
            return ctl_fail(ctl, "the secret is over %zu bytes", text->limit);
        n = read(STDIN_FILENO, sb_buf_end(text), room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ctl_fail(ctl, "cannot read standard input: %s", strerror(errno));
        if (n == 0)
            return CTL_DONE;
        sb_buf_commit(text, (size_t)n);
        if (sb_slice_find(stop, sb_buf_end(text)[-1]) < stop.n)
            return CTL_DONE;
    }
}

/* Signals of the keyboard are off meanwhile, so that nothing ends the program
 * before the echo is back: Ctrl-C is a character then, and ends the line. */
static int ask(struct ctl *ctl, struct sb_buf *text)
{
    struct termios shown, hidden;
    char ends[2] = {'\n', '\0'};
    int status;

    if (tcgetattr(STDIN_FILENO, &shown) != 0)
        return ctl_fail(ctl, "cannot hide what is typed: %s", strerror(errno));
    ends[1] = (char)shown.c_cc[VINTR];
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    hidden.c_lflag |= ECHONL;
    hidden.c_cc[VEOL] = shown.c_cc[VINTR];
    ctl_note(ctl, "Secret (not shown):");
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) != 0)
        return ctl_fail(ctl, "cannot hide what is typed: %s", strerror(errno));
    status = read_into(ctl, sb_slice_make(ends, sizeof(ends)), text);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    if (status == CTL_DONE && sb_buf_len(text) > 0 && sb_buf_end(text)[-1] == ends[1])
        return ctl_fail(ctl, "cancelled");
    return status;
}

static int read_variable(struct ctl *ctl, const char *name, struct sb_buf *text)
{
    const char *value = getenv(name);

    if (value == NULL)
        return ctl_fail(ctl, "there is no variable %s", name);
    return sb_buf_append_text(text, value) == SB_OK
               ? CTL_DONE
               : ctl_fail(ctl, "the secret is over %zu bytes", text->limit);
}

int ctl_input_secret(struct ctl *ctl, const char *file, const char *variable, struct sb_buf *text)
{
    struct sb_slice secret;
    int status;

    if (file != NULL && variable != NULL)
        return ctl_misuse(ctl, "either --secret-file or --secret-env, not both");
    if (sb_buf_reserve(text, text->limit) != SB_OK)
        return ctl_fail(ctl, "out of memory");
    if (file != NULL && strcmp(file, "-") == 0)
        file = NULL;
    if (variable != NULL)
        status = read_variable(ctl, variable, text);
    else if (file != NULL)
        status = ctl_input_read(ctl, file, text);
    else if (isatty(STDIN_FILENO) == 1)
        status = ask(ctl, text);
    else
        status = read_into(ctl, SB_SLICE_NONE, text);
    if (status != CTL_DONE)
        return status;
    secret = sb_buf_slice(text);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a buffer with bytes has a block */
    while (secret.n > 0 && (secret.p[secret.n - 1] == '\n' || secret.p[secret.n - 1] == '\r'))
        secret.n--;
    sb_buf_truncate(text, secret.n);
    return secret.n > 0 ? CTL_DONE
                        : ctl_fail(ctl, "the secret is empty; it is read from standard input, "
                                        "--secret-file or --secret-env");
}

int ctl_input_expiry(struct ctl *ctl, const char **ret_moment)
{
    const char *text = ctl_flag(ctl, "expires");
    sb_usec now = sb_clock_wall(&sb_clock_system), end = 0;
    char moment[SB_TIME_TEXT_MAX];

    *ret_moment = NULL;
    if (text == NULL)
        return CTL_DONE;
    if (!ctl_moment_ahead(text, now, moment) || sb_time_parse(sb_slice_of(moment), &end) != SB_OK)
        return ctl_misuse(
            ctl, "--expires %s is no time: 90d, 2027-01-31 or 2027-01-31T12:00:00Z is", text);
    if (end <= now)
        return ctl_misuse(ctl, "--expires %s is in the past", text);
    *ret_moment = sb_arena_dup(ctl->arena, sb_slice_of(moment)).p;
    return CTL_DONE;
}
