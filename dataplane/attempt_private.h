/* dataplane/attempt_private.h - what the files of dataplane/attempt.h share.
 *
 *      attempt.c       starts it, ends it, and how long it may take
 *      attempt_send.c  a connection, and the request on it
 *      attempt_read.c  the answer
 *
 * Whatever ends an attempt says so: a function that may have done it is followed
 * by nothing that looks at the attempt, unless its state is asked first.
 */
#pragma once

#include "dataplane/attempt.h"

enum {
    DP_ATTEMPT_FIELDS_MAX = 100,      /* of an answer's head */
    DP_ATTEMPT_EVENT_MAX = 4 << 20,   /* bytes of one event */
    DP_ATTEMPT_HELD_MAX = 256 * 1024, /* chunks before the first content, which adds one event */
};

/* --- attempt.c --- */

/* Lets go of the connection.  clean: the answer was read to its end. */
void dp_attempt_let_go(struct dp_attempt *attempt, bool clean);
/* Written down and told to all who learn from it; what the answer said, and the
 * bytes that it came in, stay to be relayed. */
void dp_attempt_succeed(struct dp_attempt *attempt);
/* A failure: masked by the next candidate, or told to the client. */
void dp_attempt_fail(struct dp_attempt *attempt, enum msg_outcome outcome);
/* The same, from where nothing may be called back. */
void dp_attempt_fail_later(struct dp_attempt *attempt, enum msg_outcome outcome);

/* --- attempt_send.c --- */

/* fresh: on a connection that nobody used before. */
void dp_attempt_dial(struct dp_attempt *attempt, bool fresh);

/* --- attempt_read.c --- */

/* There are bytes to read, or the connection's end. */
void dp_attempt_read(struct dp_attempt *attempt);
/* A pooled connection that the provider had closed already: nobody's fault. */
bool dp_attempt_is_stale(const struct dp_attempt *attempt);
/* The connection has ended, by whomever. */
void dp_attempt_broken(struct dp_attempt *attempt);
/* The provider may be silent for so long from now on. */
void dp_attempt_arm_silence(struct dp_attempt *attempt);
/* It was silent for longer. */
void dp_attempt_silent(struct dp_attempt *attempt);
