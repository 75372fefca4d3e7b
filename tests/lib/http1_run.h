/* tests/lib/http1_run.h - feeds bytes to the HTTP parser in pieces and writes
 * down all that it reports, so that two ways of cutting can be compared.
 *
 * Every piece lies in a block of its own size, and a head moves with each
 * piece, so that a sanitizer sees any look beyond what was given. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/http1.h"

struct http1_run {
    struct sb_http1 parser;
    struct sb_http1_head head;
    struct sb_http1_field fields[8];
    struct sb_http1_limits limits;
    struct sb_buf log;
    struct sb_buf body; /* of the message being read */
    size_t told;        /* length of log when that message began */
    bool answers_head;  /* all responses are to HEAD requests */
    bool any_error;     /* do not tell which: of two in one message either may be seen first */
};

static void http1_run_note(struct http1_run *run, struct sb_slice text)
{
    if (sb_buf_append(&run->log, text) != SB_OK)
        abort();
}

static void http1_run_text(struct http1_run *run, const char *text)
{
    http1_run_note(run, sb_slice_of(text));
}

static void http1_run_number(struct http1_run *run, const char *name, unsigned long long number)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%s%llu", name, number);
    http1_run_text(run, text);
}

static void http1_run_head(struct http1_run *run, const char *base)
{
    const struct sb_http1_head *head = &run->head;

    if (run->parser.kind == SB_HTTP1_REQUEST) {
        http1_run_note(run, sb_http1_slice(base, head->method_text));
        http1_run_text(run, " ");
        http1_run_note(run, sb_http1_slice(base, head->target));
    } else {
        http1_run_number(run, "", head->status);
        http1_run_text(run, " ");
        http1_run_note(run, sb_http1_slice(base, head->reason));
    }
    http1_run_number(run, " 1.", head->minor);
    http1_run_text(run, head->keep_alive ? " keep" : " close");
    http1_run_text(run, (const char *[]){" none", " length", " chunked", " rest"}[head->framing]);
    if (head->has_length)
        http1_run_number(run, " n=", head->content_length);
    http1_run_text(run, head->expect_continue ? " expect" : "");
    http1_run_text(run, head->upgrade ? " upgrade" : "");
    for (unsigned i = 0; i < head->fields_n; i++) {
        http1_run_text(run, "|");
        http1_run_note(run, sb_http1_slice(base, head->fields[i].name));
        http1_run_text(run, "=");
        http1_run_note(run, sb_http1_slice(base, head->fields[i].value));
    }
    http1_run_text(run, "\n");
}

static void http1_run_begin(struct http1_run *run)
{
    sb_http1_begin(&run->parser);
    if (run->answers_head)
        sb_http1_expect_no_body(&run->parser);
    sb_buf_reset(&run->body);
    run->told = sb_buf_len(&run->log);
}

static void http1_run_done(struct http1_run *run)
{
    http1_run_text(run, "[");
    http1_run_note(run, sb_buf_slice(&run->body));
    http1_run_text(run, "]\n");
}

/* How much of a bad message was reported before depends on the cut. */
static void http1_run_error(struct http1_run *run)
{
    run->log.tail = run->log.head + run->told;
    http1_run_text(run, "error ");
    if (!run->any_error)
        http1_run_text(run, sb_http1_err_name(run->parser.err));
}

/* Gives the piece [at, at+n) of bytes; from is where the message began.
 * Returns how much of it was used, or a negative code. */
static long http1_run_piece(struct http1_run *run, const char *bytes, size_t from, size_t at,
                            size_t n, bool *ret_done)
{
    struct sb_http1_step step;
    bool in_head = run->parser.phase < 2;
    size_t start = in_head ? from : at;
    char *block = malloc(at + n - start);
    int rc;

    if (block == NULL)
        abort();
    memcpy(block, bytes + start, at + n - start);
    rc = sb_http1_execute(&run->parser, in_head ? &run->head : NULL,
                          sb_slice_make(block + at - start, n), &step);
    if (rc == SB_OK) {
        if (step.got == 0 && step.used != n)
            abort();
        if ((step.got & SB_HTTP1_GOT_HEAD) != 0)
            http1_run_head(run, block);
        if ((step.got & SB_HTTP1_GOT_BODY) != 0 && sb_buf_append(&run->body, step.body) != SB_OK)
            abort();
        *ret_done = (step.got & SB_HTTP1_GOT_DONE) != 0;
    }
    free(block);
    return rc == SB_OK ? (long)step.used : rc;
}

/* Reads all messages in bytes, given in pieces of at most `piece`, then a
 * close.  The result is in run->log. */
static void http1_run(struct http1_run *run, enum sb_http1_kind kind, struct sb_slice bytes,
                      size_t piece)
{
    size_t from = 0;

    sb_buf_init(&run->log, 1 << 24);
    sb_buf_init(&run->body, 1 << 22);
    sb_http1_init(&run->parser, kind, &run->limits);
    run->head = (struct sb_http1_head){.fields = run->fields,
                                       .fields_max = sizeof(run->fields) / sizeof(*run->fields)};
    http1_run_begin(run);
    for (size_t at = 0; at < bytes.n;) {
        size_t n = bytes.n - at < piece ? bytes.n - at : piece;
        bool done = false;
        long used = http1_run_piece(run, bytes.p, from, at, n, &done);

        if (used < 0) {
            http1_run_error(run);
            return;
        }
        at += (size_t)used;
        if (done) {
            http1_run_done(run);
            http1_run_begin(run);
            from = at;
        }
    }
    switch (sb_http1_finish(&run->parser)) {
    case SB_OK:
        http1_run_done(run);
        break;
    case SB_EEOF:
        break;
    default:
        http1_run_error(run);
        break;
    }
}

static void http1_run_release(struct http1_run *run)
{
    sb_buf_release(&run->log);
    sb_buf_release(&run->body);
}
