/* tests/unit/controlplane/test_fleet.c */
#include "controlplane/publish/fleet.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

static struct fake_clock world = FAKE_CLOCK_INIT;
static struct cp_fleet *fleet;

static const struct msg_version first = {.epoch = 7, .revision = 1};
static const struct msg_version second = {.epoch = 7, .revision = 2};

static int set_up(void **state)
{
    (void)state;
    fleet = cp_fleet_new(&world.clock);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_fleet_destroy(&fleet);
    return fleet == NULL ? 0 : -1;
}

static int try_hello(const char *peer, const char *name, uint64_t boot, struct msg_version holds)
{
    const struct msg_hello hello = {.worker = sb_slice_of(name),
                                    .boot = boot,
                                    .host = SB_SLICE_LIT("host"),
                                    .pid = 42,
                                    .release = SB_SLICE_LIT("0.1.0"),
                                    .version = holds};

    return cp_fleet_hello(fleet, sb_slice_of(peer), SB_SLICE_NONE, &hello);
}

static void hello(const char *peer, const char *name, struct msg_version holds)
{
    assert_int_equal(try_hello(peer, name, 1, holds), SB_OK);
}

static int try_beat(const char *peer, const char *name, uint64_t boot, struct msg_version holds)
{
    const struct msg_beat msg = {.worker = sb_slice_of(name),
                                 .boot = boot,
                                 .version = holds,
                                 .in_flight = 3,
                                 .requests = 100,
                                 .spool_next = 12,
                                 .spool_acked = 9};

    return cp_fleet_beat(fleet, sb_slice_of(peer), SB_SLICE_NONE, &msg);
}

static void nack(const char *peer, struct msg_version version)
{
    const struct msg_nack msg = {
        .version = version, .code = SB_EPARSE, .text = SB_SLICE_LIT("no sense")};

    cp_fleet_nack(fleet, sb_slice_of(peer), &msg);
}

/* All others are none. */
static void expect(enum cp_worker_state state, unsigned n)
{
    for (int i = 0; i < CP_WORKER_STATES; i++)
        assert_int_equal(cp_fleet_count(fleet, (enum cp_worker_state)i), i == (int)state ? n : 0);
}

static void pass(sb_msec ms)
{
    world.at += ms;
    world.wall_at += ms * 1000;
    cp_fleet_tick(fleet);
}

static void a_worker_without_a_snapshot_is_not_synced_with_nothing(void **state)
{
    (void)state;
    hello("p", "w", (struct msg_version){.epoch = 0});
    expect(CP_WORKER_SENT, 1);
}

static void an_acknowledged_version_is_synced(void **state)
{
    (void)state;
    cp_fleet_published(fleet, first);
    hello("p", "w", (struct msg_version){.epoch = 0});
    expect(CP_WORKER_SENT, 1);
    cp_fleet_ack(fleet, SB_SLICE_LIT("p"), first);
    expect(CP_WORKER_SYNCED, 1);
    cp_fleet_published(fleet, second);
    expect(CP_WORKER_SENT, 1);
    cp_fleet_ack(fleet, SB_SLICE_LIT("p"), first); /* late */
    expect(CP_WORKER_SENT, 1);
    cp_fleet_ack(fleet, SB_SLICE_LIT("p"), second);
    expect(CP_WORKER_SYNCED, 1);
}

static void a_refused_version_is_nacked_until_another_is_offered(void **state)
{
    (void)state;
    cp_fleet_published(fleet, first);
    hello("p", "w", first);
    cp_fleet_published(fleet, second);
    nack("p", second);
    expect(CP_WORKER_NACKED, 1);
    (void)!try_beat("p", "w", 1, first);
    expect(CP_WORKER_NACKED, 1);
    cp_fleet_published(fleet, (struct msg_version){.epoch = 7, .revision = 3});
    expect(CP_WORKER_SENT, 1);
}

static void a_worker_that_does_not_answer_is_stale_and_one_that_is_silent_is_gone(void **state)
{
    (void)state;
    cp_fleet_published(fleet, first);
    hello("p", "w", (struct msg_version){.epoch = 0});
    for (int i = 0; i < 4; i++) {
        pass(CP_FLEET_PATIENCE / 4);
        (void)!try_beat("p", "w", 1, (struct msg_version){.epoch = 0});
        expect(i < 3 ? CP_WORKER_SENT : CP_WORKER_STALE, 1);
    }
    cp_fleet_offered(fleet, SB_SLICE_LIT("p"));
    expect(CP_WORKER_SENT, 1);
    pass(CP_FLEET_LIVENESS - 1);
    expect(CP_WORKER_SENT, 1);
    pass(1);
    expect(CP_WORKER_GONE, 1);
    cp_fleet_published(fleet, second);
    expect(CP_WORKER_GONE, 1);
    assert_true(cp_fleet_saw(fleet, SB_SLICE_LIT("p")));
    expect(CP_WORKER_SENT, 1);
    assert_false(cp_fleet_saw(fleet, SB_SLICE_LIT("q")));
}

static void one_who_is_long_gone_is_forgotten(void **state)
{
    (void)state;
    hello("p", "w", first);
    pass(CP_FLEET_MEMORY - 1);
    expect(CP_WORKER_GONE, 1);
    pass(1);
    expect(CP_WORKER_GONE, 0);
    assert_int_equal(cp_fleet_name(fleet, SB_SLICE_LIT("p")).n, 0);
}

static void the_latest_start_of_a_worker_counts(void **state)
{
    (void)state;
    cp_fleet_published(fleet, first);
    assert_int_equal(try_hello("old", "w", 5, first), SB_OK);
    assert_int_equal(try_hello("new", "w", 6, (struct msg_version){.epoch = 0}), SB_OK);
    assert_int_equal(try_hello("old", "w", 5, first), SB_ECONFLICT);
    assert_int_equal(try_beat("old", "w", 5, first), SB_ECONFLICT);
    expect(CP_WORKER_SENT, 1);
    assert_int_equal(cp_fleet_name(fleet, SB_SLICE_LIT("old")).n, 0);
    cp_fleet_ack(fleet, SB_SLICE_LIT("old"), first); /* nobody's */
    expect(CP_WORKER_SENT, 1);
    /* a clock that went back keeps nobody out for good */
    pass(CP_FLEET_LIVENESS);
    assert_int_equal(try_hello("p", "w", 1, first), SB_OK);
    expect(CP_WORKER_SYNCED, 1);
}

static void a_connection_is_one_worker_at_a_time(void **state)
{
    (void)state;
    hello("p", "a", first);
    hello("p", "b", first);
    assert_true(sb_slice_is(cp_fleet_name(fleet, SB_SLICE_LIT("p")), "b"));
    assert_int_equal(cp_fleet_reach(fleet, SB_SLICE_LIT("a")).n, 0);
    assert_true(sb_slice_is(cp_fleet_reach(fleet, SB_SLICE_LIT("b")), "p"));
}

static void a_worker_is_reached_by_name_or_as_one_that_can_answer_for_all(void **state)
{
    struct msg_beat draining = {.worker = SB_SLICE_LIT("drains"), .boot = 1, .draining = true};

    (void)state;
    cp_fleet_published(fleet, first);
    hello("p1", "behind", (struct msg_version){.epoch = 0});
    assert_int_equal(cp_fleet_reach(fleet, SB_SLICE_NONE).n, 0);
    draining.version = first;
    assert_int_equal(cp_fleet_beat(fleet, SB_SLICE_LIT("p2"), SB_SLICE_NONE, &draining), SB_OK);
    assert_int_equal(cp_fleet_reach(fleet, SB_SLICE_NONE).n, 0);
    hello("p3", "ready", first);
    assert_true(sb_slice_is(cp_fleet_reach(fleet, SB_SLICE_NONE), "p3"));
    assert_true(sb_slice_is(cp_fleet_reach(fleet, SB_SLICE_LIT("behind")), "p1"));
    assert_int_equal(cp_fleet_reach(fleet, SB_SLICE_LIT("nobody")).n, 0);
    pass(CP_FLEET_LIVENESS);
    assert_int_equal(cp_fleet_reach(fleet, SB_SLICE_LIT("ready")).n, 0);
}

static void a_key_speaks_for_the_workers_of_its_host_alone(void **state)
{
    static const struct {
        const char *key, *worker;
        bool may;
    } cases[] = {
        {"", "anybody", true},      {"host", "host", true},   {"host", "host-0", true},
        {"host", "host-17", true},  {"host", "host-", false}, {"host", "host-x", false},
        {"host", "host-1x", false}, {"host", "hosta", false}, {"host", "host2-1", false},
        {"host-1", "host", false},  {"host", "other", false}, {"", "a b", false},
        {"", "a\nb", false},        {"", "\xc3\xa4", false},  {"", "", false},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++)
        if (cp_fleet_may_be(sb_slice_of(cases[i].key), sb_slice_of(cases[i].worker)) !=
            cases[i].may)
            fail_msg("%s as %s", cases[i].key, cases[i].worker);
}

static void the_fleet_has_a_ceiling(void **state)
{
    char name[32];

    (void)state;
    for (int i = 0; i < CP_FLEET_MAX; i++) {
        (void)snprintf(name, sizeof(name), "w-%d", i);
        assert_int_equal(try_hello(name, name, 1, first), SB_OK);
    }
    assert_int_equal(try_hello("one", "more", 1, first), SB_ETOOBIG);
    assert_int_equal(try_hello("w-0", "w-0", 2, first), SB_OK);
    cp_fleet_clear(fleet);
    expect(CP_WORKER_SENT, 0);
    assert_int_equal(try_hello("one", "more", 1, first), SB_OK);
}

static void people_see_all_of_it_in_order(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out = {.limit = 0};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *worker;
    uint64_t records = 0;

    (void)state;
    sb_buf_init(&out, 1 << 16);
    cp_fleet_published(fleet, first);
    hello("p1", "z", first);
    hello("p2", "a", (struct msg_version){.epoch = 0});
    assert_int_equal(try_beat("p1", "z", 1, first), SB_OK);
    nack("p2", first);
    pass(10);
    assert_int_equal(cp_fleet_json(fleet, &out), SB_OK);
    assert_int_equal(sb_json_read(sb_buf_slice(&out), 1 << 16, &doc, NULL), SB_OK);
    assert_int_equal(yyjson_arr_size(yyjson_doc_get_root(doc)), 2);
    worker = yyjson_arr_get(yyjson_doc_get_root(doc), 0);
    assert_true(sb_slice_is(sb_json_text(yyjson_obj_get(worker, "worker")), "a"));
    assert_true(sb_slice_is(sb_json_text(yyjson_obj_get(worker, "state")), "nacked"));
    assert_null(yyjson_obj_get(worker, "load")); /* it has not said */
    assert_true(sb_slice_is(sb_json_text(yyjson_obj_get(yyjson_obj_get(worker, "refused"), "code")),
                            "EPARSE"));
    worker = yyjson_arr_get(yyjson_doc_get_root(doc), 1);
    assert_true(sb_slice_is(sb_json_text(yyjson_obj_get(worker, "state")), "synced"));
    assert_int_equal(yyjson_get_uint(yyjson_obj_get(worker, "silent_ms")), 10);
    assert_int_equal(sb_json_get_u64(yyjson_obj_get(worker, "spool"), "records", &records), SB_OK);
    assert_int_equal(records, 2);
}

static void prometheus_sees_states_and_live_workers(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf page = {.limit = 0};

    (void)state;
    sb_buf_init(&page, 1 << 16);
    cp_fleet_published(fleet, first);
    hello("p2", "gone", first);
    pass(CP_FLEET_LIVENESS);
    assert_int_equal(try_beat("p1", "w", 1, first), SB_OK);
    assert_int_equal(cp_fleet_metrics(fleet, &page), SB_OK);
    assert_int_equal(sb_buf_append_byte(&page, '\0'), SB_OK);
    assert_non_null(strstr(page.data, "switchboard_fleet_workers{state=\"synced\"} 1\n"));
    assert_non_null(strstr(page.data, "switchboard_fleet_workers{state=\"gone\"} 1\n"));
    assert_non_null(strstr(page.data, "switchboard_fleet_in_flight{worker=\"w\"} 3\n"));
    assert_null(strstr(page.data, "worker=\"gone\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_without_a_snapshot_is_not_synced_with_nothing),
        TEST(an_acknowledged_version_is_synced),
        TEST(a_refused_version_is_nacked_until_another_is_offered),
        TEST(a_worker_that_does_not_answer_is_stale_and_one_that_is_silent_is_gone),
        TEST(one_who_is_long_gone_is_forgotten),
        TEST(the_latest_start_of_a_worker_counts),
        TEST(a_connection_is_one_worker_at_a_time),
        TEST(a_worker_is_reached_by_name_or_as_one_that_can_answer_for_all),
        TEST(a_key_speaks_for_the_workers_of_its_host_alone),
        TEST(the_fleet_has_a_ceiling),
        TEST(people_see_all_of_it_in_order),
        TEST(prometheus_sees_states_and_live_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
