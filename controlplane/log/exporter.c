/* controlplane/log/exporter.c */
#include "controlplane/log/exporter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/buf.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/timefmt.h"
#include "common/zstd.h"
#include "controlplane/db.h"
#include "controlplane/log/export.h"
#include "controlplane/mail.h"
#include "controlplane/publish/term.h"

enum { PATH_BYTES = 4200, LINES_MAX = 512 << 20, DIR_MODE = 0750, FILE_MODE = 0640 };

struct cp_exporter {
    struct cp_exporter_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer timer;
    struct cp_db *db;
    bool leading, told; /* told: of the failure that goes on */
    uint64_t term;
    struct cp_export day; /* meaningful while a file is open */
    int fd;               /* of the file aside; -1: no day is being written */
    struct sb_zstd_writer *writer;
    struct sb_buf lines;
    char path[PATH_BYTES], aside[PATH_BYTES + 8], file[32];
};

/* --- the file ------------------------------------------------------------------------- */

static int on_piece(void *ctx, struct sb_slice piece)
{
    const struct cp_exporter *exporter = ctx;

    while (piece.n > 0) {
        ssize_t n = write(exporter->fd, piece.p, piece.n);

        if (n < 0 && errno != EINTR)
            return errno == ENOSPC ? SB_ENOSPC : SB_EIO;
        piece = sb_slice_from(piece, n > 0 ? (size_t)n : 0);
    }
    return SB_OK;
}

static void give_up(struct cp_exporter *exporter)
{
    sb_zstd_writer_destroy(&exporter->writer);
    sb_buf_clear(&exporter->lines);
    if (exporter->fd < 0)
        return;
    (void)close(exporter->fd);
    (void)unlink(exporter->aside);
    exporter->fd = -1;
}

static int open_file(struct cp_exporter *exporter, struct sb_errmsg *err)
{
    char day[SB_DATE_TEXT_MAX];
    int rc = sb_dir_make(exporter->conf.dir, DIR_MODE, err);

    if (rc != SB_OK)
        return rc;
    (void)sb_date_format(exporter->day.day, day);
    (void)snprintf(exporter->file, sizeof(exporter->file), "%s.ndjson.zst", day);
    (void)snprintf(exporter->path, sizeof(exporter->path), "%s/%s", exporter->conf.dir,
                   exporter->file);
    (void)snprintf(exporter->aside, sizeof(exporter->aside), "%s.part", exporter->path);
    exporter->fd =
        open(exporter->aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (exporter->fd < 0)
        return sb_err_set(err, SB_EIO, "cannot write %s: %s", exporter->aside, strerror(errno));
    exporter->writer = sb_zstd_writer_new(on_piece, exporter);
    return SB_OK;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

    if (fd < 0)
        return SB_EIO;
    rc = fsync(fd) == 0 ? SB_OK : SB_EIO;
    (void)close(fd);
    return rc;
}

static int write_lines(struct cp_exporter *exporter, struct sb_errmsg *err)
{
    int rc = sb_zstd_write(exporter->writer, sb_buf_slice(&exporter->lines));

    sb_buf_reset(&exporter->lines);
    return rc == SB_OK ? rc : sb_err_set(err, rc, "cannot write %s", exporter->aside);
}

static int close_file(struct cp_exporter *exporter, struct sb_errmsg *err)
{
    int rc = sb_zstd_end(exporter->writer);

    if (rc == SB_OK && (fsync(exporter->fd) != 0 || rename(exporter->aside, exporter->path) != 0))
        rc = SB_EIO;
    if (rc == SB_OK)
        rc = sync_directory(exporter->conf.dir);
    return rc == SB_OK ? rc : sb_err_set(err, rc, "cannot write %s", exporter->path);
}

/* --- a day ------------------------------------------------------------------------------ */

static int store(struct cp_db *db, void *ctx)
{
    const struct cp_exporter *exporter = ctx;
    char day[SB_DATE_TEXT_MAX];
    int rc = cp_term_check(db, exporter->term);

    (void)sb_date_format(exporter->day.day, day);
    return rc == SB_OK
               ? cp_db_exec(db,
                            "INSERT INTO log_exports (day, from_leaf, to_leaf, file, daemon)"
                            " VALUES ($1::date, $2, $3, $4, $5)",
                            CP_PARAMS(CP_P_STR(day), CP_P_I64(exporter->day.from),
                                      CP_P_I64(exporter->day.to), CP_P_STR(exporter->file),
                                      CP_P_STR(exporter->conf.name)),
                            NULL)
               : rc;
}

static int finish(struct cp_exporter *exporter, struct sb_errmsg *err)
{
    int rc = close_file(exporter, err);

    if (rc != SB_OK)
        return rc;
    rc = cp_db_transact(exporter->db, CP_READ_COMMITTED, store, exporter);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s", cp_db_last_error(exporter->db)->text.text);
    sb_log_info(NOTARY, "exported a day of the log file=%s from=%" PRIu64 " to=%" PRIu64,
                exporter->path, exporter->day.from, exporter->day.to);
    give_up(exporter); /* nothing is left to give up but what it was written with */
    return SB_OK;
}

static int begin(struct cp_exporter *exporter, struct sb_errmsg *err)
{
    int rc = cp_export_next(exporter->db, &exporter->day, err);

    if (rc == SB_OK)
        rc = open_file(exporter, err);
    if (rc == SB_OK)
        rc = cp_export_begin(exporter->db, &exporter->day, &exporter->lines, err);
    return rc == SB_OK ? write_lines(exporter, err) : rc;
}

/* One page of a day, or its begin.  SB_EAGAIN: there is nothing to do. */
static int step(struct cp_exporter *exporter, struct sb_errmsg *err)
{
    bool is_over = false;
    int rc;

    if (exporter->fd < 0)
        return begin(exporter, err);
    rc = cp_export_more(exporter->db, &exporter->day, &exporter->lines, &is_over, err);
    if (rc == SB_OK)
        rc = write_lines(exporter, err);
    return rc == SB_OK && is_over ? finish(exporter, err) : rc;
}

/* --- rounds -------------------------------------------------------------------------------- */

static int connect_db(struct cp_exporter *exporter, struct sb_errmsg *err)
{
    const struct cp_db_conf conf = {.conninfo = exporter->conf.conninfo,
                                    .application = exporter->application,
                                    .role = CP_DB_COLLECTOR_ROLE,
                                    .connect_timeout = 2000,
                                    .query_timeout = 60000};

    if (exporter->db != NULL && !cp_db_is_alive(exporter->db))
        cp_db_destroy(&exporter->db);
    return exporter->db != NULL ? SB_OK : cp_db_new(&conf, &exporter->db, err);
}

static void on_timer(struct sb_reactor_timer *timer)
{
    struct cp_exporter *exporter = container_of(timer, struct cp_exporter, timer);
    struct sb_errmsg err = {.text = ""};
    sb_msec delay = 0; /* on with it, after the mail */
    int rc;

    if (!exporter->leading)
        return;
    rc = connect_db(exporter, &err);
    if (rc == SB_OK)
        rc = step(exporter, &err);
    if (rc != SB_OK) {
        delay = exporter->conf.poll;
        give_up(exporter);
    }
    if (rc != SB_OK && rc != SB_EAGAIN && rc != SB_ENOTLEADER && !exporter->told)
        sb_log_error(NOTARY, "cannot export the log, trying again code=%s: %s", sb_err_name(rc),
                     err.text);
    exporter->told = rc != SB_OK && rc != SB_EAGAIN;
    sb_reactor_timer_start(exporter->reactor, timer, delay, 0, on_timer);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_exporter *exporter = ctx;

    if (mail->kind == CP_MAIL_LEAD) {
        const struct cp_lead *lead = container_of(mail, struct cp_lead, mail);

        exporter->leading = lead->leading;
        exporter->term = lead->term;
        give_up(exporter); /* somebody else may have written it meanwhile */
        if (lead->leading)
            sb_reactor_timer_start(exporter->reactor, &exporter->timer, 0, 0, on_timer);
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_exporter *exporter = ctx;

    (void)self;
    (void)err;
    exporter->reactor = reactor;
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_exporter *exporter = ctx;

    sb_reactor_timer_stop(&exporter->timer);
    give_up(exporter);
    cp_db_destroy(&exporter->db);
}

static const struct sb_actor_ops ops = {
    .name = "exporter", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_exporter_start(const struct cp_exporter_conf *conf, struct cp_exporter **ret,
                      struct sb_errmsg *err)
{
    struct cp_exporter *exporter;
    int rc;

    if (strlen(conf->dir) + sizeof(exporter->file) >= PATH_BYTES)
        return sb_err_set(err, SB_ETOOBIG, "the path %.40s... is too long", conf->dir);
    exporter = sb_mem_new(sizeof(*exporter));
    exporter->conf = *conf;
    if (exporter->conf.poll == 0)
        exporter->conf.poll = CP_EXPORTER_POLL;
    exporter->fd = -1;
    sb_buf_init(&exporter->lines, LINES_MAX);
    (void)snprintf(exporter->application, sizeof(exporter->application),
                   "switchboard-control exporter %s", conf->name);
    rc = sb_actor_start(&ops, exporter, &exporter->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(exporter);
        return rc;
    }
    *ret = exporter;
    return SB_OK;
}

void cp_exporter_stop(struct cp_exporter **exporterp)
{
    struct cp_exporter *exporter = *exporterp;

    *exporterp = NULL;
    if (exporter == NULL)
        return;
    sb_actor_stop(&exporter->actor);
    sb_mem_free(exporter);
}

struct sb_mailbox *cp_exporter_mailbox(const struct cp_exporter *exporter)
{
    return sb_actor_mailbox(exporter->actor);
}
