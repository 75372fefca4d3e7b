/* dataplane/courier/courier_mail.c */
#include "dataplane/courier/courier_mail.h"

#include "common/arena.h"
#include "common/bus.h"
#include "common/mem.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/route/view.h"

void dp_mail_drop(struct sb_mail *mail)
{
    switch ((enum dp_mail_kind)mail->kind) {
    case DP_MAIL_RECORDS:
    case DP_MAIL_SYNC:
    case DP_MAIL_DRAIN:
        return; /* not from dp_mail_new() */
    case DP_MAIL_TAKEN:
    case DP_MAIL_TABLES_LOST:
    case DP_MAIL_CONFIRMED:
    case DP_MAIL_SYNCED:
    case DP_MAIL_CERTIFICATE:
        break;
    case DP_MAIL_RETIRE:
    case DP_MAIL_SNAPSHOT:
        dp_snapshot_free(&((struct dp_snapshot_mail *)(void *)mail)->snapshot);
        break;
    case DP_MAIL_FOLD:
        dp_fold_destroy(&((struct dp_fold_mail *)(void *)mail)->fold);
        break;
    case DP_MAIL_TABLES:
        sb_arena_destroy(&((struct dp_tables_mail *)(void *)mail)->arena);
        break;
    case DP_MAIL_QUESTION:
        sb_buf_release(&((struct dp_question *)(void *)mail)->json);
        break;
    case DP_MAIL_EXPLAIN:
        sb_bus_msg_destroy(&((struct dp_explain_mail *)(void *)mail)->msg);
        break;
    case DP_MAIL_EXPLAINED:
        sb_buf_release(&((struct dp_explained_mail *)(void *)mail)->json);
        break;
    }
    sb_mem_free(mail); /* it is the first member everywhere */
}

void *dp_mail_new(size_t size, enum dp_mail_kind kind)
{
    struct sb_mail *mail = sb_mem_new(size);

    mail->kind = kind;
    mail->drop = dp_mail_drop;
    return mail;
}

void dp_mail_post_plain(struct sb_mailbox *box, enum dp_mail_kind kind)
{
    (void)sb_mailbox_post(box, dp_mail_new(sizeof(struct sb_mail), kind));
}

void dp_mail_post_version(struct sb_mailbox *box, enum dp_mail_kind kind,
                          struct msg_version version)
{
    struct dp_version_mail *mail = dp_mail_new(sizeof(*mail), kind);

    mail->version = version;
    (void)sb_mailbox_post(box, &mail->mail);
}
