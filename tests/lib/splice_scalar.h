/* tests/lib/splice_scalar.h - the scan a second time, without vector
 * instructions and under another name, so that both can be compared. */
#pragma once

#include "common/splice.h"

typedef int splice_scan_fn(struct sb_splice *doc, struct sb_slice text, unsigned max_depth,
                           struct sb_splice_error *ret_error);

void splice_scalar_init(struct sb_splice *doc, struct sb_splice_member *members, uint32_t max);
splice_scan_fn splice_scalar_scan;

#define SB_SPLICE_SCALAR
#define sb_splice_init splice_scalar_init
#define sb_splice_scan splice_scalar_scan
#include "common/splice.c" /* NOLINT(bugprone-suspicious-include) */
#undef sb_splice_init
#undef sb_splice_scan
