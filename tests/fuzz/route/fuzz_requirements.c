/* tests/fuzz/route/fuzz_requirements.c - any body, read and routed: taken, or
 * refused with a text; what was found in the messages is what yyjson finds;
 * a decision holds what it promises, and its explanation is JSON. */
#include <stdlib.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/splice.h"
#include "dataplane/route/content.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/explain.h"
#include "dataplane/route/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* For static data, where a compound literal is none. */
#define TEXT(text)                                                                                 \
    {                                                                                              \
        .p = (text), .n = sizeof(text) - 1                                                         \
    }

/* Two models, three providers of whom one wants no key, own keys for one. */
static struct dp_snapshot *small_catalogue(void)
{
    static struct msg_provider providers[] = {
        {.slug = TEXT("acme"), .dialect = TEXT("openai"), .headquarters = TEXT("US")},
        {.slug = TEXT("bolt"), .dialect = TEXT("openai")},
        {.slug = TEXT("cato"), .dialect = TEXT("other")},
    };
    static struct msg_model models[] = {{.id = TEXT("m/a")}, {.id = TEXT("m/b")}};
    static struct msg_endpoint endpoints[] = {
        {.id = 1,
         .model = 0,
         .provider = 0,
         .tag = TEXT("acme"),
         .context_length = 2000,
         .input_modalities = 3,
         .output_modalities = 1,
         .parameters = UINT64_MAX},
        {.id = 2,
         .model = 0,
         .provider = 0,
         .tag = TEXT("acme/x"),
         .context_length = 99,
         .input_modalities = 1,
         .output_modalities = 33,
         .region = TEXT("DE")},
        {.id = 3,
         .model = 0,
         .provider = 1,
         .tag = TEXT("bolt"),
         .context_length = 9000,
         .input_modalities = 31,
         .output_modalities = 1,
         .parameters = 1 << 18},
        {.id = 4,
         .model = 1,
         .provider = 1,
         .tag = TEXT("bolt"),
         .context_length = 500,
         .input_modalities = 1,
         .output_modalities = 1,
         .max_completion_tokens = 100},
        {.id = 5,
         .model = 1,
         .provider = 2,
         .tag = TEXT("cato"),
         .context_length = 500,
         .input_modalities = 1,
         .output_modalities = 1},
    };
    static struct msg_credential credentials[] = {{.id = 1, .provider = 0, .tenant = 0},
                                                  {.id = 2, .provider = 0, .tenant = MSG_NONE}};
    static struct msg_tenant tenants[] = {{.id = 1}};
    static struct msg_key keys[] = {{.id = 1, .policy = 0}};
    static struct msg_policy policies[] = {{.id = 1, .rules = TEXT("{\"ignore\":[\"nobody\"]}")}};
    static struct msg_snapshot records = {.providers = providers,
                                          .models = models,
                                          .endpoints = endpoints,
                                          .policies = policies,
                                          .tenants = tenants,
                                          .keys = keys,
                                          .credentials = credentials,
                                          .n_providers = 3,
                                          .n_models = 2,
                                          .n_endpoints = 5,
                                          .n_policies = 1,
                                          .n_tenants = 1,
                                          .n_keys = 1,
                                          .n_credentials = 2};
    static const char *const dialects[] = {"openai", NULL};
    const struct dp_view_options options = {.dialects = dialects};
    struct sb_arena *arena = sb_arena_new(8192);
    struct dp_snapshot *snap = NULL;

    for (size_t i = 0; i < SB_ARRAY_LEN(endpoints); i++) {
        for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
            endpoints[i].price[kind] = kind < 3 ? (int64_t)(i + 1) * 1000000000 : -1;
    }
    CHECK(dp_snapshot_build(&arena, &records, &options, &snap, NULL) == SB_OK);
    return snap;
}

static bool is(yyjson_val *value, const char *word)
{
    return sb_slice_is(sb_json_text(value), word);
}

/* Bits of the media among the parts of one content, as a document has them. */
static uint32_t media_of(yyjson_val *parts)
{
    uint32_t bits = 0;
    yyjson_val *part;
    size_t i, n;

    yyjson_arr_foreach(parts, i, n, part)
    {
        yyjson_val *type = yyjson_obj_get(part, "type");

        if (is(type, "image_url") || is(type, "input_image") || is(type, "image"))
            bits |= 1U << MSG_MODALITY_IMAGE;
        if (is(type, "input_audio") || is(type, "audio_url") || is(type, "audio"))
            bits |= 1U << MSG_MODALITY_AUDIO;
        if (is(type, "file") || is(type, "input_file") || is(type, "document"))
            bits |= 1U << MSG_MODALITY_FILE;
        if (is(type, "video_url") || is(type, "input_video") || is(type, "video"))
            bits |= 1U << MSG_MODALITY_VIDEO;
    }
    return bits;
}

static bool has_twice(yyjson_val *object, const char *name)
{
    yyjson_val *key, *value;
    size_t i, n, found = 0;

    yyjson_obj_foreach(object, i, n, key, value) found += is(key, name);
    return found > 1;
}

static void compare_with_document(struct sb_slice body, const struct dp_requirements *ask)
{
    yyjson_doc *doc = NULL;
    yyjson_val *message, *part, *parts;
    uint32_t media = 0;
    size_t i, n, k, m;

    CHECK(sb_json_read(body, body.n, &doc, NULL) == SB_OK);
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "messages"), i, n, message)
    {
        parts = yyjson_obj_get(message, "content");
        /* doubled names inside of messages pass; which one counts is the provider's */
        if (has_twice(message, "content") || has_twice(message, "images"))
            goto out;
        yyjson_arr_foreach(parts, k, m, part) if (has_twice(part, "type")) goto out;
        yyjson_arr_foreach(yyjson_obj_get(message, "images"), k, m,
                           part) if (has_twice(part, "type")) goto out;
        if (yyjson_is_obj(parts))
            goto out;
        media |= media_of(parts) | media_of(yyjson_obj_get(message, "images"));
    }
    CHECK((ask->input_modalities & ~(1U << MSG_MODALITY_TEXT)) == media);
    CHECK(ask->text_bytes <= body.n);
    CHECK(ask->stream == yyjson_is_true(yyjson_obj_get(yyjson_doc_get_root(doc), "stream")));
out:
    sb_json_free(&doc);
}

static void route(const struct dp_snapshot *snap, const struct dp_requirements *ask,
                  struct sb_arena *arena)
{
    const struct dp_route request = {.snapshot = snap,
                                     .ask = ask,
                                     .key = &snap->keys[0],
                                     .now = 1000000,
                                     .unix_seconds = 1790000000,
                                     .random = 42};
    struct dp_decision decision;
    struct sb_errmsg err;
    struct sb_json json;
    struct sb_buf text;
    yyjson_doc *doc = NULL;
    int rc = dp_route_decide(&request, arena, &decision, &err);
    uint32_t removed = 0;

    CHECK(rc == SB_OK || rc == SB_EINVAL || rc == SB_EACCES || rc == SB_ENOENT);
    if (rc == SB_OK) {
        CHECK(decision.n > 0 && decision.n <= 2 * decision.endpoints);
        for (int step = 0; step < DP_STEP_COUNT; step++)
            removed += decision.removed[step];
        CHECK(removed < decision.endpoints);
        for (uint32_t i = 0; i < decision.n; i++)
            CHECK(decision.candidates[i].endpoint->provider != 2); /* its dialect is not spoken */
    } else {
        CHECK(err.text[0] != '\0');
    }
    sb_buf_init(&text, 1 << 22);
    sb_json_init(&json, &text);
    CHECK(dp_explain(&json, &request, arena, &err) == rc);
    CHECK(sb_json_end(&json) == SB_OK);
    CHECK(sb_json_read(sb_buf_slice(&text), 1 << 22, &doc, NULL) == SB_OK);
    sb_json_free(&doc);
    sb_buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dp_snapshot *snap;
    struct sb_splice_member table[SB_SPLICE_MEMBERS];
    struct sb_slice body = sb_slice_make(data, size);
    struct sb_splice doc;

    if (snap == NULL)
        snap = small_catalogue();
    sb_splice_init(&doc, table, SB_SPLICE_MEMBERS);
    for (int api = MSG_API_CHAT; api < MSG_API_COUNT; api++) {
        struct sb_arena *arena = sb_arena_new(8192);
        struct dp_content content;
        struct dp_requirements ask;
        struct sb_errmsg err = {.text = ""};
        int rc;

        dp_content_init(&content, (enum msg_api)api);
        if (sb_splice_visit(&doc, body, SB_SPLICE_DEPTH, &content.visitor, NULL) != SB_OK ||
            doc.type != SB_SPLICE_OBJECT) {
            sb_arena_destroy(&arena);
            return 0;
        }
        rc = dp_requirements_read(&doc, &content, arena, &ask, &err);
        CHECK(rc == SB_OK || (rc == SB_EINVAL && err.text[0] != '\0'));
        if (rc == SB_OK && api == MSG_API_CHAT)
            compare_with_document(body, &ask);
        if (rc == SB_OK)
            route(snap, &ask, arena);
        sb_arena_destroy(&arena);
    }
    return 0;
}
