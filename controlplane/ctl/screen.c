/* controlplane/ctl/screen.c */
#define _GNU_SOURCE /* ppoll() */
#include "controlplane/ctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"

/* The other screen, no cursor, lines that are too long end at the edge. */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[H\033[2J"
#define LEAVE "\033[?2026l\033[?7h\033[?25h\033[?1049l"
/* Terminals that know it show a frame when it is complete. */
#define FRAME_BEGIN "\033[?2026h\033[H"
#define FRAME_END   "\033[J\033[?2026l"

/* The handlers', hence for all. */
static struct {
    volatile sig_atomic_t is_on, has_keys, has_changed;
    struct termios before;
    sigset_t outside; /* signals that were blocked before */
    char keys[64];    /* that were read and not yet looked at */
    size_t n_keys;
} screen;

/* --- entering and leaving; from handlers too ---------------------------------------- */

static void send(const char *text, size_t n)
{
    ssize_t sent = write(STDOUT_FILENO, text, n);

    (void)sent; /* nobody looks any more: the next frame finds out */
}

static void enter(void)
{
    struct termios raw = screen.before;

    if (screen.has_keys) {
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* Ctrl-C and Ctrl-Z stay signals */
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    send(ENTER, sizeof(ENTER) - 1);
}

static void leave(void)
{
    send(LEAVE, sizeof(LEAVE) - 1);
    if (screen.has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

/* Ends the program as the signal would have. */
static void on_end(int number)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t only;

    leave();
    (void)sigaction(number, &plain, NULL);
    (void)sigemptyset(&only);
    (void)sigaddset(&only, number);
    (void)raise(number);
    (void)sigprocmask(SIG_UNBLOCK, &only, NULL);
}

static void on_stop(int number)
{
    int code = errno;

    (void)number;
    leave();
    (void)raise(SIGSTOP);
    enter(); /* somebody said to go on */
    screen.has_changed = true;
    errno = code;
}

static void on_size(int number)
{
    (void)number;
    screen.has_changed = true;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    (void)sigfillset(&action.sa_mask); /* one at a time */
    (void)sigaction(number, &action, NULL);
}

static void handle_all(bool on)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

    for (size_t i = 0; i < SB_ARRAY_LEN(ends); i++)
        handle(ends[i], on ? on_end : SIG_DFL);
    handle(SIGTSTP, on ? on_stop : SIG_DFL);
    handle(SIGWINCH, on ? on_size : SIG_DFL);
}

void ctl_screen_begin(void)
{
    sigset_t size;

    /* Another size is noticed in ctl_screen_wait(), and nowhere missed. */
    (void)sigemptyset(&size);
    (void)sigaddset(&size, SIGWINCH);
    (void)sigprocmask(SIG_BLOCK, &size, &screen.outside);
    screen.has_keys = tcgetattr(STDIN_FILENO, &screen.before) == 0;
    screen.has_changed = false;
    screen.n_keys = 0;
    handle_all(true);
    enter();
    screen.is_on = true;
}

void ctl_screen_end(void)
{
    if (!screen.is_on)
        return;
    screen.is_on = false;
    handle_all(false);
    leave();
    (void)sigprocmask(SIG_SETMASK, &screen.outside, NULL);
}

void ctl_screen_size(unsigned *ret_columns, unsigned *ret_lines)
{
    struct winsize size = {.ws_col = 0};

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *ret_columns = size.ws_col;
    *ret_lines = size.ws_row;
}

/* --- drawing --------------------------------------------------------------------------- */

int ctl_screen_frame(struct sb_slice text, unsigned lines, struct sb_buf *out)
{
    int rc = sb_buf_append_text(out, FRAME_BEGIN);

    for (unsigned i = 0; rc == SB_OK && i < lines && text.n > 0; i++) {
        size_t n = sb_slice_find(text, '\n');

        /* No line feed behind the last: it would move everything up. */
        if (i > 0)
            rc = sb_buf_append_text(out, "\r\n");
        if (rc == SB_OK)
            rc = sb_buf_append(out, sb_slice_make(text.p, n));
        if (rc == SB_OK)
            rc = sb_buf_append_text(out, "\033[K");
        text = sb_slice_from(text, n < text.n ? n + 1 : n);
    }
    return rc == SB_OK ? sb_buf_append_text(out, FRAME_END) : rc;
}

/* --- keys ------------------------------------------------------------------------------- */

enum ctl_screen_event ctl_screen_key(struct sb_slice keys, size_t *ret_used)
{
    static const struct {
        const char *bytes;
        enum ctl_screen_event event;
    } known[] = {
        {"q", CTL_SCREEN_QUIT},
        {"Q", CTL_SCREEN_QUIT},
        {"k", CTL_SCREEN_UP},
        {"\033[A", CTL_SCREEN_UP},
        {"\033OA", CTL_SCREEN_UP},
        {"j", CTL_SCREEN_DOWN},
        {"\033[B", CTL_SCREEN_DOWN},
        {"\033OB", CTL_SCREEN_DOWN},
        {"\033[5~", CTL_SCREEN_PAGE_UP},
        {"\033[6~", CTL_SCREEN_PAGE_DOWN},
        {" ", CTL_SCREEN_PAGE_DOWN},
    };

    for (size_t at = 0; at < keys.n; at++) {
        for (size_t i = 0; i < SB_ARRAY_LEN(known); i++) {
            size_t n = strlen(known[i].bytes);

            if (n > keys.n - at || memcmp(keys.p + at, known[i].bytes, n) != 0)
                continue;
            *ret_used = at + n;
            return known[i].event;
        }
    }
    *ret_used = keys.n;
    return CTL_SCREEN_TIME;
}

static enum ctl_screen_event next_key(void)
{
    size_t used = 0;
    enum ctl_screen_event event = ctl_screen_key(sb_slice_make(screen.keys, screen.n_keys), &used);

    screen.n_keys -= used;
    memmove(screen.keys, screen.keys + used, screen.n_keys);
    return event;
}

/* False: there are none, and there will be none. */
static bool read_keys(void)
{
    ssize_t n =
        read(STDIN_FILENO, screen.keys + screen.n_keys, sizeof(screen.keys) - screen.n_keys);

    if (n > 0)
        screen.n_keys += (size_t)n;
    return n > 0 || (n < 0 && errno == EINTR);
}

enum ctl_screen_event ctl_screen_wait(sb_msec limit)
{
    sb_msec until = sb_clock_now(&sb_clock_system) + limit;

    for (;;) {
        enum ctl_screen_event event = next_key();
        sb_msec now = sb_clock_now(&sb_clock_system);
        sb_msec left = until > now ? until - now : 0;
        struct timespec pause = {.tv_sec = (time_t)(left / 1000),
                                 .tv_nsec = (long)(left % 1000) * 1000000};
        struct pollfd keys = {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN};
        int n;

        if (event != CTL_SCREEN_TIME)
            return event;
        n = ppoll(&keys, 1, &pause, &screen.outside);
        if (screen.has_changed) {
            screen.has_changed = false;
            return CTL_SCREEN_SIZE;
        }
        if (n == 0)
            return CTL_SCREEN_TIME;
        if (n > 0 && !read_keys())
            screen.has_keys = false;
    }
}
