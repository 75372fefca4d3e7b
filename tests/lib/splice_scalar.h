/* tests/lib/splice_scalar.h - the scan a second time, without vector
 * instructions and under another name, so that both can be compared. */
#pragma once

#include "common/splice.h"

typedef int splice_scan_fn(struct sb_splice *doc, struct sb_slice text, unsigned max_depth,
                           struct sb_splice_error *ret_error);

typedef int splice_visit_fn(struct sb_splice *doc, struct sb_slice text, unsigned max_depth,
                            struct sb_splice_visitor *visitor, struct sb_splice_error *ret_error);

void splice_scalar_init(struct sb_splice *doc, struct sb_splice_member *members, uint32_t max);
splice_scan_fn splice_scalar_scan;
splice_visit_fn splice_scalar_visit;
bool splice_scalar_is_inside(struct sb_slice inside);

#define SB_SPLICE_SCALAR
#define sb_splice_init      splice_scalar_init
#define sb_splice_scan      splice_scalar_scan
#define sb_splice_visit     splice_scalar_visit
#define sb_splice_is_inside splice_scalar_is_inside
#include "common/splice.c" /* NOLINT(bugprone-suspicious-include) */
#undef sb_splice_init
#undef sb_splice_scan
#undef sb_splice_visit
#undef sb_splice_is_inside
