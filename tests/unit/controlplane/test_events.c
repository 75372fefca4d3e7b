/* tests/unit/controlplane/test_events.c - against a real PostgreSQL. */
#include "controlplane/events/events.h"

#include "tests/lib/ingest_fixture.h"

static struct cp_db *db;

static int set_up(void **state)
{
    (void)state;
    db = fixture_connect(fixture_database(), CP_DB_SERVICE_ROLE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_db_destroy(&db);
    return 0;
}

static struct cp_event an_outage(void)
{
    return (struct cp_event){.kind = CP_EVENT_OUTAGE_BEGAN,
                             .severity = CP_SEVERITY_CRITICAL,
                             .subject_kind = CP_ENDPOINTS,
                             .subject = SB_SLICE_LIT("a/m@acme"),
                             .text = SB_SLICE_LIT("5 attempts in a row failed"),
                             .detail = SB_SLICE_LIT("{\"faults\":5}"),
                             .revision = 7,
                             .term = 4};
}

static int64_t record(const struct cp_event *event)
{
    int64_t id = -1;

    if (cp_event_record(db, event, &id) != SB_OK)
        fail_msg("%s", cp_db_last_error(db)->text.text);
    return id;
}

static int64_t events(void)
{
    return fixture_number(db, "SELECT count(*) FROM events");
}

static void an_event_is_stored_as_it_was_told_and_waits_to_be_announced(void **state)
{
    struct cp_event event = an_outage();
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int64_t id = record(&event);

    (void)state;
    assert_true(id > 0);
    assert_int_equal(cp_db_query(db,
                                 "SELECT kind, severity, subject_kind, subject, text,"
                                 " (detail ->> 'faults')::bigint, revision, term, o.event_id"
                                 " FROM events e JOIN event_outbox o ON o.event_id = e.id",
                                 CP_NO_PARAMS, &rows),
                     SB_OK);
    assert_int_equal(cp_rows_count(rows), 1);
    assert_true(sb_slice_is(cp_rows_bytes(rows, 0, 0), "outage_began"));
    assert_int_equal(cp_rows_i64(rows, 0, 1), 2);
    assert_true(sb_slice_is(cp_rows_bytes(rows, 0, 2), "endpoints"));
    assert_true(sb_slice_is(cp_rows_bytes(rows, 0, 3), "a/m@acme"));
    assert_true(sb_slice_is(cp_rows_bytes(rows, 0, 4), "5 attempts in a row failed"));
    assert_int_equal(cp_rows_i64(rows, 0, 5), 5);
    assert_int_equal(cp_rows_i64(rows, 0, 6), 7);
    assert_int_equal(cp_rows_i64(rows, 0, 7), 4);
    assert_int_equal(cp_rows_i64(rows, 0, 8), id);
}

static void it_is_there_with_the_transaction_or_not_at_all(void **state)
{
    struct cp_event event = an_outage();

    (void)state;
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    (void)record(&event);
    cp_db_rollback(db);
    assert_int_equal(events(), 0);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM event_outbox"), 0);
}

static void what_is_told_once_is_recorded_once(void **state)
{
    struct cp_event event = an_outage();

    (void)state;
    event.once = SB_SLICE_LIT("evidence_expiring/a/m@acme/zdr/2026-12-31");
    assert_true(record(&event) > 0);
    assert_int_equal(record(&event), 0);
    event.once = SB_SLICE_LIT("evidence_expiring/a/m@acme/zdr/2027-12-31");
    assert_true(record(&event) > 0);
    event.once = SB_SLICE_NONE;
    assert_true(record(&event) > 0);
    assert_true(record(&event) > 0);
    assert_int_equal(events(), 4);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM event_outbox"), 4);
}

static void bytes_from_outside_do_not_end_the_transaction(void **state)
{
    static const struct {
        struct sb_slice detail;
        int rc;
    } cases[] = {
        {SB_SLICE_INIT("{\"a\":\"\\u0000\"}"), SB_EINVAL},
        {SB_SLICE_INIT("{\"\\u0000\":1}"), SB_EINVAL},
        {SB_SLICE_INIT("{\"a\":[1,{\"b\":\"x\\u0000\"}]}"), SB_EINVAL},
        {SB_SLICE_INIT("[1]"), SB_EINVAL},
        {SB_SLICE_INIT("{\"a\":"), SB_EINVAL},
        {SB_SLICE_INIT("{\"a\":\"\xff\"}"), SB_EINVAL},
        {SB_SLICE_INIT("{\"a\":[1,{\"b\":\"x\"}]}"), SB_OK},
    };
    struct cp_event event = an_outage();
    int64_t id;

    (void)state;
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        event.detail = cases[i].detail;
        assert_int_equal(cp_event_record(db, &event, &id), cases[i].rc);
    }
    event.text = SB_SLICE_LIT("said \"\xff\0\xc3\xa9\"");
    (void)record(&event);
    assert_int_equal(cp_db_commit(db), SB_OK);
    assert_int_equal(
        fixture_number(db, "SELECT count(*) FROM events WHERE text = E'said \"??\\u00e9\"'"), 1);
    assert_int_equal(events(), 2);
}

static void what_is_too_long_is_cut_between_characters(void **state)
{
    static char text[3 * CP_EVENT_TEXT_MAX];
    struct cp_event event = an_outage();
    int64_t id;

    (void)state;
    text[0] = 'x';
    for (size_t i = 1; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    event.text = sb_slice_make(text, sizeof(text) - 1);
    (void)record(&event);
    assert_int_equal(fixture_number(db, "SELECT octet_length(text) FROM events"),
                     CP_EVENT_TEXT_MAX - 1);
    event.once = sb_slice_make(text, CP_EVENT_ONCE_MAX + 1);
    assert_int_equal(cp_event_record(db, &event, &id), SB_ETOOBIG);
}

static void the_service_cannot_change_what_happened(void **state)
{
    struct cp_event event = an_outage();

    (void)state;
    (void)record(&event);
    assert_int_equal(cp_db_exec(db, "UPDATE events SET text = ''", CP_NO_PARAMS, NULL), SB_EACCES);
    assert_int_equal(cp_db_exec(db, "DELETE FROM events", CP_NO_PARAMS, NULL), SB_EACCES);
}

static void who_listens_hears_of_it_after_the_commit(void **state)
{
    struct cp_event event = an_outage();
    struct cp_notification notification;

    (void)state;
    assert_int_equal(cp_db_listen(db, CP_CHANNEL_EVENTS), SB_OK);
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    (void)record(&event);
    assert_int_equal(cp_db_notified(db, &notification), SB_EAGAIN);
    assert_int_equal(cp_db_commit(db), SB_OK);
    assert_int_equal(cp_db_ping(db), SB_OK); /* its answer comes after the notification */
    assert_int_equal(cp_db_notified(db, &notification), SB_OK);
    assert_string_equal(notification.channel, CP_CHANNEL_EVENTS);
}

static void names_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (int i = 0; i < CP_EVENT_KINDS; i++)
        assert_int_equal(cp_event_parse(sb_slice_of(cp_event_name((enum cp_event_kind)i))), i);
    for (int i = 0; i < CP_SEVERITIES; i++)
        assert_int_equal(cp_severity_parse(sb_slice_of(cp_severity_name((enum cp_severity)i))), i);
    assert_int_equal(cp_event_parse(SB_SLICE_LIT("outage")), -1);
    assert_int_equal(cp_severity_parse(SB_SLICE_LIT("")), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_stored_as_it_was_told_and_waits_to_be_announced),
        TEST(it_is_there_with_the_transaction_or_not_at_all),
        TEST(what_is_told_once_is_recorded_once),
        TEST(bytes_from_outside_do_not_end_the_transaction),
        TEST(what_is_too_long_is_cut_between_characters),
        TEST(the_service_cannot_change_what_happened),
        TEST(who_listens_hears_of_it_after_the_commit),
        cmocka_unit_test(names_are_read_as_they_are_written),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
