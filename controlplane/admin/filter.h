/* controlplane/admin/filter.h - parameters of a query as parameters of SQL.
 *
 * A statement has a place for every filter, "($3::text IS NULL OR key = $3)":
 * what was not asked for is NULL there, and the planner, which knows the
 * values, drops it.  What cannot be read is a problem of the call.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "controlplane/db.h"

struct cp_call;

/* As it was given. */
struct cp_param cp_filter_text(struct cp_call *call, const char *name);
/* A date (its midnight, UTC) or RFC 3339, as timestamptz. */
struct cp_param cp_filter_time(struct cp_call *call, const char *name);
/* USD, in whole 1e-15. */
struct cp_param cp_filter_money(struct cp_call *call, const char *name);
/* A whole number. */
struct cp_param cp_filter_number(struct cp_call *call, const char *name);
/* Outcomes, with commas between, as smallint[]. */
struct cp_param cp_filter_outcomes(struct cp_call *call, const char *name);
/* The section of a kind: "key" and "keys" give "keys". */
struct cp_param cp_filter_kind(struct cp_call *call, const char *name);
/* What a residency was demanded as: eu, or one country. */
struct cp_param cp_filter_residency(struct cp_call *call, const char *name);
/* A problem: value is none of names. */
void cp_filter_complain(struct cp_call *call, const char *name, struct sb_slice value,
                        const char *const *names);
/* "a, b and c", in the call's arena; NULL at the end of names, which has one at least. */
struct sb_slice cp_filter_words(struct cp_call *call, const char *const *names);
/* An address or a network, for an operator of inet. */
struct cp_param cp_filter_network(struct cp_call *call, const char *name);
/* "eu", or countries with commas between, as text[] of the regions that lie in
 * there, in capitals. */
struct cp_param cp_filter_area(struct cp_call *call, const char *name);
/* Adds bit to *with when the parameter is true, to *without when it is false. */
void cp_filter_bit(struct cp_call *call, const char *name, unsigned bit, int64_t *with,
                   int64_t *without);
