/* tests/lib/inbox.h - a mailbox that a test waits at. */
#pragma once

#include <poll.h>

#include "common/mailbox.h"
#include "tests/lib/test.h"

enum { INBOX_PATIENCE = 30000 }; /* ms; only a test that fails waits that long */

struct inbox {
    struct sb_mailbox *box;
    struct sb_mail *chain; /* taken, not looked at */
};

static inline void inbox_open(struct inbox *inbox)
{
    *inbox = (struct inbox){.box = NULL};
    assert_int_equal(sb_mailbox_new(NULL, NULL, &inbox->box), 0);
}

/* What nobody took is dropped. */
static inline void inbox_close(struct inbox *inbox)
{
    struct sb_mail *mail;

    while ((mail = sb_mail_pop(&inbox->chain)) != NULL)
        if (mail->drop != NULL)
            mail->drop(mail);
    sb_mailbox_unref(&inbox->box);
}

/* The next mail, or NULL when none comes in time. */
static inline struct sb_mail *inbox_wait(struct inbox *inbox, int patience)
{
    struct pollfd fd = {.fd = sb_mailbox_fd(inbox->box), .events = POLLIN};

    while (inbox->chain == NULL) {
        if (poll(&fd, 1, patience) <= 0)
            return NULL;
        inbox->chain = sb_mailbox_take(inbox->box);
    }
    return sb_mail_pop(&inbox->chain);
}

/* The next mail, which is of that kind; fails the test when none comes. */
static inline struct sb_mail *inbox_expect(struct inbox *inbox, uint32_t kind)
{
    struct sb_mail *mail = inbox_wait(inbox, INBOX_PATIENCE);

    assert_non_null(mail);
    assert_int_equal(mail->kind, kind);
    return mail;
}
