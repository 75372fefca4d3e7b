/* proto/limits.h - ceilings of everything that crosses a process border.
 *
 * A decoder refuses what is over its ceiling (SB_ETOOBIG) before it allocates;
 * the control plane refuses the same in a catalogue, so that a published
 * snapshot always decodes.
 */
#pragma once

enum {
    MSG_WORKER_ID_MAX = 64,
    MSG_SLUG_MAX = 128,      /* provider slugs, tags, policy, tenant and key names */
    MSG_MODEL_ID_MAX = 256,  /* author/slug, aliases, upstream names */
    MSG_NAME_MAX = 256,      /* display names */
    MSG_ADDRESS_MAX = 45,    /* an IPv4 or IPv6 address as text */
    MSG_URL_MAX = 2048,      /* base URLs, evidence that is a URL */
    MSG_TEXT_MAX = 8192,     /* descriptions, evidence, error texts */
    MSG_RULES_MAX = 65536,   /* one policy document, JSON bytes */
    MSG_SEALED_MAX = 16384,  /* one sealed credential */
    MSG_LIST_MAX = 256,      /* aliases of a model, headers of a provider, ... */
    MSG_OVERRIDES_MAX = 16,  /* conditional prices of an endpoint */
    MSG_ATTEMPTS_MAX = 16,   /* attempts inside one record */
    MSG_EVIDENCE_MAX = 8,    /* claims quoted inside one record */
    MSG_RECORD_MAX = 131072, /* one encoded record, bytes */
    MSG_BATCH_MAX = 1 << 22, /* one batch of records, bytes */
    MSG_BEAT_ROWS_MAX = 65536,
    MSG_SKETCH_MAX = 8192,    /* one encoded sketch, bytes */
    MSG_QUERY_MAX = 33 << 20, /* a request body to explain, and its envelope */
    MSG_ROWS_MAX = 2000000,   /* rows of one kind in a snapshot */
    MSG_HASH_BYTES = 32,      /* BLAKE2b-256 */
    MSG_SALT_BYTES = 16,
    MSG_USER_MAX = 4096,      /* what a client calls its user */
    MSG_METADATA_MAX = 16384, /* what it says besides, canonical JSON */
};

/* Bytes of a whole encoded snapshot. */
#define MSG_SNAPSHOT_MAX ((size_t)1 << 30)
