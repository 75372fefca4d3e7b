/* controlplane/ctl/screen.h - the terminal, while a command draws on it again and again.
 *
 *      begin -> (draw -> wait) ... -> end
 *
 * What is drawn stands on the terminal's other screen, so that what was there
 * before is there again at the end, however it comes: by end(), by Ctrl-C or
 * another signal, or for as long as Ctrl-Z stops the program.  A frame is sent
 * as one write over the old one, line by line: nothing flickers, nothing wraps.
 *
 * There is one terminal, so there is one screen; not for threads.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"

struct sb_buf;

enum ctl_screen_event {
    CTL_SCREEN_TIME, /* it is over */
    CTL_SCREEN_SIZE, /* the terminal has another size, or was somebody else's meanwhile */
    CTL_SCREEN_QUIT, /* q */
    CTL_SCREEN_UP,   /* arrow or k */
    CTL_SCREEN_DOWN, /* arrow or j */
    CTL_SCREEN_PAGE_UP,
    CTL_SCREEN_PAGE_DOWN, /* or a blank */
};

void ctl_screen_begin(void);
/* Without begin() it does nothing. */
void ctl_screen_end(void);

/* Columns and lines as they are now; 0 when the terminal does not say. */
void ctl_screen_size(unsigned *ret_columns, unsigned *ret_lines);

/* Pure: appends what draws the first `lines` lines of text (ended by line feeds)
 * from the top, and clears what is behind them. */
int ctl_screen_frame(struct sb_slice text, unsigned lines, struct sb_buf *out) SB_MUSTCHECK;

/* Waits for a key, for another size, or until the time is over. */
enum ctl_screen_event ctl_screen_wait(sb_msec limit);
/* Pure: the event of the first key of keys; *ret_used bytes were it.  Keys that
 * mean nothing are skipped: CTL_SCREEN_TIME when none is left. */
enum ctl_screen_event ctl_screen_key(struct sb_slice keys, size_t *ret_used);
