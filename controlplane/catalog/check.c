/* controlplane/catalog/check.c - checks of members that stand for one value. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/timefmt.h"
#include "controlplane/catalog/schema.h"
#include "proto/country.h"
#include "proto/limits.h"

void cp_reader_problem(struct cp_reader *reader, const struct cp_node *node, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    reader->bad = true;
    cp_problems_add(reader->problems, sb_slice_make(reader->path.text, reader->path.n),
                    node != NULL ? node->line : 0, "%s", text);
}

static void put(struct cp_reader *reader, const struct cp_field *field, struct sb_slice text)
{
    sb_json_add_text(&reader->json, field->name, text);
}

/* The text of a scalar, of 1 to max bytes without control characters; a text
 * of several lines may have line feeds and tabs. */
static bool read_text(struct cp_reader *reader, const struct cp_node *node, int64_t max, bool lines,
                      struct sb_slice *ret_text)
{
    struct sb_slice text;

    if (cp_node_text(node, &text) != SB_OK) {
        cp_reader_problem(reader, node, "must be a text, not %s", cp_node_describe(node));
        return false;
    }
    if (text.n == 0) {
        cp_reader_problem(reader, node, "must not be empty");
        return false;
    }
    if (text.n > (uint64_t)max) {
        cp_reader_problem(reader, node, "is longer than %lld bytes", (long long)max);
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if ((c < 0x20 && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f) {
            cp_reader_problem(reader, node, "has a control character");
            return false;
        }
    }
    *ret_text = text;
    return true;
}

/* --- names ------------------------------------------------------------------ */

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool cp_is_slug(struct sb_slice text)
{
    if (text.n == 0 || !is_lower_or_digit(text.p[0]))
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!is_lower_or_digit(text.p[i]) && strchr("._-", text.p[i]) == NULL)
            return false;
    return true;
}

void cp_check_slug(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    struct sb_slice text;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    if (!cp_is_slug(text))
        cp_reader_problem(reader, node,
                          "must be lower case letters, digits, '.', '_' and '-', and begin with "
                          "a letter or digit");
    else
        put(reader, field, text);
}

/* Names of policies, tenants, keys, credentials stand in addresses, too. */
void cp_check_name(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    struct sb_slice text;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') ||
            (i > 0 && strchr("._-@+:", c) != NULL))
            continue;
        cp_reader_problem(reader, node,
                          "must be letters, digits, '.', '_', '-', '@', '+' and ':', and begin "
                          "with a letter or digit");
        return;
    }
    put(reader, field, text);
}

/* Slugs with slashes between. */
static bool is_tag(struct sb_slice text)
{
    for (;;) {
        size_t slash = sb_slice_find(text, '/');

        if (!cp_is_slug(sb_slice_make(text.p, slash)))
            return false;
        if (slash == text.n)
            return true;
        text = sb_slice_from(text, slash + 1);
    }
}

void cp_check_tag(struct cp_reader *reader, const struct cp_field *field,
                  const struct cp_node *node)
{
    struct sb_slice text;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    if (!is_tag(text))
        cp_reader_problem(reader, node,
                          "must be the provider's slug, or that, '/' and a lower case name");
    else
        put(reader, field, text);
}

/* ":nitro" and ":floor" are ways to ask for a model, never part of its id. */
static bool has_suffix(struct sb_slice text)
{
    static const char *const suffixes[] = {":nitro", ":floor"};

    for (size_t i = 0; i < SB_ARRAY_LEN(suffixes); i++) {
        struct sb_slice suffix = sb_slice_of(suffixes[i]);

        if (text.n >= suffix.n && sb_slice_eq(sb_slice_from(text, text.n - suffix.n), suffix))
            return true;
    }
    return false;
}

static bool is_model_part(struct sb_slice text)
{
    if (text.n == 0 || !is_lower_or_digit(text.p[0]))
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!is_lower_or_digit(text.p[i]) && strchr("._:-", text.p[i]) == NULL)
            return false;
    return true;
}

void cp_check_model_id(struct cp_reader *reader, const struct cp_field *field,
                       const struct cp_node *node)
{
    struct sb_slice text;
    size_t slash;

    if (!read_text(reader, node, MSG_MODEL_ID_MAX, false, &text))
        return;
    slash = sb_slice_find(text, '/');
    if (slash == text.n || !is_model_part(sb_slice_make(text.p, slash)) ||
        !is_model_part(sb_slice_from(text, slash + 1)))
        cp_reader_problem(reader, node,
                          "must be author/slug of lower case letters, digits, '.', '_', ':' and "
                          "'-'; write other names as aliases or upstream_model");
    else if (has_suffix(text))
        cp_reader_problem(reader, node, "must not end in :nitro or :floor");
    else
        put(reader, field, text);
}

void cp_check_aliases(struct cp_reader *reader, const struct cp_field *field,
                      const struct cp_node *node)
{
    size_t index = 0;

    if (node->kind != CP_NODE_LIST) {
        cp_reader_problem(reader, node, "must be a list, not %s", cp_node_describe(node));
        return;
    }
    if (node->n > MSG_LIST_MAX)
        cp_reader_problem(reader, node, "has over %d entries", MSG_LIST_MAX);
    if (node->n == 0)
        return;
    sb_json_add_array(&reader->json, field->name);
    for (const struct cp_node *one = node->first; one != NULL; one = one->next, index++) {
        size_t back = sb_json_path_index(&reader->path, index);
        struct sb_slice text;

        if (read_text(reader, one, MSG_MODEL_ID_MAX, false, &text)) {
            if (sb_slice_find(text, ' ') != text.n)
                cp_reader_problem(reader, one, "must not have spaces");
            else if (has_suffix(text))
                cp_reader_problem(reader, one, "must not end in :nitro or :floor");
            else
                sb_json_put_text(&reader->json, text);
        }
        sb_json_path_back(&reader->path, back);
    }
    sb_json_close_array(&reader->json);
}

void cp_check_line(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    struct sb_slice text;

    if (read_text(reader, node, field->max, false, &text))
        put(reader, field, text);
}

void cp_check_text(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    struct sb_slice text;

    if (read_text(reader, node, field->max, true, &text))
        put(reader, field, text);
}

void cp_check_path(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    struct sb_slice text;

    if (!read_text(reader, node, field->max, false, &text))
        return;
    if (text.p[0] != '/')
        cp_reader_problem(reader, node, "must be an absolute path, on the workers' hosts");
    else
        put(reader, field, text);
}

/* --- places ------------------------------------------------------------------- */

void cp_check_country(struct cp_reader *reader, const struct cp_field *field,
                      const struct cp_node *node)
{
    char code[MSG_COUNTRY_CODE];
    struct sb_slice text;
    int number;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    number = msg_country_parse(text);
    if (number < 0) {
        cp_reader_problem(reader, node,
                          "must be a country as ISO 3166 alpha-2 code, such as DE or US");
        return;
    }
    msg_country_format(number, code);
    put(reader, field, sb_slice_of(code));
}

/* Here "us" is the region and "US" the country, so case matters. */
void cp_check_region(struct cp_reader *reader, const struct cp_field *field,
                     const struct cp_node *node)
{
    char code[MSG_COUNTRY_CODE];
    struct sb_slice text;
    int number;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    if (sb_slice_is(text, "eu") || sb_slice_is(text, "us") || sb_slice_is(text, "global")) {
        put(reader, field, text);
        return;
    }
    number = msg_country_parse(text);
    if (number >= 0) {
        msg_country_format(number, code);
        if (sb_slice_is(text, code))
            put(reader, field, text);
        else
            cp_reader_problem(reader, node, "must be in capitals: %s", code);
        return;
    }
    cp_reader_problem(reader, node,
                      "must be a country as ISO 3166 alpha-2 code (DE), or eu, us, "
                      "global");
}

/* --- numbers, words, times ------------------------------------------------------- */

void cp_check_number(struct cp_reader *reader, const struct cp_field *field,
                     const struct cp_node *node)
{
    int64_t number;

    if (cp_node_i64(node, &number) != SB_OK)
        cp_reader_problem(reader, node, "must be a whole number, not %s", cp_node_describe(node));
    else if (number < field->min || number > field->max)
        cp_reader_problem(reader, node, "must be %lld to %lld", (long long)field->min,
                          (long long)field->max);
    else if (number != 0 || field->min > 0) /* 0 says nothing where it is allowed */
        sb_json_add_i64(&reader->json, field->name, number);
}

void cp_check_flag(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    bool value;

    if (cp_node_bool(node, &value) != SB_OK)
        cp_reader_problem(reader, node, "must be true or false, not %s", cp_node_describe(node));
    else if (value != (field->min != 0))
        sb_json_add_bool(&reader->json, field->name, value);
}

void cp_check_word(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    const char *const *words = field->arg;
    const char *meant;
    struct sb_slice text;
    char list[128];
    size_t n = 0;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    for (size_t i = 0; words[i] != NULL; i++) {
        if (sb_slice_is(text, words[i])) {
            put(reader, field, text);
            return;
        }
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    meant = cp_closest(text, words);
    cp_reader_problem(reader, node, "'%.*s' is not one of %s%s%s%s", SB_SLICE_ARGS(text), list,
                      meant != NULL ? "; did you mean '" : "", meant != NULL ? meant : "",
                      meant != NULL ? "'?" : "");
}

void cp_check_date(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    struct sb_slice text;
    int32_t day;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    if (sb_date_parse(text, &day) != SB_OK)
        cp_reader_problem(reader, node, "must be a date, such as 2027-12-31");
    else
        put(reader, field, text);
}

void cp_check_time(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    char text_out[SB_TIME_TEXT_MAX];
    struct sb_slice text;
    sb_usec wall;
    int32_t day;

    if (!read_text(reader, node, MSG_SLUG_MAX, false, &text))
        return;
    if (sb_date_parse(text, &day) == SB_OK && day >= 0) {
        /* a day ends with its last second, as that of a claim does */
        wall = (sb_usec)(((int64_t)day + 1) * SB_SEC_PER_DAY - 1) * SB_USEC_PER_SEC;
    } else if (sb_time_parse(text, &wall) != SB_OK) {
        cp_reader_problem(reader, node, "must be a time, such as 2027-12-31T00:00:00Z");
        return;
    }
    (void)sb_time_format(wall, 0, text_out);
    put(reader, field, sb_slice_of(text_out));
}

/* --- addresses ---------------------------------------------------------------------- */

struct url {
    struct sb_slice scheme, host, rest; /* host with its port; rest begins with '/', '?', '#' */
};

static bool split_url(struct sb_slice text, struct url *ret_url)
{
    size_t colon = sb_slice_find(text, ':');
    struct sb_slice rest;
    size_t end;

    if (colon == 0 || colon + 3 > text.n || memcmp(text.p + colon, "://", 3) != 0)
        return false;
    rest = sb_slice_from(text, colon + 3);
    for (end = 0; end < rest.n && strchr("/?#", rest.p[end]) == NULL; end++)
        ;
    if (end == 0)
        return false;
    *ret_url = (struct url){.scheme = sb_slice_make(text.p, colon),
                            .host = sb_slice_make(rest.p, end),
                            .rest = sb_slice_from(rest, end)};
    for (size_t i = 0; i < text.n; i++) /* what a URL may hold at all */
        if ((unsigned char)text.p[i] <= 0x20 || (unsigned char)text.p[i] >= 0x7f ||
            strchr("\"<>\\^`{|}", text.p[i]) != NULL)
            return false;
    return true;
}

static bool is_host_char(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
}

/* "name", "name:port", "1.2.3.4:port", "[::1]:port". */
static bool is_host(struct sb_slice host)
{
    size_t i = 0;
    unsigned port = 0;

    if (host.p[0] == '[') {
        for (i = 1; i < host.n && strchr("0123456789abcdefABCDEF:.", host.p[i]) != NULL; i++)
            ;
        if (i < 3 || i == host.n || host.p[i++] != ']')
            return false;
    } else {
        while (i < host.n && is_host_char(host.p[i]))
            i++;
        if (i == 0)
            return false;
    }
    if (i == host.n)
        return true;
    if (host.p[i++] != ':' || i == host.n || host.n - i > 5)
        return false;
    for (; i < host.n; i++) {
        if (host.p[i] < '0' || host.p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(host.p[i] - '0');
    }
    return port > 0 && port <= 65535;
}

static struct sb_slice drop_tail(struct sb_slice text, const char *tail)
{
    size_t n = strlen(tail);

    if (text.n >= n && memcmp(text.p + text.n - n, tail, n) == 0)
        text.n -= n;
    return text;
}

void cp_check_base_url(struct cp_reader *reader, const struct cp_field *field,
                       const struct cp_node *node)
{
    char out[MSG_URL_MAX + 1];
    struct sb_slice text;
    struct url url;
    bool tls;
    size_t n;

    if (!read_text(reader, node, field->max, false, &text))
        return;
    tls = text.n >= 8 && sb_slice_eq_nocase(sb_slice_make(text.p, 8), SB_SLICE_LIT("https://"));
    if (!split_url(text, &url) || (!tls && !sb_slice_eq_nocase(url.scheme, SB_SLICE_LIT("http")))) {
        cp_reader_problem(reader, node, "must be an http:// or https:// address");
        return;
    }
    if (sb_slice_find(url.host, '@') != url.host.n) {
        cp_reader_problem(reader, node, "must not hold a user or password; use credential");
        return;
    }
    if (!is_host(url.host)) {
        cp_reader_problem(reader, node, "has no valid host and port");
        return;
    }
    if (sb_slice_find(url.rest, '?') != url.rest.n || sb_slice_find(url.rest, '#') != url.rest.n) {
        cp_reader_problem(reader, node, "must not have ? or #; use query");
        return;
    }
    /* One spelling per origin: credentials are bound to it. */
    url.host = drop_tail(url.host, tls ? ":443" : ":80");
    while (url.rest.n > 0 && url.rest.p[url.rest.n - 1] == '/')
        url.rest.n--;
    n = (size_t)snprintf(out, sizeof(out), "%s://%.*s%.*s", tls ? "https" : "http",
                         SB_SLICE_ARGS(url.host), SB_SLICE_ARGS(url.rest));
    for (size_t i = 0; i < n - url.rest.n; i++)
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] + ('a' - 'A'));
    put(reader, field, sb_slice_make(out, n));
    reader->object->base_url = sb_arena_dup(reader->problems->arena, sb_slice_make(out, n));
}

void cp_check_url(struct cp_reader *reader, const struct cp_field *field,
                  const struct cp_node *node)
{
    struct sb_slice text;
    struct url url;

    if (!read_text(reader, node, field->max, false, &text))
        return;
    if (!split_url(text, &url) || (!sb_slice_eq_nocase(url.scheme, SB_SLICE_LIT("https")) &&
                                   !sb_slice_eq_nocase(url.scheme, SB_SLICE_LIT("http"))))
        cp_reader_problem(reader, node, "must be an http:// or https:// address");
    else
        put(reader, field, text);
}

void cp_check_proxy(struct cp_reader *reader, const struct cp_field *field,
                    const struct cp_node *node)
{
    static const char *const schemes[] = {"http",    "https",  "socks4",
                                          "socks4a", "socks5", "socks5h"};
    struct sb_slice text;
    struct url url;

    if (!read_text(reader, node, field->max, false, &text))
        return;
    if (split_url(text, &url)) {
        if (sb_slice_find(url.host, '@') != url.host.n) {
            /* it would be stored and shown as it is */
            cp_reader_problem(reader, node, "must not hold a user or password");
            return;
        }
        for (size_t i = 0; i < SB_ARRAY_LEN(schemes); i++) {
            if (sb_slice_is(url.scheme, schemes[i]) && is_host(url.host) &&
                drop_tail(url.rest, "/").n == 0) {
                put(reader, field, drop_tail(text, "/"));
                return;
            }
        }
    }
    cp_reader_problem(reader, node,
                      "must be http://host:port, https://, socks4://, socks4a://, "
                      "socks5:// or socks5h://");
}
