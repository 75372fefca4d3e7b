/* common/sse.h - Server-Sent Events, read one event at a time.
 *
 * Bytes may be cut anywhere.  An event that lies whole in the input is given
 * as slices of the input; only the unfinished tail of an input is copied and
 * held until the rest arrives.  Lines end with LF, CRLF or CR; a byte order
 * mark at the start is dropped.
 *
 *      init -> next ... (SB_EAGAIN: give it more input) -> finish -> release
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"

/* Slices are good until the next call on the same reader, and no longer than
 * the input they were found in. */
struct sb_sse_event {
    struct sb_slice raw;  /* as it came, its empty line included: for relaying */
    struct sb_slice data; /* several data lines are joined with LF */
    struct sb_slice name; /* of the `event` field; empty for the default */
    bool has_data;        /* there was a `data` field, be it empty */
    bool is_comment;      /* nothing but comment lines */
};

struct sb_sse {
    struct sb_buf held;   /* the unfinished event */
    struct sb_buf joined; /* data of several lines; empty in the common case */
    size_t limit;
    uint8_t at;     /* what the last byte held was */
    bool started;   /* past the place of a byte order mark */
    bool delivered; /* held is the event given last: dropped by the next call */
};

/* limit: bytes of one event without its empty line.  Allocates nothing. */
void sb_sse_init(struct sb_sse *sse, size_t limit);
void sb_sse_release(struct sb_sse *sse);
/* Takes bytes off the front of *input up to the end of the next event.
 * SB_OK: an event.  SB_EAGAIN: the input is used up.  SB_ETOOBIG, SB_ENOMEM:
 * the stream cannot be read on.  Empty lines between events are skipped.
 * An event whose empty line is a CR at the very end of the input is given at
 * once; if LF follows it is swallowed, so `raw` may lack that LF. */
int sb_sse_next(struct sb_sse *sse, struct sb_slice *input,
                struct sb_sse_event *ret_event) SB_MUSTCHECK;
/* The stream ended: gives an event that lacks its empty line, which some
 * senders leave out after the last one.  SB_EAGAIN: there is none. */
int sb_sse_finish(struct sb_sse *sse, struct sb_sse_event *ret_event) SB_MUSTCHECK;
/* Bytes held of an unfinished event. */
size_t sb_sse_held(const struct sb_sse *sse);
