/* tests/unit/dataplane/test_spool_model.c - a spool against the simplest thing
 * that does the same: two numbers for each boot. */
#include "dataplane/records/spool.h"

#include "common/log.h"
#include "tests/lib/spool_run.h"

enum { WORKERS = 2, BOOTS_MAX = 400, STEPS = 2500 };

/* One boot as it ought to be. */
struct model {
    uint64_t boot;
    unsigned worker; /* who wrote it */
    uint64_t written, acked;
};

static struct spool_home home;
static struct dp_spool *spools[WORKERS];
static struct model models[BOOTS_MAX];
static unsigned n_models;
static const char *const names[WORKERS] = {"host-0", "host-1"};

static struct model *model_of(uint64_t boot, const char *worker)
{
    for (unsigned i = n_models; i-- > 0;)
        if (models[i].boot == boot && strcmp(names[models[i].worker], worker) == 0)
            return &models[i];
    fail_msg("a batch of a boot that never was");
    return NULL;
}

static void open_one(unsigned i)
{
    assert_true(n_models < BOOTS_MAX);
    spools[i] = home_open(&home, names[i]);
    models[n_models++] = (struct model){.boot = dp_spool_boot(spools[i]), .worker = i};
}

static void write_some(unsigned i, uint64_t *seed)
{
    struct model *model = model_of(dp_spool_boot(spools[i]), names[i]);
    uint64_t n = random_below(seed, 60);

    while (n-- > 0 && record_put(spools[i]))
        model->written++;
    assert_int_equal(dp_spool_last(spools[i]), model->written);
}

/* A batch, all of it, a part of it, or nothing is acknowledged. */
static void send_some(unsigned i, uint64_t *seed)
{
    uint32_t max_records = 1 + (uint32_t)random_below(seed, 200);
    size_t max_bytes = 1 + random_below(seed, 1 << 20);
    struct model *model;
    struct sent sent;

    if (!batch_take(spools[i], max_bytes, max_records, &sent)) {
        assert_true(dp_spool_is_drained(spools[i]));
        return;
    }
    model = model_of(sent.batch.boot, sent.worker);
    assert_int_equal(sent.batch.first, model->acked + 1);
    assert_true(sent.last <= model->written);
    switch (random_below(seed, 4)) {
    case 0:
        return;
    case 1:
        sent.last = sent.batch.first + random_below(seed, sent.batch.count);
        break;
    default:
        break;
    }
    batch_ack(spools[i], &sent);
    model->acked = sent.last;
}

static void step(uint64_t *seed)
{
    unsigned i = (unsigned)random_below(seed, WORKERS);

    if (spools[i] == NULL) {
        if (random_below(seed, 3) == 0)
            open_one(i);
        return;
    }
    switch (random_below(seed, 100)) {
    case 0:
    case 1:
        dp_spool_close(&spools[i]);
        break;
    case 2:
    case 3:
        (void)dp_spool_adopt(spools[i]);
        break;
    case 4:
    case 5:
    case 6:
        assert_int_equal(dp_spool_sync(spools[i]), SB_OK);
        break;
    default:
        if (random_below(seed, 2) == 0)
            write_some(i, seed);
        else
            send_some(i, seed);
        if (random_below(seed, 3) == 0)
            dp_spool_tend(spools[i]);
        break;
    }
}

static void run(uint64_t seed)
{
    home_make(&home);
    home.limit = 8 << 20;
    n_models = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        open_one(i);
    for (int i = 0; i < STEPS; i++)
        step(&seed);
    /* One of them sends all that is left, whoever wrote it. */
    dp_spool_close(&spools[1]);
    if (spools[0] == NULL)
        open_one(0);
    (void)dp_spool_adopt(spools[0]);
    while (!dp_spool_is_drained(spools[0])) {
        struct sent sent;
        struct model *model;

        assert_true(batch_take(spools[0], 1 << 20, 2000, &sent));
        model = model_of(sent.batch.boot, sent.worker);
        assert_int_equal(sent.batch.first, model->acked + 1);
        model->acked = sent.last;
        batch_ack(spools[0], &sent);
    }
    for (unsigned i = 0; i < n_models; i++)
        assert_int_equal(models[i].acked, models[i].written);
    dp_spool_close(&spools[0]);
    home_remove(&home);
}

static void any_sequence_of_events_loses_and_repeats_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run(seed);
}

static void quiet(void *ctx, struct sb_slice line)
{
    (void)ctx;
    (void)line;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_sequence_of_events_loses_and_repeats_nothing),
    };

    sb_log_set_sink(quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
