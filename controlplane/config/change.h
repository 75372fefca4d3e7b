/* controlplane/config/change.h - one change of the configuration, inside of its
 * transaction.
 *
 * For controlplane/config/store.c alone.  A change is staged first: for each object,
 * what it is and what it will be, as rows of audit_changes.  From these rows
 * alone everything else follows: checks, counts, the tables, the history.
 *
 *      begin (next revision) -> stage_... -> finish
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/config/store.h"

/* What a step ends a change with when nothing is to be committed and all went
 * well: a dry run, or nothing changed. */
#define CP_CHANGE_DONE SB_ECANCELED

/* What was entered with a catalogue, ready to be stored: for keys an array of
 * {"name", "hash", "label"}, for credentials of {"name", "id", "sealed"}, of
 * those that differ from what is stored. */
enum { CP_ENTERED_KEYS, CP_ENTERED_CREDENTIALS };
struct cp_entered {
    struct sb_slice json;
    struct sb_slice *names; /* sorted */
    size_t n;
};

struct cp_edit {
    struct cp_db *db;
    const struct cp_store_conf *conf;
    const struct cp_change *change;
    struct cp_answer *answer;
    const char *action; /* column of revisions */
    struct msg_version version;
    const struct cp_catalog *catalog; /* NULL: rollback, delete */
    bool from_history;                /* rollback: who made an object is looked up */
    bool by_file;                     /* new objects are a file's */
    struct cp_entered entered[2];
};

/* Takes the next revision: whoever changes next waits.  SB_ECONFLICT. */
int cp_edit_begin(struct cp_edit *edit) SB_MUSTCHECK;
/* What edit->catalog says; with prune also what it leaves out. */
int cp_edit_stage_catalog(struct cp_edit *edit) SB_MUSTCHECK;
/* SB_ENOENT. */
int cp_edit_stage_delete(struct cp_edit *edit, enum cp_kind kind,
                         struct sb_slice name) SB_MUSTCHECK;
int cp_edit_stage_rollback(struct cp_edit *edit, uint64_t revision) SB_MUSTCHECK;
/* Checks, writes, notifies.  SB_OK: commit; CP_CHANGE_DONE: roll back. */
int cp_edit_finish(struct cp_edit *edit) SB_MUSTCHECK;

/* A problem with an object, at its place in the document if it has one. */
void cp_edit_problem(struct cp_edit *edit, enum cp_kind kind, struct sb_slice name,
                     const char *member, const char *fmt, ...) SB_PRINTF(5, 6);

/* A note for each text in the first column. */
void cp_edit_notes(struct cp_edit *edit, const struct cp_rows *rows);

/* controlplane/config/enter.c: reads, hashes and seals all secrets of edit->catalog, makes
 * the API keys that are wanted, and sets edit->entered.  Problems go to the
 * answer; SB_OK then, too. */
int cp_edit_enter_secrets(struct cp_edit *edit) SB_MUSTCHECK;
