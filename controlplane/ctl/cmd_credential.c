/* controlplane/ctl/cmd_credential.c - credential create, credential enter.
 *
 * The secret comes from standard input, a file or a variable, never from the
 * command line, where everybody on the host and the shell's history would see
 * it. */
#include "common/num.h"
#include "common/secret.h"
#include "controlplane/ctl/change.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/input.h"

enum { BODY_MAX = 8 * SB_SECRET_MAX /* every character may be escaped */ };

static void wipe(struct sb_buf *text)
{
    if (text->data != NULL)
        sb_secret_wipe(text->data, text->size);
    sb_buf_release(text);
}

static void add_text(struct sb_json *json, const char *name, const char *text)
{
    if (text != NULL)
        sb_json_add_text(json, name, sb_slice_of(text));
}

/* Before anybody is asked for a secret. */
static int check_members(struct ctl *ctl)
{
    const char *sequence = ctl_flag(ctl, "sequence");
    uint64_t number = 0;

    if (ctl_flag(ctl, "provider") == NULL)
        return ctl_misuse(ctl, "credential create wants --provider SLUG");
    if ((ctl_flag(ctl, "tenant") != NULL) == ctl_has(ctl, "house"))
        return ctl_misuse(ctl, "whose is it? --tenant NAME: that tenant's own; "
                               "--house: the operator's, for all");
    if (sequence != NULL && !sb_num_read_u64(sb_slice_of(sequence), &number))
        return ctl_misuse(ctl, "--sequence %s is not a whole number", sequence);
    return CTL_DONE;
}

/* Members of a new credential, which were checked. */
static void add_members(struct ctl *ctl, struct sb_json *json)
{
    const char *sequence = ctl_flag(ctl, "sequence");

    add_text(json, "provider", ctl_flag(ctl, "provider"));
    add_text(json, "tenant", ctl_flag(ctl, "tenant"));
    if (sequence != NULL)
        sb_json_add_raw(json, "sequence", sb_slice_of(sequence));
    if (ctl_has(ctl, "no-spill"))
        sb_json_add_bool(json, "spill", false);
}

static int write_body(struct ctl *ctl, bool is_new, struct sb_slice secret, struct sb_buf *body)
{
    struct sb_json json;

    sb_json_init(&json, body);
    sb_json_open_object(&json);
    if (is_new)
        add_members(ctl, &json);
    sb_json_add_object(&json, "secret");
    sb_json_add_text(&json, "value", secret);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    return sb_json_end(&json) == SB_OK ? CTL_DONE
                                       : ctl_fail(ctl, "the secret is no text, or too long");
}

/* Sends the members that the flags say, and the secret. */
static int send(struct ctl *ctl, bool is_new)
{
    struct ctl_query query = {.ctl = ctl};
    struct ctl_request request = {.method = is_new ? "PUT" : "PATCH",
                                  .content_type = "application/json",
                                  .fields = {is_new ? "If-None-Match: *" : NULL}};
    yyjson_val *answer = NULL;
    struct sb_buf secret, body;
    int status;

    sb_buf_init(&secret, SB_SECRET_MAX);
    sb_buf_init(&body, BODY_MAX);
    status =
        ctl_input_secret(ctl, ctl_flag(ctl, "secret-file"), ctl_flag(ctl, "secret-env"), &secret);
    /* at once in full size: growing would leave copies in freed memory */
    if (status == CTL_DONE && sb_buf_reserve(&body, BODY_MAX) != SB_OK)
        status = ctl_fail(ctl, "out of memory");
    if (status == CTL_DONE)
        status = write_body(ctl, is_new, sb_buf_slice(&secret), &body);
    wipe(&secret);
    if (status == CTL_DONE) {
        ctl_change_query(&query);
        request.path =
            ctl_query_path(&query, sb_arena_printf(ctl->arena, "/admin/v1/credentials/%s",
                                                   ctl_escape(ctl, ctl->args.operands[0]))
                                       .p);
        request.body = sb_buf_slice(&body);
        status = ctl_call(ctl, &request, &answer);
    }
    wipe(&body);
    return status == CTL_DONE ? ctl_change_show(ctl, answer) : status;
}

int ctl_run_credential_create(struct ctl *ctl)
{
    int status = check_members(ctl);

    return status == CTL_DONE ? send(ctl, true) : status;
}

int ctl_run_credential_enter(struct ctl *ctl)
{
    return send(ctl, false);
}
