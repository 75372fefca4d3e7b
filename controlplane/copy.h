/* controlplane/copy.h - rows in PostgreSQL's binary COPY format.
 *
 *      cp_copy_start(&buf);
 *      cp_copy_row(&buf, 3);  then 3 values ...
 *      cp_copy_finish(&buf);  and all of buf goes to cp_db_copy_put()
 *
 * The bytes may go out in pieces, the buffer being consumed in between.  All
 * return SB_OK, SB_ETOOBIG or SB_ENOMEM; after an error the buffer is useless.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"

int cp_copy_start(struct sb_buf *buf) SB_MUSTCHECK;
int cp_copy_row(struct sb_buf *buf, int16_t columns) SB_MUSTCHECK;
int cp_copy_finish(struct sb_buf *buf) SB_MUSTCHECK;

/* One value each; the column has exactly this type. */
int cp_copy_null(struct sb_buf *buf) SB_MUSTCHECK;
int cp_copy_i16(struct sb_buf *buf, int16_t value) SB_MUSTCHECK;
int cp_copy_i32(struct sb_buf *buf, int32_t value) SB_MUSTCHECK;
int cp_copy_i64(struct sb_buf *buf, int64_t value) SB_MUSTCHECK;
int cp_copy_numeric(struct sb_buf *buf, int64_t value) SB_MUSTCHECK; /* whole, not negative */
int cp_copy_bool(struct sb_buf *buf, bool value) SB_MUSTCHECK;
int cp_copy_bytes(struct sb_buf *buf, struct sb_slice value) SB_MUSTCHECK; /* text, bytea */
int cp_copy_json(struct sb_buf *buf, struct sb_slice value) SB_MUSTCHECK;  /* jsonb */
/* inet, from an IPv4 or IPv6 address as text; SB_EINVAL when it is none, and
 * nothing was written then. */
int cp_copy_inet(struct sb_buf *buf, struct sb_slice address) SB_MUSTCHECK;
/* timestamptz, from microseconds since 1970 UTC that cp_copy_takes_usec(); date, from days since
 * then. */
bool cp_copy_takes_usec(int64_t usec);
int cp_copy_usec(struct sb_buf *buf, int64_t usec) SB_MUSTCHECK;
int cp_copy_day(struct sb_buf *buf, int32_t day) SB_MUSTCHECK;
