/* controlplane/log/plain.c */
#include "controlplane/log/plain.h"

#include <string.h>

#include "common/secret.h"

/* Or nobody can tell: it is gone, or the record is older than such hashes. */
static bool is_its_salt(const struct cp_value *salt, const struct cp_value *hash)
{
    uint8_t key[SB_SALT_BYTES], is[SB_HASH_BYTES];

    if (!salt->is_set || !hash->is_set)
        return true;
    if (salt->bytes.n != sizeof(key))
        return false;
    memcpy(key, salt->bytes.p, sizeof(key));
    sb_hash_salt(key, is);
    return sb_slice_eq(hash->bytes, sb_slice_make(is, sizeof(is)));
}

static bool fits(const struct cp_value *values, const char *name, int plain, int hash)
{
    struct sb_slice salt = values[CP_REQUEST_salt].bytes;
    uint8_t key[SB_SALT_BYTES], is[SB_HASH_BYTES];

    if (!values[plain].is_set)
        return true;
    if (!values[CP_REQUEST_salt].is_set || salt.n != sizeof(key) || !values[hash].is_set)
        return false;
    memcpy(key, salt.p, sizeof(key));
    sb_hash_named(key, name, values[plain].bytes, is);
    return sb_slice_eq(values[hash].bytes, sb_slice_make(is, sizeof(is)));
}

static bool lost_its_salt(const struct cp_value *values)
{
    return !values[CP_REQUEST_salt].is_set &&
           (values[CP_REQUEST_user_hash].is_set || values[CP_REQUEST_metadata_hash].is_set ||
            values[CP_REQUEST_request_digest].is_set || values[CP_REQUEST_response_digest].is_set);
}

static const char *unfit_of_request(const struct cp_value *values)
{
    bool user = fits(values, "user", CP_REQUEST_user_plain, CP_REQUEST_user_hash);
    bool metadata = fits(values, "metadata", CP_REQUEST_metadata_plain, CP_REQUEST_metadata_hash);

    if (!is_its_salt(&values[CP_REQUEST_salt], &values[CP_REQUEST_salt_hash]))
        return "salt";
    if (user && metadata)
        return lost_its_salt(values) ? "no salt" : NULL;
    if (user)
        return "metadata";
    return metadata ? "user" : "user,metadata";
}

const char *cp_plain_unfit(enum cp_entry_kind kind, const struct cp_value *values)
{
    if (kind == CP_ENTRY_REQUEST)
        return unfit_of_request(values);
    if (kind == CP_ENTRY_DISPATCH &&
        !is_its_salt(&values[CP_DISPATCH_salt], &values[CP_DISPATCH_salt_hash]))
        return "salt";
    return NULL;
}
