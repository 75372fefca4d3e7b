/* dataplane/courier/desk.h - questions, in both directions.
 *
 * A client's question (a generation, a key, credits) goes to the leader; what
 * is in our own spool, not committed yet, is answered from there.  The control
 * plane's questions come the other way: what would you do with this request,
 * do you have this generation.
 *
 * The courier's thread only.
 */
#pragma once

#include "common/attr.h"
#include "common/clock.h"

struct dp_desk;
struct dp_explained_mail;
struct dp_link;
struct dp_link_message;
struct dp_question;
struct dp_spool;
struct sb_mailbox;
struct sb_reactor;

struct dp_desk *dp_desk_new(struct sb_reactor *reactor, struct dp_spool *spool,
                            struct sb_mailbox *loop);
/* Open questions go back as not answered. */
void dp_desk_destroy(struct dp_desk **desk);
/* The link, once it is there. */
void dp_desk_set_link(struct dp_desk *desk, struct dp_link *link);

/* Takes it; it goes back to the loop, with an answer. */
void dp_desk_on_question(struct dp_desk *desk, struct dp_question *question);
/* Takes the mail: what the loop made of an explain. */
void dp_desk_on_explained(struct dp_desk *desk, struct dp_explained_mail *mail);
/* QUERY and ANSWER. */
void dp_desk_on_query(struct dp_desk *desk, const struct dp_link_message *message);
void dp_desk_on_answer(struct dp_desk *desk, const struct dp_link_message *message);
/* Another leader: asks him what is open. */
void dp_desk_on_leader(struct dp_desk *desk);
void dp_desk_on_pulse(struct dp_desk *desk, sb_msec now);
