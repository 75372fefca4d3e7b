/* proto/generation.h - one recorded request as OpenRouter's /generation shows it.
 *
 * Both planes answer GET /v1/generation: the control plane from PostgreSQL,
 * a worker from records that are not committed yet.  Both fill a msg_record
 * and write it here, so that the answers are the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct msg_record;
struct sb_buf;

/* Whether a record can be shown to a tenant under an id: a request that ended,
 * of this tenant (0: an operator, who may see all). */
bool msg_generation_matches(const struct msg_record *record, struct sb_slice id, uint64_t tenant);
/* Appends the answer, {"data": {...}}.  SB_ETOOBIG, SB_ENOMEM; out is then as
 * before. */
int msg_generation_write(const struct msg_record *record, struct sb_buf *out) SB_MUSTCHECK;
