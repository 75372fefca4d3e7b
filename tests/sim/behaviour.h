/* tests/sim/behaviour.h - what the simulated provider can be told to do.
 *
 * One table: each row is a flag of the program (--cut-after 3), a member of
 * POST /_sim/behaviour ({"cut_after": 3}; '-' and '_' are the same there),
 * and a member of the struct below.  Events of a stream are counted without
 * comments; the first one of a chat says only the role.
 *
 * A behaviour is immutable once published and counted: a request keeps the
 * one it started with, whatever is changed meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/json.h" /* yyjson_val */

/* "STATUS:RATE", "STATUS" for always, or "" for never. */
struct sim_fail {
    int status; /* 0: never */
    double rate;
};

#define SIM_TYPE_BOOL   bool
#define SIM_TYPE_INT    int64_t
#define SIM_TYPE_NUMBER double
#define SIM_TYPE_RATE   double /* 0 to 1 */
#define SIM_TYPE_TEXT   char * /* owned; NULL when not set */
#define SIM_TYPE_FAIL   struct sim_fail

/* X(name, type, default, min, max, group, help); min and max are for INT. */
#define SIM_KNOB_MAP(X)                                                                            \
    X(first_token_ms, INT, "0", 0, 3600000, "Time", "wait before the first token")                 \
    X(tokens_per_s, NUMBER, "0", 0, 0, "Time", "pace of the tokens; 0: all at once")               \
    X(jitter, RATE, "0", 0, 0, "Time", "each wait is longer or shorter by up to this part")        \
    X(tokens, INT, "50", 0, 100000000, "Answers", "tokens of an answer, when max_tokens allows")   \
    X(token_bytes, INT, "0", 0, 65536, "Answers", "size of each token; 0: words")                  \
    X(content, TEXT, "", 0, 0, "Answers", "exact text of each answer")                             \
    X(reasoning, INT, "0", 0, 1000000, "Answers", "tokens of reasoning before the content")        \
    X(refusal, BOOL, "false", 0, 0, "Answers", "the text is a refusal")                            \
    X(finish_reason, TEXT, "", 0, 0, "Answers", "instead of the right one")                        \
    X(prompt_tokens, INT, "-1", -1, 1000000000, "Answers", "reported; -1: bytes / 4")              \
    X(cached_tokens, INT, "0", 0, 1000000000, "Answers", "reported as read from a cache")          \
    X(dimensions, INT, "1536", 1, 65536, "Answers", "of embeddings, when not asked for")           \
    X(compact, BOOL, "false", 0, 0, "Answers", "only the members that every provider sends")       \
    X(no_usage, BOOL, "false", 0, 0, "Answers", "leave usage out, asked for or not")               \
    X(null_usage, BOOL, "false", 0, 0, "Answers", "usage and system_fingerprint null in chunks")   \
    X(no_done, BOOL, "false", 0, 0, "Answers", "streams lack their [DONE]")                        \
    X(no_finish, BOOL, "false", 0, 0, "Answers", "streams lack their finish reason")               \
    X(role_only_first, BOOL, "false", 0, 0, "Answers", "the first delta has a role, no content")   \
    X(early_head, BOOL, "false", 0, 0, "Time", "send the head of a stream at once")                \
    X(sse_comments, INT, "0", 0, 100000, "Answers", "comments before the first token")             \
    X(models_body, TEXT, "", 0, 0, "Answers", "instead of the usual list of models: prices, say")  \
    X(models_times, INT, "1", 0, 100000000, "Answers", "that body so often in one answer")         \
    X(fail, FAIL, "", 0, 0, "Failures", "STATUS:RATE, an error instead of an answer")              \
    X(retry_after, INT, "-1", -1, 86400, "Failures", "seconds to tell with 429 and 503")           \
    X(retry_after_ms, INT, "-1", -1, 86400000, "Failures", "the same as retry-after-ms")           \
    X(error_message, TEXT, "", 0, 0, "Failures", "instead of the usual text of errors")            \
    X(error_code, TEXT, "", 0, 0, "Failures", "instead of the usual code of errors")               \
    X(context_error, BOOL, "false", 0, 0, "Failures", "400 context_length_exceeded")               \
    X(content_filter, BOOL, "false", 0, 0, "Failures", "400 content_filter")                       \
    X(hang, RATE, "0", 0, 0, "Failures", "part of the requests that get no answer, ever")          \
    X(hold_after, INT, "-1", -1, 100000000, "Failures",                                            \
      "stop after that many events, until POST /_sim/release; 0 holds any answer")                 \
    X(reset, BOOL, "false", 0, 0, "Failures", "reset the connection instead of an answer")         \
    X(close_before_answer, BOOL, "false", 0, 0, "Failures", "close it instead of an answer")       \
    X(cut_after, INT, "-1", -1, 100000000, "Failures",                                             \
      "close after that many events of a stream, or bytes of a whole answer")                      \
    X(cut_reset, BOOL, "false", 0, 0, "Failures", "a cut is a reset, not a close")                 \
    X(end_after, INT, "-1", -1, 100000000, "Failures",                                             \
      "end the stream in good form after that many events, unfinished")                            \
    X(malformed, RATE, "0", 0, 0, "Failures",                                                      \
      "part of the answers that are no JSON; a stream has one such event")                         \
    X(malformed_at, INT, "0", 0, 100000000, "Failures", "events before that one")                  \
    X(empty_body, BOOL, "false", 0, 0, "Failures", "200 without a byte of body")                   \
    X(error_in_200, BOOL, "false", 0, 0, "Failures", "200 whose body is an error")                 \
    X(error_event_first, BOOL, "false", 0, 0, "Failures", "200, then an error event")              \
    X(error_event_after, INT, "-1", -1, 100000000, "Failures",                                     \
      "an error event after that many events, and the end")                                        \
    X(raw_response, TEXT, "", 0, 0, "Failures", "these bytes instead of an answer, then close")    \
    X(close_idle, BOOL, "false", 0, 0, "Wire", "close after each answer, unannounced")             \
    X(announce_close, BOOL, "false", 0, 0, "Wire", "close after each answer, announced")           \
    X(requests_per_connection, INT, "0", 0, 1000000, "Wire",                                       \
      "the request after that many is met by a close")                                             \
    X(slow_read, INT, "0", 0, 1073741824, "Wire", "bytes of a body read in 10 ms; 0: all")         \
    X(chunk_split, INT, "0", 0, 1048576, "Wire", "bytes per write; 0: as many as there are")       \
    X(frame_split, INT, "0", 0, 1048576, "Wire", "bytes per HTTP chunk; 0: one per event")         \
    X(interim_100, BOOL, "false", 0, 0, "Wire", "send 100 and 103 before the answer")              \
    X(content_encoding, TEXT, "", 0, 0, "Wire", "claim this encoding")                             \
    X(framing, TEXT, "", 0, 0, "Wire",                                                             \
      "length (not for streams), chunked or close; empty: as usual")

struct sim_behaviour {
#define X(name, type, fallback, min, max, group, help) SIM_TYPE_##type name;
    SIM_KNOB_MAP(X)
#undef X
    unsigned refs;
};

enum sim_knob_index {
#define X(name, type, fallback, min, max, group, help) SIM_KNOB_##name,
    SIM_KNOB_MAP(X)
#undef X
        SIM_KNOBS
};

enum sim_knob_type {
    SIM_IS_BOOL,
    SIM_IS_INT,
    SIM_IS_NUMBER,
    SIM_IS_RATE,
    SIM_IS_TEXT,
    SIM_IS_FAIL,
};

struct sim_knob {
    const char *name; /* with '_'; its flag has '-' there */
    enum sim_knob_type type;
    size_t offset;
    const char *fallback;
    int64_t min, max;
    const char *group, *help;
};

extern const struct sim_knob sim_knobs[SIM_KNOBS];

/* All defaults, one reference. */
struct sim_behaviour *sim_behaviour_new(void);
/* A copy to be changed, one reference. */
struct sim_behaviour *sim_behaviour_copy(const struct sim_behaviour *behaviour);
struct sim_behaviour *sim_behaviour_ref(struct sim_behaviour *behaviour);
/* Fits SB_CLEANUP; NULL is fine. */
void sim_behaviour_unref(struct sim_behaviour **behaviour);

/* Before it is published only.  SB_EINVAL names the knob and what it takes. */
int sim_behaviour_set(struct sim_behaviour *behaviour, enum sim_knob_index index, const char *value,
                      struct sb_errmsg *err) SB_MUSTCHECK;
/* Members of a JSON object; null gives a knob the value it has in start.
 * Members named in skip (ended by NULL) are the caller's. */
int sim_behaviour_apply(struct sim_behaviour *behaviour, yyjson_val *object,
                        const struct sim_behaviour *start, const char *const *skip,
                        struct sb_errmsg *err) SB_MUSTCHECK;
/* Writes an object with every knob. */
void sim_behaviour_show(const struct sim_behaviour *behaviour, struct sb_json *json);
