/* dataplane/supervisor.c */
#include "dataplane/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "dataplane/conf.h"
#include "dataplane/listener.h"

enum {
    HEALTHY_MSEC = 10000, /* a worker that lived so long starts again at once */
    PAUSE_MIN = 100,
    PAUSE_MAX = 10000,
};

struct slot {
    pid_t pid; /* 0: not running */
    int listen_fd, status_fd;
    sb_msec started;
    sb_msec pause;    /* before the next start */
    sb_msec start_at; /* meaningful while not running */
};

struct supervisor {
    const struct dp_conf *conf;
    char program[PATH_MAX]; /* read at the start: the file may be replaced meanwhile */
    char **argv;            /* with room for --slot and its value at the end */
    int argc;
    struct slot *slots;
    unsigned n_slots;
    bool ending;
};

static volatile sig_atomic_t got_signal[NSIG];

static void on_signal(int signum)
{
    got_signal[signum] = 1;
}

static int open_slot(struct supervisor *sup, unsigned i, struct sb_errmsg *err)
{
    struct slot *slot = &sup->slots[i];
    int rc = dp_listen(sup->conf->listen, 0, true, &slot->listen_fd, err);

    if (rc != SB_OK || sup->conf->status == NULL)
        return rc;
    return dp_listen(sup->conf->status, i, false, &slot->status_fd, err);
}

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

/* In the child: the descriptors get their numbers, all else is closed by
 * exec. */
static void run_worker(const struct supervisor *sup, const struct slot *slot, const char *number)
{
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* nobody would restart or stop it */
    /* What we are told before the worker listens must end it: our own handler
     * would take the signal and forget it with exec. */
    for (size_t i = 0; i < SB_ARRAY_LEN(watched); i++)
        (void)signal(watched[i], SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* out of the way first: 3 and 4 may be the other one's number */
    int listen_fd = fcntl(slot->listen_fd, F_DUPFD_CLOEXEC, 10);
    int status_fd = slot->status_fd >= 0 ? fcntl(slot->status_fd, F_DUPFD_CLOEXEC, 10) : -1;

    if (listen_fd < 0 || dup2(listen_fd, DP_LISTEN_FD) < 0 ||
        (status_fd >= 0 && dup2(status_fd, DP_STATUS_FD) < 0))
        _exit(126);
    sup->argv[sup->argc] = (char *)(uintptr_t) "--slot";
    sup->argv[sup->argc + 1] = (char *)(uintptr_t)number;
    (void)execv(sup->program, sup->argv);
    _exit(127);
}

static void start_slot(struct supervisor *sup, unsigned i, sb_msec now)
{
    struct slot *slot = &sup->slots[i];
    char number[16];
    pid_t pid;

    (void)snprintf(number, sizeof(number), "%u", i);
    pid = fork();
    if (pid == 0)
        run_worker(sup, slot, number);
    if (pid < 0) {
        slot->start_at = now + PAUSE_MAX;
        sb_log_error(SUPER, "cannot start a worker slot=%u reason=%s", i, strerror(errno));
        return;
    }
    slot->pid = pid;
    slot->started = now;
    sb_log_info(SUPER, "worker started slot=%u worker_pid=%d", i, (int)pid);
}

static void on_exit_of(struct supervisor *sup, pid_t pid, int status, sb_msec now)
{
    for (unsigned i = 0; i < sup->n_slots; i++) {
        struct slot *slot = &sup->slots[i];

        if (slot->pid != pid)
            continue;
        slot->pid = 0;
        if (sup->ending)
            return;
        if (now - slot->started >= HEALTHY_MSEC)
            slot->pause = 0;
        slot->start_at = now + slot->pause;
        sb_log_warn(SUPER,
                    "worker ended, starting it again slot=%u worker_pid=%d signal=%d status=%d "
                    "in_ms=%d",
                    i, (int)pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                    WIFEXITED(status) ? WEXITSTATUS(status) : 0, (int)slot->pause);
        slot->pause = slot->pause == 0              ? PAUSE_MIN
                      : slot->pause * 2 > PAUSE_MAX ? PAUSE_MAX
                                                    : slot->pause * 2;
        return;
    }
}

static unsigned reap(struct supervisor *sup, sb_msec now)
{
    unsigned running = 0;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_exit_of(sup, pid, status, now);
    for (unsigned i = 0; i < sup->n_slots; i++)
        running += sup->slots[i].pid != 0;
    return running;
}

static void pass_on(struct supervisor *sup, int signum)
{
    for (unsigned i = 0; i < sup->n_slots; i++)
        if (sup->slots[i].pid != 0)
            (void)kill(sup->slots[i].pid, signum);
}

/* Workers have these by themselves.  Ours would keep the kernel queueing
 * clients, for nobody, after the workers have stopped to listen. */
static void close_listeners(struct supervisor *sup)
{
    for (unsigned i = 0; i < sup->n_slots; i++) {
        if (sup->slots[i].listen_fd >= 0)
            (void)close(sup->slots[i].listen_fd);
        sup->slots[i].listen_fd = -1;
    }
}

static bool take_signal(int signum)
{
    bool got = got_signal[signum] != 0;

    got_signal[signum] = 0;
    return got;
}

/* A terminal's Ctrl-C, or a service manager, may have told the workers as well.
 * So what they are told twice counts once; only we say that it is urgent. */
static void end_workers(struct supervisor *sup)
{
    close_listeners(sup); /* first: a worker that has stopped to listen is the last to do so */
    pass_on(sup, sup->ending ? DP_HURRY_SIGNAL : SIGTERM);
    if (!sup->ending)
        sb_log_info(SUPER, "ending, the workers drain; a second signal ends them at once");
    sup->ending = true;
}

static void take_signals(struct supervisor *sup)
{
    bool is_term = take_signal(SIGTERM), is_int = take_signal(SIGINT);

    if (is_term || is_int)
        end_workers(sup);
    if (take_signal(SIGHUP))
        pass_on(sup, SIGHUP);
}

/* Starts what is due; returns how long nothing will be. */
static sb_msec start_due(struct supervisor *sup, sb_msec now)
{
    sb_msec wait = 3600000;

    for (unsigned i = 0; i < sup->n_slots && !sup->ending; i++) {
        struct slot *slot = &sup->slots[i];

        if (slot->pid != 0)
            continue;
        if (slot->start_at <= now)
            start_slot(sup, i, now);
        else if (slot->start_at - now < wait)
            wait = slot->start_at - now;
    }
    return wait;
}

static void run(struct supervisor *sup)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, open;

    /* Signals come only inside ppoll(), so that none is missed between a look
     * and the wait. */
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < SB_ARRAY_LEN(watched); i++) {
        (void)sigaction(watched[i], &action, NULL);
        (void)sigaddset(&blocked, watched[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &blocked, &open);
    for (;;) {
        sb_msec now = sb_clock_now(&sb_clock_system), wait;
        struct timespec timeout;

        take_signals(sup);
        if (reap(sup, now) == 0 && sup->ending)
            return;
        wait = start_due(sup, now);
        timeout = (struct timespec){.tv_sec = (time_t)(wait / 1000),
                                    .tv_nsec = (long)(wait % 1000) * 1000000};
        (void)pselect(0, NULL, NULL, NULL, &timeout, &open);
        got_signal[SIGCHLD] = 0;
    }
}

/* What no worker could do either is no reason to start one again and again. */
static int have_spool(const struct dp_conf *conf)
{
    struct sb_errmsg err;
    int rc = sb_dir_make(conf->spool, S_IRWXU, &err);

    if (rc != SB_OK)
        sb_log_error(SUPER, "cannot start: spool: %s", err.text);
    return rc;
}

int dp_supervise(const struct dp_conf *conf, int argc, char **argv)
{
    struct supervisor sup = {.conf = conf, .argc = argc, .n_slots = (unsigned)conf->workers};
    struct sb_errmsg err;
    int status = 0;
    ssize_t n;

    n = readlink("/proc/self/exe", sup.program, sizeof(sup.program) - 1);
    if (n <= 0) {
        sb_log_error(SUPER, "cannot start: the program's own path is not known reason=%s",
                     strerror(errno));
        return 1;
    }
    sup.program[n] = '\0';
    sup.argv = sb_mem_new((size_t)(argc + 3) * sizeof(*sup.argv));
    memcpy(sup.argv, argv, (size_t)argc * sizeof(*argv));
    sup.slots = sb_mem_new(sup.n_slots * sizeof(*sup.slots));
    for (unsigned i = 0; i < sup.n_slots; i++)
        sup.slots[i].listen_fd = sup.slots[i].status_fd = -1;
    if (have_spool(conf) != SB_OK)
        status = 1;
    for (unsigned i = 0; i < sup.n_slots && status == 0; i++) {
        if (open_slot(&sup, i, &err) == SB_OK)
            continue;
        sb_log_error(SUPER, "cannot start: %s", err.text);
        status = 1;
    }
    if (status == 0)
        run(&sup);
    for (unsigned i = 0; i < sup.n_slots; i++) {
        if (sup.slots[i].listen_fd >= 0)
            (void)close(sup.slots[i].listen_fd);
        if (sup.slots[i].status_fd >= 0)
            (void)close(sup.slots[i].status_fd);
    }
    sb_mem_free(sup.slots);
    sb_mem_free(sup.argv);
    return status;
}
