/* controlplane/admin/written.h - what all changes have in common: conditions in,
 * the difference out. */
#pragma once

#include "common/attr.h"
#include "controlplane/config/store.h"

struct cp_call;

/* Fills change from If-Match, ?dry_run, ?force, ?prune and ?note, answer with
 * the call's arena, and gets the call a store. */
int cp_written_begin(struct cp_call *call, struct cp_change *ret_change,
                     struct cp_answer *ret_answer) SB_MUSTCHECK;
/* Replies with what the change did, or hands its problems to the call and
 * returns rc.  is_put: 201 when an object came to be. */
int cp_written_reply(struct cp_call *call, int rc, const struct cp_change *change,
                     struct cp_answer *answer, bool is_put) SB_MUSTCHECK;
/* The body's format by Content-Type; SB_EUNSUPPORTED. */
int cp_written_format(struct cp_call *call, enum cp_doc_format *ret_format) SB_MUSTCHECK;
