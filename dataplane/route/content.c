/* dataplane/route/content.c */
#include "dataplane/route/content.h"

#include "common/check.h"

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
        return sb_slice_eq(written, word);
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

/* A part has ended.  What is of no known type counts as text, so that it is
 * not forgotten. */
static void end_part(struct dp_content *content, struct sb_slice whole)
{
    int modality = MSG_MODALITY_TEXT;

    for (size_t i = 0; i < SB_ARRAY_LEN(part_types); i++) {
        if (text_is(content->type, sb_slice_of(part_types[i].type))) {
            modality = part_types[i].modality;
            break;
        }
    }
    content->modalities |= 1U << modality;
    content->images += modality == MSG_MODALITY_IMAGE;
    content->audios += modality == MSG_MODALITY_AUDIO;
    if (modality == MSG_MODALITY_TEXT)
        content->text_bytes += content->has_text ? content->text.n : whole.n;
}

static void begin_part(struct dp_content *content)
{
    content->type = SB_SLICE_LIT("");
    content->has_text = false;
}

static void note_in_part(struct dp_content *content, struct sb_slice name, struct sb_slice value)
{
    if (!is_string(value))
        return;
    if (TEXT_IS(name, "type")) {
        content->type = unquoted(value);
    } else if (TEXT_IS(name, "text")) {
        content->text = unquoted(value);
        content->has_text = true;
    }
}

static void note_text(struct dp_content *content, struct sb_slice string)
{
    content->modalities |= 1U << MSG_MODALITY_TEXT;
    content->text_bytes += string.n - 2;
}

/* The first one is told. */
static void note_stranger(struct dp_content *content, const char *strange)
{
    if (content->strange != NULL)
        return;
    content->strange = strange;
    content->stranger = content->messages;
}

static void note_content(struct dp_content *content, struct sb_slice value)
{
    enum sb_splice_type type = sb_splice_type_of(value);

    content->said = value;
    if (type == SB_SPLICE_STRING)
        note_text(content, value);
    else if (content->is_part)
        end_part(content, value);
    else if (type != SB_SPLICE_ARRAY && type != SB_SPLICE_NULL) /* null: beside tool calls */
        note_stranger(content, ".content: must be a string, a list of parts or null");
    content->is_part = false;
}

static void note_in_message(struct dp_content *content, struct sb_slice name, struct sb_slice value)
{
    if (TEXT_IS(name, "role")) {
        content->role = is_string(value) ? unquoted(value) : SB_SLICE_NONE;
    } else if (TEXT_IS(name, "content")) {
        note_content(content, value);
    } else if (!TEXT_IS(name, "audio") && !(TEXT_IS(name, "images") && *value.p == '[')) {
        content->text_bytes += value.n; /* tool calls, reasoning, names */
    }
}

static void end_message(struct dp_content *content, struct sb_slice message)
{
    if (sb_splice_type_of(message) != SB_SPLICE_OBJECT) {
        note_stranger(content, ": must be an object with role and content");
        return;
    }
    if (content->role.p == NULL)
        note_stranger(content, ".role: must be a string, such as \"user\"");
    else if (content->first_user.n == 0 && TEXT_IS(content->role, "user"))
        content->first_user = content->said;
    else if (content->first_system.n == 0 &&
             (TEXT_IS(content->role, "system") || TEXT_IS(content->role, "developer")))
        content->first_system = content->said;
    content->messages++;
}

/* Levels: 1 the members of the body, 2 the messages, 3 the members of one, 4
 * the parts of its content, 5 the members of one.  A content that is a single
 * part without a list has its members on level 4. */
static bool on_open(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                    enum sb_splice_type type)
{
    struct dp_content *content = container_of(visitor, struct dp_content, visitor);

    switch (depth) {
    case 1:
        return type == SB_SPLICE_ARRAY && TEXT_IS(name, "messages");
    case 2:
        content->role = SB_SLICE_NONE;
        content->said = SB_SLICE_NONE;
        return type == SB_SPLICE_OBJECT;
    case 3:
        content->is_part = type == SB_SPLICE_OBJECT && TEXT_IS(name, "content");
        if (content->is_part)
            begin_part(content);
        /* "images": what an image model said before */
        return content->is_part || TEXT_IS(name, "content") ||
               (type == SB_SPLICE_ARRAY && TEXT_IS(name, "images"));
    case 4:
        if (content->is_part || type != SB_SPLICE_OBJECT)
            return false;
        begin_part(content);
        return true;
    default:
        return false;
    }
}

static void on_value(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                     struct sb_slice value)
{
    struct dp_content *content = container_of(visitor, struct dp_content, visitor);

    if (depth == 5 || (depth == 4 && content->is_part))
        note_in_part(content, name, value);
    else if (depth == 4 && sb_splice_type_of(value) == SB_SPLICE_OBJECT)
        end_part(content, value);
    else if (depth == 4)
        content->text_bytes += value.n;
    else if (depth == 3)
        note_in_message(content, name, value);
    else
        end_message(content, value);
}

/* --- prompts ------------------------------------------------------------------------ */

static bool on_prompts_open(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                            enum sb_splice_type type)
{
    const struct dp_content *content = container_of(visitor, struct dp_content, visitor);

    return depth == 1 && type == SB_SPLICE_ARRAY &&
           text_is(name, sb_slice_of(dp_content_member(content->api)));
}

static void on_prompt(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                      struct sb_slice value)
{
    struct dp_content *content = container_of(visitor, struct dp_content, visitor);

    (void)depth;
    (void)name;
    if (content->prompts++ == 0)
        content->of = sb_splice_type_of(value);
}

/* --- conclusions -------------------------------------------------------------------- */

const char *dp_content_member(enum msg_api api)
{
    switch (api) {
    case MSG_API_COMPLETIONS:
        return "prompt";
    case MSG_API_EMBEDDINGS:
        return "input";
    case MSG_API_CHAT:
    case MSG_API_COUNT:
        break;
    }
    return "messages";
}

void dp_content_init(struct dp_content *content, enum msg_api api)
{
    *content = (struct dp_content){.api = api};
    content->visitor =
        api == MSG_API_CHAT
            ? (struct sb_splice_visitor){.open = on_open, .value = on_value}
            : (struct sb_splice_visitor){.open = on_prompts_open, .value = on_prompt};
}

static int finish_messages(const struct dp_content *content, struct sb_slice messages,
                           struct sb_errmsg *err)
{
    if (sb_splice_type_of(messages) != SB_SPLICE_ARRAY)
        return sb_err_set(err, SB_EINVAL, "messages: must be a list of messages");
    if (content->strange != NULL)
        return sb_err_set(err, SB_EINVAL, "messages[%u]%s", content->stranger, content->strange);
    if (content->messages == 0)
        return sb_err_set(err, SB_EINVAL, "messages: must hold at least one message");
    return SB_OK;
}

int dp_content_finish(struct dp_content *content, struct sb_slice value, struct sb_errmsg *err)
{
    const char *member = dp_content_member(content->api);

    if (content->api == MSG_API_CHAT)
        return finish_messages(content, value, err);
    if (is_string(value)) {
        content->prompts = 1;
        note_text(content, value);
        return SB_OK;
    }
    if (sb_splice_type_of(value) != SB_SPLICE_ARRAY)
        return sb_err_set(err, SB_EINVAL, "%s: must be a string or a list", member);
    if (content->prompts == 0)
        return sb_err_set(err, SB_EINVAL, "%s: must not be an empty list", member);
    if (content->of == SB_SPLICE_NUMBER)
        content->prompts = 1;
    content->modalities |= 1U << MSG_MODALITY_TEXT;
    content->text_bytes += value.n; /* texts, or tokens: their digits are a fair guess */
    return SB_OK;
}
