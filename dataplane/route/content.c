/* dataplane/route/content.c */
#include "dataplane/route/content.h"

#include "common/splice.h"
#include "common/walk.h"
#include "proto/vocabulary.h"

/* Compares a string that has escapes, as written, with a plain word. */
static bool escaped_text_is(struct sb_slice written, const char *word)
{
    size_t at = 0;

    for (; *word != '\0'; word++) {
        char c;

        if (at >= written.n)
            return false;
        c = written.p[at++];
        if (c == '\\' && at + 5 <= written.n && written.p[at] == 'u') {
            unsigned code = 0;

            for (size_t i = 1; i <= 4; i++) {
                int digit = (unsigned char)written.p[at + i];

                digit = digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
                code = code * 16 + (unsigned)digit;
            }
            c = (char)(code < 0x80 ? (int)code : 0);
            at += 5;
        }
        if (c != *word)
            return false;
    }
    return at == written.n;
}

/* Nobody escapes letters, but it is legal: what is longer may be the word. */
static inline bool text_is(struct sb_slice written, struct sb_slice word)
{
    if (written.n == word.n)
        return memcmp(written.p, word.p, word.n) == 0;
    return written.n > word.n && memchr(written.p, '\\', written.n) != NULL &&
           escaped_text_is(written, word.p);
}
#define TEXT_IS(written, literal) text_is(written, SB_SLICE_LIT(literal))

static struct sb_slice unquoted(struct sb_slice string)
{
    return sb_slice_make(string.p + 1, string.n - 2);
}

static bool is_string(struct sb_slice value)
{
    return sb_splice_type_of(value) == SB_SPLICE_STRING;
}

/* --- messages ----------------------------------------------------------------------- */

static const struct {
    const char *type;
    int modality;
} part_types[] = {
    {"text", MSG_MODALITY_TEXT},         {"input_text", MSG_MODALITY_TEXT},
    {"image_url", MSG_MODALITY_IMAGE},   {"input_image", MSG_MODALITY_IMAGE},
    {"image", MSG_MODALITY_IMAGE},       {"input_audio", MSG_MODALITY_AUDIO},
    {"audio_url", MSG_MODALITY_AUDIO},   {"audio", MSG_MODALITY_AUDIO},
    {"file", MSG_MODALITY_FILE},         {"input_file", MSG_MODALITY_FILE},
    {"document", MSG_MODALITY_FILE},     {"video_url", MSG_MODALITY_VIDEO},
    {"input_video", MSG_MODALITY_VIDEO}, {"video", MSG_MODALITY_VIDEO},
};

/* One element of a content list.  What is of no known type counts as text, so
 * that it is not forgotten. */
static void read_part(struct dp_content *content, struct sb_slice part)
{
    struct sb_walk c = sb_walk_into(part);
    struct sb_slice name, value, type = SB_SLICE_LIT(""), text = part;
    int modality = MSG_MODALITY_TEXT;

    if (sb_splice_type_of(part) != SB_SPLICE_OBJECT) {
        content->text_bytes += part.n;
        return;
    }
    while (sb_walk_member(&c, &name, &value)) {
        if (TEXT_IS(name, "type") && is_string(value))
            type = unquoted(value);
        else if (TEXT_IS(name, "text") && is_string(value))
            text = unquoted(value);
    }
    for (size_t i = 0; i < sizeof(part_types) / sizeof(part_types[0]); i++) {
        if (text_is(type, sb_slice_of(part_types[i].type))) {
            modality = part_types[i].modality;
            break;
        }
    }
    content->modalities |= 1U << modality;
    content->images += modality == MSG_MODALITY_IMAGE;
    content->audios += modality == MSG_MODALITY_AUDIO;
    if (modality == MSG_MODALITY_TEXT)
        content->text_bytes += text.n;
}

static void read_parts(struct dp_content *content, struct sb_slice list)
{
    struct sb_walk c = sb_walk_into(list);
    struct sb_slice part;

    while (sb_walk_element(&c, &part))
        read_part(content, part);
}

static void read_content(struct dp_content *content, struct sb_slice value)
{
    switch ((int)sb_splice_type_of(value)) {
    case SB_SPLICE_STRING:
        content->modalities |= 1U << MSG_MODALITY_TEXT;
        content->text_bytes += value.n - 2;
        break;
    case SB_SPLICE_ARRAY:
        read_parts(content, value);
        break;
    case SB_SPLICE_OBJECT:
        read_part(content, value);
        break;
    default: /* null beside tool calls */
        break;
    }
}

static void read_message(struct dp_content *content, struct sb_slice message)
{
    struct sb_walk c = sb_walk_into(message);
    struct sb_slice name, value, role = SB_SLICE_LIT(""), said = SB_SLICE_NONE;

    while (sb_walk_member(&c, &name, &value)) {
        if (TEXT_IS(name, "role")) {
            role = is_string(value) ? unquoted(value) : SB_SLICE_LIT("");
        } else if (TEXT_IS(name, "content")) {
            said = value;
            read_content(content, value);
        } else if (TEXT_IS(name, "images") && sb_splice_type_of(value) == SB_SPLICE_ARRAY) {
            read_parts(content, value); /* what an image model said before */
        } else if (!TEXT_IS(name, "audio")) {
            content->text_bytes += value.n; /* tool calls, reasoning, names */
        }
    }
    if (content->first_user.n == 0 && TEXT_IS(role, "user"))
        content->first_user = said;
    if (content->first_system.n == 0 && (TEXT_IS(role, "system") || TEXT_IS(role, "developer")))
        content->first_system = said;
    content->messages++;
}

int dp_content_read_messages(struct dp_content *content, struct sb_slice messages,
                             struct sb_errmsg *err)
{
    struct sb_walk c;
    struct sb_slice message;

    if (sb_splice_type_of(messages) != SB_SPLICE_ARRAY)
        return sb_err_set(err, SB_EINVAL, "messages: must be a list of messages");
    c = sb_walk_into(messages);
    while (sb_walk_element(&c, &message)) {
        if (sb_splice_type_of(message) != SB_SPLICE_OBJECT)
            return sb_err_set(err, SB_EINVAL,
                              "messages[%u]: must be an object with role and content",
                              content->messages);
        read_message(content, message);
    }
    if (content->messages == 0)
        return sb_err_set(err, SB_EINVAL, "messages: must hold at least one message");
    return SB_OK;
}

int dp_content_read_prompt(struct dp_content *content, const char *member, struct sb_slice prompt,
                           struct sb_errmsg *err)
{
    enum sb_splice_type type = sb_splice_type_of(prompt);
    struct sb_walk c;
    struct sb_slice element;

    content->prompts++;
    if (type == SB_SPLICE_STRING) {
        read_content(content, prompt);
        return SB_OK;
    }
    if (type != SB_SPLICE_ARRAY)
        return sb_err_set(err, SB_EINVAL, "%s: must be a string or a list", member);
    c = sb_walk_into(prompt);
    if (!sb_walk_element(&c, &element))
        return sb_err_set(err, SB_EINVAL, "%s: must not be an empty list", member);
    content->modalities |= 1U << MSG_MODALITY_TEXT;
    content->text_bytes += prompt.n; /* texts, or tokens: their digits are a fair guess */
    if (sb_splice_type_of(element) != SB_SPLICE_NUMBER)
        while (sb_walk_element(&c, &element))
            content->prompts++;
    return SB_OK;
}
