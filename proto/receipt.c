/* proto/receipt.c */
#include "proto/receipt.h"

#include <inttypes.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/vocabulary.h"

/* --- certificates ------------------------------------------------------------------ */

#define CERTIFICATE_TITLE "switchboard/worker-key\n"

int msg_certificate_write(const struct msg_certificate *certificate, struct sb_buf *out)
{
    char key[SB_BASE64_SIZE(SB_SIGN_PUBLIC)];

    if (certificate->worker.n == 0 || certificate->worker.n > MSG_WORKER_ID_MAX)
        return SB_EINVAL;
    for (size_t i = 0; i < certificate->worker.n; i++) {
        if (certificate->worker.p[i] <= ' ' || certificate->worker.p[i] > '~')
            return SB_EINVAL;
    }
    sb_base64_put(sb_slice_make(certificate->key, SB_SIGN_PUBLIC), key, sizeof(key));
    return sb_buf_printf(
        out, CERTIFICATE_TITLE "worker %.*s\nboot %" PRIu64 "\nkey %s\nat %" PRId64 "\n",
        SB_SLICE_ARGS(certificate->worker), certificate->boot, key, certificate->at);
}

/* The rest of a line that begins so; the line is taken off text. */
static bool take_line(struct sb_slice *text, struct sb_slice name, struct sb_slice *ret_value)
{
    size_t end = sb_slice_find(*text, '\n');

    if (end == text->n || end <= name.n || !sb_slice_starts_with(*text, name))
        return false;
    *ret_value = sb_slice_make(text->p + name.n, end - name.n);
    *text = sb_slice_from(*text, end + 1);
    return true;
}

/* Decimal, no more than fits, no zero in front. */
static bool read_number(struct sb_slice text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text.p[i] - '0';

        if (digit > 9 || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

int msg_certificate_read(struct sb_slice text, struct msg_certificate *ret)
{
    struct msg_certificate certificate;
    struct sb_slice boot, key, at;
    uint64_t number;
    size_t n;

    if (!sb_slice_starts_with(text, SB_SLICE_LIT(CERTIFICATE_TITLE)))
        return SB_EPARSE;
    text = sb_slice_from(text, sizeof(CERTIFICATE_TITLE) - 1);
    if (!take_line(&text, SB_SLICE_LIT("worker "), &certificate.worker) ||
        !take_line(&text, SB_SLICE_LIT("boot "), &boot) ||
        !take_line(&text, SB_SLICE_LIT("key "), &key) ||
        !take_line(&text, SB_SLICE_LIT("at "), &at) || text.n > 0 ||
        !read_number(boot, UINT64_MAX, &certificate.boot) || !read_number(at, INT64_MAX, &number) ||
        sb_base64_read(key, certificate.key, sizeof(certificate.key), &n) != SB_OK ||
        n != SB_SIGN_PUBLIC)
        return SB_EPARSE;
    certificate.at = (int64_t)number;
    *ret = certificate;
    return SB_OK;
}

/* --- promises -------------------------------------------------------------------------- */

static void add_hex(struct sb_json *json, const char *name, struct sb_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * MSG_HASH_BYTES];
    size_t n = 0;

    if (bytes.n == 0 || bytes.n > MSG_HASH_BYTES)
        return;
    for (size_t i = 0; i < bytes.n; i++) {
        text[n++] = digits[(uint8_t)bytes.p[i] >> 4];
        text[n++] = digits[bytes.p[i] & 15];
    }
    sb_json_add_text(json, name, sb_slice_make(text, n));
}

static void add_text(struct sb_json *json, const char *name, struct sb_slice text)
{
    if (text.n > 0)
        sb_json_add_text(json, name, text);
}

static void add_day(struct sb_json *json, const char *name, int32_t day)
{
    const struct sb_date last = {.year = 9999, .month = 12, .day = 31};
    char text[SB_DATE_TEXT_MAX];

    if (day > 0 && day <= sb_date_to_day(last))
        sb_json_add_text(json, name, sb_slice_make(text, sb_date_format(day, text)));
}

/* Members in the order of their names, as in the entry. */
static void add_evidence(struct sb_json *json, const struct msg_record *record)
{
    uint8_t digest[SB_HASH_BYTES];

    if (record->n_evidence == 0)
        return;
    sb_json_add_array(json, "evidence");
    for (size_t i = 0; i < record->n_evidence; i++) {
        const struct msg_evidence *held = &record->evidence[i];

        sb_json_open_object(json);
        add_text(json, "attested_by", held->attested_by);
        add_day(json, "attested_on", held->attested_on);
        sb_json_add_text(json, "claim", sb_slice_of(msg_claim_name(held->claim)));
        if (held->evidence.n <= MSG_PROMISE_EVIDENCE_MAX) {
            add_text(json, "evidence", held->evidence);
        } else { /* heads have limits */
            sb_hash_salted((const uint8_t *)record->salt.p, &held->evidence, 1, digest);
            add_hex(json, "evidence_digest", sb_slice_make(digest, sizeof(digest)));
        }
        add_day(json, "expires_on", held->expires_on);
        sb_json_add_text(json, "value", sb_slice_of(msg_tri_name(held->value)));
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
}

static int write_json(const struct msg_promiser *by, const struct msg_record *record, int64_t at,
                      struct sb_buf *out)
{
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_i64(&json, "at", at);
    sb_json_add_u64(&json, "boot_id", by->boot);
    sb_json_add_text(&json, "certificate", by->certificate);
    sb_json_add_u64(&json, "demanded", record->demanded);
    if (record->endpoint != 0)
        sb_json_add_u64(&json, "endpoint_id", record->endpoint);
    add_evidence(&json, record);
    sb_json_add_text(&json, "generation", record->generation);
    sb_json_add_u64(&json, "logged_within", MSG_PROMISE_SECONDS);
    add_text(&json, "model_served", record->model_served);
    add_text(&json, "provider", record->provider);
    sb_json_add_i64(&json, "received_at", record->received_at);
    add_text(&json, "region", record->region);
    add_hex(&json, "request_digest", record->request_digest);
    add_text(&json, "residency", record->residency);
    add_hex(&json, "salt", record->salt);
    add_text(&json, "tag", record->tag);
    sb_json_add_text(&json, "worker_id", by->worker);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

static int put_base64url(struct sb_slice bytes, struct sb_buf *out)
{
    size_t size = SB_BASE64_SIZE(bytes.n);
    int rc = sb_buf_reserve(out, size);

    if (rc == SB_OK)
        sb_buf_commit(out, sb_base64url_put(bytes, sb_buf_end(out), size));
    return rc;
}

int msg_promise_write(const struct msg_promiser *by, const struct msg_record *record, int64_t at,
                      struct sb_buf *json, struct sb_buf *out)
{
    size_t start = sb_buf_len(out);
    uint8_t signature[SB_SIGN_BYTES];
    int rc;

    sb_buf_reset(json);
    rc = write_json(by, record, at, json);
    if (rc == SB_OK)
        rc = sb_buf_append_text(out, "v1.");
    if (rc == SB_OK)
        rc = put_base64url(sb_buf_slice(json), out);
    if (rc == SB_OK) {
        sb_sign(by->seed, sb_slice_from(sb_buf_slice(out), start), signature);
        rc = sb_buf_append_byte(out, '.');
    }
    if (rc == SB_OK)
        rc = put_base64url(sb_slice_make(signature, sizeof(signature)), out);
    if (rc != SB_OK)
        sb_buf_truncate(out, start);
    return rc;
}

int msg_promise_open(struct sb_slice text, struct sb_buf *json, struct msg_promise *ret,
                     struct sb_errmsg *err)
{
    static const struct sb_slice version = SB_SLICE_INIT("v1.");
    struct msg_promise promise;
    struct sb_slice payload, signature;
    size_t dot, n;
    int rc;

    if (text.n > MSG_PROMISE_MAX)
        return sb_err_set(err, SB_ETOOBIG, "the promise has %zu characters; at most %d are one",
                          text.n, MSG_PROMISE_MAX);
    if (!sb_slice_starts_with(text, version))
        return sb_err_set(err, SB_EVERSION,
                          "the promise does not begin with \"v1.\": it is the value of the "
                          "header " MSG_RECEIPT_HEADER);
    payload = sb_slice_from(text, version.n);
    dot = sb_slice_find(payload, '.');
    signature = sb_slice_from(payload, dot < payload.n ? dot + 1 : dot);
    payload.n = dot;
    promise.is_signed = sb_slice_make(text.p, version.n + dot);
    if (sb_base64url_read(signature, promise.signature, sizeof(promise.signature), &n) != SB_OK ||
        n != SB_SIGN_BYTES)
        return sb_err_set(err, SB_EPARSE, "the promise does not end with a signature");
    rc = sb_buf_reserve(json, payload.n);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "no memory for the promise");
    if (sb_base64url_read(payload, (uint8_t *)sb_buf_end(json), payload.n, &n) != SB_OK)
        return sb_err_set(err, SB_EPARSE, "the promise is not base64url between its dots");
    sb_buf_commit(json, n);
    *ret = promise;
    return SB_OK;
}
