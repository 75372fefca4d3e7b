/* controlplane/probes/locator.c */
#include "controlplane/probes/locator.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "common/actor.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/network.h"
#include "common/reactor.h"
#include "controlplane/config/store.h"
#include "controlplane/mail.h"
#include "controlplane/probes/country_db.h"
#include "controlplane/probes/location.h"
#include "controlplane/publish/pace.h"

enum {
    ANSWER = 10000, /* ms that the database may take */
    ARENA = 16384,
    HOST_MAX = 256, /* bytes of a host, with its NUL */
};

/* A provider that a round has still to look at. */
struct target {
    struct sb_slice provider;
    char host[HOST_MAX];
};

struct cp_locator {
    struct cp_locator_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer poll, step;
    struct cp_country_db *countries;
    struct cp_store *store; /* NULL: no connection */
    bool leading, told_lost;
    uint64_t term;
    /* What the last round was made of. */
    bool is_due; /* another round, whatever has changed */
    uint64_t revision;
    sb_msec looked_at;
    struct cp_pace pace;
    /* The round under way; NULL: none. */
    struct sb_arena *arena;
    struct target *targets;
    size_t n, at;
};

static void end_round(struct cp_locator *locator)
{
    sb_reactor_timer_stop(&locator->step);
    sb_arena_destroy(&locator->arena);
    locator->targets = NULL;
    locator->n = locator->at = 0;
}

/* --- the connection ------------------------------------------------------------------ */

static bool connect_db(struct cp_locator *locator)
{
    const struct cp_store_conf conf = {.db = {.conninfo = locator->conf.conninfo,
                                              .application = locator->application,
                                              .role = CP_DB_SERVICE_ROLE,
                                              .connect_timeout = 2000,
                                              .query_timeout = ANSWER},
                                       .keyring = locator->conf.keyring,
                                       .clock = &sb_clock_system};
    struct sb_errmsg err = {.text = ""};
    int rc = SB_OK;

    if (locator->store != NULL && !cp_db_is_alive(cp_store_db(locator->store)))
        cp_store_destroy(&locator->store);
    if (locator->store == NULL)
        rc = cp_store_new(&conf, &locator->store, &err);
    if (rc != SB_OK && !locator->told_lost)
        sb_log_error(PROBE, "no database, looking at no addresses code=%s: %s", sb_err_name(rc),
                     err.text);
    locator->told_lost = rc != SB_OK;
    return rc == SB_OK;
}

static void failed(struct cp_locator *locator, const char *what, int rc)
{
    if (rc != SB_ENOTLEADER) /* the leader actor will find out, and tell */
        sb_log_warn(PROBE, "%s code=%s: %s", what, sb_err_name(rc),
                    cp_db_last_error(cp_store_db(locator->store))->text.text);
}

/* --- one host --------------------------------------------------------------------------- */

/* Of "https://api.acme.example:8443", as the database keeps it.  False: it
 * does not fit, or has none. */
static bool host_of(struct sb_slice origin, char ret_host[HOST_MAX])
{
    size_t slash = sb_slice_find(origin, '/');
    struct sb_slice host = SB_SLICE_NONE;

    if (slash + 2 < origin.n)
        host = sb_slice_from(origin, slash + 2);
    if (host.n > 0 && host.p[0] == '[') {
        host = sb_slice_from(host, 1);
        host.n = sb_slice_find(host, ']');
    } else {
        host.n = sb_slice_find(host, ':');
    }
    return host.n > 0 && sb_slice_copy_text(host, ret_host, HOST_MAX);
}

/* Those of which the country is known. */
static size_t locate(const struct cp_locator *locator, const char *host,
                     struct cp_located located[CP_LOCATOR_ADDRESSES_MAX])
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    size_t n = 0;
    int code = getaddrinfo(host, NULL, &hints, &found);

    if (code != 0) {
        sb_log_debug(PROBE, "a provider's host has no address host=%s: %s", host,
                     gai_strerror(code));
        return 0;
    }
    for (const struct addrinfo *one = found; one != NULL && n < CP_LOCATOR_ADDRESSES_MAX;
         one = one->ai_next) {
        struct sockaddr_storage name = {.ss_family = AF_UNSPEC};

        memcpy(&name, one->ai_addr, one->ai_addrlen);
        if (sb_address_from(&name, &located[n].address) != SB_OK)
            continue;
        located[n].country = cp_country_db_find(locator->countries, &located[n].address);
        n += located[n].country >= 0;
    }
    freeaddrinfo(found);
    return n;
}

static void look_at(struct cp_locator *locator, const struct target *target)
{
    struct cp_located located[CP_LOCATOR_ADDRESSES_MAX];
    const struct cp_locations locations = {.term = locator->term,
                                           .provider = target->provider,
                                           .host = sb_slice_of(target->host),
                                           .date = cp_country_db_date(locator->countries),
                                           .all = located,
                                           .n = locate(locator, target->host, located)};
    struct sb_errmsg err;
    uint64_t refuted = 0;
    int rc;

    if (locations.n == 0)
        return;
    rc = cp_location_act(locator->store, &locations, &refuted, &err);
    if (rc == SB_ECONFLICT)
        locator->is_due = true;
    else if (rc != SB_OK && rc != SB_ENOTLEADER)
        sb_log_warn(PROBE,
                    "cannot act on where a provider's addresses lie provider=%.*s code=%s: %s",
                    SB_LOG_SLICE(target->provider), sb_err_name(rc), err.text);
}

/* --- rounds ------------------------------------------------------------------------------- */

/* One host per turn, so that mail is heard in between. */
static void on_step(struct sb_reactor_timer *timer)
{
    struct cp_locator *locator = container_of(timer, struct cp_locator, step);

    if (locator->at == locator->n || !connect_db(locator)) {
        locator->is_due = locator->is_due || locator->at < locator->n;
        end_round(locator);
        return;
    }
    look_at(locator, &locator->targets[locator->at++]);
    sb_reactor_timer_start(locator->reactor, timer, 0, 0, on_step);
}

static int list_targets(struct cp_locator *locator)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(cp_store_db(locator->store),
                         "SELECT slug, origin FROM providers p WHERE EXISTS (SELECT FROM endpoints"
                         " e WHERE e.provider_id = p.id AND ((e.eu_resident).value = 'yes'"
                         " OR e.region <> 'global')) ORDER BY slug",
                         CP_NO_PARAMS, &rows);
    size_t most = rc == SB_OK ? cp_rows_count(rows) : 0;

    if (rc != SB_OK)
        return rc;
    locator->targets = sb_arena_try(locator->arena, (most + 1) * sizeof(*locator->targets));
    if (locator->targets == NULL)
        return SB_ENOMEM;
    for (size_t i = 0; i < most; i++) {
        struct target *target = &locator->targets[locator->n];

        if (!host_of(cp_rows_bytes(rows, i, 1), target->host))
            continue;
        target->provider = sb_arena_dup(locator->arena, cp_rows_bytes(rows, i, 0));
        locator->n++;
    }
    return SB_OK;
}

static void begin_round(struct cp_locator *locator, uint64_t revision)
{
    sb_msec now = sb_reactor_now(locator->reactor);
    int rc;

    end_round(locator);
    locator->arena = sb_arena_new(ARENA);
    rc = list_targets(locator);
    if (rc != SB_OK) {
        failed(locator, "cannot read which addresses are to be looked at", rc);
        end_round(locator);
        return;
    }
    cp_pace_done(&locator->pace, now);
    locator->is_due = false;
    locator->revision = revision;
    locator->looked_at = now;
    sb_reactor_timer_start(locator->reactor, &locator->step, 0, 0, on_step);
}

static void reread(struct cp_locator *locator)
{
    struct sb_errmsg err;
    int rc = cp_country_db_reload(locator->countries, &err);

    if (rc != SB_OK) {
        sb_log_error(PROBE, "keeping the old country database code=%s: %s", sb_err_name(rc),
                     err.text);
        return;
    }
    sb_log_info(PROBE, "read the country database again date=%s",
                cp_country_db_date(locator->countries));
    locator->is_due = true;
}

static void on_poll(struct sb_reactor_timer *timer)
{
    struct cp_locator *locator = container_of(timer, struct cp_locator, poll);
    sb_msec now = sb_reactor_now(locator->reactor);
    struct msg_version head;
    int rc;

    if (cp_country_db_has_changed(locator->countries))
        reread(locator);
    if (!locator->leading || locator->arena != NULL || cp_pace_wait(&locator->pace, now) > 0 ||
        !connect_db(locator))
        return;
    rc = cp_store_head(locator->store, &head);
    if (rc != SB_OK)
        failed(locator, "cannot see whether the configuration changed", rc);
    else if (locator->is_due || head.revision != locator->revision ||
             now - locator->looked_at >= CP_LOCATOR_PERIOD)
        begin_round(locator, head.revision);
}

/* --- the actor ------------------------------------------------------------------------------ */

static void on_lead(struct cp_locator *locator, const struct cp_lead *lead)
{
    if (!lead->leading)
        end_round(locator);
    else if (!locator->leading || lead->term != locator->term)
        locator->is_due = true;
    locator->leading = lead->leading;
    locator->term = lead->term;
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_locator *locator = ctx;

    switch (mail->kind) {
    case CP_MAIL_LEAD:
        on_lead(locator, container_of(mail, struct cp_lead, mail));
        break;
    case CP_MAIL_REREAD:
        reread(locator);
        break;
    default:
        break;
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_locator *locator = ctx;
    int rc = cp_country_db_new(locator->conf.path, &locator->countries, err);

    (void)self;
    if (rc != SB_OK)
        return rc;
    locator->reactor = reactor;
    cp_pace_init(&locator->pace, CP_LOCATOR_SPACING, CP_LOCATOR_BURST);
    sb_reactor_timer_start(reactor, &locator->poll, 0, CP_LOCATOR_POLL, on_poll);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_locator *locator = ctx;

    sb_reactor_timer_stop(&locator->poll);
    end_round(locator);
    cp_store_destroy(&locator->store);
    cp_country_db_destroy(&locator->countries);
}

static const struct sb_actor_ops ops = {
    .name = "locator", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_locator_start(const struct cp_locator_conf *conf, struct cp_locator **ret,
                     struct sb_errmsg *err)
{
    struct cp_locator *locator = sb_mem_new(sizeof(*locator));
    int rc;

    locator->conf = *conf;
    (void)snprintf(locator->application, sizeof(locator->application),
                   "switchboard-control locator %s", conf->name);
    rc = sb_actor_start(&ops, locator, &locator->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(locator);
        return rc;
    }
    *ret = locator;
    return SB_OK;
}

void cp_locator_stop(struct cp_locator **locatorp)
{
    struct cp_locator *locator = *locatorp;

    *locatorp = NULL;
    if (locator == NULL)
        return;
    sb_actor_stop(&locator->actor);
    sb_mem_free(locator);
}

struct sb_mailbox *cp_locator_mailbox(const struct cp_locator *locator)
{
    return sb_actor_mailbox(locator->actor);
}
