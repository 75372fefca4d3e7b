/* dataplane/api.c */
#include "dataplane/api.h"

#include <string.h>

#include "common/arena.h"
#include "dataplane/answer.h"
#include "dataplane/request.h"

static const struct dp_api apis[] = {
    {"/v1/chat/completions", false, true, true, true, true, false, true, dp_serve_chat},
    {"/v1/completions", false, true, true, true, true, false, true, dp_serve_completions},
    {"/v1/embeddings", false, true, true, true, true, false, true, dp_serve_embeddings},
    {"/v1/models", true, false, true, false, false, false, true, dp_serve_models},
    {"/v1/models/count", true, false, true, false, false, false, true, dp_serve_models_count},
    {"/v1/models/*", true, false, true, false, false, false, true, dp_serve_model},
    {"/v1/model/*/*", true, false, true, false, false, false, true, dp_serve_model},
    {"/v1/models/*/*", true, false, true, false, false, false, true, dp_serve_model},
    {"/v1/models/*/*/endpoints", true, false, true, false, false, false, true,
     dp_serve_model_endpoints},
    {"/v1/providers", true, false, true, false, false, false, true, dp_serve_providers},
    {"/v1/endpoints/zdr", true, false, true, false, false, false, true, dp_serve_zdr_endpoints},
    {"/v1/generation", true, false, true, false, false, false, true, dp_serve_generation},
    {"/v1/generation/*/receipt", true, false, true, false, false, false, true, dp_serve_receipt},
    {"/v1/key", true, false, true, false, false, false, true, dp_serve_key},
    {"/v1/credits", true, false, true, false, false, false, true, dp_serve_credits},
    {"/healthz", true, false, false, false, false, true, true, dp_serve_healthz},
    {"/readyz", true, false, false, false, false, true, true, dp_serve_readyz},
    {"/metrics", true, false, false, false, false, true, false, dp_serve_metrics},
};

/* Whether the path fits the pattern, segment by segment. */
static bool fits(const char *pattern, struct sb_slice path)
{
    size_t i = 0;

    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*') {
            size_t start = i;

            while (i < path.n && path.p[i] != '/')
                i++;
            if (i == start)
                return false;
        } else if (i < path.n && path.p[i] == *pattern) {
            i++;
        } else {
            return false;
        }
    }
    return i == path.n;
}

static bool takes(const struct dp_api *api, enum sb_http1_method method)
{
    return (api->get && (method == SB_HTTP1_GET || method == SB_HTTP1_HEAD)) ||
           (api->post && method == SB_HTTP1_POST);
}

const struct dp_api *dp_api_find(struct sb_slice *path, enum sb_http1_method method, bool is_status,
                                 struct dp_error *refusal)
{
    const char *allow = NULL;

    if (sb_slice_starts_with(*path, SB_SLICE_LIT("/api/v1/")))
        *path = sb_slice_from(*path, 4);
    for (size_t i = 0; i < SB_ARRAY_LEN(apis); i++) {
        if (!fits(apis[i].path, *path) || !(is_status ? apis[i].on_status : apis[i].on_main))
            continue;
        if (takes(&apis[i], method))
            return &apis[i];
        allow = apis[i].post ? "POST" : "GET, HEAD";
    }
    *refusal = (struct dp_error){
        .status = allow != NULL ? 405 : 404,
        .type = allow != NULL ? "invalid_request" : "not_found",
        .message = allow == NULL                ? SB_SLICE_LIT("there is nothing at this path")
                   : strcmp(allow, "POST") == 0 ? SB_SLICE_LIT("this path takes POST only")
                                                : SB_SLICE_LIT("this path takes GET and HEAD only"),
        .allow = allow,
    };
    return NULL;
}

struct sb_slice dp_api_segment(struct sb_slice path, unsigned n)
{
    size_t i = 0;

    for (;; n--) {
        size_t start = i < path.n ? i + 1 : i; /* behind the slash */

        i = start;
        while (i < path.n && path.p[i] != '/')
            i++;
        if (n == 0 || i >= path.n)
            return n == 0 ? sb_slice_make(path.p + start, i - start) : SB_SLICE_NONE;
    }
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %41, and + as in forms when it stands for a space; a broken escape stays as
 * it is. */
static struct sb_slice unescape(struct sb_arena *arena, struct sb_slice text, bool is_form)
{
    char *out = sb_arena_alloc_raw(arena, text.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        int high = -1, low = -1;

        if (text.p[i] == '%' && i + 2 < text.n) {
            high = hex_of(text.p[i + 1]);
            low = hex_of(text.p[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n] = text.p[i];
            if (is_form && out[n] == '+')
                out[n] = ' ';
            n++;
        }
    }
    return sb_slice_make(out, n);
}

struct sb_slice dp_api_name(struct dp_request *req, unsigned n)
{
    return unescape(req->arena, dp_api_segment(req->path, n), false);
}

struct sb_slice dp_api_query(struct dp_request *req, struct sb_slice name)
{
    struct sb_slice left = req->query;

    while (left.n > 0) {
        size_t end = sb_slice_find(left, '&');
        struct sb_slice pair = sb_slice_make(left.p, end);
        size_t equals = sb_slice_find(pair, '=');

        if (sb_slice_eq(sb_slice_make(pair.p, equals), name))
            return equals < pair.n ? unescape(req->arena, sb_slice_from(pair, equals + 1), true)
                                   : SB_SLICE_NONE;
        left = sb_slice_from(left, end < left.n ? end + 1 : end);
    }
    return SB_SLICE_NONE;
}
