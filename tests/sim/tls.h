/* tests/sim/tls.h - the server side of TLS over a non-blocking socket.
 *
 * The handshake is part of the first read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"
#include "common/err.h"

struct sim_tls_context;
struct sim_tls;

/* From PEM files: the chain, leaf first, and its key. */
int sim_tls_context_new(const char *cert_path, const char *key_path,
                        struct sim_tls_context **ret_context, struct sb_errmsg *err) SB_MUSTCHECK;
void sim_tls_context_destroy(struct sim_tls_context **context);

/* Borrows both until destroy, which leaves the socket open. */
int sim_tls_new(struct sim_tls_context *context, int fd, struct sim_tls **ret_tls) SB_MUSTCHECK;
void sim_tls_destroy(struct sim_tls **tls);

/* SB_OK with at least one byte; SB_EAGAIN: when the socket is readable (or
 * writable, see below); SB_EEOF: closed in good form; SB_ECONNRESET: else. */
int sim_tls_read(struct sim_tls *tls, char *bytes, size_t n, size_t *ret_n) SB_MUSTCHECK;
int sim_tls_write(struct sim_tls *tls, const char *bytes, size_t n, size_t *ret_n) SB_MUSTCHECK;
/* The last read or write gave SB_EAGAIN, and waits until the socket is writable. */
bool sim_tls_wants_write(const struct sim_tls *tls);
/* Tells the peer that nothing more will come. */
void sim_tls_shutdown(struct sim_tls *tls);
