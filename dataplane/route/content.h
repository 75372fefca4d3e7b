/* dataplane/route/content.h - what is inside `messages`, `prompt` or `input`:
 * how much text, which kinds of media, how the conversation began.
 *
 * Gathered by a visitor while the splicer scans the body, so nothing is read
 * twice and no document is built:
 *
 *      dp_content_init(&content, MSG_API_CHAT);
 *      rc = sb_splice_visit(&doc, body, SB_SPLICE_DEPTH, &content.visitor, &error);
 *      if (rc == SB_OK)
 *          rc = dp_requirements_read(&doc, &content, arena, &ask, &err);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "common/splice.h"
#include "proto/vocabulary.h"

struct dp_content {
    struct sb_splice_visitor visitor;
    enum msg_api api;

    uint64_t text_bytes; /* as written, in strings that the model reads */
    uint32_t messages;
    uint32_t prompts; /* each has its own answers; a list of tokens is one */
    uint32_t images, audios;
    uint32_t modalities;          /* bits 1 << enum msg_modality */
    struct sb_slice first_system; /* content of the first system or developer message */
    struct sb_slice first_user;   /* both as written; or none */

    /* While it gathers. */
    const char *strange;    /* what is wrong with a message, behind "messages[N]"; or NULL */
    uint32_t stranger;      /* its index */
    bool is_part;           /* the content of the current message is one part, no list */
    struct sb_slice role;   /* of the current message, without quotes; NULL: none so far */
    struct sb_slice said;   /* its content */
    struct sb_slice type;   /* of the current part; without quotes */
    struct sb_slice text;   /* likewise; none so far */
    bool has_text;          /* the part has a text */
    enum sb_splice_type of; /* the first element of a list of prompts */
};

/* For one scan; the text must outlive what is gathered. */
void dp_content_init(struct dp_content *content, enum msg_api api);
/* The name of the member that holds the content: "messages", "prompt", "input". */
const char *dp_content_member(enum msg_api api);
/* Draws the conclusions once the scan has ended well.  value: JSON text of the
 * member.  Errors: SB_EINVAL with the place in err. */
int dp_content_finish(struct dp_content *content, struct sb_slice value,
                      struct sb_errmsg *err) SB_MUSTCHECK;
