/* controlplane/mail.h - what the actors of the daemon say to one another.
 *
 *      leader ----LEAD----> publisher, source, collector, tables, prober, ledger,
 *                           notary, witnesses
 *      source --COMPILED--> publisher
 *      publisher --BATCH--> collector --SEND--> publisher      BATCH_OK
 *      publisher --BEAT---> tables    --SEND--> publisher      TABLES
 *      prober --SAMPLES---> tables                             what probes saw
 *      tables --MINUTES, VERDICTS--> chronicle --PAST--> tables
 *      prober <-PROBES, CATALOG, SIGHTINGS-> ledger
 *      publisher --ROWS---> tables    --SEND--> publisher      all TABLES to one worker
 *      publisher --QUERY--> answers   --SEND--> publisher      ANSWER
 *      publisher -SUSPECT-> leader                             a worker knows more than we do
 *      daemon ---REREAD---> locator                            SIGHUP
 *
 * Whoever wants to hear from an actor attaches its mailbox to it.  An object
 * that was posted is the receiver's; each has a drop that frees it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/list.h"
#include "common/mailbox.h"
#include "common/slice.h"
#include "controlplane/peer.h"
#include "controlplane/publish/compile.h"
#include "controlplane/publish/fleet.h"
#include "controlplane/tables/series.h"
#include "proto/bus.h"

struct sb_bus_msg;

enum cp_mail_kind {
    CP_MAIL_ATTACH = 1,
    CP_MAIL_LEAD,
    CP_MAIL_SUSPECT,
    CP_MAIL_COMPILED,
    CP_MAIL_BATCH,
    CP_MAIL_BEAT,
    CP_MAIL_SAMPLES,
    CP_MAIL_MINUTES,
    CP_MAIL_VERDICTS,
    CP_MAIL_PAST,
    CP_MAIL_ROWS,
    CP_MAIL_QUERY,
    CP_MAIL_SEND,
    CP_MAIL_PROBES,
    CP_MAIL_CATALOG,
    CP_MAIL_SIGHTINGS,
    CP_MAIL_REREAD,
    /* Questions (struct sb_ask), by way of controlplane/hub.h: */
    CP_ASK_FLEET,
    CP_ASK_METRICS,
    CP_ASK_TABLES,
    CP_ASK_STATE,
    CP_ASK_EXPLAIN,
    CP_ASK_PULSE, /* of the tables actor, by the prober */
};

/* Send to box what changes from now on, and how things stand, at once. */
struct cp_attach {
    struct sb_mail mail;
    struct sb_mailbox *box; /* a reference */
};

/* Who leads.  term and epoch are meaningful while leading. */
struct cp_lead {
    struct sb_mail mail;
    bool leading;
    uint64_t term, epoch;
};

/* A worker holds a version that is above the head of the database or has other
 * bytes than ours, or was led by a later term: perhaps this database is not the
 * one it was. */
struct cp_suspect {
    struct sb_mail mail;
    struct msg_version version;
    uint64_t term; /* the highest that it knows, or 0 */
    bool other_bytes;
};

struct cp_compiled_mail {
    struct sb_mail mail;
    struct cp_compiled compiled;
};

/* A whole message of a worker; its parts are borrowed from msg. */
struct cp_batch {
    struct sb_mail mail;
    struct cp_batch *next; /* the receiver's */
    uint64_t term;         /* in which it arrived */
    struct cp_peer from;
    struct sb_bus_msg *msg;
    struct msg_batch batch;
    struct sb_slice bulk;
};

struct cp_beat {
    struct sb_mail mail;
    struct sb_bus_msg *msg;
    struct sb_arena *arena; /* of the rows */
    struct msg_beat beat;
};

/* What attempts of this daemon's own saw of endpoints, in the form in which a
 * worker's beat tells it (one row per endpoint and second).  It counts where
 * traffic says nothing. */
enum cp_sample_source { CP_SAMPLE_TRAFFIC, CP_SAMPLE_PROBE };
struct cp_samples {
    struct sb_mail mail;
    enum cp_sample_source source;
    struct sb_arena *arena; /* of the rows and their sketches; its own */
    struct msg_beat_row *rows;
    size_t n_rows;
};

/* Minutes that are over, for the history. */
struct cp_minutes {
    struct sb_mail mail;
    uint64_t term;
    struct sb_list minutes; /* of struct cp_minute */
};

/* The detector has changed its mind about an endpoint. */
struct cp_verdict {
    struct sb_list link;
    uint64_t endpoint;
    bool is_out;
    uint32_t faults; /* in a row, when it began */
    sb_msec lasted;  /* when it ended */
};
struct cp_verdicts {
    struct sb_mail mail;
    uint64_t term;
    struct sb_list verdicts; /* of struct cp_verdict */
};

/* What the history says to a leader that begins. */
struct cp_past_row {
    uint64_t endpoint;
    enum cp_span span; /* the narrowest that it is for */
    sb_msec age;
    struct cp_sums sums;
};
struct cp_past {
    struct sb_mail mail;
    uint64_t term;
    struct cp_past_row *rows;
    size_t n;
    uint64_t *out; /* endpoints that were out */
    size_t n_out;
    bool is_enough; /* what routing depends on is there; the day may follow */
};

/* All rows, for one worker. */
struct cp_rows_wanted {
    struct sb_mail mail;
    struct cp_peer from;
};

struct cp_query {
    struct sb_mail mail;
    struct cp_peer from;
    struct sb_bus_msg *msg;
    uint64_t term;          /* in which it arrived */
    sb_msec at;             /* when; of the system's clock */
    struct msg_query query; /* borrowed from msg */
};

/* To be sent by the publisher, with its envelope; dropped when the term is not
 * its own any more. */
struct cp_send {
    struct sb_mail mail;
    uint64_t term;
    uint8_t kind; /* enum msg_kind */
    bool publish; /* on PUB; else to one worker */
    struct cp_peer to;
    uint64_t sequence; /* TABLES: its number */
    struct sb_buf body, bulk;
};

/* CP_MAIL_REREAD, which says no more: read your files again. */
struct sb_mail *cp_reread_new(void);
/* Zeroed but for kind and drop. */
struct cp_attach *cp_attach_new(struct sb_mailbox *box);
struct cp_lead *cp_lead_new(bool leading, uint64_t term, uint64_t epoch);
struct cp_suspect *cp_suspect_new(struct msg_version version, uint64_t term, bool other_bytes);
struct cp_compiled_mail *cp_compiled_mail_new(void);
struct cp_batch *cp_batch_new(struct sb_bus_msg *msg, struct sb_slice from); /* takes msg */
struct cp_beat *cp_beat_new(void);
struct cp_samples *cp_samples_new(enum cp_sample_source source); /* with an arena, no rows */
struct cp_minutes *cp_minutes_new(uint64_t term);                /* an empty list */
struct cp_verdicts *cp_verdicts_new(uint64_t term);              /* likewise */
/* With room for n rows, none there yet.  SB_ENOMEM. */
int cp_past_new(uint64_t term, size_t n, struct cp_past **ret_past) SB_MUSTCHECK;
struct cp_rows_wanted *cp_rows_wanted_new(struct sb_slice from);
struct cp_query *cp_query_new(struct sb_bus_msg *msg, struct sb_slice from); /* takes msg */
struct cp_send *cp_send_new(enum msg_kind kind, uint64_t term);

/* Frees any of them, whatever it is; questions are answered SB_ECANCELED. */
void cp_mail_free(struct sb_mail *mail);

/* --- whom an actor tells ---------------------------------------------------- */

enum { CP_OBSERVERS_MAX = 16 };
struct cp_observers {
    struct sb_mailbox *boxes[CP_OBSERVERS_MAX];
    unsigned n;
};
/* Takes the mailbox out of attach, and frees attach. */
void cp_observers_add(struct cp_observers *observers, struct cp_attach *attach);
void cp_observers_release(struct cp_observers *observers);

/* --- questions ---------------------------------------------------------------- */

/* The answer is text appended to out. */
struct cp_ask_text {
    struct sb_ask ask;
    struct sb_buf out;
};

/* The answer is a JSON array of what is measured of some endpoints. */
struct cp_ask_tables {
    struct sb_ask ask;
    uint64_t *ids;
    size_t n;
    struct sb_buf out;
};

struct cp_ask_state {
    struct sb_ask ask;
    bool leading;
    uint64_t term;
    struct msg_version published; /* newest that workers can get here */
    uint64_t tables_sequence;
    unsigned workers[CP_WORKER_STATES];
};

struct cp_ask_explain {
    struct sb_ask ask;
    char worker[MSG_WORKER_ID_MAX + 1]; /* empty: any */
    struct sb_buf key_name, body;
    uint16_t status; /* of the answer */
    struct sb_buf out;
};
