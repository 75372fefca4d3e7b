/* proto/sketch.c */
#include "proto/sketch.h"

#include "common/err.h"
#include "proto/wire.h"

/* [first, zeros, sum, min, max, [counts]]; min and max of an empty one are 0. */
enum { FIELDS = 6 };

int msg_sketch_encode(const struct sb_sketch *sketch, struct sb_buf *out)
{
    struct wire_writer w = wire_writer_init(out);

    wire_write_array(&w, FIELDS);
    wire_write_i64(&w, sketch->n > 0 ? sketch->first : 0);
    wire_write_u64(&w, sketch->zeros);
    wire_write_double(&w, sketch->sum);
    wire_write_double(&w, sketch->count > 0 ? sketch->min : 0);
    wire_write_double(&w, sketch->count > 0 ? sketch->max : 0);
    wire_write_array(&w, sketch->n);
    for (uint32_t i = 0; i < sketch->n; i++)
        wire_write_u64(&w, sketch->counts[i]);
    return wire_writer_end(&w);
}

int msg_sketch_decode(struct sb_slice bytes, struct sb_sketch *sketch)
{
    struct wire_reader r = wire_reader_init(bytes, NULL);
    struct wire_scope outer = wire_enter(&r), inner;
    uint32_t counts[SB_SKETCH_BUCKETS];
    struct sb_sketch_parts parts = {.counts = counts};
    int rc;

    if (bytes.n > MSG_SKETCH_MAX)
        return SB_ETOOBIG;
    parts.first = (int32_t)wire_read_i64(&r, INT32_MIN, INT32_MAX);
    parts.zeros = wire_read_u64(&r, UINT64_MAX);
    parts.sum = wire_read_double(&r);
    parts.min = wire_read_double(&r);
    parts.max = wire_read_double(&r);
    inner = wire_enter(&r);
    if (r.left > SB_SKETCH_BUCKETS)
        wire_reader_fail(&r, SB_ETOOBIG);
    parts.n = r.left;
    for (uint32_t i = 0; i < parts.n; i++)
        counts[i] = (uint32_t)wire_read_u64(&r, UINT32_MAX);
    wire_leave(&r, inner);
    wire_leave(&r, outer);
    rc = wire_reader_end(&r);
    if (rc != SB_OK)
        return rc;
    rc = sb_sketch_load(sketch, &parts);
    return rc == SB_EINVAL ? SB_EPARSE : rc; /* the peer's mistake, not ours */
}
