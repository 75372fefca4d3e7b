/* controlplane/catalog/prices.h - the prices of an endpoint as a catalogue has them.
 *
 *      pricing:
 *        prompt: "0.10"              # USD per million tokens
 *        completion: "0.30"
 *        request: "0"                # USD each
 *        overrides:
 *          - {min_prompt_tokens: 128000, prompt: "0.20", completion: "0.60"}
 *          - {hours: "00:30-08:30", prompt: "0.05"}
 *          - {hours: "22:00-06:00", days: [saturday, sunday], prompt: "0.04"}
 *
 * An override has at least one condition and one price.  proto/tariff.h says
 * when it applies, and what several do.  In the normal form hours are
 * "HH:MM-HH:MM", midnight is 00:00, and days are in the order of the week.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "proto/snapshot.h"

struct sb_arena;
struct yyjson_val;

/* How a catalogue names and counts a price. */
struct cp_price_form {
    const char *name;
    bool per_million;
};
extern const struct cp_price_form cp_price_forms[MSG_PRICE_COUNT];

/* "HH:MM-HH:MM" with 24:00 for midnight too; false: it is not, or begins where
 * it ends. */
bool cp_hours_read(struct sb_slice text, uint16_t *ret_from, uint16_t *ret_until) SB_MUSTCHECK;

/* A price of a "pricing" or an override in normal form; -1: it names none. */
int64_t cp_price_read(struct yyjson_val *prices, int kind);

/* "overrides" in normal form, or NULL; the rows are in arena.  SB_ENOMEM. */
int cp_overrides_read(struct yyjson_val *list, struct sb_arena *arena,
                      const struct msg_override **ret_overrides, size_t *ret_n) SB_MUSTCHECK;
