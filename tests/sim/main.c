/* tests/sim/main.c - switchboard-sim, the simulated provider. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/file.h"
#include "common/loop.h"
#include "common/mem.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/server.h"
#include "tests/sim/tls.h"
#include "tests/sim/world.h"

struct flags {
    int64_t port;
    int64_t seed;
    int64_t record;
    const char *name;
    const char *address;
    const char *api_key;
    const char *models;
    const char *tls_cert;
    const char *tls_key;
    const char *knobs[SIM_KNOBS]; /* of all types but BOOL */
    bool switches[SIM_KNOBS];     /* of BOOL */
};

static const struct sb_conf_item own_items[] = {
    {"port", SB_CONF_INT, SB_CONF_AT(struct flags, port), 0, 65535, NULL, SB_CONF_REQUIRED,
     "Provider", "port to listen on; 0: any, printed on stdout", NULL},
    {"address", SB_CONF_STRING, SB_CONF_AT(struct flags, address), 0, 0, "127.0.0.1", 0, "Provider",
     "IPv4 address to listen on", NULL},
    {"name", SB_CONF_STRING, SB_CONF_AT(struct flags, name), 1, 100, "sim", 0, "Provider",
     "what its answers call it", NULL},
    {"api-key", SB_CONF_STRING, SB_CONF_AT(struct flags, api_key), 0, 0, NULL, SB_CONF_SECRET,
     "Provider", "the one key that is accepted; none: any", NULL},
    {"models", SB_CONF_STRING, SB_CONF_AT(struct flags, models), 0, 0,
     "sim-small,sim-large,sim-embed", 0, "Provider", "of /v1/models; others are served as well",
     NULL},
    {"tls-cert", SB_CONF_STRING, SB_CONF_AT(struct flags, tls_cert), 0, 0, NULL, 0, "Provider",
     "PEM file of the chain: speak TLS", NULL},
    {"tls-key", SB_CONF_STRING, SB_CONF_AT(struct flags, tls_key), 0, 0, NULL, 0, "Provider",
     "PEM file of its key", NULL},
    {"seed", SB_CONF_INT, SB_CONF_AT(struct flags, seed), 0, INT64_MAX, "1", 0, "Provider",
     "all chance comes from it", NULL},
    {"record", SB_CONF_INT, SB_CONF_AT(struct flags, record), 0, 1000000, "1000", 0, "Provider",
     "last requests that GET /_sim/requests shows", NULL},
};

/* Flags have '-' where knobs have '_'.  The program keeps them till its end. */
static char *flag_name(const char *knob)
{
    char *flag = sb_mem_strdup(knob);

    for (char *c = flag; *c != '\0'; c++) {
        if (*c == '_')
            *c = '-';
    }
    return flag;
}

/* Every knob is a flag too. */
static void fill_items(struct sb_conf_item *items)
{
    memcpy(items, own_items, sizeof(own_items));
    items += SB_ARRAY_LEN(own_items);
    for (size_t i = 0; i < SIM_KNOBS; i++) {
        const struct sim_knob *knob = &sim_knobs[i];
        bool is_bool = knob->type == SIM_IS_BOOL;

        items[i] = (struct sb_conf_item){
            .name = flag_name(knob->name),
            .type = is_bool ? SB_CONF_BOOL : SB_CONF_STRING,
            .offset = is_bool ? offsetof(struct flags, switches) + i * sizeof(bool)
                              : offsetof(struct flags, knobs) + i * sizeof(char *),
            .size = is_bool ? sizeof(bool) : sizeof(char *),
            .fallback = knob->fallback,
            .group = knob->group,
            .help = knob->help,
        };
    }
}

static void free_items(struct sb_conf_item *items)
{
    items += SB_ARRAY_LEN(own_items);
    for (size_t i = 0; i < SIM_KNOBS; i++) {
        union {
            const char *shown;
            char *owned;
        } name = {.shown = items[i].name};

        sb_mem_free(name.owned);
    }
}

static int read_behaviour(const struct flags *flags, struct sim_behaviour *behaviour,
                          struct sb_errmsg *err)
{
    for (int i = 0; i < SIM_KNOBS; i++) {
        bool is_bool = sim_knobs[i].type == SIM_IS_BOOL;
        const char *text = is_bool ? (flags->switches[i] ? "true" : "false") : flags->knobs[i];
        int rc = sim_behaviour_set(behaviour, (enum sim_knob_index)i, text, err);

        if (rc != SB_OK)
            return rc;
    }
    return SB_OK;
}

static int check_flags(void *target, struct sb_errmsg *err)
{
    const struct flags *flags = target;
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_behaviour_new();

    if ((flags->tls_cert == NULL) != (flags->tls_key == NULL))
        return sb_err_set(err, SB_EINVAL, "tls-cert and tls-key come together");
    return read_behaviour(flags, behaviour, err);
}

static void on_signal(struct sb_signal *sig, int signum)
{
    struct sb_loop *loop = container_of(sig->signal.loop, struct sb_loop, uv);

    (void)signum;
    sb_loop_stop(loop);
}

/* Until a signal says enough.  The signals live until the loop is destroyed. */
struct signals {
    struct sb_signal terminate, interrupt;
};

static int serve(struct sb_loop *loop, struct sim_server *server, struct signals *signals)
{
    int rc = sb_signal_init(&signals->terminate, loop, SIGTERM, on_signal);

    if (rc != SB_OK)
        return rc;
    rc = sb_signal_init(&signals->interrupt, loop, SIGINT, on_signal);
    if (rc == SB_OK) {
        (void)printf("listening %s:%d\n", server->address, sim_server_port(server));
        (void)fflush(stdout);
        sb_loop_run(loop);
        sb_signal_close(&signals->interrupt, NULL);
    }
    sb_signal_close(&signals->terminate, NULL);
    return rc;
}

/* What is built here goes away here, in the other order. */
static int run(const struct flags *flags, struct sb_errmsg *err)
{
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *start = sim_behaviour_new();
    SB_CLEANUP(sim_tls_context_destroy) struct sim_tls_context *tls = NULL;
    SB_CLEANUP(sb_loop_destroy) struct sb_loop *loop = NULL;
    struct signals signals;
    struct sim_server_options options;
    struct sim_server server;
    struct sim_world world;
    int rc = read_behaviour(flags, start, err);

    if (rc == SB_OK && flags->tls_cert != NULL)
        rc = sim_tls_context_new(flags->tls_cert, flags->tls_key, &tls, err);
    if (rc == SB_OK)
        rc = sb_loop_new(&loop);
    if (rc != SB_OK)
        return rc;
    sim_world_init(&world, flags->name, &start);
    world.api_key = flags->api_key;
    world.models = flags->models;
    world.seed = (uint64_t)flags->seed;
    options = (struct sim_server_options){.address = flags->address,
                                          .port = (int)flags->port,
                                          .records = (uint32_t)flags->record,
                                          .tls = tls};
    rc = sim_server_start(&server, loop, &world, &options, err);
    if (rc == SB_OK) {
        rc = serve(loop, &server, &signals);
        sim_server_stop(&server);
        sb_loop_destroy(&loop); /* delivers the close callbacks first */
        sim_server_release(&server);
    }
    sim_world_release(&world);
    return rc;
}

int main(int argc, char **argv)
{
    struct sb_conf_item items[SB_ARRAY_LEN(own_items) + SIM_KNOBS];
    const struct sb_conf_spec spec = {
        .program = "switchboard-sim",
        .summary =
            "Simulates a provider that speaks OpenAI's API; GET /_sim/requests shows what came.",
        .version = "0.1.0",
        .examples = {"--port 9001 --name acme --first-token-ms 200 --tokens-per-s 50"},
        .items = items,
        .n_items = SB_ARRAY_LEN(items),
        .check = check_flags,
    };
    struct sb_errmsg err = {.text = ""};
    struct flags flags = {.port = 0};
    int status = 0;

    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    (void)sb_file_raise_limit();
    fill_items(items);
    if (sb_conf_start(&spec, argc, argv, &flags, &status)) {
        int rc = run(&flags, &err);

        status = rc == SB_OK ? 0 : 1;
        if (rc != SB_OK)
            (void)fprintf(stderr, "switchboard-sim: %s\n",
                          err.text[0] != '\0' ? err.text : sb_err_str(rc));
    }
    free_items(items);
    return status;
}
