/* controlplane/log/column_map.h - which columns the tables of the log have.
 *
 * A column is added here and in a migration, nowhere else.  What is in the log
 * must not change: a new column is NULL in older rows.
 */
#pragma once

/* X(TYPE, name, IN or BESIDE the entry), sorted by name. */
#define CP_REQUEST_COLUMNS(X)                                                                      \
    X(I16, api, IN)                                                                                \
    X(JSON, attempts, IN)                                                                          \
    X(I64, boot_id, IN)                                                                            \
    X(I64, cache_write_tokens, IN)                                                                 \
    X(I64, cached_tokens, IN)                                                                      \
    X(INET, client_address, IN)                                                                    \
    X(I64, completion_tokens, IN)                                                                  \
    X(I64, cost, IN)                                                                               \
    X(I16, credential_kind, IN)                                                                    \
    X(I32, demanded, IN)                                                                           \
    X(I32, demanded_by_policy, IN)                                                                 \
    X(I64, endpoint_id, IN)                                                                        \
    X(I64, epoch, IN)                                                                              \
    X(JSON, evidence, IN)                                                                          \
    X(TEXT, finish_reason, IN)                                                                     \
    X(I64, first_token_us, IN)                                                                     \
    X(TEXT, generation, IN)                                                                        \
    X(I64, key_id, IN)                                                                             \
    X(TEXT, key_name, IN)                                                                          \
    X(I64, leaf, BESIDE)                                                                           \
    X(BYTES, metadata_hash, IN)                                                                    \
    X(TEXT, metadata_plain, BESIDE)                                                                \
    X(TEXT, model_asked, IN)                                                                       \
    X(TEXT, model_served, IN)                                                                      \
    X(I16, outcome, IN)                                                                            \
    X(I64, prompt_tokens, IN)                                                                      \
    X(TEXT, provider, IN)                                                                          \
    X(I64, reasoning_tokens, IN)                                                                   \
    X(TIME, received_at, IN)                                                                       \
    X(TEXT, region, IN)                                                                            \
    X(I64, request_bytes, IN)                                                                      \
    X(BYTES, request_digest, IN)                                                                   \
    X(TEXT, request_id, IN)                                                                        \
    X(TEXT, residency, IN)                                                                         \
    X(I64, response_bytes, IN)                                                                     \
    X(BYTES, response_digest, IN)                                                                  \
    X(I64, revision, IN)                                                                           \
    X(BYTES, salt, BESIDE)                                                                         \
    X(BYTES, salt_hash, IN)                                                                        \
    X(I64, sequence, IN)                                                                           \
    X(I32, status, IN)                                                                             \
    X(BOOL, streamed, IN)                                                                          \
    X(TEXT, tag, IN)                                                                               \
    X(I64, tenant_id, IN)                                                                          \
    X(TEXT, tenant_name, IN)                                                                       \
    X(I64, took_us, IN)                                                                            \
    X(I64, upstream_cost, IN)                                                                      \
    X(I16, usage_source, IN)                                                                       \
    X(BYTES, user_hash, IN)                                                                        \
    X(TEXT, user_plain, BESIDE)                                                                    \
    X(TEXT, worker_id, IN)
#define CP_DISPATCH_COLUMNS(X)                                                                     \
    X(I16, api, IN)                                                                                \
    X(I64, boot_id, IN)                                                                            \
    X(INET, client_address, IN)                                                                    \
    X(I16, credential_kind, IN)                                                                    \
    X(I32, demanded, IN)                                                                           \
    X(I32, demanded_by_policy, IN)                                                                 \
    X(I64, endpoint_id, IN)                                                                        \
    X(I64, epoch, IN)                                                                              \
    X(JSON, evidence, IN)                                                                          \
    X(TEXT, generation, IN)                                                                        \
    X(I64, key_id, IN)                                                                             \
    X(TEXT, key_name, IN)                                                                          \
    X(I64, leaf, BESIDE)                                                                           \
    X(TEXT, model_asked, IN)                                                                       \
    X(TEXT, provider, IN)                                                                          \
    X(TIME, received_at, IN)                                                                       \
    X(TEXT, region, IN)                                                                            \
    X(I64, request_bytes, IN)                                                                      \
    X(BYTES, request_digest, IN)                                                                   \
    X(TEXT, request_id, IN)                                                                        \
    X(TEXT, residency, IN)                                                                         \
    X(BYTES, response_digest, IN)                                                                  \
    X(I64, revision, IN)                                                                           \
    X(BYTES, salt, BESIDE)                                                                         \
    X(BYTES, salt_hash, IN)                                                                        \
    X(I64, sequence, IN)                                                                           \
    X(BOOL, streamed, IN)                                                                          \
    X(TEXT, tag, IN)                                                                               \
    X(I64, tenant_id, IN)                                                                          \
    X(TEXT, tenant_name, IN)                                                                       \
    X(TEXT, worker_id, IN)
#define CP_REFUSALS_COLUMNS(X)                                                                     \
    X(I64, boot_id, IN)                                                                            \
    X(I64, leaf, BESIDE)                                                                           \
    X(TEXT, reason, IN)                                                                            \
    X(TIME, received_at, IN)                                                                       \
    X(I64, refusals, IN)                                                                           \
    X(I64, sequence, IN)                                                                           \
    X(TEXT, worker_id, IN)
#define CP_QUARANTINED_COLUMNS(X)                                                                  \
    X(TIME, at, IN)                                                                                \
    X(I64, boot_id, IN)                                                                            \
    X(BYTES, bytes_sha256, IN)                                                                     \
    X(TEXT, code, IN)                                                                              \
    X(I64, leaf, BESIDE)                                                                           \
    X(TEXT, problem, IN)                                                                           \
    X(I64, sequence, IN)                                                                           \
    X(TEXT, worker_id, IN)
/* Objects are an array of kind, name, secret_changed, before and after, sorted by
 * kind and name.  Of a revision that changed more than CP_ENTRY_OBJECTS bytes of
 * them there is objects_sha256 instead: SHA-256 over the SHA-256 of each one's
 * text as PostgreSQL prints it. */
#define CP_CHANGE_COLUMNS(X)                                                                       \
    X(TEXT, action, IN)                                                                            \
    X(INET, address, IN)                                                                           \
    X(TIME, at, IN)                                                                                \
    X(TEXT, author, IN)                                                                            \
    X(I64, epoch, IN)                                                                              \
    X(BOOL, forced, IN)                                                                            \
    X(I64, leaf, BESIDE)                                                                           \
    X(TEXT, note, IN)                                                                              \
    X(JSON, objects, IN)                                                                           \
    X(BYTES, objects_sha256, IN)                                                                   \
    X(I64, revision, IN)                                                                           \
    X(TEXT, role, IN)
#define CP_DROPPED_COLUMNS(X)                                                                      \
    X(TIME, at, IN)                                                                                \
    X(TEXT, day, IN)                                                                               \
    X(I64, first_leaf, IN)                                                                         \
    X(TEXT, history, IN)                                                                           \
    X(I64, id, IN)                                                                                 \
    X(I64, last_leaf, IN)                                                                          \
    X(I64, leaf, BESIDE)                                                                           \
    X(I64, rows, IN)
#define CP_ERASED_COLUMNS(X)                                                                       \
    X(TIME, at, IN)                                                                                \
    X(TEXT, author, IN)                                                                            \
    X(I64, id, IN)                                                                                 \
    X(I64, leaf, BESIDE)                                                                           \
    X(I64, rows, IN)
#define CP_ACTION_COLUMNS(X)                                                                       \
    X(TEXT, action, IN)                                                                            \
    X(INET, address, IN)                                                                           \
    X(TIME, at, IN)                                                                                \
    X(TEXT, author, IN)                                                                            \
    X(JSON, detail, IN)                                                                            \
    X(I64, id, IN)                                                                                 \
    X(I64, leaf, BESIDE)                                                                           \
    X(TEXT, role, IN)                                                                              \
    X(TEXT, subject, IN)
