/* proto/snapshot.h - the whole configuration that workers serve by.
 *
 * A snapshot is complete, immutable and hashed.  Its bytes are one header
 * object followed by one msgpack array per row, section after section, so it
 * is decoded row by row in bounded memory.  Rows refer to rows of earlier
 * sections by index; the decoder checks every index.
 *
 * Decoded, all strings are borrowed from the bytes, which must outlive the
 * records; the arrays are in the arena.  MSG_NONE marks an absent reference.
 *
 * Ids are unique inside their section and never 0.  Bits of a set that this
 * version has no name for are dropped on both ways: the control plane is
 * upgraded first, and a worker that does not know a parameter never asks for
 * it.  A number outside its enum is an error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"
#include "proto/limits.h"
#include "proto/version.h"
#include "proto/vocabulary.h"

#define MSG_NONE UINT32_MAX

/* What we believe about an endpoint or a model, and why. */
struct msg_claim {
    uint8_t value;            /* enum msg_tri */
    int32_t attested_on;      /* days since 1970-01-01 UTC; 0 unknown */
    int32_t expires_on;       /* last valid day, through 23:59:59 UTC; 0 never */
    struct sb_slice evidence; /* URL or text */
    struct sb_slice attested_by;
};

struct msg_pair {
    struct sb_slice name, value;
};

struct msg_provider {
    struct sb_slice slug;           /* no upper case letters; unique */
    struct sb_slice name;           /* display name, the answer's "provider" */
    struct sb_slice dialect;        /* "openai" */
    struct sb_slice base_url;       /* no slash at the end */
    struct sb_slice headquarters;   /* ISO 3166 alpha-2, upper case, or empty */
    struct sb_slice auth_header;    /* "authorization": sent as "Bearer <key>"; others raw */
    struct sb_slice proxy;          /* URL or empty */
    struct sb_slice ca_file;        /* path on the worker's host, or empty */
    const struct msg_pair *headers; /* sent with every request */
    size_t n_headers;
    const struct msg_pair *query; /* appended to every URL */
    size_t n_query;
    uint32_t max_connections; /* per worker; 0 the worker's default */
    uint32_t max_in_flight;   /* per worker; 0 no limit */
    struct sb_slice privacy_policy_url, terms_of_service_url, status_page_url; /* or empty */
    bool wants_key; /* somebody has a credential for it, though perhaps a suspended one, which is
                       not among the credentials */
};

struct msg_model {
    struct sb_slice id; /* author/slug */
    struct sb_slice name;
    struct sb_slice description;
    int64_t created;                /* unix seconds */
    uint32_t context_length;        /* tokens */
    uint32_t input_modalities;      /* bits 1 << enum msg_modality */
    uint32_t output_modalities;     /* likewise */
    uint32_t image_tokens;          /* estimate per image */
    const struct sb_slice *aliases; /* one name space with the ids: nothing is there twice */
    size_t n_aliases;
    struct msg_claim distillable;
};

/* Prices that replace an endpoint's own while all of its conditions hold; at
 * least one of each.  proto/tariff.h says when they do. */
struct msg_override {
    uint32_t min_prompt_tokens; /* prompts of more than that; 0 any */
    uint16_t from, until;       /* minutes of the UTC day, until being behind it and, when it is the
                                   smaller, of the next day; equal: all day */
    uint8_t days;               /* bits 1 << enum msg_day, of the moment itself; 0 any */
    int64_t price[MSG_PRICE_COUNT]; /* as the endpoint's; -1 as without this override */
};

/* The claims that an endpoint carries itself; distillable is the model's. */
enum { MSG_ENDPOINT_CLAIMS = 3 };

struct msg_endpoint {
    uint64_t id;         /* stable for the life of the endpoint, never 0 */
    uint32_t model;      /* index */
    uint32_t provider;   /* index */
    struct sb_slice tag; /* unique inside the model */
    struct sb_slice upstream_model;
    struct sb_slice region;  /* ISO 3166 alpha-2 upper case, "eu", "us", "global", or empty */
    uint8_t quantization;    /* enum msg_quantization */
    uint32_t context_length; /* tokens; never 0 */
    uint32_t max_completion_tokens;               /* 0 no own limit */
    uint32_t max_prompt_tokens;                   /* 0 no own limit */
    uint32_t input_modalities, output_modalities; /* bits */
    uint64_t parameters;                          /* bits 1 << enum msg_parameter */
    int64_t price[MSG_PRICE_COUNT]; /* 1e-15 USD per token, request or piece; -1 not offered */
    struct msg_claim claim[MSG_ENDPOINT_CLAIMS]; /* by enum msg_claim_kind; the provider's own
                                                    where the endpoint has none */
    const struct msg_override *overrides;        /* of the prices; later ones win */
    size_t n_overrides;
};

struct msg_policy {
    uint64_t id;
    struct sb_slice name;  /* unique */
    struct sb_slice rules; /* JSON object: the members of provider and switchboard
                              (ROUTING.md 3 and 4), allowed_models, audit */
};

struct msg_tenant {
    uint64_t id;
    struct sb_slice name; /* unique */
};

struct msg_key {
    uint64_t id;
    uint8_t hash[MSG_HASH_BYTES]; /* keyed BLAKE2b-256 of the secret text; unique */
    struct sb_slice name;
    struct sb_slice label; /* what may be shown: "sb-abc...xyz" */
    uint32_t tenant;       /* index */
    uint32_t policy;       /* index or MSG_NONE */
    int64_t expires_at;    /* unix seconds; 0 never */
    bool disabled;
};

struct msg_credential {
    uint64_t id;
    uint32_t provider; /* index */
    uint32_t tenant;   /* index, or MSG_NONE for the house */
    uint32_t sequence; /* among the keys of one provider and tenant, ascending */
    bool spill;        /* house candidates may follow when this one is at its limit */
    struct sb_slice sealed;
};

struct msg_snapshot {
    struct msg_version version;
    int64_t created_at;     /* microseconds since 1970 UTC */
    uint8_t sticky_key[16]; /* SipHash key of conversations, cluster-wide */
    uint8_t user_key[32];   /* BLAKE2b key that hashes "user" members */
    struct msg_provider *providers;
    struct msg_model *models;
    struct msg_endpoint *endpoints; /* sorted by (model, tag as bytes) */
    struct msg_policy *policies;
    struct msg_tenant *tenants;
    struct msg_key *keys;
    struct msg_credential *credentials; /* sorted by (provider, tenant, sequence), the house last */
    size_t n_providers, n_models, n_endpoints, n_policies, n_tenants, n_keys, n_credentials;
};

enum { MSG_SNAPSHOT_FORMAT = 1 };

/* Appends the bytes of a snapshot.  The same records give the same bytes.
 * Only ceilings are checked here: msg_snapshot_check() the records first.
 * Errors: SB_ETOOBIG (also a field over proto/limits.h, named in err),
 * SB_ENOMEM; out is then as before. */
int msg_snapshot_encode(const struct msg_snapshot *snapshot, struct sb_buf *out,
                        struct sb_errmsg *err) SB_MUSTCHECK;

/* Checks what the comments above promise of the records: references, that ids,
 * slugs, names and hashes are unique, that sections are sorted, that a row
 * makes sense by itself.  Records that pass and encode also decode.  Errors:
 * SB_EPARSE, SB_ENOMEM, with the row in err. */
int msg_snapshot_check(const struct msg_snapshot *snapshot, struct sb_errmsg *err) SB_MUSTCHECK;

/* Decodes a whole snapshot and checks it: structure, ceilings, and all that
 * msg_snapshot_check() does.  Borrows bytes; the arrays come from arena.
 * Errors: SB_EPARSE, SB_ETOOBIG, SB_EVERSION (another format), SB_ENOMEM, with
 * the row in err. */
int msg_snapshot_decode(struct sb_slice bytes, struct sb_arena *arena,
                        struct msg_snapshot **ret_snapshot, struct sb_errmsg *err) SB_MUSTCHECK;

/* Appends the text that a credential's sealing is bound to: id, tenant,
 * provider slug, and the origin (scheme, host, port) of the base URL, so that
 * a sealed key cannot be moved to another row or sent to another host.
 * tenant is empty for the house.  Scheme and host compare without case, a port
 * that is left out is the scheme's.  Errors: SB_EINVAL when base_url is not
 * http or https or its origin is not plain (a user name, other than ASCII, a
 * percent sign) or a name holds a NUL; SB_ENOMEM, SB_ETOOBIG. */
int msg_credential_binding(uint64_t id, struct sb_slice tenant, struct sb_slice provider,
                           struct sb_slice base_url, struct sb_buf *out) SB_MUSTCHECK;
