/* proto/vocabulary.h - the closed word lists that both planes share.
 *
 * Each list is one X-macro: X(NAME, number, "text").  The number is on the
 * wire and in the database and is never reused; the text is what people and
 * JSON see.  msg_<list>_name() gives the text ("unknown" for a number that is
 * not ours), msg_<list>_parse() the number, or -1.
 */
#pragma once

#include <stdbool.h>

#include "common/slice.h"

/* A compliance claim; unknown and expired never satisfy a hard filter. */
#define MSG_TRI_MAP(X)                                                                             \
    X(UNKNOWN, 0, "unknown")                                                                       \
    X(NO, 1, "no")                                                                                 \
    X(YES, 2, "yes")

#define MSG_CLAIM_MAP(X)                                                                           \
    X(EU_RESIDENT, 0, "eu_resident")                                                               \
    X(ZDR, 1, "zdr")                                                                               \
    X(NO_TRAINING, 2, "no_training")                                                               \
    X(DISTILLABLE, 3, "distillable")

#define MSG_MODALITY_MAP(X)                                                                        \
    X(TEXT, 0, "text")                                                                             \
    X(IMAGE, 1, "image")                                                                           \
    X(AUDIO, 2, "audio")                                                                           \
    X(FILE, 3, "file")                                                                             \
    X(VIDEO, 4, "video")                                                                           \
    X(EMBEDDINGS, 5, "embeddings")

#define MSG_QUANTIZATION_MAP(X)                                                                    \
    X(UNKNOWN, 0, "unknown")                                                                       \
    X(INT4, 1, "int4")                                                                             \
    X(INT8, 2, "int8")                                                                             \
    X(FP4, 3, "fp4")                                                                               \
    X(MXFP4, 4, "mxfp4")                                                                           \
    X(NVFP4, 5, "nvfp4")                                                                           \
    X(FP6, 6, "fp6")                                                                               \
    X(FP8, 7, "fp8")                                                                               \
    X(MXFP8, 8, "mxfp8")                                                                           \
    X(FP16, 9, "fp16")                                                                             \
    X(BF16, 10, "bf16")                                                                            \
    X(FP32, 11, "fp32")

/* The closed enum of supported_parameters; the number is also the bit. */
#define MSG_PARAMETER_MAP(X)                                                                       \
    X(TEMPERATURE, 0, "temperature")                                                               \
    X(TOP_P, 1, "top_p")                                                                           \
    X(TOP_K, 2, "top_k")                                                                           \
    X(MIN_P, 3, "min_p")                                                                           \
    X(TOP_A, 4, "top_a")                                                                           \
    X(FREQUENCY_PENALTY, 5, "frequency_penalty")                                                   \
    X(PRESENCE_PENALTY, 6, "presence_penalty")                                                     \
    X(REPETITION_PENALTY, 7, "repetition_penalty")                                                 \
    X(MAX_TOKENS, 8, "max_tokens")                                                                 \
    X(MAX_COMPLETION_TOKENS, 9, "max_completion_tokens")                                           \
    X(LOGIT_BIAS, 10, "logit_bias")                                                                \
    X(LOGPROBS, 11, "logprobs")                                                                    \
    X(TOP_LOGPROBS, 12, "top_logprobs")                                                            \
    X(PREDICTION, 13, "prediction")                                                                \
    X(SEED, 14, "seed")                                                                            \
    X(RESPONSE_FORMAT, 15, "response_format")                                                      \
    X(STRUCTURED_OUTPUTS, 16, "structured_outputs")                                                \
    X(STOP, 17, "stop")                                                                            \
    X(TOOLS, 18, "tools")                                                                          \
    X(TOOL_CHOICE, 19, "tool_choice")                                                              \
    X(PARALLEL_TOOL_CALLS, 20, "parallel_tool_calls")                                              \
    X(INCLUDE_REASONING, 21, "include_reasoning")                                                  \
    X(REASONING, 22, "reasoning")                                                                  \
    X(REASONING_EFFORT, 23, "reasoning_effort")                                                    \
    X(WEB_SEARCH_OPTIONS, 24, "web_search_options")                                                \
    X(VERBOSITY, 25, "verbosity")

/* What is charged for; the text is the name in /v1/models. */
#define MSG_PRICE_MAP(X)                                                                           \
    X(PROMPT, 0, "prompt")                                                                         \
    X(COMPLETION, 1, "completion")                                                                 \
    X(REQUEST, 2, "request")                                                                       \
    X(IMAGE, 3, "image")                                                                           \
    X(IMAGE_OUTPUT, 4, "image_output")                                                             \
    X(AUDIO, 5, "audio")                                                                           \
    X(AUDIO_OUTPUT, 6, "audio_output")                                                             \
    X(CACHE_READ, 7, "input_cache_read")                                                           \
    X(CACHE_WRITE, 8, "input_cache_write")                                                         \
    X(REASONING, 9, "internal_reasoning")                                                          \
    X(WEB_SEARCH, 10, "web_search")

/* Of the week, in UTC; the number is also the bit. */
#define MSG_DAY_MAP(X)                                                                             \
    X(MONDAY, 0, "monday")                                                                         \
    X(TUESDAY, 1, "tuesday")                                                                       \
    X(WEDNESDAY, 2, "wednesday")                                                                   \
    X(THURSDAY, 3, "thursday")                                                                     \
    X(FRIDAY, 4, "friday")                                                                         \
    X(SATURDAY, 5, "saturday")                                                                     \
    X(SUNDAY, 6, "sunday")

#define MSG_API_MAP(X)                                                                             \
    X(CHAT, 0, "chat.completions")                                                                 \
    X(COMPLETIONS, 1, "completions")                                                               \
    X(EMBEDDINGS, 2, "embeddings")

#define MSG_CREDENTIAL_KIND_MAP(X)                                                                 \
    X(NONE, 0, "none")                                                                             \
    X(HOUSE, 1, "house")                                                                           \
    X(OWN, 2, "own")

#define MSG_USAGE_SOURCE_MAP(X)                                                                    \
    X(NONE, 0, "none")                                                                             \
    X(PROVIDER, 1, "provider")                                                                     \
    X(ESTIMATED, 2, "estimated")

/* How one attempt ended (ROUTING.md 8), or a whole request.  What an outcome
 * means for the endpoint and for the next attempt is decided in
 * dataplane/outcome.c alone. */
#define MSG_OUTCOME_MAP(X)                                                                         \
    X(NONE, 0, "none")                                                                             \
    X(SUCCESS, 1, "success")                                                                       \
    X(CONNECT_FAILED, 2, "connect_failed")                                                         \
    X(CONNECT_TIMEOUT, 3, "connect_timeout")                                                       \
    X(TLS_FAILED, 4, "tls_failed")                                                                 \
    X(DNS_FAILED, 5, "dns_failed")                                                                 \
    X(RESET, 6, "reset")               /* closed or reset before content */                        \
    X(SERVER_ERROR, 7, "server_error") /* 5xx, 408 */                                              \
    X(BUSY, 8, "busy")                 /* 409, 425 */                                              \
    X(CREDENTIAL, 9, "credential")     /* 401, 402, 403 */                                         \
    X(NOT_OFFERED, 10, "not_offered")  /* 404, 405, 410 */                                         \
    X(RATE_LIMITED, 11, "rate_limited")                                                            \
    X(FIRST_TOKEN_TIMEOUT, 12, "first_token_timeout")                                              \
    X(ATTEMPT_TIMEOUT, 13, "attempt_timeout")                                                      \
    X(BAD_ANSWER, 14, "bad_answer") /* empty, not JSON, encoded, an error in a 200 */              \
    X(CONTEXT_LENGTH, 15, "context_length")                                                        \
    X(REFUSED, 16, "refused")         /* by a content filter */                                    \
    X(BAD_REQUEST, 17, "bad_request") /* other 400, 413, 422 */                                    \
    X(CLIENT_GONE, 18, "client_gone")                                                              \
    X(STREAM_CUT, 19, "stream_cut") /* after content, without a finish reason */                   \
    X(STREAM_STALLED, 20, "stream_stalled")                                                        \
    X(DEADLINE, 21, "deadline")                                                                    \
    X(SHUTDOWN, 22, "shutdown") /* drained away */                                                 \
    /* of a request that reached no endpoint: */                                                   \
    X(INVALID, 30, "invalid")         /* 400, 413 after authentication */                          \
    X(FORBIDDEN, 31, "forbidden")     /* 403 */                                                    \
    X(NO_ENDPOINT, 32, "no_endpoint") /* 404: filters left nothing */                              \
    X(OVER_BUDGET, 33, "over_budget") /* 402 */                                                    \
    X(LIMITED, 34, "limited")         /* 429 of our own */                                         \
    X(OVERLOADED, 35, "overloaded")   /* by our own limits */                                      \
    X(ABANDONED, 36, "abandoned")     /* dispatched, then the worker died */                       \
    X(INTERNAL, 37, "internal")                                                                    \
    X(DISPATCHED, 38, "dispatched") /* and how it ended is not known yet */

/* One row per list: L(name of the functions, prefix of the numbers). */
#define MSG_LISTS(L)                                                                               \
    L(tri, TRI)                                                                                    \
    L(claim, CLAIM)                                                                                \
    L(modality, MODALITY)                                                                          \
    L(quantization, QUANTIZATION)                                                                  \
    L(parameter, PARAMETER)                                                                        \
    L(price, PRICE)                                                                                \
    L(day, DAY)                                                                                    \
    L(api, API)                                                                                    \
    L(credential_kind, CREDENTIAL_KIND)                                                            \
    L(usage_source, USAGE_SOURCE)                                                                  \
    L(outcome, OUTCOME)

#define X(name, number, text) MSG_TRI_##name = (number),
enum msg_tri { MSG_TRI_MAP(X) };
#undef X
#define X(name, number, text) MSG_CLAIM_##name = (number),
enum msg_claim_kind { MSG_CLAIM_MAP(X) MSG_CLAIM_COUNT };
#undef X
#define X(name, number, text) MSG_MODALITY_##name = (number),
enum msg_modality { MSG_MODALITY_MAP(X) MSG_MODALITY_COUNT };
#undef X
#define X(name, number, text) MSG_QUANTIZATION_##name = (number),
enum msg_quantization { MSG_QUANTIZATION_MAP(X) MSG_QUANTIZATION_COUNT };
#undef X
#define X(name, number, text) MSG_PARAMETER_##name = (number),
enum msg_parameter { MSG_PARAMETER_MAP(X) MSG_PARAMETER_COUNT };
#undef X
#define X(name, number, text) MSG_PRICE_##name = (number),
enum msg_price { MSG_PRICE_MAP(X) MSG_PRICE_COUNT };
#undef X
#define X(name, number, text) MSG_DAY_##name = (number),
enum msg_day { MSG_DAY_MAP(X) MSG_DAY_COUNT };
#undef X
#define X(name, number, text) MSG_API_##name = (number),
enum msg_api { MSG_API_MAP(X) MSG_API_COUNT };
#undef X
#define X(name, number, text) MSG_CREDENTIAL_KIND_##name = (number),
enum msg_credential_kind { MSG_CREDENTIAL_KIND_MAP(X) };
#undef X
#define X(name, number, text) MSG_USAGE_SOURCE_##name = (number),
enum msg_usage_source { MSG_USAGE_SOURCE_MAP(X) };
#undef X
#define X(name, number, text) MSG_OUTCOME_##name = (number),
enum msg_outcome { MSG_OUTCOME_MAP(X) };
#undef X

#define L(list, LIST)                                                                              \
    const char *msg_##list##_name(int number);                                                     \
    int msg_##list##_parse(struct sb_slice text);
MSG_LISTS(L)
#undef L

/* Whether an outcome speaks against the endpoint.  Workers decide by
 * dataplane/outcome.c, and their test holds both together. */
bool msg_outcome_is_fault(enum msg_outcome outcome);
