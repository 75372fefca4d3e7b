/* controlplane/admin/stats.h - what the admin API counts.  Threads of the server
 * add, and one of them shows: all access is atomic, by these. */
#pragma once

#include <stdint.h>

#include "common/attr.h"

struct sb_buf;

enum cp_admin_class { CP_ADMIN_2XX, CP_ADMIN_4XX, CP_ADMIN_5XX, CP_ADMIN_CLASSES };

struct cp_admin_stats {
    uint64_t answers[CP_ADMIN_CLASSES];
    uint64_t unauthorized;
};

/* Counts one answer. */
void cp_admin_stats_count(struct cp_admin_stats *stats, unsigned status);
/* Appends them to a Prometheus page. */
int cp_admin_stats_write(const struct cp_admin_stats *stats, struct sb_buf *page) SB_MUSTCHECK;
