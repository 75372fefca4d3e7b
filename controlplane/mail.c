/* controlplane/mail.c */
#include "controlplane/mail.h"

#include "common/bus.h"
#include "common/check.h"
#include "common/mem.h"
#include "controlplane/probes/probe.h"
#include "controlplane/probes/sightings.h"
#include "proto/limits.h"

static void *mail_new(size_t size, enum cp_mail_kind kind)
{
    struct sb_mail *mail = sb_mem_new(size); /* the first member of all of them */

    mail->kind = kind;
    mail->drop = cp_mail_free;
    return mail;
}

struct cp_attach *cp_attach_new(struct sb_mailbox *box)
{
    struct cp_attach *attach = mail_new(sizeof(*attach), CP_MAIL_ATTACH);

    attach->box = sb_mailbox_ref(box);
    return attach;
}

struct cp_lead *cp_lead_new(bool leading, uint64_t term, uint64_t epoch)
{
    struct cp_lead *lead = mail_new(sizeof(*lead), CP_MAIL_LEAD);

    lead->leading = leading;
    lead->term = term;
    lead->epoch = epoch;
    return lead;
}

struct sb_mail *cp_reread_new(void)
{
    return mail_new(sizeof(struct sb_mail), CP_MAIL_REREAD);
}

struct cp_suspect *cp_suspect_new(struct msg_version version, uint64_t term, bool other_bytes)
{
    struct cp_suspect *suspect = mail_new(sizeof(*suspect), CP_MAIL_SUSPECT);

    suspect->version = version;
    suspect->term = term;
    suspect->other_bytes = other_bytes;
    return suspect;
}

struct cp_compiled_mail *cp_compiled_mail_new(void)
{
    struct cp_compiled_mail *compiled = mail_new(sizeof(*compiled), CP_MAIL_COMPILED);

    sb_buf_init(&compiled->compiled.bytes, MSG_SNAPSHOT_MAX);
    return compiled;
}

struct cp_batch *cp_batch_new(struct sb_bus_msg *msg, struct sb_slice from)
{
    struct cp_batch *batch = mail_new(sizeof(*batch), CP_MAIL_BATCH);

    batch->msg = msg;
    batch->from = cp_peer_of(from);
    return batch;
}

struct cp_beat *cp_beat_new(void)
{
    struct cp_beat *beat = mail_new(sizeof(*beat), CP_MAIL_BEAT);

    beat->arena = sb_arena_new(4096);
    return beat;
}

struct cp_samples *cp_samples_new(enum cp_sample_source source)
{
    struct cp_samples *samples = mail_new(sizeof(*samples), CP_MAIL_SAMPLES);

    samples->source = source;
    samples->arena = sb_arena_new(4096);
    return samples;
}

struct cp_minutes *cp_minutes_new(uint64_t term)
{
    struct cp_minutes *minutes = mail_new(sizeof(*minutes), CP_MAIL_MINUTES);

    minutes->term = term;
    sb_list_init(&minutes->minutes);
    return minutes;
}

struct cp_verdicts *cp_verdicts_new(uint64_t term)
{
    struct cp_verdicts *verdicts = mail_new(sizeof(*verdicts), CP_MAIL_VERDICTS);

    verdicts->term = term;
    sb_list_init(&verdicts->verdicts);
    return verdicts;
}

int cp_past_new(uint64_t term, size_t n, struct cp_past **ret_past)
{
    struct cp_past_row *rows = sb_mem_try((n + 1) * sizeof(*rows));
    struct cp_past *past;

    if (rows == NULL)
        return SB_ENOMEM;
    past = mail_new(sizeof(*past), CP_MAIL_PAST);
    past->term = term;
    past->rows = rows;
    *ret_past = past;
    return SB_OK;
}

struct cp_rows_wanted *cp_rows_wanted_new(struct sb_slice from)
{
    struct cp_rows_wanted *wanted = mail_new(sizeof(*wanted), CP_MAIL_ROWS);

    wanted->from = cp_peer_of(from);
    return wanted;
}

struct cp_query *cp_query_new(struct sb_bus_msg *msg, struct sb_slice from)
{
    struct cp_query *query = mail_new(sizeof(*query), CP_MAIL_QUERY);

    query->msg = msg;
    query->from = cp_peer_of(from);
    return query;
}

struct cp_send *cp_send_new(enum msg_kind kind, uint64_t term)
{
    struct cp_send *send = mail_new(sizeof(*send), CP_MAIL_SEND);

    send->kind = (uint8_t)kind;
    send->term = term;
    sb_buf_init(&send->body, MSG_TEXT_MAX);
    sb_buf_init(&send->bulk, MSG_SNAPSHOT_MAX);
    return send;
}

static void release_send(struct cp_send *send)
{
    sb_buf_release(&send->body);
    sb_buf_release(&send->bulk);
}

static void release_beat(struct cp_beat *beat)
{
    sb_arena_destroy(&beat->arena);
    sb_bus_msg_destroy(&beat->msg);
}

static void release_minutes(struct cp_minutes *minutes)
{
    struct sb_list *link;

    while ((link = sb_list_pop(&minutes->minutes)) != NULL) {
        struct cp_minute *minute = container_of(link, struct cp_minute, link);

        cp_minute_destroy(&minute);
    }
}

static void release_verdicts(struct cp_verdicts *verdicts)
{
    struct sb_list *link;

    while ((link = sb_list_pop(&verdicts->verdicts)) != NULL)
        sb_mem_free(container_of(link, struct cp_verdict, link));
}

static void release_past(struct cp_past *past)
{
    for (size_t i = 0; i < past->n; i++)
        cp_sums_release(&past->rows[i].sums);
    sb_mem_free(past->rows);
    sb_mem_free(past->out);
}

void cp_mail_free(struct sb_mail *mail)
{
    switch ((enum cp_mail_kind)mail->kind) {
    case CP_MAIL_ATTACH:
        sb_mailbox_unref(&container_of(mail, struct cp_attach, mail)->box);
        break;
    case CP_MAIL_LEAD:
    case CP_MAIL_SUSPECT:
    case CP_MAIL_ROWS:
    case CP_MAIL_PROBES:
    case CP_MAIL_REREAD:
        break;
    case CP_MAIL_CATALOG:
        sb_arena_destroy(&container_of(mail, struct cp_catalog_mail, mail)->arena);
        break;
    case CP_MAIL_COMPILED:
        cp_compiled_release(&container_of(mail, struct cp_compiled_mail, mail)->compiled);
        break;
    case CP_MAIL_BATCH:
        sb_bus_msg_destroy(&container_of(mail, struct cp_batch, mail)->msg);
        break;
    case CP_MAIL_BEAT:
        release_beat(container_of(mail, struct cp_beat, mail));
        break;
    case CP_MAIL_SAMPLES:
        sb_arena_destroy(&container_of(mail, struct cp_samples, mail)->arena);
        break;
    case CP_MAIL_MINUTES:
        release_minutes(container_of(mail, struct cp_minutes, mail));
        break;
    case CP_MAIL_VERDICTS:
        release_verdicts(container_of(mail, struct cp_verdicts, mail));
        break;
    case CP_MAIL_PAST:
        release_past(container_of(mail, struct cp_past, mail));
        break;
    case CP_MAIL_QUERY:
        sb_bus_msg_destroy(&container_of(mail, struct cp_query, mail)->msg);
        break;
    case CP_MAIL_SEND:
        release_send(container_of(mail, struct cp_send, mail));
        break;
    case CP_MAIL_SIGHTINGS:
        sb_arena_destroy(&container_of(mail, struct cp_sightings, mail)->arena);
        break;
    case CP_ASK_FLEET:
    case CP_ASK_METRICS:
    case CP_ASK_TABLES:
    case CP_ASK_STATE:
    case CP_ASK_EXPLAIN:
    case CP_ASK_PULSE:
        sb_ask_reply(container_of(mail, struct sb_ask, mail), SB_ECANCELED);
        return; /* its object is freed by whoever lets go of it last */
    }
    sb_mem_free(mail);
}

void cp_observers_add(struct cp_observers *observers, struct cp_attach *attach)
{
    SB_BUG_ON(observers->n == CP_OBSERVERS_MAX);
    observers->boxes[observers->n++] = attach->box;
    attach->box = NULL;
    cp_mail_free(&attach->mail);
}

void cp_observers_release(struct cp_observers *observers)
{
    for (unsigned i = 0; i < observers->n; i++)
        sb_mailbox_unref(&observers->boxes[i]);
    observers->n = 0;
}
