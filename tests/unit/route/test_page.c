/* tests/unit/route/test_page.c - ROUTING.md as cases: tests/unit/route/cases/.
 *
 * A file is a section of the page: a catalogue (tests/lib/route_world.h) and
 * requests to it.  A case may replace members of the catalogue by "with", mark
 * pairs as "sick", give a "session" or a "key" of the other tenant, come "at" a
 * time of a Friday (23:59:59 when it does not say), and expects any of
 *
 *      order      every candidate's tag; tags in a list of their own: in any order
 *      kinds      of the candidates' credentials
 *      sequence   of the candidates' credentials, null for none
 *      removed    by tag: the step, or [step, words of the reason]
 *      status     400, 403 or 404, and says: words of the message
 *      overrides  by tag: indexes of the conditional prices that apply
 *      relax      the rules of the first way that is offered; null: there is none
 *      dropped    by tag: parameters
 *      plan       members of switchboard: what whoever attempts is told
 *      warnings   words of each
 *
 * and nothing that it does not expect to be refused is refused. */
#include <dirent.h>

#include "dataplane/route/explain.h"
#include "tests/lib/route_ask.h"

enum { FILES_MAX = 64 };

struct page_case {
    const char *file;
    yyjson_val *value, *expect;
    struct world *world;
    struct ask *ask;
    struct sb_buf explained;
    yyjson_doc *explanation;
    bool failed;
};

static const char *name_of(const struct page_case *c)
{
    return yyjson_get_str(yyjson_obj_get(c->value, "name"));
}

/* Says it and leaves the check; the other cases are still run. */
#define fail_case(c, fmt, ...)                                                                     \
    do {                                                                                           \
        print_error("%s: %s: " fmt "\n", (c)->file, name_of(c), __VA_ARGS__);                      \
        (c)->failed = true;                                                                        \
        return;                                                                                    \
    } while (0)

static bool holds_words(const char *text, struct sb_slice words)
{
    return words.n > 0 && strstr(text, words.p) != NULL; /* both end in NUL */
}

/* --- the world of a case ------------------------------------------------------------ */

static yyjson_doc *merged_catalogue(yyjson_val *catalogue, yyjson_val *with)
{
    struct sb_buf text;
    struct sb_json json;
    yyjson_val *name, *value;
    yyjson_doc *doc = NULL;
    size_t i, n;

    sb_buf_init(&text, 1 << 20);
    sb_json_init(&json, &text);
    sb_json_open_object(&json);
    yyjson_obj_foreach(catalogue, i, n, name, value)
    {
        if (yyjson_obj_get(with, yyjson_get_str(name)) == NULL) {
            sb_json_name(&json, sb_json_text(name));
            sb_json_put_value(&json, value);
        }
    }
    yyjson_obj_foreach(with, i, n, name, value)
    {
        sb_json_name(&json, sb_json_text(name));
        sb_json_put_value(&json, value);
    }
    sb_json_close_object(&json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_json_read(sb_buf_slice(&text), 1 << 20, &doc, NULL), SB_OK);
    sb_buf_release(&text);
    return doc;
}

static void write_request(struct page_case *c)
{
    struct sb_buf members;
    struct sb_json json;
    yyjson_val *request = yyjson_obj_get(c->value, "request"), *name, *value;
    struct sb_slice text;
    size_t i, n;

    sb_buf_init(&members, 1 << 20);
    sb_json_init(&json, &members);
    sb_json_open_object(&json);
    yyjson_obj_foreach(request, i, n, name, value)
    {
        sb_json_name(&json, sb_json_text(name));
        if (sb_slice_is(sb_json_text(name), "messages") && yyjson_is_uint(value)) {
            /* so many bytes of text */
            static char filler[1 << 19];

            memset(filler, 'x', sizeof(filler));
            assert_true(yyjson_get_uint(value) <= sizeof(filler));
            sb_json_open_array(&json);
            sb_json_open_object(&json);
            sb_json_add_text(&json, "role", SB_SLICE_LIT("user"));
            sb_json_add_text(&json, "content",
                             sb_slice_make(filler, (size_t)yyjson_get_uint(value)));
            sb_json_close_object(&json);
            sb_json_close_array(&json);
        } else {
            sb_json_put_value(&json, value);
        }
    }
    sb_json_close_object(&json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_buf_append_byte(&members, '\0'), SB_OK);
    text = sb_buf_slice(&members);
    members.data[members.head + text.n - 2] = '\0'; /* the closing brace: ask_write has its own */
    ask_write(c->ask, text.p + 1);
    sb_buf_release(&members);
}

static void mark_sick(struct page_case *c)
{
    yyjson_val *sick = yyjson_obj_get(c->value, "sick"), *tag, *mark;
    size_t i, n;

    yyjson_obj_foreach(sick, i, n, tag, mark)
    {
        bool one = yyjson_is_arr(mark); /* [health, number of the credential] */
        yyjson_val *word = one ? yyjson_arr_get(mark, 0) : mark;
        uint64_t credential = one ? yyjson_get_uint(yyjson_arr_get(mark, 1)) : 0;
        enum dp_health health =
            sb_slice_is(sb_json_text(word), "cooldown") ? DP_HEALTH_COOLDOWN : DP_HEALTH_BREAKER;

        ask_mark(c->ask, yyjson_get_str(tag), credential, health);
    }
}

/* --- what is expected ------------------------------------------------------------------ */

static void check_order(struct page_case *c)
{
    yyjson_val *order = yyjson_obj_get(c->expect, "order"), *expected;
    const struct dp_decision *decision = &c->ask->decision;
    uint32_t at = 0;
    size_t i, n;

    if (order == NULL)
        return;
    yyjson_arr_foreach(order, i, n, expected)
    {
        size_t group = yyjson_is_arr(expected) ? yyjson_arr_size(expected) : 1;

        for (size_t g = 0; g < group; g++) {
            struct sb_slice tag =
                sb_json_text(yyjson_is_arr(expected) ? yyjson_arr_get(expected, g) : expected);
            bool found = false;

            for (uint32_t k = at; k < at + group && k < decision->n; k++)
                found |= sb_slice_eq(decision->candidates[k].endpoint->row->tag, tag);
            if (!found)
                fail_case(c, "%.*s is not at place %u of: %s", SB_SLICE_ARGS(tag), at,
                          ask_order(c->ask));
        }
        at += (uint32_t)group;
    }
    if (at != decision->n)
        fail_case(c, "%u candidates expected, there are: %s", at, ask_order(c->ask));
}

static void check_kinds(struct page_case *c)
{
    yyjson_val *kinds = yyjson_obj_get(c->expect, "kinds"), *kind;
    size_t i, n;

    yyjson_arr_foreach(kinds, i, n, kind)
    {
        assert_true(i < c->ask->decision.n);
        if (!sb_slice_is(sb_json_text(kind),
                         msg_credential_kind_name(c->ask->decision.candidates[i].kind)))
            fail_case(c, "candidate %zu is not on a credential of kind %s", i,
                      yyjson_get_str(kind));
    }
}

static void check_sequence(struct page_case *c)
{
    yyjson_val *all = yyjson_obj_get(c->expect, "sequence"), *number;
    size_t i, n;

    yyjson_arr_foreach(all, i, n, number)
    {
        const struct msg_credential *credential;

        assert_true(i < c->ask->decision.n);
        credential = c->ask->decision.candidates[i].credential;
        if (yyjson_is_null(number) != (credential == NULL) ||
            (credential != NULL && credential->sequence != yyjson_get_uint(number)))
            fail_case(c, "candidate %zu is on another credential", i);
    }
}

static yyjson_val *removal_of(yyjson_val *funnel, const char *tag, struct sb_slice *ret_step)
{
    yyjson_val *step, *removed;
    size_t i, n, k, m;

    yyjson_arr_foreach(funnel, i, n, step)
    {
        yyjson_arr_foreach(yyjson_obj_get(step, "removed"), k, m, removed)
        {
            if (sb_slice_is(sb_json_text(yyjson_obj_get(removed, "endpoint")), tag)) {
                *ret_step = sb_json_text(yyjson_obj_get(step, "step"));
                return removed;
            }
        }
    }
    return NULL;
}

static void check_removed(struct page_case *c)
{
    yyjson_val *root = yyjson_doc_get_root(c->explanation);
    yyjson_val *metadata = yyjson_obj_get(yyjson_obj_get(root, "error"), "metadata");
    yyjson_val *funnel = yyjson_obj_get(metadata != NULL ? metadata : root, "funnel");
    yyjson_val *tag, *expected;
    size_t i, n, removed = 0, named;

    yyjson_obj_foreach(yyjson_obj_get(c->expect, "removed"), i, n, tag, expected)
    {
        struct sb_slice step = SB_SLICE_NONE, words;
        yyjson_val *found = removal_of(funnel, yyjson_get_str(tag), &step);
        yyjson_val *want = yyjson_is_arr(expected) ? yyjson_arr_get(expected, 0) : expected;

        if (found == NULL || !sb_slice_eq(step, sb_json_text(want)))
            fail_case(c, "%s was not removed by %s but by '%.*s'", yyjson_get_str(tag),
                      yyjson_get_str(want), SB_SLICE_ARGS(step));
        words = sb_json_text(yyjson_obj_get(found, "reason"));
        if (words.n == 0)
            fail_case(c, "%s has no reason", yyjson_get_str(tag));
        if (yyjson_is_arr(expected) &&
            !holds_words(words.p, sb_json_text(yyjson_arr_get(expected, 1))))
            fail_case(c, "the reason is: %s", words.p);
    }
    if (yyjson_obj_get(c->expect, "removed") == NULL)
        return;
    yyjson_arr_foreach(funnel, i, n, expected) removed +=
        yyjson_arr_size(yyjson_obj_get(expected, "removed"));
    named = yyjson_obj_size(yyjson_obj_get(c->expect, "removed"));
    if (removed != named)
        fail_case(c, "%zu removed, %zu expected", removed, named);
}

static void check_relax(struct page_case *c)
{
    yyjson_val *root = yyjson_doc_get_root(c->explanation);
    yyjson_val *metadata = yyjson_obj_get(yyjson_obj_get(root, "error"), "metadata");
    yyjson_val *ways = yyjson_obj_get(metadata != NULL ? metadata : root, "relax");
    yyjson_val *rules = yyjson_obj_get(yyjson_arr_get_first(ways), "rules");
    yyjson_val *relax = yyjson_obj_get(c->expect, "relax");

    if (yyjson_is_null(relax) ? yyjson_arr_size(ways) > 0
                              : relax != NULL && !yyjson_equals(relax, rules))
        fail_case(c, "relax has %zu ways, the first is another", yyjson_arr_size(ways));
}

static void check_dropped(struct page_case *c)
{
    yyjson_val *tag, *names;
    size_t i, n, k, m;

    yyjson_obj_foreach(yyjson_obj_get(c->expect, "dropped"), i, n, tag, names)
    {
        uint64_t want = 0, got = 0;
        yyjson_val *name;

        yyjson_arr_foreach(names, k, m, name) want |= UINT64_C(1)
                                                      << msg_parameter_parse(sb_json_text(name));
        for (uint32_t at = 0; at < c->ask->decision.n; at++) {
            const struct dp_candidate *candidate = &c->ask->decision.candidates[at];

            if (sb_slice_is(candidate->endpoint->row->tag, yyjson_get_str(tag)))
                got = candidate->dropped;
        }
        if (want != got)
            fail_case(c, "%s drops %llx", yyjson_get_str(tag), (unsigned long long)got);
    }
}

/* As explain says it. */
static void check_overrides(struct page_case *c)
{
    yyjson_val *order = yyjson_obj_get(yyjson_doc_get_root(c->explanation), "order");
    yyjson_val *tag, *wanted, *entry, *one;
    size_t i, n, k, m, j, l;

    yyjson_obj_foreach(yyjson_obj_get(c->expect, "overrides"), i, n, tag, wanted)
    {
        uint64_t want = 0, got = 0, seen = 0;

        yyjson_arr_foreach(wanted, k, m, one) want |= UINT64_C(1) << yyjson_get_uint(one);
        yyjson_arr_foreach(order, k, m, entry)
        {
            if (!sb_slice_eq(sb_json_text(yyjson_obj_get(entry, "endpoint")), sb_json_text(tag)))
                continue;
            seen++;
            yyjson_arr_foreach(yyjson_obj_get(entry, "overrides"), j, l, one) got |=
                UINT64_C(1) << yyjson_get_uint(yyjson_obj_get(one, "index"));
        }
        if (seen == 0 || want != got)
            fail_case(c, "%s has overrides %llx", yyjson_get_str(tag), (unsigned long long)got);
    }
}

static void check_plan(struct page_case *c)
{
    const struct dp_plan *plan = &c->ask->decision.plan;
    const struct {
        const char *name;
        uint32_t value;
    } said[] = {
        {"first_token_timeout_ms", plan->first_token_timeout},
        {"attempt_timeout_ms", plan->attempt_timeout},
        {"deadline_ms", plan->deadline},
        {"spill", plan->spill},
        {"fallback_on_refusal", plan->fallback_on_refusal},
        {"explain", plan->explain},
    };
    yyjson_val *want = yyjson_obj_get(c->expect, "plan"), *name, *value;
    size_t i, n, known;

    yyjson_obj_foreach(want, i, n, name, value)
    {
        if (yyjson_is_str(value)) {
            assert_true(sb_slice_is(sb_json_text(name), "session_id"));
            if (!sb_slice_eq(plan->session_id, sb_json_text(value)))
                fail_case(c, "session_id is \"%.*s\"", SB_SLICE_ARGS(plan->session_id));
            continue;
        }
        for (known = 0; !sb_slice_is(sb_json_text(name), said[known].name); known++)
            assert_true(known + 1 < SB_ARRAY_LEN(said));
        if (said[known].value !=
            (yyjson_is_bool(value) ? yyjson_get_bool(value) : yyjson_get_uint(value)))
            fail_case(c, "%s is %u", said[known].name, said[known].value);
    }
}

static void check_warnings(struct page_case *c)
{
    const struct dp_warnings *warnings = &c->ask->decision.warnings;
    yyjson_val *list = yyjson_obj_get(c->expect, "warnings"), *words;
    size_t i, n;

    if (c->ask->rc == SB_OK && yyjson_arr_size(list) != warnings->n)
        fail_case(c, "%u warnings, e.g. %.*s", warnings->n, SB_SLICE_ARGS(warnings->text[0]));
    yyjson_arr_foreach(list, i, n, words)
    {
        if (i >= warnings->n || !holds_words(warnings->text[i].p, sb_json_text(words)))
            fail_case(c, "warning %zu does not say %s", i, yyjson_get_str(words));
    }
}

static void check_status(struct page_case *c)
{
    int want = (int)world_number(c->expect, "status", 200);
    int got = c->ask->rc == SB_OK       ? 200
              : c->ask->rc == SB_ENOENT ? 404
              : c->ask->rc == SB_EACCES ? 403
              : c->ask->rc == SB_EINVAL ? 400
                                        : 500;
    yyjson_val *says = yyjson_obj_get(c->expect, "says");

    if (got != want)
        fail_case(c, "status %d: %s", got, c->ask->err.text);
    if (says != NULL && !holds_words(c->ask->err.text, sb_json_text(says)))
        fail_case(c, "it says: %s", c->ask->err.text);
}

/* --- running ------------------------------------------------------------------------------ */

static void explain(struct page_case *c)
{
    struct sb_errmsg err;
    struct sb_json json;

    sb_buf_init(&c->explained, 1 << 20);
    if (c->ask->rc != SB_OK && c->ask->rc != SB_ENOENT)
        return;
    sb_json_init(&json, &c->explained);
    assert_int_equal(dp_explain(&json, &c->ask->route, c->ask->arena, &err), c->ask->rc);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_json_read(sb_buf_slice(&c->explained), 1 << 20, &c->explanation, NULL),
                     SB_OK);
}

static bool run_case(const char *file, yyjson_val *catalogue, yyjson_val *value)
{
    struct page_case c = {.file = file, .value = value};
    yyjson_val *session = yyjson_obj_get(value, "session");

    c.expect = yyjson_obj_get(value, "expect");
    if (c.expect == NULL || name_of(&c) == NULL)
        fail_msg("%s: a case without a name, or that expects nothing", file);
    c.world = world_from(merged_catalogue(catalogue, yyjson_obj_get(value, "with")));
    c.ask = ask_new(c.world);
    c.ask->session = sb_json_text(session);
    if (yyjson_obj_get(value, "other_tenant") != NULL)
        c.ask->key = c.world->other_key;
    if (yyjson_obj_get(value, "at") != NULL)
        c.ask->second = world_minute(value, "at") * 60;
    mark_sick(&c);
    write_request(&c);
    c.ask->rc = ask_read(c.ask);
    if (c.ask->rc == SB_OK)
        (void)ask_decide(c.ask);
    explain(&c);
    check_status(&c);
    if (c.ask->rc == SB_OK) {
        check_order(&c);
        check_kinds(&c);
        check_sequence(&c);
        check_dropped(&c);
        check_overrides(&c);
        check_plan(&c);
    }
    check_removed(&c);
    check_relax(&c);
    check_warnings(&c);
    sb_json_free(&c.explanation);
    sb_buf_release(&c.explained);
    ask_free(&c.ask);
    world_free(&c.world);
    return !c.failed;
}

static size_t run_file(const char *path, const char *file, size_t *failed)
{
    static char text[1 << 18];
    FILE *in = fopen(path, "re");
    yyjson_doc *doc = NULL;
    struct sb_errmsg err;
    yyjson_val *root, *value;
    size_t i, n, bytes;

    assert_non_null(in);
    bytes = fread(text, 1, sizeof(text), in);
    assert_int_equal(fclose(in), 0);
    if (sb_json_read(sb_slice_make(text, bytes), sizeof(text), &doc, &err) != SB_OK)
        fail_msg("%s: %s", file, err.text);
    root = yyjson_doc_get_root(doc);
    yyjson_arr_foreach(yyjson_obj_get(root, "cases"), i, n, value) *failed +=
        !run_case(file, yyjson_obj_get(root, "catalogue"), value);
    sb_json_free(&doc);
    return n;
}

static int is_case_file(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0;
}

static void routing_does_what_the_page_says(void **state)
{
    const char *folder = SB_SOURCE_DIR "/tests/unit/route/cases";
    struct dirent **entries;
    int n = scandir(folder, &entries, is_case_file, alphasort);
    size_t cases = 0, failed = 0;

    (void)state;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[512];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        cases += run_file(path, entries[i]->d_name, &failed);
        free(entries[i]);
    }
    free(entries);
    print_message("%zu cases in %d files\n", cases, n);
    assert_true(cases > 0);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routing_does_what_the_page_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
