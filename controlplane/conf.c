/* controlplane/conf.c */
#include "controlplane/conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/busaddr.h"
#include "common/buskey.h"
#include "common/hostport.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/money.h"
#include "common/notekey.h"
#include "controlplane/admin/token.h"
#include "controlplane/log/checkpoint_file.h"
#include "controlplane/probes/country_db.h"

#ifndef SB_VERSION
#define SB_VERSION "0.1.0"
#endif

#define AT(member) SB_CONF_AT(struct cp_conf, member)
#define DAY        (INT64_C(24) * 60 * 60 * 1000)

static const char *const log_formats[] = {"logfmt", "json", NULL};

static const struct sb_conf_item items[] = {
    {"name", SB_CONF_STRING, AT(name), 1, CP_NAME_MAX - 1, NULL, 0, "Daemon",
     "name of this daemon among the others; default: the host name", NULL},
    {"log-format", SB_CONF_ENUM, AT(log_format), 0, 0, "logfmt", 0, "Daemon", "form of the log",
     log_formats},
    {"log-level", SB_CONF_STRING, AT(log_level), 1, 256, "info", 0, "Daemon",
     "level, and exceptions by group: info,leader=debug", NULL},

    {"database", SB_CONF_STRING, AT(database), 1, 4000, NULL, SB_CONF_REQUIRED | SB_CONF_SECRET,
     "Database", "PostgreSQL, as URI or key=value: the login that serves", NULL},
    {"collector-database", SB_CONF_STRING, AT(collector_database), 1, 4000, NULL, SB_CONF_SECRET,
     "Database",
     "the same as the login that stores records, a member of switchboard_collector; default: "
     "--database",
     NULL},
    {"owner-database", SB_CONF_STRING, AT(owner_database), 1, 4000, NULL, SB_CONF_SECRET,
     "Database",
     "the same as the schema's owner, for migrations and partitions; another daemon's or an "
     "operator's business without",
     NULL},
    {"new-epoch", SB_CONF_BOOL, AT(new_epoch), 0, 0, "false", 0, "Database",
     "the database is a copy from elsewhere: begin a new history when leading first", NULL},
    {"audit-keep", SB_CONF_MSEC, AT(audit_keep), 0, 36500 * DAY, "0", 0, "Database",
     "drop audit records of days that are older; 0 keeps them for ever", NULL},
    {"telemetry-keep", SB_CONF_MSEC, AT(telemetry_keep), 0, 36500 * DAY, "90d", 0, "Database",
     "drop telemetry of days that are older; 0 keeps it for ever", NULL},

    {"control", SB_CONF_STRING, AT(control), 1, SB_BUSADDR_MAX - 1,
     "ipc://.switchboard/run/control", 0, "Bus", "address of the ROUTER socket: ipc:// or tcp://",
     NULL},
    {"publish", SB_CONF_STRING, AT(publish), 1, SB_BUSADDR_MAX - 1,
     "ipc://.switchboard/run/publish", 0, "Bus", "address of the PUB socket", NULL},
    {"bus-key", SB_CONF_STRING, AT(bus_key), 1, 4000, NULL, 0, "Bus",
     "file with this daemon's CURVE key pair; needed beyond this host", NULL},
    {"bus-clients", SB_CONF_STRING, AT(bus_clients), 1, 4000, NULL, SB_CONF_RELOAD, "Bus",
     "public keys of the workers: a directory of NAME.pub files, or one file", NULL},
    {"tables-interval", SB_CONF_MSEC, AT(tables_interval), 100, 10000, "1s", 0, "Bus",
     "time between two publications of the tables", NULL},

    {"webhook-url", SB_CONF_STRING, AT(webhook_url), 1, 2000, NULL, SB_CONF_SECRET, "Events",
     "where events are posted to: http:// or https://; without one they are logged only", NULL},
    {"webhook-secret-file", SB_CONF_STRING, AT(webhook_secret_file), 1, 4000, NULL, 0, "Events",
     "file whose first line is the key that signs them", NULL},

    {"log-key", SB_CONF_STRING, AT(log_key), 1, 4000, NULL, 0, "Audit log",
     "file with the key that signs checkpoints (switchboardctl log-key new); none are made without",
     NULL},
    {"checkpoint-interval", SB_CONF_MSEC, AT(checkpoint_interval), 100, DAY, "10s", 0, "Audit log",
     "sign one so often, while the log grows", NULL},
    {"checkpoint-records", SB_CONF_INT, AT(checkpoint_records), 0, INT64_C(1) << 40, "0", 0,
     "Audit log", "sign one earlier, after so many entries; 0: the interval alone counts", NULL},
    {"checkpoint-file", SB_CONF_STRING, AT(checkpoint_file), 1, 4000, NULL, 0, "Audit log",
     "file that they are appended to, out of reach of who can change the database", NULL},
    {"checkpoint-url", SB_CONF_STRING, AT(checkpoint_url), 1, 2000, NULL, SB_CONF_SECRET,
     "Audit log", "where they are posted to, signed as events are", NULL},
    {"checkpoint-database", SB_CONF_STRING, AT(checkpoint_database), 1, 4000, NULL, SB_CONF_SECRET,
     "Audit log", "a second PostgreSQL that keeps them in a table log_checkpoints", NULL},
    {"export-dir", SB_CONF_STRING, AT(export_dir), 1, 4000, NULL, 0, "Audit log",
     "directory that each day of the log is written to when it is over, as a file that proves "
     "itself",
     NULL},
    {"export-before-drop", SB_CONF_BOOL, AT(export_before_drop), 0, 0, "false", 0, "Audit log",
     "keep a day beyond audit-keep until it was exported", NULL},

    {"probe-interval", SB_CONF_MSEC, AT(probe_interval), 0, DAY, "3m", 0, "Probes",
     "probe endpoints of which nothing was heard for so long; 0 probes none", NULL},
    {"probe-budget", SB_CONF_STRING, AT(probe_budget), 1, 32, "1", 0, "Probes",
     "USD that probes may cost in a day (UTC); with 0 only what is free is probed", NULL},
    {"probe-concurrency", SB_CONF_INT, AT(probe_concurrency), 1, 1024, "32", 0, "Probes",
     "probes at once, over all providers", NULL},
    {"models-interval", SB_CONF_MSEC, AT(models_interval), 0, 30 * DAY, "1h", 0, "Probes",
     "read each provider's list of models so often, for prices; 0 never", NULL},
    {"price-rise-limit", SB_CONF_INT, AT(price_rise_limit), 0, 10000, "20", 0, "Probes",
     "per cent; a price that rose by more is reported and never applied by itself", NULL},
    {"country-database", SB_CONF_STRING, AT(country_database), 1, 4000, NULL, SB_CONF_RELOAD,
     "Probes",
     "file in MaxMind's format, by which providers' addresses are held against the regions that "
     "endpoints claim; without one they are not",
     NULL},

    {"admin", SB_CONF_STRING, AT(admin), 3, 256, "127.0.0.1:9090", 0, "Administration",
     "address of the admin API and console: HOST:PORT", NULL},
    {"admin-token-file", SB_CONF_STRING, AT(admin_token_file), 1, 4000, ".switchboard/admin.token",
     SB_CONF_RELOAD, "Administration", "file with the token of the first administrator", NULL},
    {"keyring", SB_CONF_STRING, AT(keyring), 1, 4000, ".switchboard/keyring", SB_CONF_RELOAD,
     "Administration", "file with the master keys and the key that hashes API keys", NULL},
};

static int check_address(const char *name, const char *addr, bool is_secure, struct sb_errmsg *err)
{
    char resolved[SB_BUSADDR_MAX];
    struct sb_errmsg why;
    int rc = sb_busaddr_resolve(addr, resolved, &why);

    if (rc == SB_OK)
        rc = sb_busaddr_check(resolved, is_secure, &why);
    return sb_conf_judge(name, rc, &why, err);
}

static int check_admin(const struct cp_conf *conf, struct sb_errmsg *err)
{
    char host[SB_HOST_MAX];
    struct sb_errmsg why;
    unsigned port;

    return sb_conf_judge("admin", sb_hostport_split(conf->admin, host, &port, &why), &why, err);
}

static int check_budget(struct cp_conf *conf, struct sb_errmsg *err)
{
    sb_money amount = 0;
    int rc = sb_money_parse(sb_slice_of(conf->probe_budget), &amount);

    if (rc != SB_OK || amount < 0)
        return sb_err_set(err, SB_EINVAL,
                          "probe-budget: '%s' is no amount of USD from 0 to 9000: 0.25 is",
                          conf->probe_budget);
    conf->probe_budget_amount = amount;
    return SB_OK;
}

static int check(void *target, struct sb_errmsg *err)
{
    struct cp_conf *conf = target;
    bool is_secure = conf->bus_key != NULL;
    struct sb_errmsg why;
    int rc;

    if ((conf->webhook_url != NULL || conf->checkpoint_url != NULL) !=
        (conf->webhook_secret_file != NULL))
        return sb_err_set(
            err, SB_EINVAL,
            "webhook-url (or checkpoint-url) and webhook-secret-file belong together: "
            "where events go, and the key that signs them");
    if (conf->log_key == NULL && (conf->checkpoint_file != NULL || conf->checkpoint_url != NULL ||
                                  conf->checkpoint_database != NULL))
        return sb_err_set(err, SB_EINVAL,
                          "checkpoints want a log-key that signs them: switchboardctl log-key new "
                          "FILE makes one");
    if (conf->export_dir != NULL && conf->log_key == NULL)
        return sb_err_set(err, SB_EINVAL,
                          "export-dir wants a log-key: a file without signatures proves nothing; "
                          "switchboardctl log-key new FILE makes one");
    if (conf->export_before_drop && conf->export_dir == NULL)
        return sb_err_set(err, SB_EINVAL,
                          "export-before-drop wants an export-dir: without exports nothing would "
                          "ever be dropped");
    if (is_secure != (conf->bus_clients != NULL))
        return sb_err_set(err, SB_EINVAL,
                          "bus-key and bus-clients belong together: this daemon's own key pair and "
                          "the workers' public keys");
    rc = sb_conf_judge("log-level", sb_log_check_levels(conf->log_level, &why), &why, err);
    if (rc == SB_OK)
        rc = check_admin(conf, err);
    if (rc == SB_OK)
        rc = check_budget(conf, err);
    if (rc == SB_OK)
        rc = check_address("control", conf->control, is_secure, err);
    return rc == SB_OK ? check_address("publish", conf->publish, is_secure, err) : rc;
}

static int inspect_countries(const struct cp_conf *conf, struct sb_errmsg *err)
{
    struct cp_country_db *countries = NULL;
    struct sb_errmsg why;
    int rc = cp_country_db_new(conf->country_database, &countries, &why);

    cp_country_db_destroy(&countries);
    return sb_conf_judge("country-database", rc, &why, err);
}

static int inspect_bus_key(const struct cp_conf *conf, struct sb_errmsg *err)
{
    struct sb_buskey *key = NULL;
    struct sb_errmsg why;
    int rc = sb_buskey_load(conf->bus_key, &key, &why);

    sb_buskey_destroy(&key);
    return sb_conf_judge("bus-key", rc, &why, err);
}

/* Also that the file's checkpoints are this key's. */
static int inspect_log_key(const struct cp_conf *conf, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_note_signer_destroy) struct sb_note_signer *signer = NULL;
    struct sb_checkpoint last;
    struct sb_errmsg why;
    int rc = sb_note_signer_load(conf->log_key, &signer, &why);

    if (rc != SB_OK)
        return sb_conf_judge("log-key", rc, &why, err);
    if (conf->checkpoint_file == NULL)
        return SB_OK;
    rc = cp_checkpoint_file_last(conf->checkpoint_file, sb_note_signer_key(signer), &last, &why);
    return rc == SB_ENOENT ? SB_OK : sb_conf_judge("checkpoint-file", rc, &why, err);
}

/* Before the database is waited for, which may take as long as it likes. */
static int inspect(const void *target, struct sb_errmsg *err)
{
    const struct cp_conf *conf = target;
    struct sb_keyring *ring = NULL;
    struct cp_tokens *tokens = NULL;
    struct sb_errmsg why;
    int rc = sb_keyring_load("SWITCHBOARD_MASTER_KEYS", conf->keyring, &ring, &why);

    sb_keyring_destroy(&ring);
    rc = sb_conf_judge("keyring", rc, &why, err);
    if (rc == SB_OK) {
        rc = cp_tokens_load(conf->admin_token_file, &tokens, &why);
        cp_tokens_destroy(&tokens);
        rc = sb_conf_judge("admin-token-file", rc, &why, err);
    }
    if (rc == SB_OK && conf->bus_key != NULL)
        rc = inspect_bus_key(conf, err);
    if (rc == SB_OK && conf->country_database != NULL)
        rc = inspect_countries(conf, err);
    return rc == SB_OK && conf->log_key != NULL ? inspect_log_key(conf, err) : rc;
}

const struct sb_conf_spec cp_conf_spec = {
    .program = "switchboard-control",
    .summary = "Holds the catalogue, publishes it to workers, and stores their records.",
    .version = SB_VERSION,
    .examples = {"--database 'host=/run/postgresql dbname=switchboard' --log-key log.key",
                 "--database service=switchboard --audit-keep 400d --check"},
    .items = items,
    .n_items = SB_ARRAY_LEN(items),
    .check = check,
    .inspect = inspect,
};

void cp_conf_name(const struct cp_conf *conf, char ret_name[CP_NAME_MAX])
{
    if (conf->name != NULL) {
        (void)snprintf(ret_name, CP_NAME_MAX, "%s", conf->name);
    } else if (gethostname(ret_name, CP_NAME_MAX - 1) != 0) {
        (void)snprintf(ret_name, CP_NAME_MAX, "control");
    }
    ret_name[CP_NAME_MAX - 1] = '\0'; /* gethostname() may leave it out */
}
