/* tests/lib/pg_cluster.h - a private PostgreSQL for one test program.
 *
 *      struct pg_cluster cluster;
 *      pg_cluster_start(&cluster);
 *      conninfo = pg_cluster_database(&cluster);   a new one for each test
 *      pg_cluster_stop(&cluster);
 *
 * On a UNIX socket under /tmp, without fsync; run by the user postgres or
 * nobody when the tests run as root.  The server is our child and dies with us,
 * however that happens.  Whatever does not work ends the program.
 */
#pragma once

#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "controlplane/db.h"

struct pg_cluster {
    char dir[64], bin[256];
    pid_t pid;
    uid_t uid;
    gid_t gid;
    int databases;
    char conninfo[256]; /* of the last database */
};

static inline void pg_cluster_die(const char *what)
{
    fprintf(stderr, "pg_cluster: %s\n", what);
    exit(1);
}

static inline void pg_cluster_find(struct pg_cluster *cluster)
{
    const struct passwd *user = getpwnam("postgres");
    glob_t found;

    if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) != 0)
        pg_cluster_die("there is no /usr/lib/postgresql/*/bin/postgres");
    /* the last is the newest, unless there are 9 and 10 */
    (void)snprintf(cluster->bin, sizeof(cluster->bin), "%.*s",
                   (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/postgres")),
                   found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    cluster->uid = getuid();
    cluster->gid = getgid();
    if (cluster->uid == 0) {
        if (user == NULL)
            user = getpwnam("nobody");
        if (user == NULL)
            pg_cluster_die("there is no user postgres or nobody");
        cluster->uid = user->pw_uid;
        cluster->gid = user->pw_gid;
    }
}

/* Runs one of PostgreSQL's programs as its user; argv[0] is the program. */
static inline pid_t pg_cluster_run(struct pg_cluster *cluster, const char **argv)
{
    char path[512], log[128];
    pid_t parent = getpid(), pid;

    (void)snprintf(path, sizeof(path), "%s/%s", cluster->bin, argv[0]);
    (void)snprintf(log, sizeof(log), "%s/log", cluster->dir);
    pid = fork();
    if (pid < 0)
        pg_cluster_die("cannot fork");
    if (pid > 0)
        return pid;
    if (freopen("/dev/null", "r", stdin) == NULL || freopen(log, "a", stdout) == NULL ||
        dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(126);
    if (getuid() == 0 && (setgid(cluster->gid) != 0 || setuid(cluster->uid) != 0))
        _exit(126);
    if (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || getppid() != parent || chdir(cluster->dir) != 0)
        _exit(126);
    argv[0] = path; /* it looks for its siblings there, and else in PATH */
    execv(path, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static inline void pg_cluster_show_log(const struct pg_cluster *cluster)
{
    char path[128], line[512];
    FILE *log;

    (void)snprintf(path, sizeof(path), "%s/log", cluster->dir);
    log = fopen(path, "r");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL)
        fputs(line, stderr);
    if (log != NULL)
        (void)fclose(log);
}

/* Runs one statement as the superuser. */
static inline void pg_cluster_sql(const struct pg_cluster *cluster, const char *sql)
{
    char conninfo[160];
    struct cp_db_conf conf = {.conninfo = conninfo};
    struct sb_errmsg err;
    struct cp_db *db = NULL;

    (void)snprintf(conninfo, sizeof(conninfo), "host=%s user=root dbname=postgres", cluster->dir);
    if (cp_db_new(&conf, &db, &err) != SB_OK)
        pg_cluster_die(err.text);
    if (cp_db_script(db, sql) != SB_OK)
        pg_cluster_die(cp_db_last_error(db)->text.text);
    cp_db_destroy(&db);
}

/* Waits for the server, which says in a file when it is ready. */
static inline void pg_cluster_wait(struct pg_cluster *cluster)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    char path[128], line[256];

    (void)snprintf(path, sizeof(path), "%s/data/postmaster.pid", cluster->dir);
    for (int i = 0; i < 6000; i++) {
        FILE *file = fopen(path, "r");
        bool ready = false;

        while (file != NULL && fgets(line, sizeof(line), file) != NULL)
            ready = ready || strncmp(line, "ready", 5) == 0;
        if (file != NULL)
            (void)fclose(file);
        if (ready)
            return;
        if (waitpid(cluster->pid, NULL, WNOHANG) != 0)
            break;
        (void)nanosleep(&pause, NULL);
    }
    pg_cluster_show_log(cluster);
    pg_cluster_die("the server did not start");
}

static inline void pg_cluster_launch(struct pg_cluster *cluster)
{
    char data[128], socket[128];
    const char *argv[] = {"postgres",
                          "-D",
                          data,
                          "-c",
                          socket,
                          "-c",
                          "listen_addresses=",
                          "-c",
                          "fsync=off",
                          "-c",
                          "full_page_writes=off",
                          "-c",
                          "shared_buffers=64MB",
                          "-c",
                          "max_connections=40",
                          "-c",
                          "autovacuum=off",
                          NULL};

    (void)snprintf(data, sizeof(data), "%s/data", cluster->dir);
    (void)snprintf(socket, sizeof(socket), "unix_socket_directories=%s", cluster->dir);
    cluster->pid = pg_cluster_run(cluster, argv);
    pg_cluster_wait(cluster);
}

static inline void pg_cluster_start(struct pg_cluster *cluster)
{
    char data[128];
    const char *argv[] = {"initdb",
                          "-D",
                          data,
                          "-U",
                          "root",
                          "--auth=trust",
                          "--no-sync",
                          "--no-instructions",
                          "--locale=C.UTF-8",
                          "--encoding=UTF8",
                          NULL};
    int status = -1;
    pid_t pid;

    *cluster = (struct pg_cluster){.dir = "/tmp/sbpg-XXXXXX"};
    pg_cluster_find(cluster);
    if (mkdtemp(cluster->dir) == NULL || chown(cluster->dir, cluster->uid, cluster->gid) != 0)
        pg_cluster_die("cannot make a directory under /tmp");
    (void)snprintf(data, sizeof(data), "%s/data", cluster->dir);
    pid = pg_cluster_run(cluster, argv);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        pg_cluster_show_log(cluster);
        pg_cluster_die("initdb failed");
    }
    pg_cluster_launch(cluster);
    pg_cluster_sql(cluster, "CREATE ROLE switchboard_owner LOGIN CREATEROLE");
}

/* signum: SIGINT politely, SIGQUIT at once, SIGKILL as a crash. */
static inline void pg_cluster_halt(struct pg_cluster *cluster, int signum)
{
    if (cluster->pid > 0) {
        (void)kill(cluster->pid, signum);
        (void)waitpid(cluster->pid, NULL, 0);
    }
    cluster->pid = 0;
}

static inline void pg_cluster_stop(struct pg_cluster *cluster)
{
    char command[128];

    pg_cluster_halt(cluster, SIGQUIT);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", cluster->dir);
    if (system(command) != 0)
        fprintf(stderr, "pg_cluster: cannot remove %s\n", cluster->dir);
}

/* A new, empty database, owned by a role that is no superuser; gives how that
 * role connects to it. */
static inline const char *pg_cluster_database(struct pg_cluster *cluster)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql), "CREATE DATABASE t%d OWNER switchboard_owner",
                   ++cluster->databases);
    pg_cluster_sql(cluster, sql);
    (void)snprintf(cluster->conninfo, sizeof(cluster->conninfo),
                   "host=%s user=switchboard_owner dbname=t%d", cluster->dir, cluster->databases);
    return cluster->conninfo;
}
