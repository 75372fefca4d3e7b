/* tests/fuzz/proto/fuzz_rules.c - rules of a policy or a request: taken or
 * refused with a problem that has a path and a text, twice the same, and a
 * policy takes whatever a request's objects take. */
#include <stdlib.h>

#include "common/arena.h"
#include "common/err.h"
#include "proto/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PROBLEMS = 8 };

static int read_once(int schemas, struct sb_slice text, struct msg_rules *rules)
{
    struct sb_arena *arena = sb_arena_new(4096);
    struct msg_problem problem[PROBLEMS];
    struct msg_report report = {.problem = problem, .max = PROBLEMS};
    int rc;

    msg_rules_init(rules);
    rc = msg_rules_read(rules, schemas, text, arena, &report);
    if ((rc == SB_OK) != (report.n == 0))
        abort();
    if (rc != SB_OK && rc != SB_EINVAL && rc != SB_EPARSE)
        abort();
    for (uint32_t i = 0; i < report.n && i < PROBLEMS; i++) {
        if (memchr(problem[i].path, '\0', sizeof(problem[i].path)) == NULL ||
            memchr(problem[i].text, '\0', sizeof(problem[i].text)) == NULL ||
            problem[i].text[0] == '\0')
            abort();
    }
    if (rc == SB_OK) { /* what is read stays inside of its ceilings */
        for (uint32_t i = 0; i < rules->allowed_models.n; i++)
            (void)msg_pattern_matches(rules->allowed_models.name[i], text);
        for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
            if (rules->max_price[kind] < -1)
                abort();
        if (rules->deadline > MSG_TIMEOUT_MS_MAX || rules->sort > MSG_SORT_EXACTO ||
            rules->byok > MSG_BYOK_NEVER)
            abort();
    }
    sb_arena_destroy(&arena);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int schemas[] = {MSG_IN_PROVIDER, MSG_IN_SWITCHBOARD};
    struct sb_slice text = sb_slice_make(data, size);
    struct msg_rules policy, request, again;
    int by_policy = read_once(MSG_IN_POLICY, text, &policy);

    for (size_t i = 0; i < SB_ARRAY_LEN(schemas); i++) {
        int rc = read_once(schemas[i], text, &request);

        if (read_once(schemas[i], text, &again) != rc || again.said != request.said)
            abort();
        if (rc == SB_OK && (by_policy != SB_OK || policy.said != request.said))
            abort();
    }
    return 0;
}
