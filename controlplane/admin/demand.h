/* controlplane/admin/demand.h - what a compliance report is about: a claim, and
 * for residency which one, over whole days.
 *
 *      residency           every demand of it
 *      residency:eu        those that named the union
 *      residency:DE,FR     those that named just these countries
 *      zdr, no_training, distillable
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "controlplane/db.h"
#include "proto/vocabulary.h"

struct cp_call;
struct sb_arena;

struct cp_demand {
    struct sb_slice name; /* as above, countries in order */
    enum msg_claim_kind claim;
    struct sb_slice area; /* of a residency: "eu", "DE,FR"; p == NULL: any */
    int32_t from, to;     /* days since 1970-01-01; to is the first one after */
};

/* Reads claim, from and to; what is wrong is a problem of the call.  Without
 * days: the 30 that end today. */
void cp_demand_read(struct cp_call *call, struct cp_demand *ret_demand);

/* A statement that is about it has these first parameters; the condition takes
 * the text of a demand as an expression. */
enum { CP_DEMAND_PARAMS = 4 };
#define CP_DEMAND_OF(text)                                                                         \
    "($4::text IS NULL OR CASE $4 WHEN 'eu' THEN 'eu' = ANY (string_to_array(" text ", ','))"      \
    " ELSE array_to_string(array_remove(string_to_array(" text ", ','), 'eu'), ',') = $4 END)"
/* In audit_requests.demanded. */
#define CP_DEMAND_BIT                                                                              \
    "CASE $1::text WHEN 'residency' THEN 1 WHEN 'zdr' THEN 2 WHEN 'no_training' THEN 4 ELSE 8 END"
#define CP_DEMAND_DAY(day)                                                                         \
    day " >= date '1970-01-01' + $2::integer AND " day " < date '1970-01-01' + $3::integer"
void cp_demand_params(const struct cp_demand *demand, struct cp_param ret_params[CP_DEMAND_PARAMS]);

/* A row of compliance_violations as an object. */
#define CP_DEMAND_VIOLATION                                                                        \
    "json_build_object('generation_id', generation, 'received_at',"                                \
    " to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"               \
    " 'key', key_name, 'claim', claim, 'demanded', demanded, 'why', why, 'endpoint', endpoint,"    \
    " 'provider', provider, 'region', region, 'evidence', evidence, 'expires_on', expires_on,"     \
    " 'worker', worker_id, 'boot', boot_id, 'sequence', sequence)"
