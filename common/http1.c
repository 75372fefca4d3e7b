/* common/http1.c */
#include "common/http1.h"

#include <llhttp.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"

enum phase { IDLE, IN_HEAD, IN_BODY, COMPLETE, FAILED };

_Static_assert(sizeof(llhttp_t) <= sizeof(((struct sb_http1 *)NULL)->llhttp), "no room for llhttp");
_Static_assert(_Alignof(llhttp_t) <= _Alignof(uint64_t), "llhttp wants more alignment");

static llhttp_t *llhttp_of(struct sb_http1 *parser)
{
    return (llhttp_t *)(void *)parser->llhttp;
}

static struct sb_http1 *parser_of(llhttp_t *ll)
{
    return container_of(ll, struct sb_http1, llhttp);
}

static int fail(struct sb_http1 *parser, enum sb_http1_err err)
{
    parser->err = err;
    parser->phase = FAILED;
    return SB_EPARSE;
}

/* --- callbacks: they only note what they see; execute() judges -------------- */

/* Text may come in pieces, which lie side by side. */
static void extend(const struct sb_http1 *parser, struct sb_http1_span *span, const char *at,
                   size_t n)
{
    uint32_t offset = (uint32_t)(at - parser->base);

    if (span->n == 0)
        span->at = offset;
    span->n = offset + (uint32_t)n - span->at;
}

static int on_url(llhttp_t *ll, const char *at, size_t n)
{
    struct sb_http1 *parser = parser_of(ll);

    extend(parser, &parser->head->target, at, n);
    if (parser->head->target.n <= parser->limits->target_bytes)
        return 0;
    parser->err = SB_HTTP1_ERR_TARGET_LIMIT;
    return HPE_USER;
}

static int on_reason(llhttp_t *ll, const char *at, size_t n)
{
    struct sb_http1 *parser = parser_of(ll);

    extend(parser, &parser->head->reason, at, n);
    return 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t n)
{
    struct sb_http1 *parser = parser_of(ll);
    struct sb_http1_head *head = parser->head;
    struct sb_http1_field *field;

    if (parser->phase != IN_HEAD)
        return 0; /* trailers are dropped */
    if (head->fields_n > 0) {
        field = &head->fields[head->fields_n - 1];
        /* The rest of a name begins where its start ended; another name has
         * at least a colon before it. */
        if (at - parser->base == (ptrdiff_t)field->name.at + field->name.n) {
            extend(parser, &field->name, at, n);
            return 0;
        }
    }
    if (head->fields_n == head->fields_max) {
        parser->err = SB_HTTP1_ERR_FIELDS_LIMIT;
        return HPE_USER;
    }
    field = &head->fields[head->fields_n++];
    *field = (struct sb_http1_field){.value = {0}};
    extend(parser, &field->name, at, n);
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t n)
{
    struct sb_http1 *parser = parser_of(ll);

    if (parser->phase == IN_HEAD && n > 0)
        extend(parser, &parser->head->fields[parser->head->fields_n - 1].value, at, n);
    return 0;
}

static int on_pause(llhttp_t *ll)
{
    (void)ll;
    return HPE_PAUSED;
}

static int on_complete(llhttp_t *ll)
{
    parser_of(ll)->phase = COMPLETE;
    return HPE_PAUSED;
}

static int on_chunk(llhttp_t *ll)
{
    struct sb_http1 *parser = parser_of(ll);

    if (ll->content_length > parser->limits->body_bytes - parser->body_got) {
        parser->err = SB_HTTP1_ERR_BODY_LIMIT;
        return HPE_USER;
    }
    /* A step has room for one span. */
    return parser->step->body.n > 0 && ll->content_length > 0 ? HPE_PAUSED : 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t n)
{
    struct sb_http1 *parser = parser_of(ll);

    parser->step->body = sb_slice_make(at, n);
    parser->body_got += n;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_status = on_reason,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_pause,
    .on_body = on_body,
    .on_message_complete = on_complete,
    .on_chunk_header = on_chunk,
};

/* --- life ------------------------------------------------------------------ */

static void restart(struct sb_http1 *parser)
{
    llhttp_init(llhttp_of(parser), parser->kind == SB_HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
                &settings);
}

void sb_http1_init(struct sb_http1 *parser, enum sb_http1_kind kind,
                   const struct sb_http1_limits *limits)
{
    SB_BUG_ON(limits->head_bytes < 16);
    *parser = (struct sb_http1){.kind = (uint8_t)kind, .limits = limits};
}

void sb_http1_begin(struct sb_http1 *parser)
{
    sb_http1_init(parser, parser->kind, parser->limits);
}

void sb_http1_expect_no_body(struct sb_http1 *parser)
{
    parser->no_body = true;
}

bool sb_http1_is_idle(const struct sb_http1 *parser)
{
    return parser->phase == IDLE;
}

/* --- the head -------------------------------------------------------------- */

static void clear_head(struct sb_http1_head *head)
{
    *head = (struct sb_http1_head){.fields = head->fields, .fields_max = head->fields_max};
}

/* One empty line may stand before a request, as some clients end a body with
 * one too many.  llhttp would skip any number, and bare CR or LF too. */
static int skip_empty_line(struct sb_http1 *parser, const char **p, const char *end)
{
    for (; *p < end && (**p == '\r' || **p == '\n'); (*p)++) {
        if (parser->kind != SB_HTTP1_REQUEST || parser->lead > 1 || **p != "\r\n"[parser->lead])
            return fail(parser, SB_HTTP1_ERR_SYNTAX);
        parser->lead++;
        parser->offset++;
    }
    if (*p < end && parser->lead == 1)
        return fail(parser, SB_HTTP1_ERR_SYNTAX);
    return SB_OK;
}

static enum sb_http1_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET:
        return SB_HTTP1_GET;
    case HTTP_HEAD:
        return SB_HTTP1_HEAD;
    case HTTP_POST:
        return SB_HTTP1_POST;
    case HTTP_PUT:
        return SB_HTTP1_PUT;
    case HTTP_PATCH:
        return SB_HTTP1_PATCH;
    case HTTP_DELETE:
        return SB_HTTP1_DELETE;
    case HTTP_OPTIONS:
        return SB_HTTP1_OPTIONS;
    default:
        return SB_HTTP1_OTHER;
    }
}

/* llhttp allows several spaces in the first line, and other protocols' names
 * for some methods. */
static enum sb_http1_err judge_request_line(struct sb_http1 *parser, const llhttp_t *ll)
{
    struct sb_http1_head *head = parser->head;
    const char *method = llhttp_method_name((llhttp_method_t)ll->method);
    struct sb_slice target = sb_http1_slice(parser->base, head->target);

    head->method = method_of(ll->method);
    head->method_text.at = parser->lead;
    head->method_text.n = (uint32_t)strlen(method);
    if (ll->http_major != 1 || ll->http_minor > 1)
        return SB_HTTP1_ERR_VERSION;
    if (head->target.at != head->method_text.at + head->method_text.n + 1 ||
        memcmp(target.p + target.n, " HTTP/", 6) != 0)
        return SB_HTTP1_ERR_SYNTAX;
    if (ll->method == HTTP_CONNECT)
        return SB_HTTP1_ERR_CONNECT;
    return memchr(target.p, '#', target.n) != NULL ? SB_HTTP1_ERR_TARGET : SB_HTTP1_ERR_NONE;
}

static enum sb_http1_err judge_status_line(struct sb_http1 *parser, const llhttp_t *ll)
{
    parser->head->status = ll->status_code;
    if (ll->http_major != 1 || ll->http_minor > 1)
        return SB_HTTP1_ERR_VERSION;
    if (ll->status_code < 100)
        return SB_HTTP1_ERR_SYNTAX;
    return ll->status_code == 101 ? SB_HTTP1_ERR_SWITCHED : SB_HTTP1_ERR_NONE;
}

/* Bytes of a name, an address or a port, and no more: a list of hosts, or one
 * with a path, would be read differently elsewhere. */
static bool is_host(struct sb_slice value)
{
    static const char other[] = "-_~[]%!$&'()*+;=";

    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool common = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                      c == '.' || c == ':';

        if (!common && memchr(other, c, sizeof(other) - 1) == NULL)
            return false;
    }
    return true;
}

static void trim(const char *base, struct sb_http1_field *field)
{
    struct sb_http1_span *value = &field->value;

    if (value->n == 0)
        value->at = field->name.at + field->name.n + 1;
    while (value->n > 0 &&
           (base[value->at + value->n - 1] == ' ' || base[value->at + value->n - 1] == '\t'))
        value->n--;
}

struct special { /* how often fields came that decide about the message */
    unsigned hosts, codings;
    enum sb_http1_err err;
};

static void judge_field(struct sb_http1 *parser, const struct sb_http1_field *field,
                        struct special *special)
{
    struct sb_slice name = sb_http1_slice(parser->base, field->name);
    struct sb_slice value = sb_http1_slice(parser->base, field->value);

    switch (name.n) {
    case 4:
        if (sb_slice_eq_nocase(name, SB_SLICE_LIT("host"))) {
            special->hosts++;
            if (!is_host(value))
                special->err = SB_HTTP1_ERR_HOST;
        }
        break;
    case 6:
        if (parser->kind == SB_HTTP1_REQUEST && sb_slice_eq_nocase(name, SB_SLICE_LIT("expect"))) {
            if (!sb_slice_eq_nocase(value, SB_SLICE_LIT("100-continue")))
                special->err = SB_HTTP1_ERR_EXPECT;
            parser->head->expect_continue = true;
        }
        break;
    case 17:
        if (sb_slice_eq_nocase(name, SB_SLICE_LIT("transfer-encoding"))) {
            special->codings++;
            if (!sb_slice_eq_nocase(value, SB_SLICE_LIT("chunked")))
                special->err = SB_HTTP1_ERR_CODING;
        }
        break;
    default:
        break;
    }
}

static enum sb_http1_err judge_fields(struct sb_http1 *parser, const llhttp_t *ll)
{
    struct sb_http1_head *head = parser->head;
    struct special special = {.err = SB_HTTP1_ERR_NONE};

    for (unsigned i = 0; i < head->fields_n; i++) {
        trim(parser->base, &head->fields[i]);
        judge_field(parser, &head->fields[i], &special);
    }
    /* The length first: it is what smuggling is made of. */
    if (special.codings > 1 || (special.codings > 0 && head->minor == 0) ||
        (special.codings > 0 && (ll->flags & F_CONTENT_LENGTH) != 0))
        return SB_HTTP1_ERR_FRAMING;
    if (special.err != SB_HTTP1_ERR_NONE)
        return special.err;
    if (parser->kind == SB_HTTP1_REQUEST &&
        (special.hosts > 1 || (special.hosts == 0 && head->minor > 0)))
        return SB_HTTP1_ERR_HOST;
    return SB_HTTP1_ERR_NONE;
}

static enum sb_http1_framing framing_of(const struct sb_http1 *parser, const llhttp_t *ll)
{
    bool response = parser->kind == SB_HTTP1_RESPONSE;

    if (response && (parser->no_body || ll->status_code < 200 || ll->status_code == 204 ||
                     ll->status_code == 304))
        return SB_HTTP1_NO_BODY;
    if ((ll->flags & F_CHUNKED) != 0)
        return SB_HTTP1_CHUNKED;
    if ((ll->flags & F_CONTENT_LENGTH) != 0)
        return ll->content_length > 0 ? SB_HTTP1_LENGTH : SB_HTTP1_NO_BODY;
    return response ? SB_HTTP1_UNTIL_CLOSE : SB_HTTP1_NO_BODY;
}

/* llhttp stands behind the empty line and has not decided about the body. */
static enum sb_http1_err finish_head(struct sb_http1 *parser, llhttp_t *ll)
{
    struct sb_http1_head *head = parser->head;
    enum sb_http1_err err;

    head->minor = ll->http_minor;
    err = parser->kind == SB_HTTP1_REQUEST ? judge_request_line(parser, ll)
                                           : judge_status_line(parser, ll);
    if (err == SB_HTTP1_ERR_NONE)
        err = judge_fields(parser, ll);
    if (err != SB_HTTP1_ERR_NONE)
        return err;
    head->has_length = (ll->flags & F_CONTENT_LENGTH) != 0;
    head->content_length = head->has_length ? ll->content_length : 0;
    head->framing = framing_of(parser, ll);
    head->keep_alive = (ll->flags & F_CONNECTION_CLOSE) == 0 &&
                       (head->minor > 0 || (ll->flags & F_CONNECTION_KEEP_ALIVE) != 0) &&
                       head->framing != SB_HTTP1_UNTIL_CLOSE;
    if (head->minor == 0)
        head->expect_continue = false; /* that version has no interim answers */
    /* Who is asked to switch may go on as if he had not been. */
    head->upgrade = (ll->flags & F_UPGRADE) != 0;
    ll->upgrade = 0;
    ll->flags &= (uint16_t)~F_UPGRADE;
    if (head->framing == SB_HTTP1_NO_BODY)
        ll->flags |= F_SKIPBODY;
    if (head->framing == SB_HTTP1_LENGTH && head->content_length > parser->limits->body_bytes)
        return SB_HTTP1_ERR_BODY_LIMIT;
    parser->framing = (uint8_t)head->framing;
    return SB_HTTP1_ERR_NONE;
}

/* A word that could be a method is one we do not know; all else is noise. */
static enum sb_http1_err judge_method(const char *from, const char *to)
{
    const char *p = from;

    while (p < to && ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '-'))
        p++;
    return p == to || (p > from && *p == ' ') ? SB_HTTP1_ERR_METHOD : SB_HTTP1_ERR_SYNTAX;
}

static enum sb_http1_err translate(struct sb_http1 *parser, const llhttp_t *ll, llhttp_errno_t err)
{
    if (parser->err != SB_HTTP1_ERR_NONE) /* from a callback of ours */
        return parser->err;
    if (parser->phase != IN_HEAD)
        return SB_HTTP1_ERR_CHUNK;
    switch ((int)err) {
    case HPE_INVALID_METHOD:
        return judge_method(parser->base + parser->lead, llhttp_get_error_pos(ll) + 1);
    case HPE_INVALID_URL:
        return SB_HTTP1_ERR_TARGET;
    case HPE_INVALID_VERSION: /* also for what follows a version that is fine */
        return ll->http_major == 1 && ll->http_minor < 2 ? SB_HTTP1_ERR_SYNTAX
                                                         : SB_HTTP1_ERR_VERSION;
    case HPE_PAUSED_H2_UPGRADE:
        return SB_HTTP1_ERR_VERSION;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return SB_HTTP1_ERR_FRAMING;
    case HPE_INVALID_TRANSFER_ENCODING:
        return (ll->flags & F_CONTENT_LENGTH) != 0 ? SB_HTTP1_ERR_FRAMING : SB_HTTP1_ERR_CODING;
    default:
        return SB_HTTP1_ERR_SYNTAX;
    }
}

/* --- reading --------------------------------------------------------------- */

/* Reads up to the end of the head, or all there is of it.  Moves *p. */
static int execute_head(struct sb_http1 *parser, const char **p, const char *end)
{
    llhttp_t *ll = llhttp_of(parser);
    size_t room = parser->limits->head_bytes - parser->offset;
    size_t n = (size_t)(end - *p) < room ? (size_t)(end - *p) : room;
    llhttp_errno_t rc = llhttp_execute(ll, *p, n);
    enum sb_http1_err err;

    if (rc == HPE_OK) {
        parser->offset += n;
        *p += n;
        return n == room ? fail(parser, SB_HTTP1_ERR_HEAD_LIMIT) : SB_OK;
    }
    if (rc != HPE_PAUSED)
        return fail(parser, translate(parser, ll, rc));
    *p = llhttp_get_error_pos(ll);
    parser->offset = (size_t)(*p - parser->base);
    parser->head->size = (uint32_t)parser->offset;
    err = finish_head(parser, ll);
    if (err != SB_HTTP1_ERR_NONE)
        return fail(parser, err);
    llhttp_resume(ll);
    parser->phase = IN_BODY;
    return SB_OK;
}

/* Chunk heads, their extensions and trailers have no limit in llhttp. */
static int check_gap(struct sb_http1 *parser, const char *from, const char *to)
{
    struct sb_slice body = parser->step->body;
    size_t before = body.n > 0 ? (size_t)(body.p - from) : (size_t)(to - from);

    if (before > parser->limits->head_bytes - parser->gap)
        return fail(parser, SB_HTTP1_ERR_CHUNK);
    parser->gap = body.n > 0 ? (size_t)(to - (body.p + body.n)) : parser->gap + before;
    return parser->gap > parser->limits->head_bytes ? fail(parser, SB_HTTP1_ERR_CHUNK) : SB_OK;
}

/* Reads up to one span of the body and what follows it.  Moves *p. */
static int execute_body(struct sb_http1 *parser, const char **p, const char *end)
{
    llhttp_t *ll = llhttp_of(parser);
    const char *from = *p;
    llhttp_errno_t rc = llhttp_execute(ll, from, (size_t)(end - from));

    if (rc == HPE_PAUSED) {
        *p = llhttp_get_error_pos(ll);
        llhttp_resume(ll);
    } else if (rc == HPE_OK) {
        *p = end;
    } else {
        return fail(parser, translate(parser, ll, rc));
    }
    if (parser->framing == SB_HTTP1_CHUNKED)
        return check_gap(parser, from, *p);
    if (parser->body_got > parser->limits->body_bytes) /* until close: there was no length */
        return fail(parser, SB_HTTP1_ERR_BODY_LIMIT);
    return SB_OK;
}

/* One head, unless it is only the interim one before the real one. */
static int execute_start(struct sb_http1 *parser, const char **p, const char *end)
{
    int rc;

    if (parser->phase == IDLE) {
        rc = skip_empty_line(parser, p, end);
        if (rc != SB_OK || *p == end)
            return rc;
        clear_head(parser->head);
        restart(parser);
        parser->phase = IN_HEAD;
    }
    while (parser->phase == IN_HEAD && *p < end) {
        rc = execute_head(parser, p, end);
        if (rc != SB_OK)
            return rc;
        if (parser->phase == IN_HEAD || parser->kind == SB_HTTP1_REQUEST ||
            parser->head->status >= 200)
            continue;
        clear_head(parser->head);
        restart(parser);
        parser->phase = IN_HEAD;
        if (parser->offset >= parser->limits->head_bytes)
            return fail(parser, SB_HTTP1_ERR_HEAD_LIMIT);
    }
    return SB_OK;
}

int sb_http1_execute(struct sb_http1 *parser, struct sb_http1_head *head, struct sb_slice input,
                     struct sb_http1_step *ret_step)
{
    const char *p = input.p, *end = input.p + input.n;
    struct sb_http1_step step = {.got = 0};
    int rc = SB_OK;

    if (parser->phase == FAILED)
        return SB_EPARSE;
    if (SB_NEVER(parser->phase == COMPLETE))
        return SB_EINVAL;
    if (input.n == 0) {
        *ret_step = step;
        return SB_OK;
    }
    parser->step = &step;
    if (parser->phase < IN_BODY) {
        parser->head = head;
        parser->base = p - parser->offset;
        rc = execute_start(parser, &p, end);
        if (parser->phase == IN_BODY)
            step.got = SB_HTTP1_GOT_HEAD;
    }
    /* Also without bytes left: a message without a body is complete then. */
    if (rc == SB_OK && parser->phase == IN_BODY)
        rc = execute_body(parser, &p, end);
    parser->head = NULL;
    parser->step = NULL;
    parser->base = NULL;
    if (rc != SB_OK)
        return rc;
    if (step.body.n > 0)
        step.got |= SB_HTTP1_GOT_BODY;
    if (parser->phase == COMPLETE)
        step.got |= SB_HTTP1_GOT_DONE;
    step.used = (size_t)(p - input.p);
    *ret_step = step;
    return SB_OK;
}

int sb_http1_finish(struct sb_http1 *parser)
{
    switch ((enum phase)parser->phase) {
    case IDLE:
    case COMPLETE:
        return SB_EEOF;
    case IN_BODY:
        if (parser->framing == SB_HTTP1_UNTIL_CLOSE) {
            parser->phase = COMPLETE;
            return SB_OK;
        }
        return fail(parser, SB_HTTP1_ERR_TRUNCATED);
    case IN_HEAD:
        return fail(parser, SB_HTTP1_ERR_TRUNCATED);
    case FAILED:
        break;
    }
    return SB_EPARSE;
}

/* --- errors ---------------------------------------------------------------- */

#define X(name, status, text) {#name, status, text},
static const struct {
    const char *name;
    int status;
    const char *text;
} errors[] = {SB_HTTP1_ERR_MAP(X)};
#undef X

const char *sb_http1_err_name(enum sb_http1_err err)
{
    return errors[err].name;
}

const char *sb_http1_err_text(enum sb_http1_err err)
{
    return errors[err].text;
}

int sb_http1_err_status(enum sb_http1_err err)
{
    return errors[err].status;
}

/* --- looking at a head ----------------------------------------------------- */

const struct sb_http1_field *sb_http1_find(const struct sb_http1_head *head, const char *base,
                                           struct sb_slice name, const struct sb_http1_field *after)
{
    const struct sb_http1_field *field = after != NULL ? after + 1 : head->fields;

    for (; field < head->fields + head->fields_n; field++) {
        if (field->name.n == name.n && sb_slice_eq_nocase(sb_http1_slice(base, field->name), name))
            return field;
    }
    return NULL;
}

struct sb_slice sb_http1_value(const struct sb_http1_head *head, const char *base,
                               struct sb_slice name)
{
    const struct sb_http1_field *field = sb_http1_find(head, base, name, NULL);

    return field != NULL ? sb_http1_slice(base, field->value) : SB_SLICE_NONE;
}

bool sb_http1_split_target(struct sb_slice target, struct sb_slice *ret_path,
                           struct sb_slice *ret_query)
{
    size_t question, colon;

    if (target.n > 0 && target.p[0] != '/') { /* absolute form: drop scheme and authority */
        colon = sb_slice_find(target, ':');
        target = sb_slice_from(target, colon);
        if (!sb_slice_starts_with(target, SB_SLICE_LIT("://")))
            return false;
        target = sb_slice_from(target, 3);
        target = sb_slice_from(target, sb_slice_find(target, '/'));
    }
    if (target.n == 0)
        return false;
    question = sb_slice_find(target, '?');
    *ret_path = sb_slice_make(target.p, question);
    *ret_query = question < target.n ? sb_slice_from(target, question + 1) : SB_SLICE_NONE;
    return true;
}
