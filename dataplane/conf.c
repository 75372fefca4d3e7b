/* dataplane/conf.c */
#include "dataplane/conf.h"

#include <string.h>

#include "common/busaddr.h"
#include "common/buskey.h"
#include "common/err.h"
#include "common/hostport.h"
#include "common/keyring.h"
#include "common/log.h"
#include "dataplane/courier/link.h"
#include "dataplane/forwarded.h"

#ifndef SB_VERSION
#define SB_VERSION "0.1.0"
#endif

#define AT(member) SB_CONF_AT(struct dp_conf, member)
#define KIB(n)     ((int64_t)(n) << 10)
#define MIB(n)     ((int64_t)(n) << 20)
#define GIB(n)     ((int64_t)(n) << 30)
#define SECOND     INT64_C(1000)
#define MINUTE     (60 * SECOND)
#define DAY        (MINUTE * 60 * 24)

static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const digests[] = {"all", "receipts", NULL}; /* enum dp_digests */

static const struct sb_conf_item items[] = {
    {"listen", SB_CONF_STRING, AT(listen), 3, 256, "127.0.0.1:8080", 0, "Listening",
     "address for clients, HOST:PORT or [HOST]:PORT", NULL},
    {"workers", SB_CONF_INT, AT(workers), 1, 256, "1", 0, "Listening",
     "worker processes on that address, supervised", NULL},
    {"slot", SB_CONF_INT, AT(slot), -1, 255, "-1", 0, "Listening",
     "number of this worker; set by the supervisor", NULL},
    {"status", SB_CONF_STRING, AT(status), 0, 256, NULL, 0, "Listening",
     "address of each worker's own /healthz, /readyz, /metrics: HOST:PORT (worker N takes PORT+N)",
     NULL},
    {"name", SB_CONF_STRING, AT(name), 1, 48, NULL, 0, "Listening",
     "name of this host in the fleet; default: the host name", NULL},
    {"log-format", SB_CONF_ENUM, AT(log_format), 0, 0, "logfmt", 0, "Listening", "form of the log",
     log_formats},
    {"log-level", SB_CONF_STRING, AT(log_level), 1, 256, "info", SB_CONF_RELOAD, "Listening",
     "level, and exceptions by group: info,req=debug", NULL},

    {"control", SB_CONF_STRING, AT(control), 1, 4000, "ipc://.switchboard/run/control", 0,
     "Control plane", "addresses of the control daemons' ROUTER sockets, comma-separated", NULL},
    {"publish", SB_CONF_STRING, AT(publish), 1, 4000, "ipc://.switchboard/run/publish", 0,
     "Control plane", "addresses of their PUB sockets, comma-separated", NULL},
    {"bus-key", SB_CONF_STRING, AT(bus_key), 1, 4000, NULL, 0, "Control plane",
     "file with this worker's CURVE key pair; needed beyond this host", NULL},
    {"bus-server", SB_CONF_STRING, AT(bus_server), 1, 4000, NULL, 0, "Control plane",
     "file with the control plane's public CURVE key", NULL},
    {"start-wait", SB_CONF_MSEC, AT(start_wait), 0, 10 * MINUTE, "2s", 0, "Control plane",
     "wait for a control daemon before serving the snapshot on disk", NULL},
    {"snapshot-max-age", SB_CONF_MSEC, AT(snapshot_max_age), 0, 3650 * DAY, "0", 0, "Control plane",
     "refuse an older snapshot on disk; 0 takes any", NULL},
    {"keyring", SB_CONF_STRING, AT(keyring), 1, 4000, ".switchboard/keyring", 0, "Control plane",
     "file with the master keys and the key that hashes API keys", NULL},

    {"max-connections", SB_CONF_INT, AT(max_connections), 1, 1000000, "10000", 0, "Clients",
     "client connections; 503 beyond", NULL},
    {"head-limit", SB_CONF_SIZE, AT(head_limit), 1024, MIB(1), "32KiB", 0, "Clients",
     "bytes of a request head; 431 beyond", NULL},
    {"target-limit", SB_CONF_SIZE, AT(target_limit), 64, KIB(64), "8KiB", 0, "Clients",
     "bytes of a request target; 414 beyond", NULL},
    {"body-limit", SB_CONF_SIZE, AT(body_limit), 1024, GIB(1), "32MiB", 0, "Clients",
     "bytes of a request body; 413 beyond", NULL},
    {"body-memory", SB_CONF_SIZE, AT(body_memory), MIB(1), GIB(64), "512MiB", 0, "Clients",
     "bytes of all bodies held; 503 beyond", NULL},
    {"json-depth", SB_CONF_INT, AT(json_depth), 4, 1024, "64", 0, "Clients",
     "nesting of a request body; 400 beyond", NULL},
    {"head-timeout", SB_CONF_MSEC, AT(head_timeout), 10, 10 * MINUTE, "10s", 0, "Clients",
     "time for a head to arrive; 408 beyond", NULL},
    {"body-timeout", SB_CONF_MSEC, AT(body_timeout), 10, 60 * MINUTE, "60s", 0, "Clients",
     "time for a body to arrive; 408 beyond", NULL},
    {"idle-timeout", SB_CONF_MSEC, AT(idle_timeout), 10, DAY, "120s", 0, "Clients",
     "time between requests of one connection", NULL},
    {"write-timeout", SB_CONF_MSEC, AT(write_timeout), 10, 60 * MINUTE, "60s", 0, "Clients",
     "time without progress for a client that does not read", NULL},
    {"comment-interval", SB_CONF_MSEC, AT(comment_interval), 10, 10 * MINUTE, "5s", 0, "Clients",
     "time between comments while a stream waits for its first content", NULL},
    {"cors-origin", SB_CONF_STRING, AT(cors_origin), 0, 256, NULL, 0, "Clients",
     "origin that browsers may call from, or *; off without", NULL},
    {"trusted-proxy", SB_CONF_STRING, AT(trusted_proxy), 0, 1024, NULL, 0, "Clients",
     "proxies whose X-Forwarded-For is believed: networks (CIDR), comma-separated", NULL},

    {"connect-timeout", SB_CONF_MSEC, AT(connect_timeout), 10, MINUTE, "2s", 0, "Providers",
     "time for name, TCP and TLS", NULL},
    {"stream-silence", SB_CONF_MSEC, AT(stream_silence), 100, 60 * MINUTE, "30s", 0, "Providers",
     "silence inside a stream that ends it", NULL},
    {"stream-silence-reasoning", SB_CONF_MSEC, AT(stream_silence_reasoning), 100, 60 * MINUTE,
     "120s", 0, "Providers", "the same when reasoning is asked for", NULL},
    {"first-token-last", SB_CONF_MSEC, AT(first_token_last), 100, 60 * MINUTE, "300s", 0,
     "Providers", "time for first content from the last candidate", NULL},
    {"answer-timeout", SB_CONF_MSEC, AT(answer_timeout), 100, 60 * MINUTE, "120s", 0, "Providers",
     "time for a whole unstreamed answer while another candidate is left", NULL},
    {"answer-timeout-last", SB_CONF_MSEC, AT(answer_timeout_last), 100, 60 * MINUTE, "600s", 0,
     "Providers", "the same for the last candidate", NULL},
    {"answer-hold", SB_CONF_SIZE, AT(answer_hold), KIB(64), GIB(1), "8MiB", 0, "Providers",
     "bytes of an unstreamed answer that are held to be checked first", NULL},
    {"pool-per-provider", SB_CONF_INT, AT(pool_per_provider), 1, 100000, "4096", 0, "Providers",
     "connections to one provider; its own max_connections goes before", NULL},
    {"pool-idle", SB_CONF_INT, AT(pool_idle), 0, 100000, "256", 0, "Providers",
     "idle connections kept per provider", NULL},
    {"pool-idle-timeout", SB_CONF_MSEC, AT(pool_idle_timeout), 100, 60 * MINUTE, "60s", 0,
     "Providers", "time an idle connection is kept", NULL},

    {"spool", SB_CONF_STRING, AT(spool), 1, 4000, ".switchboard/spool", 0, "Records",
     "directory of records not yet stored and of the last good snapshot", NULL},
    {"spool-limit", SB_CONF_SIZE, AT(spool_limit), MIB(1), GIB(4096), "4GiB", 0, "Records",
     "bytes of records waiting for the control plane; 503 beyond", NULL},
    {"spool-sync", SB_CONF_MSEC, AT(spool_sync), 1, MINUTE, "100ms", 0, "Records",
     "at most so long after a record it is safe from power loss", NULL},
    {"sync-timeout", SB_CONF_MSEC, AT(sync_timeout), 10, 10 * MINUTE, "10s", 0, "Records",
     "time for a record of a policy with audit: sync to be so; 503, or a broken answer, beyond",
     NULL},
    {"digests", SB_CONF_ENUM, AT(digests), 0, 0, "all", 0, "Records",
     "whose bodies have a salted digest in their record: of all requests, or of those only that "
     "a receipt is asked for",
     digests},

    {"drain-delay", SB_CONF_MSEC, AT(drain_delay), 0, 10 * MINUTE, "5s", 0, "Ending",
     "after SIGTERM: time for load balancers to notice /readyz", NULL},
    {"drain-timeout", SB_CONF_MSEC, AT(drain_timeout), 0, 60 * MINUTE, "30s", 0, "Ending",
     "after that: time for running requests", NULL},
};

static int check_address(const char *name, const char *address, int64_t ports,
                         struct sb_errmsg *err)
{
    char host[SB_HOST_MAX];
    struct sb_errmsg why;
    unsigned port = 0;
    int rc = sb_hostport_split(address, host, &port, &why);

    if (rc == SB_OK && port + ports - 1 > 65535)
        rc = sb_err_set(&why, SB_EINVAL, "'%s' leaves no port for %lld workers", address,
                        (long long)ports);
    return sb_conf_judge(name, rc, &why, err);
}

/* It becomes a directory of the spool. */
static int check_name(const char *name, struct sb_errmsg *err)
{
    if (name == NULL || (name[0] != '.' && strchr(name, '/') == NULL))
        return SB_OK;
    return sb_err_set(err, SB_EINVAL,
                      "name: '%s' is not allowed: want no '/', and no '.' at its start", name);
}

/* What a browser sends as Origin, since the two are compared as they are. */
static int check_origin(const char *origin, struct sb_errmsg *err)
{
    const char *host = origin != NULL ? strstr(origin, "://") : NULL;

    if (origin == NULL || strcmp(origin, "*") == 0 ||
        (host != NULL && host > origin && host[3] != '\0' && strpbrk(host + 3, "/?# ,") == NULL &&
         strpbrk(origin, "*\r\n") == NULL))
        return SB_OK;
    return sb_err_set(err, SB_EINVAL,
                      "cors-origin: '%s' is not allowed: want * or one origin without a path, such "
                      "as https://app.example",
                      origin);
}

static int check_proxies(const char *list, struct sb_errmsg *err)
{
    struct dp_proxies proxies = {.n = 0};
    int rc = dp_proxies_parse(list, &proxies, err);

    dp_proxies_release(&proxies);
    return rc;
}

static int check_texts(const struct dp_conf *conf, struct sb_errmsg *err)
{
    struct sb_errmsg why;
    int rc = check_address("listen", conf->listen, 1, err);

    if (rc == SB_OK && conf->status != NULL)
        rc = check_address("status", conf->status, conf->workers, err);
    if (rc == SB_OK)
        rc = check_name(conf->name, err);
    if (rc == SB_OK)
        rc = sb_conf_judge("log-level", sb_log_check_levels(conf->log_level, &why), &why, err);
    if (rc == SB_OK)
        rc = check_origin(conf->cors_origin, err);
    return rc == SB_OK ? check_proxies(conf->trusted_proxy, err) : rc;
}

static int check_bus(const struct dp_conf *conf, struct sb_errmsg *err)
{
    bool is_secure = conf->bus_key != NULL;
    struct sb_errmsg why;
    int rc = sb_busaddr_check_list(conf->control, is_secure, DP_LINK_PEERS_MAX, &why);

    rc = sb_conf_judge("control", rc, &why, err);
    if (rc != SB_OK)
        return rc;
    rc = sb_busaddr_check_list(conf->publish, is_secure, DP_LINK_PEERS_MAX, &why);
    return sb_conf_judge("publish", rc, &why, err);
}

static int check(void *target, struct sb_errmsg *err)
{
    const struct dp_conf *conf = target;
    int rc;

    if ((conf->bus_key == NULL) != (conf->bus_server == NULL))
        return sb_err_set(err, SB_EINVAL,
                          "bus-key and bus-server belong together: the worker's own key pair and "
                          "the control plane's public key");
    if (conf->body_memory < conf->body_limit)
        return sb_err_set(err, SB_EINVAL,
                          "body-memory is below body-limit: no body of that size "
                          "could ever be held");
    rc = check_texts(conf, err);
    return rc == SB_OK ? check_bus(conf, err) : rc;
}

static int inspect_keyring(const struct dp_conf *conf, struct sb_errmsg *err)
{
    struct sb_keyring *ring = NULL;
    struct sb_errmsg why;
    int rc = sb_keyring_load("SWITCHBOARD_MASTER_KEYS", conf->keyring, &ring, &why);

    if (rc == SB_OK && sb_keyring_hash_key(ring) == NULL)
        rc = sb_err_set(&why, SB_EINVAL, "no key in it is named api-key-hash");
    sb_keyring_destroy(&ring);
    return sb_conf_judge("keyring", rc, &why, err);
}

static int inspect_bus_keys(const struct dp_conf *conf, struct sb_errmsg *err)
{
    char server[SB_BUSKEY_TEXT + 1];
    struct sb_buskey *key = NULL;
    struct sb_errmsg why;
    int rc = sb_buskey_load(conf->bus_key, &key, &why);

    sb_buskey_destroy(&key);
    rc = sb_conf_judge("bus-key", rc, &why, err);
    if (rc != SB_OK)
        return rc;
    return sb_conf_judge("bus-server", sb_buskey_load_public(conf->bus_server, server, &why), &why,
                         err);
}

/* Before the supervisor starts workers: it would start them again and again. */
static int inspect(const void *target, struct sb_errmsg *err)
{
    const struct dp_conf *conf = target;
    int rc = inspect_keyring(conf, err);

    return rc == SB_OK && conf->bus_key != NULL ? inspect_bus_keys(conf, err) : rc;
}

const struct sb_conf_spec dp_conf_spec = {
    .program = "switchboard-worker",
    .summary = "Routes OpenAI-compatible requests to providers.",
    .version = SB_VERSION,
    .examples = {"--workers 4 --status 127.0.0.1:9200",
                 "--control tcp://10.0.0.1:9191 --publish tcp://10.0.0.1:9192 \\\n"
                 "      --bus-key worker-1.key --bus-server control.key.pub --check"},
    .items = items,
    .n_items = SB_ARRAY_LEN(items),
    .check = check,
    .inspect = inspect,
};
