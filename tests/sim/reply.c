/* tests/sim/reply.c */
#include "tests/sim/reply.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/http1.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/embedding.h"
#include "tests/sim/models.h"
#include "tests/sim/world.h"

/* --- time --------------------------------------------------------------------- */

/* A wait, made longer or shorter by chance. */
static double jittered(struct sim_reply *reply, double ms)
{
    double part = reply->behaviour->jitter;

    if (part <= 0 || ms <= 0)
        return ms;
    return ms * (1 + part * (2 * sim_rng_unit(&reply->rng) - 1));
}

static double token_ms(struct sim_reply *reply)
{
    double pace = reply->behaviour->tokens_per_s;

    return pace > 0 ? jittered(reply, 1000 / pace) : 0;
}

static bool is_due(const struct sim_reply *reply, sb_msec now, sb_msec *ret_when)
{
    if (reply->due <= (double)now)
        return true;
    *ret_when = (sb_msec)ceil(reply->due);
    return false;
}

/* --- what happens to the request -------------------------------------------------- */

static bool is_generating(const struct sim_reply *reply)
{
    return reply->request.kind == SIM_CHAT || reply->request.kind == SIM_COMPLETION;
}

static void say_nothing(struct sim_reply *reply, enum sim_step last)
{
    reply->phase = SIM_PHASE_GONE;
    reply->last = last;
    reply->failed = true;
}

/* The texts of a failure that a behaviour asks for can be given. */
static void fail_with(struct sim_reply *reply, int status)
{
    const struct sim_behaviour *behaviour = reply->behaviour;
    struct sim_error *error = &reply->error;

    sim_error_of_status(error, status);
    if (behaviour->context_error) {
        error->code = "context_length_exceeded";
        error->param = "messages";
        (void)snprintf(error->message, sizeof(error->message), "%s",
                       "This model's maximum context length is 16 tokens. Please reduce the length "
                       "of the messages.");
    } else if (behaviour->content_filter) {
        error->code = "content_filter";
        error->param = "prompt";
        (void)snprintf(error->message, sizeof(error->message), "%s",
                       "The response was filtered due to the prompt triggering the content "
                       "management policy.");
    }
    if (behaviour->error_message != NULL)
        (void)snprintf(error->message, sizeof(error->message), "%s", behaviour->error_message);
    if (behaviour->error_code != NULL)
        error->code = behaviour->error_code;
}

static void refuse_key(struct sim_reply *reply)
{
    struct sb_slice key = reply->asked.credential;

    /* Some providers echo the key: whoever relays this text gives it away. */
    (void)sim_error_set(&reply->error, 401, NULL, "Incorrect API key provided: %.*s",
                        key.n < 200 ? (int)key.n : 200, key.n > 0 ? key.p : "");
    reply->error.code = "invalid_api_key";
}

/* Fates that need no look at the request.  True when it met one. */
static bool meets_fate(struct sim_reply *reply)
{
    const struct sim_behaviour *behaviour = reply->behaviour;
    /* All are drawn for every request: one knob does not shift another's chance. */
    bool hangs = sim_rng_unit(&reply->rng) < behaviour->hang;
    bool fails = sim_rng_unit(&reply->rng) < behaviour->fail.rate && behaviour->fail.status != 0;

    reply->malformed = sim_rng_unit(&reply->rng) < behaviour->malformed;
    if (behaviour->raw_response != NULL)
        reply->phase = SIM_PHASE_RAW;
    else if (behaviour->reset)
        say_nothing(reply, SIM_STEP_RESET);
    else if (behaviour->close_before_answer)
        say_nothing(reply, SIM_STEP_CLOSE);
    else if (hangs)
        say_nothing(reply, SIM_STEP_HANG);
    else if (!reply->asked.authorized)
        refuse_key(reply);
    else if (fails)
        fail_with(reply, behaviour->fail.status);
    else
        return false;
    return true;
}

static int read_asked(struct sim_reply *reply)
{
    struct sim_asked *asked = &reply->asked;
    enum sim_kind kind = sim_kind_of(asked->path, &reply->model);
    bool is_model = kind == SIM_MODEL_LIST || kind == SIM_MODEL_ENTRY;

    reply->request.kind = kind;
    if (kind == SIM_NO_KIND)
        return sim_error_set(&reply->error, 404, NULL, "Unknown request URL.");
    if (is_model ? !asked->is_get : !asked->is_post)
        return sim_error_set(&reply->error, 405, NULL, "Method not allowed.");
    return is_model ? 0 : sim_request_read(&reply->request, kind, asked->body, &reply->error);
}

static enum sim_framing framing_of(const struct sim_reply *reply)
{
    const char *framing = reply->behaviour->framing;

    if (framing != NULL && strcmp(framing, "close") == 0)
        return SIM_FRAMING_CLOSE;
    if (sim_reply_is_stream(reply) || (framing != NULL && strcmp(framing, "chunked") == 0))
        return SIM_FRAMING_CHUNKED;
    return SIM_FRAMING_LENGTH;
}

static void plan_message(struct sim_reply *reply)
{
    struct sim_world *world = reply->world;

    if (sim_message_make(&reply->message, &reply->request, reply->behaviour, world, reply->arena,
                         &reply->error) != 0)
        return;
    reply->shape = (struct sim_shape){.request = &reply->request,
                                      .behaviour = reply->behaviour,
                                      .message = &reply->message,
                                      .created = world->created,
                                      .number = reply->asked.number};
    sim_shape_init(&reply->shape, reply->arena);
    if (reply->request.stream && !reply->behaviour->error_in_200)
        reply->phase = SIM_PHASE_COMMENTS;
}

static void plan(struct sim_reply *reply)
{
    const struct sim_behaviour *behaviour = reply->behaviour;

    if (meets_fate(reply) || read_asked(reply) != 0)
        return;
    if (behaviour->context_error || behaviour->content_filter)
        fail_with(reply, 400);
    else if (is_generating(reply))
        plan_message(reply);
}

static void set_due(struct sim_reply *reply)
{
    const struct sim_behaviour *behaviour = reply->behaviour;
    double first = (double)behaviour->first_token_ms;

    reply->due = reply->start;
    if (reply->error.status != 0 || reply->phase >= SIM_PHASE_RAW)
        return;
    reply->due += jittered(reply, first);
    if (!sim_reply_is_stream(reply) && is_generating(reply) && behaviour->tokens_per_s > 0)
        reply->due += jittered(reply, (double)sim_message_tokens(&reply->message) * 1000 /
                                          behaviour->tokens_per_s);
}

void sim_reply_start(struct sim_reply *reply, struct sim_world *world,
                     const struct sim_asked *asked, sb_msec now)
{
    *reply = (struct sim_reply){
        .world = world, .asked = *asked, .phase = SIM_PHASE_WHOLE, .start = (double)now};
    /* A script is for what an application asks, not for who looks at the models. */
    reply->behaviour = asked->is_post ? sim_world_next(world) : sim_behaviour_ref(world->now);
    reply->arena = sb_arena_cache_take(world->arenas);
    reply->rng = sim_rng_of(world->seed, asked->number);
    reply->last =
        asked->keep_alive && !reply->behaviour->announce_close ? SIM_STEP_KEEP : SIM_STEP_CLOSE;
    plan(reply);
    reply->framing = framing_of(reply);
    if (reply->framing == SIM_FRAMING_CLOSE && reply->last == SIM_STEP_KEEP)
        reply->last = SIM_STEP_CLOSE;
    set_due(reply);
}

void sim_reply_end(struct sim_reply *reply)
{
    sim_behaviour_unref(&reply->behaviour);
    if (reply->arena != NULL)
        sb_arena_cache_give(reply->world->arenas, &reply->arena);
}

void sim_reply_release(struct sim_reply *reply)
{
    reply->released = true;
}

/* --- head and framing ----------------------------------------------------------------- */

static const struct sb_slice interim = SB_SLICE_INIT("HTTP/1.1 100 Continue\r\n\r\n"
                                                     "HTTP/1.1 103 Early Hints\r\n"
                                                     "link: </>; rel=preconnect\r\n\r\n");

static int put_optional_fields(const struct sim_reply *reply, struct sb_buf *out)
{
    const struct sim_behaviour *behaviour = reply->behaviour;
    int rc = SB_OK;

    if (reply->last == SIM_STEP_CLOSE)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("connection"), SB_SLICE_LIT("close"));
    if (rc == SB_OK && behaviour->content_encoding != NULL)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("content-encoding"),
                                sb_slice_of(behaviour->content_encoding));
    if (reply->status != 429 && reply->status != 503)
        return rc;
    if (rc == SB_OK && behaviour->retry_after >= 0)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("retry-after"),
                                    (uint64_t)behaviour->retry_after);
    if (rc == SB_OK && behaviour->retry_after_ms >= 0)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("retry-after-ms"),
                                    (uint64_t)behaviour->retry_after_ms);
    return rc;
}

/* body_bytes: for SIM_FRAMING_LENGTH. */
static int put_head(struct sim_reply *reply, int status, uint64_t body_bytes, struct sb_buf *out)
{
    struct sb_slice type = sim_reply_is_stream(reply)
                               ? SB_SLICE_LIT("text/event-stream; charset=utf-8")
                               : SB_SLICE_LIT("application/json");
    int rc = SB_OK;

    reply->head_written = true;
    reply->status = status;
    if (reply->behaviour->interim_100)
        rc = sb_buf_append(out, interim);
    if (rc == SB_OK)
        rc = sb_http1_put_status(out, status);
    if (rc == SB_OK)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("content-type"), type);
    if (rc == SB_OK && reply->framing == SIM_FRAMING_LENGTH)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("content-length"), body_bytes);
    if (rc == SB_OK && reply->framing == SIM_FRAMING_CHUNKED)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("transfer-encoding"), SB_SLICE_LIT("chunked"));
    if (rc == SB_OK)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("x-request-id"), reply->asked.number);
    if (rc == SB_OK)
        rc = put_optional_fields(reply, out);
    return rc == SB_OK ? sb_http1_put_end(out) : rc;
}

static int put_framed(const struct sim_reply *reply, struct sb_slice bytes, struct sb_buf *out)
{
    size_t split = (size_t)reply->behaviour->frame_split;
    int rc = SB_OK;

    if (reply->framing != SIM_FRAMING_CHUNKED)
        return sb_buf_append(out, bytes);
    while (split > 0 && bytes.n > split && rc == SB_OK) {
        rc = sb_http1_put_chunk(out, sb_slice_make(bytes.p, split));
        bytes = sb_slice_from(bytes, split);
    }
    return rc == SB_OK ? sb_http1_put_chunk(out, bytes) : rc;
}

static int put_body_end(const struct sim_reply *reply, struct sb_buf *out)
{
    return reply->framing == SIM_FRAMING_CHUNKED ? sb_http1_put_last_chunk(out) : SB_OK;
}

/* The answer is complete. */
static enum sim_step say_last(struct sim_reply *reply)
{
    reply->phase = SIM_PHASE_GONE;
    return reply->last;
}

/* Where memory ends, so does the answer. */
static enum sim_step broken(struct sim_reply *reply)
{
    say_nothing(reply, SIM_STEP_RESET);
    return SIM_STEP_RESET;
}

static enum sim_step cut(struct sim_reply *reply)
{
    say_nothing(reply, reply->behaviour->cut_reset ? SIM_STEP_RESET : SIM_STEP_CLOSE);
    return reply->last;
}

/* --- whole answers ---------------------------------------------------------------------- */

static int write_answer(struct sim_reply *reply, struct sb_buf *body)
{
    switch (reply->request.kind) {
    case SIM_CHAT:
    case SIM_COMPLETION:
        if (sim_shape_whole(&reply->shape, body) == SB_OK)
            return 0;
        return sim_error_set(&reply->error, 500, NULL, "The answer would be too large.");
    case SIM_EMBEDDINGS:
        return sim_embedding_write(&reply->request, reply->behaviour, body, &reply->error);
    case SIM_MODEL_LIST:
        return sim_models_write_list(reply->world, reply->behaviour, body, &reply->error);
    case SIM_MODEL_ENTRY:
        return sim_models_write_one(reply->world, reply->model, body, &reply->error);
    case SIM_NO_KIND:
        break;
    }
    return sim_error_set(&reply->error, 500, NULL, "Nothing to answer.");
}

/* Fills the world's body; returns the status. */
static int make_body(struct sim_reply *reply)
{
    struct sb_buf *body = &reply->world->body;
    int status = 200;

    sb_buf_reset(body);
    if (reply->error.status == 0 && reply->behaviour->empty_body)
        return status;
    if (reply->error.status == 0 && reply->behaviour->error_in_200)
        fail_with(reply, 500);
    else if (reply->error.status != 0)
        status = reply->error.status;
    else
        status = write_answer(reply, body) == 0 ? 200 : reply->error.status;
    if (reply->error.status != 0) {
        sb_buf_reset(body);
        if (sim_error_write(&reply->error, body) != SB_OK)
            return 500;
    }
    return status;
}

static enum sim_step step_whole(struct sim_reply *reply, struct sb_buf *out)
{
    const struct sim_behaviour *behaviour = reply->behaviour;
    int status = make_body(reply);
    struct sb_slice body = sb_buf_slice(&reply->world->body);
    bool is_cut = behaviour->cut_after >= 0 && (uint64_t)behaviour->cut_after < body.n;

    /* Half of a JSON text is none. */
    if (reply->malformed && reply->error.status == 0)
        body.n /= 2;
    if (put_head(reply, status, body.n, out) != SB_OK)
        return broken(reply);
    if (is_cut)
        body.n = (size_t)behaviour->cut_after;
    if (put_framed(reply, body, out) != SB_OK)
        return broken(reply);
    if (is_cut)
        return cut(reply);
    return put_body_end(reply, out) == SB_OK ? say_last(reply) : broken(reply);
}

/* --- streams --------------------------------------------------------------------------------- */

static enum sim_phase after_finish(const struct sim_reply *reply)
{
    if (reply->phase < SIM_PHASE_USAGE && reply->request.include_usage &&
        !reply->behaviour->no_usage)
        return SIM_PHASE_USAGE;
    if (reply->phase < SIM_PHASE_DONE && !reply->behaviour->no_done)
        return SIM_PHASE_DONE;
    return SIM_PHASE_END;
}

static enum sim_phase after_tokens(const struct sim_reply *reply)
{
    return reply->behaviour->no_finish ? after_finish(reply) : SIM_PHASE_FINISH;
}

static enum sim_phase after_opening(const struct sim_reply *reply)
{
    return sim_message_tokens(&reply->message) > 0 ? SIM_PHASE_TOKENS : after_tokens(reply);
}

/* True when all choices had their turn. */
static bool next_choice(struct sim_reply *reply)
{
    if (++reply->choice < reply->request.n)
        return false;
    reply->choice = 0;
    return true;
}

static void advance_token(struct sim_reply *reply)
{
    if (!next_choice(reply))
        return;
    reply->due += token_ms(reply);
    if (++reply->token == sim_message_tokens(&reply->message))
        reply->phase = after_tokens(reply);
}

/* Writes the event that is next, and goes on to the one after it. */
static int write_event(struct sim_reply *reply, struct sb_buf *event)
{
    int rc;

    switch (reply->phase) {
    case SIM_PHASE_OPENING:
        rc = sim_shape_opening(&reply->shape, reply->choice, event);
        if (next_choice(reply))
            reply->phase = after_opening(reply);
        return rc;
    case SIM_PHASE_TOKENS:
        rc = sim_shape_token(&reply->shape, reply->choice, reply->token, event);
        advance_token(reply);
        return rc;
    case SIM_PHASE_FINISH:
        rc = sim_shape_finish(&reply->shape, reply->choice, event);
        if (next_choice(reply))
            reply->phase = after_finish(reply);
        return rc;
    case SIM_PHASE_USAGE:
        rc = sim_shape_usage(&reply->shape, event);
        reply->phase = after_finish(reply);
        return rc;
    case SIM_PHASE_DONE:
        reply->phase = SIM_PHASE_END;
        return sb_buf_append_text(event, "data: [DONE]\n\n");
    case SIM_PHASE_COMMENTS:
    case SIM_PHASE_END:
    case SIM_PHASE_WHOLE:
    case SIM_PHASE_RAW:
    case SIM_PHASE_GONE:
        break;
    }
    SB_BUG_ON(true);
}

/* Frames what is in the world's event buffer. */
static enum sim_step send_event(struct sim_reply *reply, struct sb_buf *out)
{
    if (!reply->head_written && put_head(reply, 200, 0, out) != SB_OK)
        return broken(reply);
    if (put_framed(reply, sb_buf_slice(&reply->world->event), out) != SB_OK)
        return broken(reply);
    return SIM_STEP_MORE;
}

static enum sim_step send_text(struct sim_reply *reply, struct sb_slice text, struct sb_buf *out)
{
    sb_buf_reset(&reply->world->event);
    if (sb_buf_append(&reply->world->event, text) != SB_OK)
        return broken(reply);
    return send_event(reply, out);
}

static enum sim_step end_stream(struct sim_reply *reply, struct sb_buf *out)
{
    if (!reply->head_written && put_head(reply, 200, 0, out) != SB_OK)
        return broken(reply);
    return put_body_end(reply, out) == SB_OK ? say_last(reply) : broken(reply);
}

/* The head at once, and comments spread over the wait for the first token. */
static enum sim_step step_comments(struct sim_reply *reply, sb_msec now, struct sb_buf *out,
                                   sb_msec *ret_when)
{
    const struct sim_behaviour *behaviour = reply->behaviour;
    double first = reply->due;
    bool due;

    if (behaviour->early_head && !reply->head_written)
        return put_head(reply, 200, 0, out) == SB_OK ? SIM_STEP_MORE : broken(reply);
    if (reply->comments == behaviour->sse_comments) {
        reply->phase =
            sim_shape_has_opening(&reply->shape) ? SIM_PHASE_OPENING : after_opening(reply);
        return SIM_STEP_MORE;
    }
    reply->due = reply->start + (first - reply->start) * (double)(reply->comments + 1) /
                                    (double)(behaviour->sse_comments + 1);
    due = is_due(reply, now, ret_when);
    reply->due = first;
    if (!due)
        return SIM_STEP_WAIT;
    reply->comments++;
    return send_text(reply, SB_SLICE_LIT(": SIMULATED PROCESSING\n\n"), out);
}

static enum sim_step send_error_event(struct sim_reply *reply, struct sb_buf *out)
{
    struct sb_buf *event = &reply->world->event;

    fail_with(reply, 500);
    sb_buf_reset(event);
    if (sb_buf_append_text(event, "data: ") != SB_OK ||
        sim_error_write(&reply->error, event) != SB_OK ||
        sb_buf_append_text(event, "\n\n") != SB_OK)
        return broken(reply);
    reply->phase = SIM_PHASE_END;
    return send_event(reply, out);
}

/* A stream that has to go wrong here.  True when it did. */
static bool goes_wrong(struct sim_reply *reply, struct sb_buf *out, enum sim_step *ret_step)
{
    const struct sim_behaviour *behaviour = reply->behaviour;
    int64_t at = reply->events;

    if (behaviour->empty_body || behaviour->end_after == at)
        *ret_step = end_stream(reply, out);
    else if (behaviour->error_event_after == at || (behaviour->error_event_first && at == 0))
        *ret_step = send_error_event(reply, out);
    else if (behaviour->cut_after == at)
        *ret_step = reply->head_written || put_head(reply, 200, 0, out) == SB_OK ? cut(reply)
                                                                                 : broken(reply);
    else if (reply->malformed && behaviour->malformed_at == at)
        *ret_step = send_text(
            reply, SB_SLICE_LIT("data: {\"id\":\"broken\",\"choices\":[{\"index\":0,\"del\n\n"),
            out);
    else
        return false;
    reply->malformed = false;
    return true;
}

static enum sim_step step_stream(struct sim_reply *reply, sb_msec now, struct sb_buf *out,
                                 sb_msec *ret_when)
{
    struct sb_buf *event = &reply->world->event;
    enum sim_step step;

    if (reply->phase == SIM_PHASE_COMMENTS)
        return step_comments(reply, now, out, ret_when);
    if (reply->phase <= SIM_PHASE_TOKENS && !is_due(reply, now, ret_when))
        return SIM_STEP_WAIT;
    if (reply->phase == SIM_PHASE_END)
        return end_stream(reply, out);
    if (goes_wrong(reply, out, &step))
        return step;
    sb_buf_reset(event);
    if (write_event(reply, event) != SB_OK)
        return broken(reply);
    reply->events++;
    return send_event(reply, out);
}

/* --- all ---------------------------------------------------------------------------------------
 */

static bool is_held(const struct sim_reply *reply)
{
    int64_t after = reply->behaviour->hold_after;

    if (after < 0 || reply->released)
        return false;
    if (!sim_reply_is_stream(reply))
        return after == 0 && reply->status == 0;
    return reply->phase > SIM_PHASE_COMMENTS && reply->events == after;
}

enum sim_step sim_reply_step(struct sim_reply *reply, sb_msec now, struct sb_buf *out,
                             sb_msec *ret_when)
{
    if (is_held(reply))
        return SIM_STEP_HOLD;
    switch (reply->phase) {
    case SIM_PHASE_GONE:
        return reply->last;
    case SIM_PHASE_RAW:
        if (sb_buf_append_text(out, reply->behaviour->raw_response) != SB_OK)
            return broken(reply);
        say_nothing(reply, SIM_STEP_CLOSE);
        return SIM_STEP_CLOSE;
    case SIM_PHASE_WHOLE:
        return is_due(reply, now, ret_when) ? step_whole(reply, out) : SIM_STEP_WAIT;
    case SIM_PHASE_COMMENTS:
    case SIM_PHASE_OPENING:
    case SIM_PHASE_TOKENS:
    case SIM_PHASE_FINISH:
    case SIM_PHASE_USAGE:
    case SIM_PHASE_DONE:
    case SIM_PHASE_END:
        break;
    }
    return step_stream(reply, now, out, ret_when);
}
