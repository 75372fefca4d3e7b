/* dataplane/upstream/multi.c */
#include "dataplane/upstream/multi.h"

#include <curl/curl.h>

#include "common/check.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/mem.h"

struct dp_multi {
    CURLM *handle;
    struct sb_loop *loop; /* borrowed */
    const struct dp_multi_cbs *cbs;
    void *ctx;
    struct sb_list link;   /* the caller's */
    struct sb_timer timer; /* when libcurl wants to be called */
    struct sb_task work;   /* time-outs that are due now, and results */
    unsigned n;            /* easy handles inside */
    bool due;              /* libcurl wants to be called at once */
};

/* A socket of libcurl, while it uses it. */
struct socket_watch {
    struct sb_watch watch;
    struct dp_multi *multi;
    unsigned wanted; /* interest */
    bool given_up;   /* and closing */
};

/* --- sockets ------------------------------------------------------------------ */

static void on_socket_closed(struct sb_watch *watch)
{
    sb_mem_free(container_of(watch, struct socket_watch, watch));
}

static void on_socket_ready(struct sb_watch *watch, unsigned events, int error)
{
    struct socket_watch *sw = container_of(watch, struct socket_watch, watch);
    struct dp_multi *multi = sw->multi;
    int mask = 0, running;

    if (error != SB_OK)
        mask |= CURL_CSELECT_ERR;
    if ((events & SB_WATCH_READ) != 0)
        mask |= CURL_CSELECT_IN;
    if ((events & SB_WATCH_WRITE) != 0)
        mask |= CURL_CSELECT_OUT;
    (void)curl_multi_socket_action(multi->handle, sb_watch_fd(watch), mask, &running);
    sb_task_soon(&multi->work);
    /* An error has stopped the watch, and libcurl tells only what changes. */
    if (error != SB_OK && !sw->given_up)
        sb_watch_set(watch, sw->wanted);
}

/* libcurl closes a socket only after it has given it up here, so that another
 * that gets the same number can be watched at once. */
static void give_up(struct dp_multi *multi, struct socket_watch *sw, curl_socket_t fd)
{
    (void)curl_multi_assign(multi->handle, fd, NULL);
    sw->given_up = true;
    sb_watch_close(&sw->watch, on_socket_closed);
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
    struct dp_multi *multi = ctx;
    struct socket_watch *sw = assigned;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (sw != NULL)
            give_up(multi, sw, fd);
        return 0;
    }
    if (sw == NULL) {
        sw = sb_mem_new(sizeof(*sw));
        /* Any other result than 0 would end all transfers inside; without a
         * watch, this one runs into its time limit. */
        if (SB_NEVER(sb_watch_init(&sw->watch, multi->loop, fd, on_socket_ready) != SB_OK)) {
            sb_mem_free(sw);
            return 0;
        }
        sw->multi = multi;
        (void)curl_multi_assign(multi->handle, fd, sw);
    }
    sw->wanted = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        sw->wanted |= SB_WATCH_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        sw->wanted |= SB_WATCH_WRITE;
    sb_watch_set(&sw->watch, sw->wanted);
    return 0;
}

/* --- time and results --------------------------------------------------------- */

static int on_timer_wanted(CURLM *handle, long timeout_ms, void *ctx)
{
    struct dp_multi *multi = ctx;

    (void)handle;
    multi->due = timeout_ms == 0;
    if (multi->due)
        sb_task_soon(&multi->work);
    if (timeout_ms > 0)
        sb_timer_set(&multi->timer, sb_loop_now(multi->loop) + (sb_msec)timeout_ms);
    else
        sb_timer_cancel(&multi->timer);
    return 0;
}

static void on_timer(struct sb_timer *timer)
{
    struct dp_multi *multi = container_of(timer, struct dp_multi, timer);

    multi->due = true;
    sb_task_soon(&multi->work);
}

static void on_work(struct sb_task *task)
{
    struct dp_multi *multi = container_of(task, struct dp_multi, work);
    const CURLMsg *msg;
    int left;

    if (multi->due) {
        multi->due = false;
        (void)curl_multi_socket_action(multi->handle, CURL_SOCKET_TIMEOUT, 0, &left);
    }
    while ((msg = curl_multi_info_read(multi->handle, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE) /* msg goes with the handle */
            multi->cbs->on_result(msg->easy_handle, (int)msg->data.result);
    }
    if (multi->n == 0)
        multi->cbs->on_empty(multi, multi->ctx);
}

/* --- multi -------------------------------------------------------------------- */

struct dp_multi *dp_multi_new(struct sb_loop *loop, const struct dp_multi_cbs *cbs, void *ctx)
{
    CURLM *handle = curl_multi_init();
    struct dp_multi *multi;

    if (handle == NULL)
        return NULL;
    multi = sb_mem_new(sizeof(*multi));
    multi->handle = handle;
    multi->loop = loop;
    multi->cbs = cbs;
    multi->ctx = ctx;
    sb_list_init(&multi->link);
    sb_timer_init(&multi->timer, loop, on_timer);
    sb_task_init(&multi->work, loop, on_work);
    (void)curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    (void)curl_multi_setopt(handle, CURLMOPT_SOCKETDATA, multi);
    (void)curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl_multi_setopt(handle, CURLMOPT_TIMERDATA, multi);
    (void)curl_multi_setopt(handle, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return multi;
}

void dp_multi_destroy(struct dp_multi **multi)
{
    struct dp_multi *old = *multi;

    *multi = NULL;
    if (old == NULL)
        return;
    SB_BUG_ON(old->n > 0);
    (void)curl_multi_cleanup(old->handle); /* first: it may still give sockets up */
    sb_task_cancel(&old->work);
    sb_timer_release(&old->timer);
    sb_list_remove(&old->link);
    sb_mem_free(old);
}

int dp_multi_add(struct dp_multi *multi, void *easy)
{
    if (curl_multi_add_handle(multi->handle, easy) != CURLM_OK)
        return SB_EINTERNAL;
    multi->n++;
    return SB_OK;
}

void dp_multi_remove(struct dp_multi *multi, void *easy)
{
    (void)curl_multi_remove_handle(multi->handle, easy);
    if (--multi->n == 0)
        sb_task_soon(&multi->work);
}

unsigned dp_multi_count(const struct dp_multi *multi)
{
    return multi->n;
}

struct sb_list *dp_multi_link(struct dp_multi *multi)
{
    return &multi->link;
}

struct dp_multi *dp_multi_of_link(struct sb_list *link)
{
    return container_of(link, struct dp_multi, link);
}
