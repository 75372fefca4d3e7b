/* controlplane/admin/stores.c */
#include "controlplane/admin/stores.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "common/check.h"
#include "common/mem.h"

struct cp_stores {
    struct cp_store_conf conf;
    char *conninfo, *application, *role;
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct cp_store *idle[CP_STORES_MAX]; /* those that were opened; under lock */
    unsigned n_idle;
    unsigned n_taken; /* under lock */
};

static char *copy(const char *text)
{
    return text != NULL ? sb_mem_strdup(text) : NULL;
}

struct cp_stores *cp_stores_new(const struct cp_store_conf *conf)
{
    struct cp_stores *stores = sb_mem_new(sizeof(*stores));
    pthread_condattr_t attr;

    stores->conf = *conf;
    stores->conf.db.conninfo = stores->conninfo = copy(conf->db.conninfo);
    stores->conf.db.application = stores->application = copy(conf->db.application);
    stores->conf.db.role = stores->role = copy(conf->db.role);
    (void)pthread_mutex_init(&stores->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&stores->given, &attr);
    (void)pthread_condattr_destroy(&attr);
    return stores;
}

void cp_stores_destroy(struct cp_stores **stores)
{
    struct cp_stores *old = *stores;

    if (old == NULL)
        return;
    SB_BUG_ON(old->n_taken > 0);
    while (old->n_idle > 0)
        cp_store_destroy(&old->idle[--old->n_idle]);
    (void)pthread_cond_destroy(&old->given);
    (void)pthread_mutex_destroy(&old->lock);
    sb_mem_free(old->conninfo);
    sb_mem_free(old->application);
    sb_mem_free(old->role);
    sb_mem_free(old);
    *stores = NULL;
}

/* A place among those taken, and a store when one is idle. */
static int take_place(struct cp_stores *stores, struct cp_store **ret_store)
{
    struct timespec end;
    int rc = SB_OK;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += CP_STORES_WAIT_MSEC / 1000;
    (void)pthread_mutex_lock(&stores->lock);
    while (rc == SB_OK && stores->n_taken == CP_STORES_MAX) {
        if (pthread_cond_timedwait(&stores->given, &stores->lock, &end) == ETIMEDOUT)
            rc = SB_EAGAIN;
    }
    if (rc == SB_OK) {
        stores->n_taken++;
        if (stores->n_idle > 0)
            *ret_store = stores->idle[--stores->n_idle];
    }
    (void)pthread_mutex_unlock(&stores->lock);
    return rc;
}

static void leave_place(struct cp_stores *stores, struct cp_store *store)
{
    (void)pthread_mutex_lock(&stores->lock);
    stores->n_taken--;
    if (store != NULL)
        stores->idle[stores->n_idle++] = store;
    (void)pthread_cond_signal(&stores->given);
    (void)pthread_mutex_unlock(&stores->lock);
}

int cp_stores_take(struct cp_stores *stores, struct cp_store **ret_store, struct sb_errmsg *err)
{
    struct cp_store *store = NULL;
    int rc = take_place(stores, &store);

    if (rc != SB_OK)
        return sb_err_set(err, rc, "all %d connections to the database are busy", CP_STORES_MAX);
    if (store == NULL) { /* outside of the lock: it may take seconds */
        rc = cp_store_new(&stores->conf, &store, err);
        if (rc != SB_OK) {
            leave_place(stores, NULL);
            return rc;
        }
    }
    *ret_store = store;
    return SB_OK;
}

void cp_stores_give(struct cp_stores *stores, struct cp_store **store)
{
    if (*store == NULL)
        return;
    leave_place(stores, *store);
    *store = NULL;
}

int cp_stores_failure(struct cp_store *store, int rc, struct sb_errmsg *err)
{
    const struct cp_db_error *error = cp_db_last_error(cp_store_db(store));

    return sb_err_set(err, rc == SB_EINVAL ? SB_EDB : rc, "%s",
                      error->code == rc ? error->text.text : sb_err_str(rc));
}
