/* tests/unit/route/test_draw.c - the shares of the draw, and who moves when an
 * endpoint leaves.  Every seed is fixed: these cannot fail by chance. */
#include "dataplane/route/draw.h"

#include "tests/lib/random.h"
#include "tests/lib/route_ask.h"

enum { DRAWS = 100000 };

/* The chance that chi-square with 2 degrees of freedom exceeds x. */
static double chance_above(double x)
{
    return exp(-x / 2);
}

/* How far counts are from shares of 36 : 9 : 4. */
static double chi_square(const unsigned counts[3])
{
    static const double share[3] = {36.0 / 49, 9.0 / 49, 4.0 / 49};
    double sum = 0;

    for (int i = 0; i < 3; i++) {
        double expected = share[i] * (double)DRAWS;

        sum += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    }
    return sum;
}

static struct world *three_prices(void)
{
    return world_new("{'endpoints': [{'tag': 'one', 'price': 1}, {'tag': 'two', 'price': 2},"
                     " {'tag': 'three', 'price': 3}]}");
}

static int number_of(const struct dp_candidate *candidate)
{
    return candidate->endpoint->row->tag.p[0] == 'o'   ? 0
           : candidate->endpoint->row->tag.p[1] == 'w' ? 1
                                                       : 2;
}

static void prices_of_1_2_and_3_split_36_to_9_to_4(void **state)
{
    struct world *world = three_prices();
    struct ask *ask = ask_new(world);
    unsigned counts[3] = {0}, second[3] = {0};
    uint64_t seed = 1;
    double p;

    (void)state;
    assert_int_equal(ask_for(ask, ""), SB_OK);
    for (int i = 0; i < DRAWS; i++) {
        ask->random = random_next(&seed);
        assert_int_equal(ask_decide(ask), SB_OK);
        assert_false(ask->decision.sticky);
        counts[number_of(&ask->decision.candidates[0])]++;
        if (number_of(&ask->decision.candidates[0]) == 0)
            second[number_of(&ask->decision.candidates[1])]++;
        if (i % 100 == 0) /* the arena is the request's: begin a new one now and then */
            assert_int_equal(ask_for(ask, ""), SB_OK);
    }
    p = chance_above(chi_square(counts));
    print_message("%u : %u : %u, p = %.4f\n", counts[0], counts[1], counts[2], p);
    assert_true(p > 0.001);
    /* the fallbacks are drawn the same way: 9 to 4 behind the cheapest */
    assert_true(fabs((double)second[1] / (second[1] + second[2]) - 9.0 / 13) < 0.01);
    ask_free(&ask);
    world_free(&world);
}

static void conversations_have_the_same_shares(void **state)
{
    struct world *world = three_prices();
    struct ask *ask = ask_new(world);
    unsigned counts[3] = {0};
    double p;

    (void)state;
    assert_int_equal(ask_for(ask, ""), SB_OK);
    for (int i = 0; i < DRAWS; i++) {
        char session[32];

        (void)snprintf(session, sizeof(session), "session-%d", i);
        ask->session = sb_slice_of(session);
        assert_int_equal(ask_decide(ask), SB_OK);
        assert_true(ask->decision.sticky);
        counts[number_of(&ask->decision.candidates[0])]++;
        if (i % 100 == 0)
            assert_int_equal(ask_for(ask, ""), SB_OK);
    }
    p = chance_above(chi_square(counts));
    print_message("%u : %u : %u, p = %.4f\n", counts[0], counts[1], counts[2], p);
    assert_true(p > 0.001);
    ask_free(&ask);
    world_free(&world);
}

/* Known by how its messages begin: their digest spreads as well as a name. */
static void conversations_known_by_their_messages_have_the_same_shares(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'one', 'price': 1, 'cache_read': 0.5},"
                                    " {'tag': 'two', 'price': 2}, {'tag': 'three', 'price': 3}]}");
    struct ask *ask = ask_new(world);
    unsigned counts[3] = {0};
    double p;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        char members[96];

        (void)snprintf(members, sizeof(members),
                       "'messages': [{'role': 'user', 'content': 'what is %d plus one?'}]", i);
        assert_int_equal(ask_for(ask, members), SB_OK);
        assert_true(ask->decision.sticky);
        counts[number_of(&ask->decision.candidates[0])]++;
    }
    p = chance_above(chi_square(counts));
    print_message("%u : %u : %u, p = %.4f\n", counts[0], counts[1], counts[2], p);
    assert_true(p > 0.001);
    ask_free(&ask);
    world_free(&world);
}

static void free_endpoints_share_nearly_everything_evenly(void **state)
{
    struct world *world =
        world_new("{'endpoints': [{'tag': 'one', 'price': 0}, {'tag': 'two', 'price': 0},"
                  " {'tag': 'three', 'price': 0.01}]}");
    struct ask *ask = ask_new(world);
    unsigned counts[3] = {0};
    uint64_t seed = 7;
    double off;

    (void)state;
    assert_int_equal(ask_for(ask, ""), SB_OK);
    for (int i = 0; i < DRAWS; i++) {
        ask->random = random_next(&seed);
        assert_int_equal(ask_decide(ask), SB_OK);
        counts[number_of(&ask->decision.candidates[0])]++;
        if (i % 100 == 0)
            assert_int_equal(ask_for(ask, ""), SB_OK);
    }
    /* 256 tokens at 0.01 USD per million cost 25 times what free ones count for */
    assert_true(counts[2] < DRAWS / 500);
    off = (double)counts[0] - (double)(counts[0] + counts[1]) / 2;
    /* chi-square with one degree of freedom: 10.83 is p = 0.001 */
    assert_true(4 * off * off / (counts[0] + counts[1]) < 10.83);
    ask_free(&ask);
    world_free(&world);
}

static void an_endpoint_that_leaves_moves_only_its_own_conversations(void **state)
{
    struct world *before = world_new("{'endpoints': [{'tag': 'a', 'price': 1}, {'tag': 'b', "
                                     "'price': 1.5}, {'tag': 'c', 'price': 2},"
                                     " {'tag': 'd', 'price': 1.2}, {'tag': 'e', 'price': 4}]}");
    struct world *after = world_new("{'endpoints': [{'tag': 'e', 'price': 4}, {'tag': 'a', "
                                    "'price': 1}, {'tag': 'b', 'price': 1.5},"
                                    " {'tag': 'd', 'price': 1.2}]}");
    struct ask *asks[2] = {ask_new(before), ask_new(after)};
    unsigned moved = 0, stayed = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct sb_slice tag[2], next;
        char session[32];

        (void)snprintf(session, sizeof(session), "conversation %d", i);
        for (int w = 0; w < 2; w++) {
            asks[w]->session = sb_slice_of(session);
            if (i % 100 == 0)
                assert_int_equal(ask_for(asks[w], ""), SB_OK);
            assert_int_equal(ask_decide(asks[w]), SB_OK);
            tag[w] = asks[w]->decision.candidates[0].endpoint->row->tag;
        }
        next = asks[0]->decision.candidates[1].endpoint->row->tag;
        if (sb_slice_is(tag[0], "c")) {
            assert_true(sb_slice_eq(tag[1], next)); /* to where it would have failed over */
            moved++;
        } else {
            assert_true(sb_slice_eq(tag[0], tag[1]));
            stayed++;
        }
    }
    assert_true(moved > 1000 && stayed > 10000);
    for (int w = 0; w < 2; w++)
        ask_free(&asks[w]);
    world_free(&before);
    world_free(&after);
}

static uint64_t conversation(struct ask *ask, const char *members)
{
    if (ask_for(ask, members) != SB_OK)
        fail_msg("%s: %s", members, ask->err.text);
    return ask->decision.conversation;
}

static void a_policys_session_is_the_last_that_counts(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'a'}, {'tag': 'b'}],"
                                    " 'policy': {'session_id': 'p'}}");
    struct ask *ask = ask_new(world);
    uint64_t policy, own;

    (void)state;
    policy = conversation(ask, "");
    assert_true(ask->decision.sticky);
    assert_int_equal(conversation(ask, "'session_id': 'p'"), policy);
    own = conversation(ask, "'session_id': 's'");
    assert_int_not_equal(own, policy);
    assert_int_equal(conversation(ask, "'switchboard': {'session_id': 's'}"), own);
    ask->session = SB_SLICE_LIT("s");
    assert_int_equal(conversation(ask, ""), own);
    ask_free(&ask);
    world_free(&world);
}

static void a_conversation_is_named_by_what_is_nearest_to_the_request(void **state)
{
    struct world *world = three_prices();
    struct ask *ask = ask_new(world);
    uint64_t session, header, cache_key;

    (void)state;
    assert_int_equal(conversation(ask, ""), ask->random);
    assert_false(ask->decision.sticky);
    session = conversation(ask, "'session_id': 's'");
    assert_true(ask->decision.sticky);
    assert_int_equal(conversation(ask, "'session_id': 's', 'prompt_cache_key': 'k'"), session);
    assert_int_equal(conversation(ask, "'switchboard': {'session_id': 's'}, 'session_id': 't'"),
                     session);
    assert_int_not_equal(conversation(ask, "'session_id': 't'"), session);
    cache_key = conversation(ask, "'prompt_cache_key': 's'");
    assert_int_not_equal(cache_key, session); /* another kind of name */
    ask->session = SB_SLICE_LIT("h");
    header = conversation(ask, "");
    assert_int_equal(conversation(ask, "'prompt_cache_key': 'k'"), header);
    assert_int_equal(conversation(ask, "'session_id': 's'"), session);
    ask->key = world->other_key; /* tenants do not meet */
    assert_int_not_equal(conversation(ask, "'session_id': 's'"), session);
    ask_free(&ask);
    world_free(&world);
}

static void messages_name_a_conversation_where_a_cached_prompt_is_cheaper(void **state)
{
    struct world *plain = three_prices();
    struct world *cached = world_new("{'endpoints': [{'tag': 'one', 'price': 1},"
                                     " {'tag': 'two', 'price': 2, 'cache_read': 0.2}]}");
    struct ask *ask = ask_new(plain);
    uint64_t first;

    (void)state;
    assert_int_equal(conversation(ask, "'messages': [{'role': 'user', 'content': 'a'}]"),
                     ask->random);
    ask_free(&ask);
    ask = ask_new(cached);
    first = conversation(ask, "'messages': [{'role': 'system', 'content': 's'},"
                              "{'role': 'user', 'content': 'a'}]");
    assert_true(ask->decision.sticky);
    assert_int_equal(conversation(ask, "'messages': [{'content': 's', 'role': 'developer'},"
                                       "{'role': 'user', 'content': 'a'},"
                                       "{'role': 'assistant', 'content': 'b'},"
                                       "{'role': 'user', 'content': 'c'}]"),
                     first);
    assert_int_not_equal(conversation(ask, "'messages': [{'role': 'system', 'content': 's'},"
                                           "{'role': 'user', 'content': 'b'}]"),
                         first);
    assert_int_not_equal(conversation(ask, "'messages': [{'role': 'user', 'content': 'a'}]"),
                         first);
    /* the filters decide who counts: without the one that caches it is random again */
    assert_int_equal(conversation(ask, "'messages': [{'role': 'user', 'content': 'a'}],"
                                       "'provider': {'ignore': ['two']}"),
                     ask->random);
    ask_free(&ask);
    world_free(&plain);
    world_free(&cached);
}

/* Every byte counts, wherever it is and however long the message. */
static void long_messages_differ_by_any_byte(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'a', 'price': 1, 'cache_read': 0.1}]}");
    struct ask *ask = ask_new(world);
    enum { LENGTHS = 100 };
    static uint64_t seen[LENGTHS * (LENGTHS + 1)];
    size_t n = 0;

    (void)state;
    for (int length = 0; length < LENGTHS; length++) {
        for (int changed = -1; changed < length; changed++) {
            char text[LENGTHS + 1], members[256];

            memset(text, 'x', sizeof(text));
            text[length] = '\0';
            if (changed >= 0)
                text[changed] = 'y';
            (void)snprintf(members, sizeof(members),
                           "'messages': [{'role': 'user', 'content': '%s'}]", text);
            seen[n++] = conversation(ask, members);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++)
            assert_true(seen[i] != seen[k]);
    }
    ask_free(&ask);
    world_free(&world);
}

static void a_conversation_keeps_its_weights_while_it_grows(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'in', 'price': [9, 1]},"
                                    " {'tag': 'out', 'price': [1, 9]}]}");
    struct ask *ask = ask_new(world);

    (void)state;
    for (int tokens = 1; tokens < 5000; tokens *= 10) {
        char members[64];

        (void)snprintf(members, sizeof(members), "'max_tokens': %d", tokens);
        ask->session = SB_SLICE_LIT("x");
        assert_int_equal(ask_for(ask, members), SB_OK);
        for (uint32_t i = 0; i < 2; i++) {
            const struct dp_candidate *candidate = &ask->decision.candidates[i];

            assert_true(candidate->cost == candidate->endpoint->base);
        }
    }
    ask_free(&ask);
    world_free(&world);
}

static void a_single_request_is_weighed_by_what_it_will_cost(void **state)
{
    struct world *world =
        world_new("{'endpoints': [{'tag': 'a', 'price': [2, 10], 'request': 0.001}],"
                  " 'tables': {'a': {'mean': 400}}}");
    struct ask *ask = ask_new(world);
    const struct dp_candidate *first;

    (void)state;
    /* 3 bytes of text, 3/4 of a token; the mean of the model; two answers */
    assert_int_equal(ask_for(ask, "'n': 2, 'messages': [{'role': 'user', 'content': 'abc'}]"),
                     SB_OK);
    first = &ask->decision.candidates[0];
    assert_true(fabs(first->cost - (0.75 * 2e-6 + 2 * 400 * 10e-6 + 0.001)) < 1e-12);
    assert_true(ask->decision.completion_tokens == 400);
    assert_int_equal(ask_for(ask, "'max_tokens': 100"), SB_OK);
    assert_true(ask->decision.completion_tokens == 100);
    assert_int_equal(ask_for(ask, "'max_tokens': 1000"), SB_OK);
    assert_true(ask->decision.completion_tokens == 400);
    ask->no_tables = true;
    assert_int_equal(ask_for(ask, "'max_tokens': 1000"), SB_OK);
    assert_true(ask->decision.completion_tokens == 256);
    ask_free(&ask);
    world_free(&world);
}

static void the_uniform_number_is_one(void **state)
{
    unsigned bins[16] = {0};
    uint64_t seed = 3;

    (void)state;
    assert_true(dp_draw_uniform(0, 0) > 0);
    for (int i = 0; i < 160000; i++) {
        double u = dp_draw_uniform(random_next(&seed), dp_mix((uint64_t)i % 20));

        assert_true(u > 0 && u < 1);
        assert_true(dp_draw_score(u, 2) >= dp_draw_score_least(u, 2));
        bins[(int)(u * 16)]++;
    }
    for (int i = 0; i < 16; i++)
        assert_true(bins[i] > 9600 && bins[i] < 10400);
}

static void neighbouring_ids_and_conversations_draw_apart(void **state)
{
    unsigned same = 0;

    (void)state;
    for (uint64_t i = 0; i < 10000; i++)
        same += (dp_draw_uniform(i, dp_mix(1)) < 0.5) == (dp_draw_uniform(i, dp_mix(2)) < 0.5);
    assert_true(same > 4800 && same < 5200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prices_of_1_2_and_3_split_36_to_9_to_4),
        cmocka_unit_test(conversations_have_the_same_shares),
        cmocka_unit_test(conversations_known_by_their_messages_have_the_same_shares),
        cmocka_unit_test(free_endpoints_share_nearly_everything_evenly),
        cmocka_unit_test(an_endpoint_that_leaves_moves_only_its_own_conversations),
        cmocka_unit_test(a_conversation_is_named_by_what_is_nearest_to_the_request),
        cmocka_unit_test(a_policys_session_is_the_last_that_counts),
        cmocka_unit_test(messages_name_a_conversation_where_a_cached_prompt_is_cheaper),
        cmocka_unit_test(long_messages_differ_by_any_byte),
        cmocka_unit_test(a_conversation_keeps_its_weights_while_it_grows),
        cmocka_unit_test(a_single_request_is_weighed_by_what_it_will_cost),
        cmocka_unit_test(the_uniform_number_is_one),
        cmocka_unit_test(neighbouring_ids_and_conversations_draw_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
