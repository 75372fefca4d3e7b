/* tests/lib/spool_run.h - a spool in a directory of its own, and records that tell
 * by their bytes which they are. */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "dataplane/records/spool.h"
#include "proto/bus.h"
#include "tests/lib/random.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

enum { SPOOL_SEGMENT = 256 * 1024, SPOOL_LIMIT = 16 << 20 };

struct spool_home {
    struct tempdir dir;
    struct dp_spool *spool;
    const struct dp_disk *disk; /* NULL: real */
    uint64_t limit;
};

static inline void home_make(struct spool_home *home)
{
    *home = (struct spool_home){.limit = SPOOL_LIMIT};
    assert_true(tempdir_make(&home->dir));
}

static inline int home_try(struct spool_home *home, const char *worker, struct dp_spool **ret)
{
    const struct dp_spool_conf conf = {
        .home = home->dir.path,
        .worker = worker,
        .limit = home->limit,
        .disk = home->disk,
        .segment_bytes = SPOOL_SEGMENT,
    };
    struct sb_errmsg err;

    return dp_spool_open(&conf, ret, &err);
}

static inline struct dp_spool *home_open(struct spool_home *home, const char *worker)
{
    struct dp_spool *spool = NULL;

    assert_int_equal(home_try(home, worker, &spool), SB_OK);
    return spool;
}

static inline void home_remove(struct spool_home *home)
{
    dp_spool_close(&home->spool);
    assert_true(tempdir_remove(&home->dir));
}

/* --- records ------------------------------------------------------------------ */

/* Between 1 and 6000 bytes; now and then the largest there is. */
static inline size_t record_size(uint64_t boot, uint64_t sequence)
{
    uint64_t seed = boot ^ (sequence << 20), draw = random_next(&seed);

    return draw % 200 == 0 ? MSG_RECORD_MAX : 1 + (size_t)(draw >> 8) % 6000;
}

static inline struct sb_slice record_make(uint64_t boot, uint64_t sequence)
{
    static unsigned char bytes[MSG_RECORD_MAX];
    size_t n = record_size(boot, sequence);
    uint64_t mix = boot * 31 + sequence;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(mix >> (i % 8 * 8)) ^ (unsigned char)i;
    return sb_slice_make(bytes, n);
}

/* Admits a request and stores its record; false when the spool is full. */
static inline bool record_put(struct dp_spool *spool)
{
    uint64_t sequence = dp_spool_last(spool) + 1;

    if (!dp_spool_reserve(spool))
        return false;
    assert_int_equal(dp_spool_append(spool, record_make(dp_spool_boot(spool), sequence)), sequence);
    return true;
}

static inline void record_put_many(struct dp_spool *spool, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_true(record_put(spool));
        if (i % 16 == 0)
            dp_spool_tend(spool);
    }
}

/* --- what is sent ------------------------------------------------------------- */

struct sent {
    struct dp_spool_batch batch;
    char worker[64];
    uint64_t last;
};

/* Fills one batch and checks every byte; false when there is none. */
static inline bool batch_take(struct dp_spool *spool, size_t max_bytes, uint32_t max_records,
                              struct sent *ret_sent)
{
    struct sb_slice left, record;
    struct sb_buf bulk;
    int rc;

    sb_buf_init(&bulk, MSG_BATCH_MAX);
    rc = dp_spool_fill(spool, max_bytes, max_records, &bulk, &ret_sent->batch);
    if (rc != SB_OK) {
        assert_int_equal(rc, SB_EAGAIN);
        sb_buf_release(&bulk);
        return false;
    }
    assert_in_range(ret_sent->batch.count, 1, max_records);
    assert_true(sb_buf_len(&bulk) <= max_bytes || ret_sent->batch.count == 1);
    left = sb_buf_slice(&bulk);
    for (uint32_t i = 0; i < ret_sent->batch.count; i++) {
        assert_int_equal(msg_batch_next(&left, &record), SB_OK);
        assert_true(
            sb_slice_eq(record, record_make(ret_sent->batch.boot, ret_sent->batch.first + i)));
    }
    assert_int_equal(left.n, 0);
    (void)snprintf(ret_sent->worker, sizeof(ret_sent->worker), "%s", ret_sent->batch.worker);
    ret_sent->last = ret_sent->batch.first + ret_sent->batch.count - 1;
    sb_buf_release(&bulk);
    return true;
}

static inline void batch_ack(struct dp_spool *spool, const struct sent *sent)
{
    assert_int_equal(dp_spool_ack(spool, sb_slice_of(sent->worker), sent->batch.boot, sent->last),
                     SB_OK);
}

/* Sends and acknowledges all of a boot, which must be the next, without a gap
 * from `from`; returns the last sequence, or from - 1. */
static inline uint64_t boot_take_all(struct dp_spool *spool, uint64_t boot, uint64_t from)
{
    struct sent sent;

    while (!dp_spool_is_drained(spool) && batch_take(spool, 1 << 20, 2000, &sent) &&
           sent.batch.boot == boot) {
        assert_int_equal(sent.batch.first, from);
        batch_ack(spool, &sent);
        from = sent.last + 1;
    }
    return from - 1;
}
