/* proto/sketch.h - a quantile sketch as bytes, as a BEAT carries it.
 *
 * Workers fold the latencies of one endpoint and second into a sketch, and
 * the control plane merges the sketches of all workers: merging is exact, so
 * the percentiles are those of all attempts, not means of percentiles.
 */
#pragma once

#include "common/attr.h"
#include "common/buf.h"
#include "common/sketch.h"
#include "common/slice.h"
#include "proto/limits.h"

/* Appends the bytes of a sketch, at most MSG_SKETCH_MAX.  Errors: SB_ENOMEM,
 * SB_ETOOBIG; out is then as before. */
int msg_sketch_encode(const struct sb_sketch *sketch, struct sb_buf *out) SB_MUSTCHECK;
/* Replaces the contents of an initialised sketch.  Errors: SB_EPARSE,
 * SB_ETOOBIG, SB_ENOMEM; the sketch is then as before. */
int msg_sketch_decode(struct sb_slice bytes, struct sb_sketch *sketch) SB_MUSTCHECK;
