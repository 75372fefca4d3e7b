/* dataplane/route/content.h - what is inside `messages`: how much text, which
 * kinds of media, how the conversation began.
 *
 * A cursor over text that the splicer has accepted; it steps over strings
 * without reading them.  Everything is gathered in one struct by one call per
 * message, so that the calls can move into the splicer's own pass.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct dp_content {
    uint64_t text_bytes; /* as written, in strings that the model reads */
    uint32_t messages;
    uint32_t prompts; /* each has its own answers; a list of tokens is one */
    uint32_t images, audios;
    uint32_t modalities;          /* bits 1 << enum msg_modality */
    struct sb_slice first_system; /* content of the first system or developer message */
    struct sb_slice first_user;   /* both as written; or none */
};

/* Adds all messages.  messages: the JSON text of the member.  Errors:
 * SB_EINVAL with the place in err. */
int dp_content_read_messages(struct dp_content *content, struct sb_slice messages,
                             struct sb_errmsg *err) SB_MUSTCHECK;
/* Adds a `prompt` or an `input`: a string, or a list.  member: its name. */
int dp_content_read_prompt(struct dp_content *content, const char *member, struct sb_slice prompt,
                           struct sb_errmsg *err) SB_MUSTCHECK;
