/* dataplane/log.h - events about one request: all carry its generation id. */
#pragma once

#include "proto/record.h"

struct dp_request;

/* debug: a change of state. */
void dp_log_state(const struct dp_request *req, int next);
/* info: an attempt that did not succeed. */
void dp_log_attempt(const struct dp_request *req, const struct msg_attempt *attempt);
/* info: no connection to a provider; text says why. */
void dp_log_dial(const struct dp_request *req, enum msg_outcome outcome, const char *text);
/* error: a record that was to be waited for ("dispatch", "record") is not safe
 * in time. */
void dp_log_unsafe(const struct dp_request *req, const char *what);
/* debug when it succeeded, else info: the end of a request. */
void dp_log_request(const struct dp_request *req);
