/* controlplane/admin/stats.c */
#include "controlplane/admin/stats.h"

#include "common/metrics.h"

static const char *class_name(int index)
{
    static const char *const names[CP_ADMIN_CLASSES] = {"2xx", "4xx", "5xx"};

    return names[index];
}

static const struct sb_metric metrics[] = {
    {SB_COUNTER, "switchboard_admin_answers_total", "Answers of the admin API by status.",
     SB_METRIC_AT(struct cp_admin_stats, answers), .label = "status", .label_value = class_name},
    {SB_COUNTER, "switchboard_admin_unauthorized_total",
     "Requests to the admin API without the right token.",
     SB_METRIC_AT(struct cp_admin_stats, unauthorized)},
};

static void add_one(uint64_t *counter)
{
    (void)__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void cp_admin_stats_count(struct cp_admin_stats *stats, unsigned status)
{
    if (status == 401)
        add_one(&stats->unauthorized);
    add_one(&stats->answers[status >= 500   ? CP_ADMIN_5XX
                            : status >= 400 ? CP_ADMIN_4XX
                                            : CP_ADMIN_2XX]);
}

int cp_admin_stats_write(const struct cp_admin_stats *stats, struct sb_buf *page)
{
    struct cp_admin_stats now;

    for (int i = 0; i < CP_ADMIN_CLASSES; i++)
        now.answers[i] = __atomic_load_n(&stats->answers[i], __ATOMIC_RELAXED);
    now.unauthorized = __atomic_load_n(&stats->unauthorized, __ATOMIC_RELAXED);
    return sb_metrics_write(page, metrics, SB_ARRAY_LEN(metrics), &now);
}
