/* controlplane/events/events.c */
#include "controlplane/events/events.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/utf8.h"
#include "controlplane/db.h"

static const char *const event_names[CP_EVENT_KINDS] = {
#define X(name, text) [CP_EVENT_##name] = (text),
    CP_EVENT_MAP(X)
#undef X
};

static const char *const severity_names[CP_SEVERITIES] = {
#define X(name, text) [CP_SEVERITY_##name] = (text),
    CP_SEVERITY_MAP(X)
#undef X
};

const char *cp_event_name(enum cp_event_kind kind)
{
    return event_names[kind];
}

const char *cp_severity_name(enum cp_severity severity)
{
    return severity_names[severity];
}

static int find_word(const char *const *words, int n, struct sb_slice word)
{
    for (int i = 0; i < n; i++)
        if (sb_slice_is(word, words[i]))
            return i;
    return -1;
}

int cp_event_parse(struct sb_slice name)
{
    return find_word(event_names, CP_EVENT_KINDS, name);
}

int cp_severity_parse(struct sb_slice name)
{
    return find_word(severity_names, CP_SEVERITIES, name);
}

/* Copies as much of the text as fits, whole characters; what the database
 * does not take becomes a question mark. */
static int put_text(struct sb_buf *out, struct sb_slice text, size_t max)
{
    int rc = SB_OK;
    size_t n;

    for (; rc == SB_OK && text.n > 0; text = sb_slice_from(text, n)) {
        uint32_t code = sb_utf8_next(text, &n);

        if (sb_buf_len(out) + n > max)
            break;
        if (code == SB_UTF8_BAD || code == 0)
            rc = sb_buf_append_byte(out, '?');
        else
            rc = sb_buf_append(out, sb_slice_make(text.p, n));
    }
    return rc;
}

static bool has_nul(struct sb_slice text)
{
    return sb_slice_find(text, '\0') < text.n;
}

/* Whether a text anywhere in value holds a NUL; as deep as sb_json_read()
 * lets it be. */
static bool holds_nul(yyjson_val *value) /* NOLINT(misc-no-recursion) */
{
    yyjson_obj_iter members;
    yyjson_arr_iter elements;
    yyjson_val *one;

    if (yyjson_is_str(value))
        return has_nul(sb_json_text(value));
    if (yyjson_is_obj(value)) {
        yyjson_obj_iter_init(value, &members);
        while ((one = yyjson_obj_iter_next(&members)) != NULL)
            if (has_nul(sb_json_text(one)) || holds_nul(yyjson_obj_iter_get_val(one)))
                return true;
    }
    if (yyjson_is_arr(value)) {
        yyjson_arr_iter_init(value, &elements);
        while ((one = yyjson_arr_iter_next(&elements)) != NULL)
            if (holds_nul(one))
                return true;
    }
    return false;
}

/* A statement that the server refuses would end the caller's transaction. */
static int check_detail(struct sb_slice detail)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    int rc;

    if (detail.n == 0)
        return SB_OK;
    rc = sb_json_read(detail, CP_EVENT_DETAIL_MAX, &doc, NULL);
    if (rc == SB_ETOOBIG && detail.n <= CP_EVENT_DETAIL_MAX)
        return SB_EINVAL; /* too deep */
    if (rc == SB_ETOOBIG || rc == SB_ENOMEM)
        return rc;
    if (rc != SB_OK || !yyjson_is_obj(yyjson_doc_get_root(doc)) ||
        holds_nul(yyjson_doc_get_root(doc)))
        return SB_EINVAL;
    return SB_OK;
}

static const char sql[] =
    "WITH made AS (INSERT INTO events"
    " (kind, severity, subject_kind, subject, text, detail, revision, term, once)"
    " VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9) ON CONFLICT (once) DO NOTHING"
    " RETURNING id),"
    " kept AS (INSERT INTO event_outbox (event_id) SELECT id FROM made)"
    " SELECT id, pg_notify('" CP_CHANNEL_EVENTS "', '') FROM made";

static struct cp_param number_or_null(uint64_t number)
{
    return number > 0 ? CP_P_I64(number) : CP_P_NULL;
}

static struct cp_param text_or_null(struct sb_slice text)
{
    return text.n > 0 ? CP_P_TEXT(text) : CP_P_NULL;
}

int cp_event_record(struct cp_db *db, const struct cp_event *event, int64_t *ret_id)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    SB_CLEANUP(sb_buf_release) struct sb_buf subject = {.limit = 0};
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = check_detail(event->detail);

    if (rc == SB_OK && event->once.n > CP_EVENT_ONCE_MAX)
        rc = SB_ETOOBIG;
    if (rc == SB_OK && (has_nul(event->once) || !sb_utf8_is_valid(event->once)))
        rc = SB_EINVAL;
    if (rc != SB_OK)
        return rc;
    sb_buf_init(&text, CP_EVENT_TEXT_MAX);
    sb_buf_init(&subject, CP_EVENT_TEXT_MAX);
    rc = put_text(&text, event->text, CP_EVENT_TEXT_MAX);
    if (rc == SB_OK)
        rc = put_text(&subject, event->subject, CP_EVENT_TEXT_MAX);
    if (rc == SB_OK)
        rc = cp_db_query(
            db, sql,
            CP_PARAMS(CP_P_STR(cp_event_name(event->kind)), CP_P_I64(event->severity),
                      CP_P_STR(event->subject_class != NULL ? event->subject_class
                                                            : cp_kind_section(event->subject_kind)),
                      CP_P_TEXT(sb_buf_slice(&subject)), CP_P_TEXT(sb_buf_slice(&text)),
                      text_or_null(event->detail), number_or_null(event->revision),
                      number_or_null(event->term), text_or_null(event->once)),
            &rows);
    if (rc == SB_OK)
        *ret_id = cp_rows_count(rows) > 0 ? cp_rows_i64(rows, 0, 0) : 0;
    return rc;
}
