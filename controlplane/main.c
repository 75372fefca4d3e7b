/* controlplane/main.c - switchboard-control: arguments, signals, the daemon. */
#include <signal.h>
#include <time.h>

#include "common/bus.h"
#include "common/err.h"
#include "common/log.h"
#include "controlplane/conf.h"
#include "controlplane/daemon.h"

enum { PREPARE_AGAIN = 2 }; /* seconds between two attempts to migrate */

/* Those that the main thread waits for; all other threads block them. */
static void block_signals(sigset_t *ret_set)
{
    (void)sigemptyset(ret_set);
    (void)sigaddset(ret_set, SIGTERM);
    (void)sigaddset(ret_set, SIGINT);
    (void)sigaddset(ret_set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, ret_set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Until the schema is there.  False: asked to end meanwhile; SB_EVERSION. */
static int prepare(const struct cp_conf *conf, const sigset_t *signals, struct sb_errmsg *err)
{
    const struct timespec pause = {.tv_sec = PREPARE_AGAIN};

    for (;;) {
        int rc = cp_daemon_prepare(conf, err), signal_number;

        if (rc == SB_OK || rc == SB_EVERSION || rc == SB_EINVAL || rc == SB_EACCES)
            return rc;
        sb_log_warn(STORE, "cannot prepare the database, trying again code=%s: %s", sb_err_name(rc),
                    err->text);
        signal_number = sigtimedwait(signals, NULL, &pause);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return SB_ECANCELED;
    }
}

static int serve(const struct cp_conf *conf, const sigset_t *signals, struct sb_errmsg *err)
{
    struct cp_daemon *daemon = NULL;
    int signal_number = 0;
    int rc = cp_daemon_start(conf, &daemon, err);

    if (rc != SB_OK)
        return rc;
    while (signal_number != SIGTERM && signal_number != SIGINT) {
        signal_number = sigwaitinfo(signals, NULL);
        if (signal_number == SIGHUP)
            cp_daemon_reload(daemon);
    }
    sb_log_info(MAIN, "ending signal=%d", signal_number);
    cp_daemon_stop(&daemon);
    return SB_OK;
}

int main(int argc, char **argv)
{
    struct cp_conf conf;
    struct sb_errmsg err = {.text = ""};
    sigset_t signals;
    int status, rc;

    if (!sb_conf_start(&cp_conf_spec, argc, argv, &conf, &status))
        return status;
    sb_log_setup("switchboard-control", (enum sb_log_format)conf.log_format);
    if (sb_log_set_levels(conf.log_level, NULL) != SB_OK)
        return 2; /* cannot be: the settings were checked */
    block_signals(&signals);
    rc = sb_bus_init(&err);
    if (rc == SB_OK) {
        rc = prepare(&conf, &signals, &err);
        if (rc == SB_OK)
            rc = serve(&conf, &signals, &err);
        sb_bus_shutdown();
    }
    if (rc == SB_ECANCELED) /* asked to end before it began */
        return 0;
    if (rc != SB_OK)
        sb_log_error(MAIN, "cannot start code=%s: %s", sb_err_name(rc), err.text);
    return rc == SB_OK ? 0 : 1;
}
