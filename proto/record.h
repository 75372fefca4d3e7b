/* proto/record.h - the audit record of one request, its attempts inside.
 *
 * A worker encodes it once, into its spool; the same bytes travel in a batch
 * and are decoded by the collector.  Its identity (worker, boot, sequence) is
 * outside the bytes: in the spool's frame and the batch.  No prompt and no
 * completion is ever in it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"
#include "proto/limits.h"
#include "proto/version.h"
#include "proto/vocabulary.h"

enum msg_record_kind {
    MSG_RECORD_REQUEST = 1, /* a request that ended */
    /* audit: sync; about to be sent to its first endpoint, which it names.  Says
     * nothing of how it ended: attempts, usage, status and outcome are empty. */
    MSG_RECORD_DISPATCH = 2,
    MSG_RECORD_REFUSALS = 3, /* refused before authentication: a count per reason and minute */
};

struct msg_attempt {
    uint64_t endpoint;
    struct sb_slice tag;
    struct sb_slice model;
    uint64_t credential;
    uint8_t credential_kind; /* enum msg_credential_kind */
    uint16_t status;         /* HTTP status of the provider; 0 none came */
    uint8_t outcome;         /* enum msg_outcome */
    uint32_t started;        /* microseconds after the request was received */
    uint32_t first_token;    /* microseconds after its own start; 0 none came */
    uint32_t took;           /* microseconds */
};

/* A demanded claim and what was held for it when the request was routed. */
struct msg_evidence {
    uint8_t claim; /* enum msg_claim_kind */
    uint8_t value; /* enum msg_tri */
    int32_t attested_on, expires_on;
    struct sb_slice evidence, attested_by;
};

struct msg_usage {
    uint64_t prompt_tokens, completion_tokens;
    uint64_t cached_tokens, cache_write_tokens, reasoning_tokens;
    uint8_t source; /* enum msg_usage_source */
};

struct msg_record {
    uint8_t kind;               /* enum msg_record_kind */
    struct sb_slice generation; /* "gen-..." */
    struct sb_slice request_id; /* the client's X-Request-Id, or empty */
    int64_t received_at;        /* microseconds since 1970 UTC */
    uint64_t took;              /* microseconds until the last byte */
    uint32_t first_token;       /* microseconds until first content; 0 none */
    uint8_t api;                /* enum msg_api */
    bool streamed;
    uint64_t key, tenant;
    struct sb_slice key_name, tenant_name;
    struct sb_slice model_asked, model_served; /* served: empty when none */
    uint64_t endpoint;                         /* 0 when none */
    struct sb_slice tag, provider, region;
    uint8_t credential_kind;
    struct msg_version version; /* snapshot it was routed by */
    uint32_t demanded;          /* bits 1 << enum msg_claim_kind */
    struct sb_slice residency;  /* "eu" or "DE,FR"; empty when not demanded */
    struct msg_evidence *evidence;
    size_t n_evidence;
    struct msg_attempt *attempts;
    size_t n_attempts;
    struct msg_usage usage;
    int64_t cost;          /* 1e-15 USD charged */
    int64_t upstream_cost; /* 1e-15 USD at the provider's price */
    uint16_t status;       /* HTTP status the client got; 0 when it left first */
    uint8_t outcome;       /* enum msg_outcome of the request */
    struct sb_slice finish_reason;
    uint64_t request_bytes, response_bytes; /* of the bodies */
    /* MSG_RECORD_REFUSALS: */
    struct sb_slice refusal; /* reason */
    uint64_t refusals;       /* how many in the minute that starts at received_at */
    /* audit: sync; of a request: the sequence of its DISPATCH in the same boot, 0 none. */
    uint64_t dispatch;
    struct sb_slice client_address; /* "192.0.2.7", "2001:db8::1"; empty: not known */
    /* Digests are BLAKE2b-256 keyed with the salt, so that nobody can guess short
     * texts; MSG_HASH_BYTES each, or empty. */
    struct sb_slice salt;                            /* MSG_SALT_BYTES, or empty */
    struct sb_slice request_digest, response_digest; /* of the client's bodies */
    struct sb_slice user_hash, metadata_hash;
    /* What was hashed, where the policy says so: whole, or not at all. */
    struct sb_slice user_plain, metadata_plain;
    /* Those bits of demanded that the policy demanded; MSG_DEMANDED_UNKNOWN when
     * the worker is too old to say. */
    uint32_t demanded_by_policy;
};

#define MSG_DEMANDED_UNKNOWN UINT32_MAX

/* Strings over their ceiling are cut at a UTF-8 border, NUL bytes dropped,
 * bytes that are not UTF-8 turned into "?": what a client sent never keeps
 * its record out of the database.  What is kept whole or not at all is left out
 * then.  Errors: SB_ETOOBIG (more attempts or evidence than the ceilings, a
 * salt or a digest of another length), SB_ENOMEM; out is then as before. */
int msg_record_encode(const struct msg_record *msg, struct sb_buf *out) SB_MUSTCHECK;
/* Strings are borrowed from bytes, arrays are in arena.  Fields unknown to
 * this version are skipped, missing ones are zero but where it says otherwise
 * above.  Numbers of a vocabulary
 * are given as they came (a newer worker may know more); an unknown kind is
 * SB_EPARSE.  Errors: SB_EPARSE, SB_ETOOBIG, SB_ENOMEM. */
int msg_record_decode(struct sb_slice bytes, struct sb_arena *arena,
                      struct msg_record *ret_msg) SB_MUSTCHECK;
