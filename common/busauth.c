/* common/busauth.c
 *
 * Not zauth: it answers an unknown key with status 400, after which libzmq's
 * client gives up for ever (a worker whose key is authorised a minute later
 * would need a restart), and its store cannot be swapped whole.  The protocol
 * is ZeroMQ RFC 27.
 */
#include "common/busauth.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <czmq.h>

#include "common/actor.h"
#include "common/buskey.h"
#include "common/check.h"
#include "common/keyfile.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/secret.h"

/* Only listed keys are inserted, so nobody outside chooses what collides;
 * uthash's default falls through cases in a way that clang reports. */
#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01" /* the protocol's own */

enum { REQUESTS_PER_TURN = 100 };

struct peer {
    char key[SB_BUSKEY_TEXT + 1];
    char name[SB_BUSAUTH_NAME_MAX + 1];
    UT_hash_handle hh; /* by key */
};

struct sb_busauth {
    char *path;
    sb_busauth_refused_cb *on_refused;
    void *ctx;
    pthread_mutex_t lock;
    struct peer *peers; /* under lock; replaced whole */
    atomic_uint n_held;
    struct sb_actor *actor;
    /* The handler's thread's own. */
    zsock_t *handler;
    struct sb_reactor *reactor;
};

static void free_peers(struct peer **peers)
{
    struct peer *peer, *next;

    HASH_ITER(hh, *peers, peer, next)
    {
        HASH_DEL(*peers, peer);
        sb_mem_free(peer);
    }
}

static bool is_name(struct sb_slice text)
{
    if (text.n == 0 || text.n > SB_BUSAUTH_NAME_MAX)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static int add_peer(struct peer **peers, struct sb_slice key, struct sb_slice name,
                    struct sb_errmsg *err)
{
    struct peer *peer;

    if (!sb_buskey_is_public_text(key))
        return sb_err_set(err, SB_EPARSE, "not a public key: %d characters of Z85 are expected",
                          (int)SB_BUSKEY_TEXT);
    if (!is_name(name))
        return sb_err_set(err, SB_EPARSE, "a name is 1 to %d of letters, digits, '.', '_' and '-'",
                          (int)SB_BUSAUTH_NAME_MAX);
    HASH_FIND(hh, *peers, key.p, key.n, peer);
    if (peer != NULL)
        return sb_err_set(err, SB_EEXIST, "the key of '%s' comes again", peer->name);
    if (HASH_COUNT(*peers) >= SB_BUSAUTH_KEYS_MAX)
        return sb_err_set(err, SB_ETOOBIG, "over %d keys", (int)SB_BUSAUTH_KEYS_MAX);
    peer = sb_mem_new(sizeof(*peer));
    (void)sb_slice_copy_text(key, peer->key, sizeof(peer->key));
    (void)sb_slice_copy_text(name, peer->name, sizeof(peer->name));
    HASH_ADD(hh, *peers, key, SB_BUSKEY_TEXT, peer);
    return SB_OK;
}

static int load_file(const char *path, struct peer **peers, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *content = NULL;
    struct sb_errmsg why = {.text = ""};
    struct sb_slice text, line;
    int rc = sb_keyfile_read(path, false, &content, err);

    if (rc != SB_OK)
        return rc;
    text = sb_secret_expose(content);
    for (unsigned no = 1; sb_keyfile_next_line(&text, &line); no++) {
        size_t blank = sb_slice_find(line, ' ');
        struct sb_slice name;

        /* Z85 has '#', so a comment needs its blank. */
        if (line.n == 0 || sb_slice_is(line, "#") || sb_slice_starts_with(line, SB_SLICE_LIT("# ")))
            continue;
        name = sb_slice_from(line, blank);
        while (name.n > 0 && name.p[0] == ' ')
            name = sb_slice_from(name, 1);
        rc = add_peer(peers, sb_slice_make(line.p, blank), name, &why);
        if (rc != SB_OK)
            return sb_err_set(err, rc, "%s line %u: %.180s", path, no, why.text);
    }
    return SB_OK;
}

static int load_one(const char *dir, const char *file, size_t name_n, struct peer **peers,
                    struct sb_errmsg *err)
{
    char public_text[SB_BUSKEY_TEXT + 1];
    size_t size = strlen(dir) + strlen(file) + 2;
    char *path = sb_mem_new(size);
    struct sb_errmsg why = {.text = ""};
    int rc;

    (void)snprintf(path, size, "%s/%s", dir, file);
    rc = sb_buskey_load_public(path, public_text, err);
    if (rc == SB_OK) {
        rc = add_peer(peers, sb_slice_of(public_text), sb_slice_make(file, name_n), &why);
        if (rc != SB_OK)
            (void)sb_err_set(err, rc, "%.100s: %.140s", path, why.text);
    }
    sb_mem_free(path);
    return rc;
}

static int load_directory(const char *path, struct peer **peers, struct sb_errmsg *err)
{
    static const char suffix[] = ".pub";
    DIR *dir = opendir(path);
    struct dirent *entry;
    int rc = SB_OK;

    if (dir == NULL)
        return sb_err_set(err, sb_err_from_errno(errno), "cannot read %s: %s", path,
                          strerror(errno));
    while (rc == SB_OK && (entry = readdir(dir)) != NULL) {
        size_t n = strlen(entry->d_name);

        if (n > sizeof(suffix) - 1 && entry->d_name[0] != '.' &&
            strcmp(entry->d_name + n - (sizeof(suffix) - 1), suffix) == 0)
            rc = load_one(path, entry->d_name, n - (sizeof(suffix) - 1), peers, err);
    }
    (void)closedir(dir);
    return rc;
}

static int load(const char *path, struct peer **ret, struct sb_errmsg *err)
{
    struct peer *peers = NULL;
    struct stat st;
    int rc;

    if (stat(path, &st) != 0)
        return sb_err_set(err, sb_err_from_errno(errno), "cannot read %s: %s", path,
                          strerror(errno));
    rc = S_ISDIR(st.st_mode) ? load_directory(path, &peers, err) : load_file(path, &peers, err);
    if (rc != SB_OK) {
        free_peers(&peers);
        return rc;
    }
    *ret = peers;
    return SB_OK;
}

/* Copies the name out; false when the key is not among the authorised. */
static bool look_up(struct sb_busauth *auth, struct sb_slice key,
                    char ret_name[SB_BUSAUTH_NAME_MAX + 1])
{
    struct peer *peer;

    (void)pthread_mutex_lock(&auth->lock);
    HASH_FIND(hh, auth->peers, key.p, key.n, peer);
    if (peer != NULL && ret_name != NULL)
        memcpy(ret_name, peer->name, sizeof(peer->name));
    (void)pthread_mutex_unlock(&auth->lock);
    return peer != NULL;
}

bool sb_busauth_allows(struct sb_busauth *auth, struct sb_slice key)
{
    return key.n == SB_BUSKEY_TEXT && look_up(auth, key, NULL);
}

/* ZMTP's form of a property: length and name, length (big-endian) and value. */
static zframe_t *name_property(const char *name)
{
    static const char property[] = "Name";
    uint8_t bytes[1 + sizeof(property) + 4 + SB_BUSAUTH_NAME_MAX];
    size_t n = strlen(name), at = 0;

    bytes[at++] = sizeof(property) - 1;
    memcpy(bytes + at, property, sizeof(property) - 1);
    at += sizeof(property) - 1;
    memset(bytes + at, 0, 3);
    bytes[at + 3] = (uint8_t)n;
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): its length stands before it */
    memcpy(bytes + at + 4, name, n);
    return zframe_new(bytes, at + 4 + n);
}

static void answer(struct sb_busauth *auth, zframe_t **sequence, const char *key, const char *name)
{
    zmsg_t *reply = zmsg_new();
    zframe_t *properties = name != NULL ? name_property(name) : zframe_new_empty();

    SB_BUG_ON(reply == NULL || properties == NULL);
    (void)zmsg_addstr(reply, "1.0");
    (void)zmsg_append(reply, sequence);
    /* 300, "temporary": see the head of this file. */
    (void)zmsg_addstr(reply, name != NULL ? "200" : "300");
    (void)zmsg_addstr(reply, name != NULL ? "OK" : "key is not authorised");
    (void)zmsg_addstr(reply, name != NULL ? key : "");
    (void)zmsg_append(reply, &properties);
    if (zmsg_send(&reply, auth->handler) != 0)
        zmsg_destroy(&reply); /* the asking connection is gone */
}

static struct sb_slice frame_slice(zframe_t *frame)
{
    return frame != NULL ? sb_slice_make(zframe_data(frame), zframe_size(frame)) : SB_SLICE_NONE;
}

/* version, sequence, domain, address, routing id, mechanism, credentials */
static void judge(struct sb_busauth *auth, zmsg_t *request)
{
    zframe_t *parts[7];
    char key[SB_BUSKEY_TEXT + 1] = "", name[SB_BUSAUTH_NAME_MAX + 1];
    bool is_allowed = false;

    for (size_t i = 0; i < SB_ARRAY_LEN(parts); i++)
        parts[i] = zmsg_pop(request);
    if (sb_slice_is(frame_slice(parts[5]), "CURVE") && frame_slice(parts[6]).n == 32) {
        (void)zmq_z85_encode(key, zframe_data(parts[6]), 32);
        is_allowed = look_up(auth, sb_slice_of(key), name);
    }
    if (!is_allowed && auth->on_refused != NULL)
        auth->on_refused(auth->ctx, sb_slice_of(key), frame_slice(parts[3]));
    if (parts[1] == NULL)
        parts[1] = zframe_new_empty();
    answer(auth, &parts[1], key, is_allowed ? name : NULL);
    for (size_t i = 0; i < SB_ARRAY_LEN(parts); i++)
        zframe_destroy(&parts[i]);
}

static void on_request(void *ctx, unsigned events)
{
    struct sb_busauth *auth = ctx;

    (void)events;
    for (unsigned n = 0; n < REQUESTS_PER_TURN; n++) {
        zmsg_t *request;

        if ((zsock_events(auth->handler) & ZMQ_POLLIN) == 0)
            return;
        request = zmsg_recv(auth->handler);
        if (request == NULL)
            return;
        judge(auth, request);
        zmsg_destroy(&request);
    }
}

static int start_handler(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                         struct sb_errmsg *err)
{
    struct sb_busauth *auth = ctx;

    (void)self;
    auth->handler = zsock_new(ZMQ_REP);
    if (auth->handler == NULL)
        return sb_err_set(err, SB_EINTERNAL, "no socket for the bus's authentication: %s",
                          zmq_strerror(zmq_errno()));
    if (zsock_bind(auth->handler, ZAP_ENDPOINT) < 0) {
        zsock_destroy(&auth->handler);
        return sb_err_set(err, SB_EADDRINUSE, "this process authenticates its bus already");
    }
    auth->reactor = reactor;
    sb_reactor_add_handle(reactor, zsock_resolve(auth->handler), SB_REACTOR_IN, on_request, auth);
    return SB_OK;
}

static void drop_mail(void *ctx, struct sb_mail *mail)
{
    (void)ctx;
    if (mail->drop != NULL)
        mail->drop(mail); /* nobody has anything to tell it */
}

static void stop_handler(void *ctx)
{
    struct sb_busauth *auth = ctx;

    SB_BUG_ON(atomic_load(&auth->n_held) > 0); /* the door would stand open */
    sb_reactor_remove_handle(auth->reactor, zsock_resolve(auth->handler));
    /* Closing frees the name only when the library's reaper comes round. */
    (void)zsock_unbind(auth->handler, ZAP_ENDPOINT);
    zsock_destroy(&auth->handler);
}

static const struct sb_actor_ops handler_ops = {
    .name = "bus-auth", .start = start_handler, .on_mail = drop_mail, .stop = stop_handler};

int sb_busauth_start(const char *path, sb_busauth_refused_cb *on_refused, void *ctx,
                     struct sb_busauth **ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_busauth_stop) struct sb_busauth *auth = sb_mem_new(sizeof(*auth));
    int rc;

    SB_BUG_ON(pthread_mutex_init(&auth->lock, NULL) != 0);
    atomic_init(&auth->n_held, 0);
    auth->path = sb_mem_strdup(path);
    auth->on_refused = on_refused;
    auth->ctx = ctx;
    rc = load(path, &auth->peers, err);
    if (rc == SB_OK)
        rc = sb_actor_start(&handler_ops, auth, &auth->actor, err);
    if (rc != SB_OK)
        return rc;
    *ret = auth;
    auth = NULL;
    return SB_OK;
}

void sb_busauth_stop(struct sb_busauth **authp)
{
    struct sb_busauth *auth = *authp;

    *authp = NULL;
    if (auth == NULL)
        return;
    sb_actor_stop(&auth->actor);
    free_peers(&auth->peers);
    (void)pthread_mutex_destroy(&auth->lock);
    sb_mem_free(auth->path);
    sb_mem_free(auth);
}

void sb_busauth_hold(struct sb_busauth *auth)
{
    (void)atomic_fetch_add(&auth->n_held, 1);
}

void sb_busauth_release(struct sb_busauth *auth)
{
    (void)atomic_fetch_sub(&auth->n_held, 1);
}

int sb_busauth_reload(struct sb_busauth *auth, struct sb_errmsg *err)
{
    struct peer *fresh = NULL, *old;
    int rc = load(auth->path, &fresh, err);

    if (rc != SB_OK)
        return rc;
    (void)pthread_mutex_lock(&auth->lock);
    old = auth->peers;
    auth->peers = fresh;
    (void)pthread_mutex_unlock(&auth->lock);
    free_peers(&old);
    return SB_OK;
}
