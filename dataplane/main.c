/* dataplane/main.c - switchboard-worker: arguments, then the supervisor or one
 * worker. */
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/bus.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "dataplane/conf.h"
#include "dataplane/supervisor.h"
#include "dataplane/worker.h"

static int run_worker(const struct dp_conf *conf)
{
    bool has_status = conf->status != NULL;
    struct dp_worker *worker = NULL;
    struct sb_errmsg err;
    int rc;

    rc = sb_bus_init(&err);
    if (rc == SB_OK) {
        rc = dp_worker_new(conf, DP_LISTEN_FD, has_status ? DP_STATUS_FD : -1, &worker, &err);
        if (rc == SB_OK)
            dp_worker_run(worker);
        dp_worker_destroy(&worker);
        sb_bus_shutdown();
    }
    if (rc != SB_OK)
        sb_log_error(MAIN, "cannot start code=%s: %s", sb_err_name(rc), err.text);
    return rc == SB_OK ? 0 : 1;
}

/* A client needs a descriptor, its request another one. */
static void have_descriptors(const struct dp_conf *conf)
{
    uint64_t limit = sb_file_raise_limit(), wish = 2 * (uint64_t)conf->max_connections;

    if (conf->slot < 0 && limit < wish)
        sb_log_warn(MAIN, "few descriptors for max-connections limit=%" PRIu64 " wish=%" PRIu64,
                    limit, wish);
}

int main(int argc, char **argv)
{
    struct dp_conf conf;
    int status;

    if (!sb_conf_start(&dp_conf_spec, argc, argv, &conf, &status))
        return status;
    sb_log_setup("switchboard-worker", (enum sb_log_format)conf.log_format);
    if (sb_log_set_levels(conf.log_level, NULL) != SB_OK)
        return 2; /* cannot be: the settings were checked */
    (void)signal(SIGPIPE, SIG_IGN);
    have_descriptors(&conf);
    return conf.slot >= 0 ? run_worker(&conf) : dp_supervise(&conf, argc, argv);
}
