/* controlplane/daemon.c */
#include "controlplane/daemon.h"

#include "common/busauth.h"
#include "common/buskey.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/notekey.h"
#include "controlplane/admin/admin.h"
#include "controlplane/conf.h"
#include "controlplane/db.h"
#include "controlplane/events/herald.h"
#include "controlplane/events/webhook.h"
#include "controlplane/hub.h"
#include "controlplane/log/exporter.h"
#include "controlplane/log/notary.h"
#include "controlplane/log/witness.h"
#include "controlplane/mail.h"
#include "controlplane/migrate.h"
#include "controlplane/probes/locator.h"
#include "controlplane/probes/probe_ledger.h"
#include "controlplane/probes/prober.h"
#include "controlplane/publish/leader.h"
#include "controlplane/publish/publisher.h"
#include "controlplane/publish/source.h"
#include "controlplane/records/answers.h"
#include "controlplane/records/collector.h"
#include "controlplane/stats.h"
#include "controlplane/tables/chronicle.h"
#include "controlplane/tables/tables.h"
#include "controlplane/upkeep.h"

struct cp_daemon {
    const struct cp_conf *conf;
    char name[CP_NAME_MAX];
    struct cp_stats stats;
    struct sb_keyring *keyring;
    struct sb_buskey *key;
    struct sb_busauth *auth;
    struct cp_leader *leader;
    struct cp_collector *collector;
    struct cp_chronicle *chronicle;
    struct cp_tables *tables;
    struct cp_answers *answers;
    struct cp_webhook *webhook; /* NULL: none */
    struct cp_herald *herald;
    struct sb_note_signer *log_key; /* NULL: nothing is signed */
    struct cp_notary *notary;
    struct cp_exporter *exporter; /* NULL: nothing is exported */
    struct cp_webhook *witness_webhook;
    struct cp_witness *witnesses[CP_WITNESS_KINDS];
    struct cp_publisher *publisher;
    struct cp_source *source;
    struct cp_ledger *ledger;
    struct cp_prober *prober;
    struct cp_locator *locator; /* NULL: without a country database */
    struct cp_upkeep *upkeep;
    struct cp_hub *hub;
    struct cp_admin *admin;
};

int cp_daemon_prepare(const struct cp_conf *conf, struct sb_errmsg *err)
{
    const struct cp_db_conf owner = {.conninfo = conf->owner_database,
                                     .application = "switchboard-control migration"};
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = NULL;
    int rc;

    if (conf->owner_database == NULL)
        return SB_OK;
    rc = cp_db_new(&owner, &db, err);
    return rc == SB_OK ? cp_migrate(db, err) : rc;
}

/* --- keys -------------------------------------------------------------------------------- */

static void on_refused(void *ctx, struct sb_slice key, struct sb_slice address)
{
    (void)ctx;
    sb_log_warn(BUS, "turned a worker away: its key is not authorised bus_key=%.*s address=%.*s",
                SB_LOG_SLICE(key), SB_LOG_SLICE(address));
}

static int load_keys(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_conf *conf = daemon->conf;
    int rc = sb_keyring_load("SWITCHBOARD_MASTER_KEYS", conf->keyring, &daemon->keyring, err);

    if (rc == SB_OK && conf->log_key != NULL)
        rc = sb_note_signer_load(conf->log_key, &daemon->log_key, err);
    if (rc != SB_OK || conf->bus_key == NULL)
        return rc;
    rc = sb_buskey_load(conf->bus_key, &daemon->key, err);
    if (rc == SB_OK)
        rc = sb_busauth_start(conf->bus_clients, on_refused, NULL, &daemon->auth, err);
    return rc;
}

/* How those log in who write the log. */
static const char *collector_conninfo(const struct cp_conf *conf)
{
    return conf->collector_database != NULL ? conf->collector_database : conf->database;
}

/* --- actors --------------------------------------------------------------------------------- */

/* Those that the publisher passes things on to. */
static int start_helpers(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_conf *conf = daemon->conf;
    const struct cp_leader_conf leader = {.conninfo = conf->database,
                                          .name = daemon->name,
                                          .new_epoch = conf->new_epoch,
                                          .stats = &daemon->stats};
    const struct cp_collector_conf collector = {
        .conninfo = collector_conninfo(conf), .name = daemon->name, .stats = &daemon->stats};
    const struct cp_chronicle_conf chronicle = {
        .conninfo = conf->database, .name = daemon->name, .stats = &daemon->stats};
    struct cp_tables_conf tables = {.interval = conf->tables_interval, .stats = &daemon->stats};
    const struct cp_answers_conf answers = {.conninfo = conf->database,
                                            .name = daemon->name,
                                            .stats = &daemon->stats,
                                            .is_signing = daemon->log_key != NULL};
    int rc = cp_leader_start(&leader, &daemon->leader, err);

    if (rc == SB_OK)
        rc = cp_collector_start(&collector, &daemon->collector, err);
    if (rc == SB_OK)
        rc = cp_chronicle_start(&chronicle, &daemon->chronicle, err);
    if (rc != SB_OK)
        return rc;
    tables.chronicle = cp_chronicle_mailbox(daemon->chronicle);
    rc = cp_tables_start(&tables, &daemon->tables, err);
    if (rc == SB_OK)
        rc = cp_answers_start(&answers, &daemon->answers, err);
    return rc;
}

static void attach(struct sb_mailbox *to, struct sb_mailbox *observer)
{
    (void)sb_mailbox_post(to, &cp_attach_new(observer)->mail);
}

static int start_herald(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_conf *conf = daemon->conf;
    struct cp_herald_conf herald = {
        .conninfo = conf->database, .name = daemon->name, .stats = &daemon->stats};
    int rc = SB_OK;

    if (conf->webhook_url != NULL)
        rc = cp_webhook_new(conf->webhook_url, conf->webhook_secret_file, &daemon->webhook, err);
    herald.webhook = daemon->webhook;
    return rc == SB_OK ? cp_herald_start(&herald, &daemon->herald, err) : rc;
}

static int start_bus(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_conf *conf = daemon->conf;
    const struct cp_publisher_conf publisher = {.control = conf->control,
                                                .publish = conf->publish,
                                                .name = daemon->name,
                                                .key = daemon->key,
                                                .auth = daemon->auth,
                                                .log_key = daemon->log_key,
                                                .stats = &daemon->stats,
                                                .leader = cp_leader_mailbox(daemon->leader),
                                                .collector =
                                                    cp_collector_mailbox(daemon->collector),
                                                .tables = cp_tables_mailbox(daemon->tables),
                                                .answers = cp_answers_mailbox(daemon->answers)};
    struct cp_source_conf source = {
        .conninfo = conf->database, .name = daemon->name, .stats = &daemon->stats};
    int rc = cp_publisher_start(&publisher, &daemon->publisher, err);

    if (rc != SB_OK)
        return rc;
    source.publisher = cp_publisher_mailbox(daemon->publisher);
    rc = cp_source_start(&source, &daemon->source, err);
    if (rc != SB_OK)
        return rc;
    attach(publisher.collector, source.publisher);
    attach(publisher.tables, source.publisher);
    attach(publisher.answers, source.publisher);
    attach(cp_chronicle_mailbox(daemon->chronicle), publisher.tables);
    /* The publisher hears last of a new term: what it passes on then finds
     * everybody ready. */
    attach(publisher.leader, publisher.collector);
    attach(publisher.leader, publisher.tables);
    attach(publisher.leader, cp_chronicle_mailbox(daemon->chronicle));
    attach(publisher.leader, cp_herald_mailbox(daemon->herald));
    attach(publisher.leader, cp_source_mailbox(daemon->source));
    attach(publisher.leader, source.publisher);
    sb_log_info(BUS, "listening control=%s publish=%s curve=%s",
                cp_publisher_control(daemon->publisher), cp_publisher_publish(daemon->publisher),
                daemon->key != NULL ? "yes" : "no");
    return SB_OK;
}

static int start_admin(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_hub_conf hub = {.name = daemon->name,
                                    .stats = &daemon->stats,
                                    .publisher = cp_publisher_mailbox(daemon->publisher),
                                    .tables = cp_tables_mailbox(daemon->tables)};
    struct cp_admin_conf admin = {.listen = daemon->conf->admin,
                                  .token_file = daemon->conf->admin_token_file,
                                  .release = cp_conf_spec.version,
                                  .store = {.db = {.conninfo = daemon->conf->database,
                                                   .application = "switchboard-control admin",
                                                   .role = CP_DB_SERVICE_ROLE},
                                            .keyring = daemon->keyring,
                                            .clock = &sb_clock_system},
                                  .live = {.state = cp_hub_state,
                                           .workers = cp_hub_workers,
                                           .tables = cp_hub_tables,
                                           .explain = cp_hub_explain,
                                           .metrics = cp_hub_metrics,
                                           .ready = cp_hub_ready}};

    daemon->hub = cp_hub_new(&hub);
    admin.live.ctx = daemon->hub;
    return cp_admin_start(&admin, &daemon->admin, err);
}

/* Both hear of a new term from the leader itself, as all do. */
static int start_probes(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_conf *conf = daemon->conf;
    const struct cp_ledger_conf ledger = {.conninfo = conf->database,
                                          .name = daemon->name,
                                          .budget = conf->probe_budget_amount,
                                          .rise_limit = (unsigned)conf->price_rise_limit,
                                          .keyring = daemon->keyring,
                                          .stats = &daemon->stats};
    struct cp_prober_conf prober = {.interval = conf->probe_interval,
                                    .list_interval = conf->models_interval,
                                    .concurrency = (unsigned)conf->probe_concurrency,
                                    .keyring = daemon->keyring,
                                    .tables = cp_tables_mailbox(daemon->tables),
                                    .stats = &daemon->stats};
    struct sb_mailbox *leader = cp_leader_mailbox(daemon->leader);
    int rc;

    if (conf->probe_interval == 0 && conf->models_interval == 0)
        return SB_OK;
    rc = cp_ledger_start(&ledger, &daemon->ledger, err);
    if (rc != SB_OK)
        return rc;
    prober.ledger = cp_ledger_mailbox(daemon->ledger);
    rc = cp_prober_start(&prober, &daemon->prober, err);
    if (rc != SB_OK)
        return rc;
    attach(prober.ledger, cp_prober_mailbox(daemon->prober));
    /* The prober first: what the ledger sends it in a term finds it in that. */
    attach(leader, cp_prober_mailbox(daemon->prober));
    attach(leader, prober.ledger);
    return SB_OK;
}

static int start_witness(struct cp_daemon *daemon, enum cp_witness_kind kind, const char *where,
                         struct sb_errmsg *err)
{
    const struct cp_witness_conf witness = {.kind = kind,
                                            .conninfo = collector_conninfo(daemon->conf),
                                            .name = daemon->name,
                                            .stats = &daemon->stats,
                                            .key = sb_note_signer_key(daemon->log_key),
                                            .where = where,
                                            .webhook = daemon->witness_webhook};
    int rc = SB_OK;

    if (where == NULL)
        return SB_OK;
    rc = cp_witness_start(&witness, &daemon->witnesses[kind], err);
    if (rc == SB_OK)
        attach(cp_leader_mailbox(daemon->leader), cp_witness_mailbox(daemon->witnesses[kind]));
    return rc;
}

/* Those who sign the log, and those who keep what was signed. */
static int start_notary(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_conf *conf = daemon->conf;
    const struct cp_notary_conf notary = {.conninfo = collector_conninfo(conf),
                                          .name = daemon->name,
                                          .stats = &daemon->stats,
                                          .signer = daemon->log_key,
                                          .file = conf->checkpoint_file,
                                          .interval = conf->checkpoint_interval,
                                          .records = (uint64_t)conf->checkpoint_records};
    char key[SB_NOTE_KEY_TEXT];
    int rc;

    if (daemon->log_key == NULL) {
        sb_log_warn(NOTARY, "no log-key: the audit log is not signed");
        return SB_OK;
    }
    sb_note_key_put(sb_note_signer_key(daemon->log_key), key);
    sb_log_info(NOTARY, "signing checkpoints of the audit log key=%s", key);
    rc = cp_notary_start(&notary, &daemon->notary, err);
    if (rc != SB_OK)
        return rc;
    attach(cp_leader_mailbox(daemon->leader), cp_notary_mailbox(daemon->notary));
    if (conf->checkpoint_url != NULL)
        rc = cp_webhook_new(conf->checkpoint_url, conf->webhook_secret_file,
                            &daemon->witness_webhook, err);
    if (rc == SB_OK)
        rc = start_witness(daemon, CP_WITNESS_FILE, conf->checkpoint_file, err);
    if (rc == SB_OK)
        rc = start_witness(daemon, CP_WITNESS_URL, conf->checkpoint_url, err);
    if (rc == SB_OK)
        rc = start_witness(daemon, CP_WITNESS_DATABASE, conf->checkpoint_database, err);
    return rc;
}

static int start_exporter(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_exporter_conf exporter = {.conninfo = collector_conninfo(daemon->conf),
                                              .name = daemon->name,
                                              .dir = daemon->conf->export_dir};
    int rc;

    if (exporter.dir == NULL)
        return SB_OK;
    rc = cp_exporter_start(&exporter, &daemon->exporter, err);
    if (rc == SB_OK)
        attach(cp_leader_mailbox(daemon->leader), cp_exporter_mailbox(daemon->exporter));
    return rc;
}

static int start_locator(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_locator_conf locator = {.conninfo = daemon->conf->database,
                                            .name = daemon->name,
                                            .path = daemon->conf->country_database,
                                            .keyring = daemon->keyring};
    int rc;

    if (locator.path == NULL)
        return SB_OK;
    rc = cp_locator_start(&locator, &daemon->locator, err);
    if (rc == SB_OK)
        attach(cp_leader_mailbox(daemon->leader), cp_locator_mailbox(daemon->locator));
    return rc;
}

static int start_upkeep(struct cp_daemon *daemon, struct sb_errmsg *err)
{
    const struct cp_upkeep_conf upkeep = {.owner_conninfo = daemon->conf->owner_database,
                                          .name = daemon->name,
                                          .audit_keep = daemon->conf->audit_keep,
                                          .telemetry_keep = daemon->conf->telemetry_keep,
                                          .exported_only = daemon->conf->export_before_drop};

    return upkeep.owner_conninfo == NULL ? SB_OK : cp_upkeep_start(&upkeep, &daemon->upkeep, err);
}

int cp_daemon_start(const struct cp_conf *conf, struct cp_daemon **ret, struct sb_errmsg *err)
{
    struct cp_daemon *daemon = sb_mem_new(sizeof(*daemon));
    int rc;

    daemon->conf = conf;
    cp_conf_name(conf, daemon->name);
    rc = load_keys(daemon, err);
    if (rc == SB_OK)
        rc = start_helpers(daemon, err);
    if (rc == SB_OK)
        rc = start_herald(daemon, err);
    if (rc == SB_OK)
        rc = start_bus(daemon, err);
    if (rc == SB_OK)
        rc = start_probes(daemon, err);
    if (rc == SB_OK)
        rc = start_notary(daemon, err);
    if (rc == SB_OK)
        rc = start_exporter(daemon, err);
    if (rc == SB_OK)
        rc = start_locator(daemon, err);
    if (rc == SB_OK)
        rc = start_upkeep(daemon, err);
    if (rc == SB_OK)
        rc = start_admin(daemon, err);
    if (rc != SB_OK) {
        cp_daemon_stop(&daemon);
        return rc;
    }
    *ret = daemon;
    return SB_OK;
}

/* Without the key that hashes, no API key and no token would be known again: that
 * is a mistake, as in a worker. */
static void reload_keyring(struct cp_daemon *daemon)
{
    struct sb_keyring *newer = NULL;
    struct sb_errmsg err;
    int rc = sb_keyring_load("SWITCHBOARD_MASTER_KEYS", daemon->conf->keyring, &newer, &err);

    if (rc == SB_OK && sb_keyring_hash_key(newer) == NULL &&
        sb_keyring_hash_key(daemon->keyring) != NULL)
        rc = sb_err_set(&err, SB_EINVAL, "the keyring has no key named api-key-hash");
    if (rc != SB_OK) {
        sb_keyring_destroy(&newer);
        sb_log_error(MAIN, "the keyring was not read again, keeping the old one code=%s: %s",
                     sb_err_name(rc), err.text);
        return;
    }
    sb_keyring_replace(daemon->keyring, &newer);
    sb_log_info(MAIN, "the keyring was read again");
}

void cp_daemon_reload(struct cp_daemon *daemon)
{
    struct sb_errmsg err;
    int rc;

    reload_keyring(daemon);
    rc = cp_admin_reload(daemon->admin, &err);
    if (rc != SB_OK)
        sb_log_error(ADMIN, "keeping the old token code=%s: %s", sb_err_name(rc), err.text);
    else
        sb_log_info(ADMIN, "the admin token was read again");
    if (daemon->locator != NULL)
        (void)sb_mailbox_post(cp_locator_mailbox(daemon->locator), cp_reread_new());
    if (daemon->auth == NULL)
        return;
    rc = sb_busauth_reload(daemon->auth, &err);
    if (rc != SB_OK)
        sb_log_error(BUS, "keeping the old keys of the workers code=%s: %s", sb_err_name(rc),
                     err.text);
    else
        sb_log_info(BUS, "read the keys of the workers again");
}

void cp_daemon_stop(struct cp_daemon **daemonp)
{
    struct cp_daemon *daemon = *daemonp;

    *daemonp = NULL;
    if (daemon == NULL)
        return;
    cp_admin_stop(&daemon->admin);
    cp_hub_destroy(&daemon->hub);
    cp_upkeep_stop(&daemon->upkeep);
    /* First the lead, so that another daemon has it while we clear up. */
    cp_leader_stop(&daemon->leader);
    cp_exporter_stop(&daemon->exporter);
    cp_notary_stop(&daemon->notary);
    for (int i = 0; i < CP_WITNESS_KINDS; i++)
        cp_witness_stop(&daemon->witnesses[i]);
    cp_webhook_destroy(&daemon->witness_webhook);
    cp_locator_stop(&daemon->locator);
    cp_prober_stop(&daemon->prober);
    cp_ledger_stop(&daemon->ledger);
    cp_source_stop(&daemon->source);
    cp_publisher_stop(&daemon->publisher);
    cp_answers_stop(&daemon->answers);
    cp_herald_stop(&daemon->herald);
    cp_webhook_destroy(&daemon->webhook);
    cp_tables_stop(&daemon->tables);
    cp_chronicle_stop(&daemon->chronicle);
    cp_collector_stop(&daemon->collector);
    sb_busauth_stop(&daemon->auth);
    sb_buskey_destroy(&daemon->key);
    sb_note_signer_destroy(&daemon->log_key);
    sb_keyring_destroy(&daemon->keyring);
    sb_mem_free(daemon);
}
