/* dataplane/refusals.h - requests refused before authentication: counted per
 * reason and minute, never recorded one by one. */
#pragma once

#include <stdint.h>

struct dp_refusals;
struct dp_spool;

struct dp_refusals *dp_refusals_new(void);
void dp_refusals_destroy(struct dp_refusals **refusals);
/* reason: a static string; wall: microseconds since 1970. */
void dp_refusals_add(struct dp_refusals *refusals, const char *reason, int64_t wall);
/* Spools the counts of minutes that are over; when the spool is full they
 * wait. */
void dp_refusals_flush(struct dp_refusals *refusals, struct dp_spool *spool, int64_t wall);
/* Those of the current minute too: the worker ends. */
void dp_refusals_flush_all(struct dp_refusals *refusals, struct dp_spool *spool);
