/* dataplane/courier/courier_mail.h - what the loop and the courier's thread hand to each
 * other.
 *
 * Each kind names the one who makes the mail; whoever gets it frees it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/mailbox.h"
#include "dataplane/courier/courier.h"
#include "proto/tables.h"
#include "proto/version.h"

struct dp_fold;
struct sb_arena;
struct sb_bus_msg;

enum dp_mail_kind {
    /* loop -> courier */
    DP_MAIL_RECORDS = 1, /* there are some, and the courier sleeps; dp_courier's own */
    DP_MAIL_SYNC,        /* somebody waits for the disk; dp_courier's own */
    DP_MAIL_TAKEN,       /* dp_version_mail: this snapshot is served by */
    DP_MAIL_RETIRE,      /* dp_snapshot_mail: free it */
    DP_MAIL_FOLD,        /* dp_fold_mail */
    DP_MAIL_TABLES_LOST, /* plain: ask for all rows */
    DP_MAIL_QUESTION,    /* dp_question; comes back as it went */
    DP_MAIL_EXPLAINED,   /* dp_explained_mail */
    DP_MAIL_DRAIN,       /* sb_ask: replied to when all is sent, or time is over */
    /* courier -> loop */
    DP_MAIL_SNAPSHOT,    /* dp_snapshot_mail */
    DP_MAIL_CONFIRMED,   /* plain */
    DP_MAIL_TABLES,      /* dp_tables_mail */
    DP_MAIL_EXPLAIN,     /* dp_explain_mail */
    DP_MAIL_SYNCED,      /* dp_version_mail: revision is a sequence */
    DP_MAIL_CERTIFICATE, /* dp_certificate_mail */
};

struct dp_version_mail {
    struct sb_mail mail;
    struct msg_version version;
};

struct dp_snapshot_mail {
    struct sb_mail mail;
    struct dp_snapshot *snapshot;
    bool from_disk;
};

struct dp_fold_mail {
    struct sb_mail mail;
    struct dp_fold *fold;
    bool is_urgent;
};

struct dp_tables_mail {
    struct sb_mail mail;
    struct sb_arena *arena; /* holds the rows */
    struct msg_tables tables;
};

struct dp_certificate_mail {
    struct sb_mail mail;
    size_t n; /* bytes */
    char text[MSG_CERTIFICATE_MAX];
};

struct dp_explain_mail {
    struct sb_mail mail;
    uint64_t id;
    struct sb_bus_msg *msg; /* holds the slices */
    struct sb_slice key_name, body;
};

struct dp_explained_mail {
    struct sb_mail mail;
    uint64_t id;
    int status;
    struct sb_buf json;
};

struct dp_question {
    struct sb_mail mail;
    /* The loop's. */
    dp_question_cb *cb; /* NULL: nobody wants to know any more */
    void *ctx;
    /* The asker's words; do not change. */
    int what; /* enum msg_query_what */
    uint64_t tenant, key;
    struct sb_slice argument; /* behind the struct */
    /* The courier's, then the answer. */
    struct dp_question *next;
    uint64_t id;
    sb_msec until;
    bool is_uncertain; /* not all of our own records could be looked at */
    int status;
    struct sb_buf json;
};

/* What both sides see at any time. */
struct dp_courier_shared {
    atomic_bool sleeping;             /* the courier wants DP_MAIL_RECORDS for the next record */
    atomic_bool sync_asked;           /* DP_MAIL_SYNC is on its way */
    atomic_uint_fast64_t sync_wanted; /* highest sequence that somebody waits for */
    /* Of the loop, for beats. */
    atomic_uint in_flight, connections;
    atomic_uint_fast64_t requests;
    atomic_bool draining;
    /* Of the courier, for metrics. */
    atomic_bool connected;
    atomic_uint_fast64_t term, batches, nacks, resyncs, beats, tables_sequence, heard;
};

/* Every kind above, with what it holds; fits sb_mail.drop. */
void dp_mail_drop(struct sb_mail *mail);
/* A mail of sizeof(type), with its drop function. */
void *dp_mail_new(size_t size, enum dp_mail_kind kind);
void dp_mail_post_plain(struct sb_mailbox *box, enum dp_mail_kind kind);
void dp_mail_post_version(struct sb_mailbox *box, enum dp_mail_kind kind,
                          struct msg_version version);
