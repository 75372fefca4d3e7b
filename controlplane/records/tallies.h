/* controlplane/records/tallies.h - what was demanded of us and what became of it, counted
 * by day: what compliance reports are made of.
 *
 * The records of a transaction of controlplane/records/ingest.h are noted one by one,
 * added up in memory, and stored with it, by one statement for the counts (table
 * compliance_days) and one for the violations, if there are any
 * (compliance_violations, and an event for each endpoint, claim, reason and
 * day).  So the counts are exactly those of the rows that are there, and who
 * reads all rows through cp_tallies_note() again must come to the same.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/slice.h"
#include "controlplane/records/compliance.h"

struct cp_db;
struct cp_record_id;
struct msg_record;
struct sb_arena;

/* Requests that are alike but for these three numbers. */
struct cp_tally {
    int32_t day; /* UTC, since 1970-01-01, of when they were received */
    enum msg_claim_kind claim;
    struct cp_judgement judgement; /* held is not kept */
    /* Texts are empty where there is none; where they were served: */
    struct sb_slice demanded; /* residency: "eu", "DE,FR" */
    struct sb_slice endpoint; /* "model@tag" */
    struct sb_slice provider, region, evidence;
    int32_t expires_on; /* of the evidence; 0: never, or there is none */
    uint64_t requests;
    uint64_t tokens;            /* prompt and completion */
    int64_t cost;               /* 1e-15 USD charged */
    struct sb_slice generation; /* of the first one */
    struct cp_tally *next;      /* in the order in which they came */
};

struct cp_tallies {
    struct sb_arena *arena; /* of the tallies */
    struct cp_tally *first, **last;
    size_t n;
    struct cp_tally_slot *slots; /* of the table that finds them */
    struct sb_buf key;
    struct sb_buf text;     /* of the violations: an array */
    struct sb_json json;    /* which it is written with */
    size_t violations, max; /* those beyond max are counted only */
};

/* max: how many violations are written down one by one. */
void cp_tallies_init(struct cp_tallies *tallies, size_t max);
void cp_tallies_release(struct cp_tallies *tallies);
void cp_tallies_reset(struct cp_tallies *tallies);
/* A request counts once for each claim that it demanded; other kinds of records
 * are passed over.  Copies what it keeps.  SB_ETOOBIG: the violations are over
 * their ceiling; SB_ENOMEM. */
int cp_tallies_note(struct cp_tallies *tallies, const struct cp_record_id *id,
                    const struct msg_record *record) SB_MUSTCHECK;
/* Inside of the transaction, once.  term: of the leader, for the events.  Codes
 * of controlplane/db.h; SB_ETOOBIG. */
int cp_tallies_store(struct cp_tallies *tallies, struct cp_db *db, uint64_t term) SB_MUSTCHECK;
/* Appends what was counted, as a JSON array, and how it is read: a SELECT over the
 * parameter that holds it, with the columns of compliance_days.  The key stands
 * for texts that are too long for an index. */
int cp_tallies_write(const struct cp_tallies *tallies, struct sb_buf *out) SB_MUSTCHECK;
#define CP_TALLIES_ROWS(parameter)                                                                 \
    " SELECT date '1970-01-01' + day AS day, sha256(convert_to(jsonb_build_array(claim, demanded," \
    "   endpoint, provider, region, evidence, expires_on, verdict, why)::text, 'UTF8')) AS key,"   \
    "  claim, demanded, endpoint, provider, region, evidence,"                                     \
    "  CASE WHEN expires_on <> 0 THEN date '1970-01-01' + expires_on END AS expires_on,"           \
    "  verdict, why, sum(requests)::bigint AS requests, sum(tokens) AS tokens, sum(cost) AS cost"  \
    " FROM jsonb_to_recordset(" parameter "::jsonb) AS g (day integer, claim text, demanded text," \
    "  endpoint text, provider text, region text, evidence text, expires_on integer,"              \
    "  verdict text, why text, requests bigint, tokens numeric, cost bigint)"                      \
    " GROUP BY g.day, claim, demanded, endpoint, provider, region, evidence, g.expires_on,"        \
    "  verdict, why"
/* The violations so far, at most max: a JSON array, whole.  Nothing can be noted
 * after it.  Borrowed until the next reset. */
int cp_tallies_violations(struct cp_tallies *tallies, struct sb_slice *ret_json) SB_MUSTCHECK;
/* And how they are read: with the columns of compliance_violations. */
#define CP_TALLIES_VIOLATIONS(parameter)                                                           \
    " SELECT timestamptz 'epoch' + received_at * interval '1 microsecond' AS received_at,"         \
    "  worker_id, boot_id, sequence, generation, claim, why, demanded, key_name, endpoint,"        \
    "  provider, region, evidence,"                                                                \
    "  CASE WHEN expires_on <> 0 THEN date '1970-01-01' + expires_on END AS expires_on"            \
    " FROM jsonb_to_recordset(" parameter "::jsonb) AS g (received_at bigint, worker_id text,"     \
    "  boot_id bigint, sequence bigint, generation text, claim text, why text, demanded text,"     \
    "  key_name text, endpoint text, provider text, region text, evidence text,"                   \
    "  expires_on integer)"
