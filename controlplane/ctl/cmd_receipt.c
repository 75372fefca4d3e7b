/* controlplane/ctl/cmd_receipt.c - receipt verify. */
#include <string.h>

#include "common/notekey.h"
#include "common/timefmt.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/input.h"
#include "controlplane/ctl/receipt.h"
#include "controlplane/ctl/show.h"
#include "proto/vocabulary.h"

enum { BODY_MAX = 256 << 20 };

struct files {
    struct sb_buf receipt, promise, request, response;
};

static void release_files(struct files *files)
{
    sb_buf_release(&files->receipt);
    sb_buf_release(&files->promise);
    sb_buf_release(&files->request);
    sb_buf_release(&files->response);
}

/* --- reading -------------------------------------------------------------------------- */

/* A key as text has two '+'; a path that has them is better given as ./path. */
static int read_key(struct ctl *ctl, struct sb_note_key *ret_key)
{
    const char *text = ctl_flag(ctl, "log-key");
    struct sb_errmsg err = {.text = ""};
    const char *path = text;

    if (text == NULL)
        path = sb_arena_printf(ctl->arena, "%s/log.key.pub", ctl_home()).p;
    else if (strchr(text, '/') != text && strchr(text, '+') != NULL && strncmp(text, "./", 2) != 0)
        return sb_note_key_parse(sb_slice_of(text), ret_key, &err) == SB_OK
                   ? CTL_DONE
                   : ctl_fail(ctl, "--log-key: %s", err.text);
    if (sb_note_key_load(path, ret_key, &err) == SB_OK)
        return CTL_DONE;
    return ctl_fail(ctl,
                    "%s; --log-key names the log's public key, which its operator has "
                    "published",
                    err.text);
}

static int read_flag(struct ctl *ctl, const char *name, struct sb_buf *buf)
{
    const char *path = ctl_flag(ctl, name);

    return path != NULL ? ctl_input_read(ctl, path, buf) : CTL_DONE;
}

static int read_files(struct ctl *ctl, struct files *files)
{
    int status;

    sb_buf_init(&files->receipt, CTL_RECEIPT_MAX);
    sb_buf_init(&files->promise, CTL_RECEIPT_MAX);
    sb_buf_init(&files->request, BODY_MAX);
    sb_buf_init(&files->response, BODY_MAX);
    status = ctl_input_read(ctl, ctl->args.operands[0], &files->receipt);
    if (status == CTL_DONE)
        status = read_flag(ctl, "promise", &files->promise);
    if (status == CTL_DONE)
        status = read_flag(ctl, "request", &files->request);
    if (status == CTL_DONE)
        status = read_flag(ctl, "response", &files->response);
    return status;
}

/* --- showing ---------------------------------------------------------------------------- */

static void show_claims(struct ctl *ctl, yyjson_val *entry)
{
    uint64_t demanded = yyjson_get_uint(yyjson_obj_get(entry, "demanded"));
    yyjson_val *evidence = yyjson_obj_get(entry, "evidence"), *one;
    size_t i, n;

    for (int kind = 0; kind < MSG_CLAIM_COUNT; kind++) {
        const char *name = msg_claim_name(kind);
        struct sb_slice value = SB_SLICE_LIT("nothing was held"), said = SB_SLICE_NONE;

        if ((demanded >> kind & 1) == 0)
            continue;
        yyjson_arr_foreach(evidence, i, n, one)
        {
            if (!sb_slice_is(ctl_member_text(one, "claim"), name))
                continue;
            value = ctl_member_text(one, "value");
            said = ctl_member_text(one, "evidence");
        }
        ctl_print(ctl, "  demanded      %s: %.*s%s%.*s\n", name, SB_SLICE_ARGS(value),
                  said.n > 0 ? ", by " : "", SB_SLICE_ARGS(ctl_text_clean(ctl->arena, said)));
    }
}

static void show_member(struct ctl *ctl, const char *title, yyjson_val *entry, const char *name)
{
    struct sb_slice text = ctl_text_clean(ctl->arena, ctl_member_text(entry, name));

    if (text.n > 0)
        ctl_print(ctl, "  %-13s %.*s\n", title, SB_SLICE_ARGS(text));
}

static void show_entry(struct ctl *ctl, yyjson_val *entry)
{
    char time[SB_TIME_TEXT_MAX];
    uint64_t at;

    show_member(ctl, "request", entry, "generation");
    if (sb_json_get_u64(entry, "received_at", &at) == SB_OK)
        ctl_print(ctl, "  %-13s %.*s\n", "received", (int)sb_time_format(at, 6, time), time);
    show_member(ctl, "model", entry, "model_served");
    show_member(ctl, "endpoint", entry, "tag");
    show_member(ctl, "provider", entry, "provider");
    show_member(ctl, "region", entry, "region");
    show_claims(ctl, entry);
}

static void show_checks(struct ctl *ctl, const struct ctl_receipt *receipt)
{
    for (unsigned i = 0; i < receipt->n; i++) {
        const struct ctl_check *check = &receipt->checks[i];

        ctl_print_styled(ctl, check->is_proven ? CTL_GOOD : CTL_BAD,
                         check->is_proven ? SB_SLICE_LIT("proven     ")
                                          : SB_SLICE_LIT("NOT PROVEN "));
        ctl_print_styled(ctl, CTL_PLAIN, check->text);
        ctl_print(ctl, "\n");
    }
}

/* What nobody asked for is not proven either. */
static void show_unasked(struct ctl *ctl, const struct ctl_receipt_ask *ask)
{
    if (ask->receipt.n == 0)
        ctl_note(ctl, "This is a promise only: that the record is in the log is proven by the "
                      "receipt, GET /v1/generation/{id}/receipt.");
    if (!ask->has_request)
        ctl_note(ctl, "Not checked: the request body (--request FILE).");
    if (!ask->has_response && ask->receipt.n > 0)
        ctl_note(ctl, "Not checked: the response body (--response FILE).");
}

static int print_json(struct ctl *ctl, const struct ctl_receipt *receipt,
                      const struct ctl_receipt_ask *ask)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_errmsg err = {.text = ""};
    struct sb_json json;
    int rc;

    sb_buf_init(&text, (size_t)2 * CTL_RECEIPT_MAX);
    sb_json_init(&json, &text);
    sb_json_open_object(&json);
    sb_json_add_bool(&json, "proven", receipt->is_proven);
    if (ask->receipt.n > 0) {
        sb_json_add_text(&json, "log", receipt->origin);
        sb_json_add_u64(&json, "size", receipt->size);
        sb_json_add_u64(&json, "leaf", receipt->leaf);
    }
    sb_json_add_array(&json, "checks");
    for (unsigned i = 0; i < receipt->n; i++) {
        sb_json_open_object(&json);
        sb_json_add_text(&json, "check", sb_slice_of(receipt->checks[i].name));
        sb_json_add_bool(&json, "proven", receipt->checks[i].is_proven);
        sb_json_add_text(&json, "text", receipt->checks[i].text);
        sb_json_close_object(&json);
    }
    sb_json_close_array(&json);
    sb_json_add_raw(&json, ask->receipt.n > 0 ? "entry" : "promise", receipt->entry);
    sb_json_close_object(&json);
    rc = sb_json_end(&json);
    if (rc == SB_OK)
        rc = sb_json_read(sb_buf_slice(&text), (size_t)2 * CTL_RECEIPT_MAX, &doc, &err);
    if (rc != SB_OK)
        return ctl_fail(ctl, "the result cannot be shown: %s", sb_err_name(rc));
    ctl_print_value(ctl, yyjson_doc_get_root(doc));
    return CTL_DONE;
}

/* --- the command ---------------------------------------------------------------------------- */

static int verify(struct ctl *ctl, const struct files *files, const struct sb_note_key *key)
{
    struct ctl_receipt_ask ask = {
        .key = key,
        .receipt = sb_buf_slice(&files->receipt),
        .promise = ctl_receipt_find_promise(sb_buf_slice(&files->promise)),
        .has_request = ctl_flag(ctl, "request") != NULL,
        .has_response = ctl_flag(ctl, "response") != NULL,
        .request = sb_buf_slice(&files->request),
        .response = sb_buf_slice(&files->response),
    };
    struct ctl_receipt receipt;
    struct sb_errmsg err = {.text = ""};
    int status = CTL_DONE;

    if (ctl_flag(ctl, "promise") != NULL && ask.promise.n == 0)
        return ctl_fail(ctl, "%s has no promise: a head with X-Switchboard-Receipt: v1... has",
                        ctl_flag(ctl, "promise"));
    if (ask.promise.n == 0) { /* the file may be a promise itself */
        ask.promise = ctl_receipt_find_promise(ask.receipt);
        if (ask.promise.n > 0)
            ask.receipt = SB_SLICE_NONE;
    }
    if (ask.receipt.n == 0 && ask.promise.n == 0)
        return ctl_fail(ctl, "%s is empty", ctl->args.operands[0]);
    if (ask.receipt.n == 0 && ask.has_response)
        return ctl_misuse(ctl,
                          "--response goes with a receipt: a promise is made before the answer");
    if (ctl_receipt_verify(&ask, ctl->arena, &receipt, &err) != SB_OK)
        return ctl_fail(ctl, "%s: %s", ctl->args.operands[0], err.text);
    if (ctl->format != CTL_AS_TABLE) {
        status = print_json(ctl, &receipt, &ask);
    } else {
        show_checks(ctl, &receipt);
        if (receipt.is_proven)
            show_entry(ctl, yyjson_doc_get_root(receipt.doc));
        show_unasked(ctl, &ask);
    }
    if (status == CTL_DONE && !receipt.is_proven)
        status = CTL_FAILED;
    ctl_receipt_release(&receipt);
    return status;
}

int ctl_run_receipt_verify(struct ctl *ctl)
{
    SB_CLEANUP(release_files) struct files files = {.receipt = {.limit = 0}};
    struct sb_note_key key;
    int status = read_key(ctl, &key);

    if (status == CTL_DONE)
        status = read_files(ctl, &files);
    return status == CTL_DONE ? verify(ctl, &files, &key) : status;
}
