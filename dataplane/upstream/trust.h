/* dataplane/upstream/trust.h - which certificates TLS connections accept.
 *
 * The certificate authorities of one file, read once and shared by all
 * connections that use them: reading the system's takes 24 ms and 900 KB, far
 * too much for each.  With them goes what libcurl shares between connections,
 * host names and TLS sessions: a session that was verified by the authorities
 * of one file must not be resumed by a connection that trusts another, since
 * then nothing is verified.
 *
 * Only this module sees OpenSSL; its objects, and libcurl's, are passed as
 * void pointers.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/list.h"
#include "common/slice.h"

struct dp_trust; /* of one file; counted */

/* All files that were asked for. */
struct dp_trusts {
    struct sb_list list;
};

void dp_trusts_init(struct dp_trusts *trusts);
/* Connections keep what they were made with. */
void dp_trusts_release(struct dp_trusts *trusts);

/* Gives a reference.  file: PEM with authorities (or with the very certificates
 * of servers); empty is SSL_CERT_FILE, else the file of the distribution.  Not
 * read yet: dp_trust_load().  NULL when libcurl is out of memory. */
struct dp_trust *dp_trusts_find(struct dp_trusts *trusts, struct sb_slice file);
/* Reads all files again, for connections made from now on.  A file that
 * cannot be read stays as it was; err names the first (SB_EIO). */
int dp_trusts_reload(struct dp_trusts *trusts, struct sb_errmsg *err) SB_MUSTCHECK;

/* Reads the file unless it was read.  SB_EIO when it cannot be read or holds
 * no certificate. */
int dp_trust_load(struct dp_trust *trust, struct sb_errmsg *err) SB_MUSTCHECK;
/* Sets *trust to NULL; NULL is fine. */
void dp_trust_unref(struct dp_trust **trust);

/* For CURLOPT_SHARE; lives as long as the reference. */
void *dp_trust_share(const struct dp_trust *trust);
/* For CURLOPT_SSL_CTX_FUNCTION: verify by these authorities, with our settings
 * of TLS.  Must have been loaded. */
bool dp_trust_apply(const struct dp_trust *trust, void *ssl_ctx) SB_MUSTCHECK;
/* Whether the connection of an SSL resumed an earlier session. */
bool dp_trust_is_resumed(void *ssl);
/* Whether an SSL holds bytes that were read from the socket, and not by us. */
bool dp_trust_has_pending(void *ssl);
