/* tests/sim/journal.c */
#include "tests/sim/journal.h"

#include <string.h>

#include "common/err.h"
#include "common/http1.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/num.h"

enum {
    BODY_KEPT = 1 << 20,    /* of one request */
    BYTES_KEPT = 128 << 20, /* of all */
    FIELDS_MAX = 256,
};

static void drop(struct sim_journal *journal, struct sim_record *record)
{
    sb_list_remove(&record->link);
    journal->n--;
    journal->bytes -= record->head_n + record->kept_n;
    if (record->owner != NULL)
        *record->owner = NULL;
    sb_mem_free(record);
}

static void drop_down_to(struct sim_journal *journal, uint32_t n, uint64_t bytes)
{
    struct sb_list *oldest;

    while ((journal->n > n || journal->bytes > bytes) &&
           (oldest = sb_list_first(&journal->records)) != NULL)
        drop(journal, container_of(oldest, struct sim_record, link));
}

void sim_journal_init(struct sim_journal *journal, uint32_t max)
{
    *journal = (struct sim_journal){.max = max};
    sb_list_init(&journal->records);
}

void sim_journal_release(struct sim_journal *journal)
{
    drop_down_to(journal, 0, 0);
}

void sim_journal_clear(struct sim_journal *journal)
{
    struct sim_counters old = journal->count;

    drop_down_to(journal, 0, 0);
    journal->count = (struct sim_counters){.open_connections = old.open_connections,
                                           .open_requests = old.open_requests,
                                           .open_streams = old.open_streams,
                                           .held = old.held,
                                           .hanging = old.hanging};
}

void sim_journal_add(struct sim_journal *journal, const struct sim_record *facts,
                     struct sb_slice head, struct sb_slice body, struct sim_record **owner)
{
    size_t kept = body.n < BODY_KEPT ? body.n : BODY_KEPT;
    struct sim_record *record;

    *owner = NULL;
    if (journal->max == 0)
        return;
    record = sb_mem_try(sizeof(*record) + head.n + kept);
    if (record == NULL)
        return;
    *record = *facts;
    record->head_n = (uint32_t)head.n;
    record->body_n = body.n;
    record->kept_n = (uint32_t)kept;
    memcpy(record->bytes, head.p, head.n);
    if (kept > 0)
        memcpy(record->bytes + head.n, body.p, kept);
    record->owner = owner;
    *owner = record;
    sb_list_init(&record->link);
    drop_down_to(journal, journal->max - 1, BYTES_KEPT);
    sb_list_add_tail(&journal->records, &record->link);
    journal->n++;
    journal->bytes += head.n + kept;
}

void sim_journal_leave(struct sim_record **owner)
{
    if (*owner != NULL)
        (*owner)->owner = NULL;
    *owner = NULL;
}

/* --- showing ------------------------------------------------------------------- */

static const char *outcome_name(enum sim_outcome outcome)
{
    static const char *const names[] = {[SIM_OUTCOME_OPEN] = "open",
                                        [SIM_OUTCOME_ANSWERED] = "answered",
                                        [SIM_OUTCOME_FAILED] = "failed",
                                        [SIM_OUTCOME_ABORTED] = "aborted"};

    return names[outcome];
}

static struct sb_slice lower_case(struct sb_slice text, char *out, size_t size)
{
    size_t n = text.n < size ? text.n : size;

    for (size_t i = 0; i < n; i++) {
        out[i] = text.p[i];
        if (text.p[i] >= 'A' && text.p[i] <= 'Z')
            out[i] = (char)(text.p[i] + 'a' - 'A');
    }
    return sb_slice_make(out, n);
}

/* Read again, since a record holds nothing but bytes.  A field that came twice
 * is shown twice: a reader of JSON takes the last one, "raw_head" has all. */
static void show_head(struct sb_slice bytes, struct sb_json *json)
{
    static const struct sb_http1_limits limits = {1 << 20, 1 << 20, UINT64_MAX};
    struct sb_http1_field fields[FIELDS_MAX];
    struct sb_http1_head head = {.fields = fields, .fields_max = FIELDS_MAX};
    struct sb_http1 parser;
    struct sb_http1_step step;

    sb_json_add_text(json, "raw_head", bytes);
    sb_http1_init(&parser, SB_HTTP1_REQUEST, &limits);
    if (sb_http1_execute(&parser, &head, bytes, &step) != SB_OK ||
        (step.got & SB_HTTP1_GOT_HEAD) == 0)
        return;
    sb_json_add_text(json, "method", sb_http1_slice(bytes.p, head.method_text));
    sb_json_add_text(json, "target", sb_http1_slice(bytes.p, head.target));
    sb_json_add_object(json, "headers");
    for (int i = 0; i < head.fields_n; i++) {
        char name[256];

        sb_json_name(json, lower_case(sb_http1_slice(bytes.p, fields[i].name), name, sizeof(name)));
        sb_json_put_text(json, sb_http1_slice(bytes.p, fields[i].value));
    }
    sb_json_close_object(json);
}

static void show_record(const struct sim_record *record, struct sb_json *json)
{
    sb_json_open_object(json);
    sb_json_add_u64(json, "number", record->number);
    sb_json_add_u64(json, "connection", record->connection);
    show_head(sb_slice_make(record->bytes, record->head_n), json);
    sb_json_add_text(json, "body", sb_slice_make(record->bytes + record->head_n, record->kept_n));
    sb_json_add_u64(json, "body_bytes", record->body_n);
    sb_json_add_i64(json, "status", record->status);
    sb_json_add_bool(json, "stream", record->stream);
    sb_json_add_i64(json, "events", record->events);
    sb_json_add_text(json, "outcome", sb_slice_of(outcome_name(record->outcome)));
    sb_json_close_object(json);
}

void sim_journal_show(const struct sim_journal *journal, uint64_t since, struct sb_json *json)
{
    sb_json_open_object(json);
    sb_json_add_array(json, "requests");
    sb_list_for_each(link, &journal->records)
    {
        const struct sim_record *record = container_of(link, struct sim_record, link);

        if (record->number > since)
            show_record(record, json);
    }
    sb_json_close_array(json);
    sb_json_name(json, SB_SLICE_LIT("counters"));
    sim_counters_show(&journal->count, json);
    sb_json_close_object(json);
}

void sim_counters_show(const struct sim_counters *count, struct sb_json *json)
{
    sb_json_open_object(json);
#define X(name, help) sb_json_add_u64(json, #name, count->name);
    SIM_COUNTER_MAP(X)
#undef X
    sb_json_close_object(json);
}

/* --- conditions ------------------------------------------------------------------- */

static int find_counter(const struct sim_counters *count, struct sb_slice name, uint64_t *ret_value)
{
#define X(counter, help)                                                                           \
    if (sb_slice_is(name, #counter)) {                                                             \
        *ret_value = count->counter;                                                               \
        return SB_OK;                                                                              \
    }
    SIM_COUNTER_MAP(X)
#undef X
    return SB_EINVAL;
}

int sim_counters_meet(const struct sim_counters *count, struct sb_slice name, struct sb_slice range,
                      bool *ret_met)
{
    size_t dash = sb_slice_find(range, '-');
    uint64_t value, from, to = UINT64_MAX;

    if (find_counter(count, name, &value) != SB_OK ||
        !sb_num_read_u64(sb_slice_make(range.p, dash), &from) ||
        (dash < range.n && !sb_num_read_u64(sb_slice_from(range, dash + 1), &to)))
        return SB_EINVAL;
    *ret_met = value >= from && value <= to;
    return SB_OK;
}
