/* controlplane/hub.h - asks the actors of the daemon, from any thread.
 *
 * For the admin API.  Every call may wait up to CP_HUB_PATIENCE, explain as
 * long as a worker may take; none waits for the database.  The actors must
 * outlive the hub.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"

struct cp_explain_what;
struct cp_hub;
struct cp_stats;
struct sb_buf;
struct sb_json;
struct sb_mailbox;

enum {
    CP_HUB_PATIENCE = 2000,       /* ms */
    CP_HUB_ANSWER_MAX = 64 << 20, /* bytes */
};

struct cp_hub_conf {
    const char *name; /* of the daemon; all borrowed */
    struct cp_stats *stats;
    struct sb_mailbox *publisher, *tables;
};

struct cp_hub *cp_hub_new(const struct cp_hub_conf *conf);
void cp_hub_destroy(struct cp_hub **hub);

/* In the form of struct cp_admin_live, ctx being the hub.
 *
 * SB_ENOTLEADER: another daemon knows; SB_ETIMEDOUT, SB_ECANCELED: this one is
 * overloaded, or ends. */
int cp_hub_state(void *ctx, struct sb_json *json) SB_MUSTCHECK;
int cp_hub_workers(void *ctx, struct sb_buf *out, struct sb_errmsg *err) SB_MUSTCHECK;
int cp_hub_tables(void *ctx, const uint64_t *ids, size_t n, struct sb_buf *out,
                  struct sb_errmsg *err) SB_MUSTCHECK;
/* SB_ENOENT: no such worker; SB_EAGAIN: none is ready. */
int cp_hub_explain(void *ctx, const struct cp_explain_what *what, struct sb_buf *out,
                   unsigned *ret_status, struct sb_errmsg *err) SB_MUSTCHECK;
int cp_hub_metrics(void *ctx, struct sb_buf *page) SB_MUSTCHECK;
/* Whether this daemon can do its work: its actors answer. */
int cp_hub_ready(void *ctx, struct sb_errmsg *err) SB_MUSTCHECK;
