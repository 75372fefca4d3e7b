/* dataplane/status.h - the worker's own address: /healthz, /readyz, /metrics.
 *
 * The clients' port is answered by any worker of a host; this one by exactly
 * this worker.  It stays open while the worker drains. */
#pragma once

#include "common/attr.h"

struct dp_status;
struct dp_worker;

/* Takes fd, which listens. */
int dp_status_new(struct dp_worker *worker, int fd, struct dp_status **ret_status) SB_MUSTCHECK;
void dp_status_destroy(struct dp_status **status);
