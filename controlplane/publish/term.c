/* controlplane/publish/term.c */
#include "controlplane/publish/term.h"

#include "common/err.h"
#include "controlplane/db.h"

int cp_term_check(struct cp_db *db, uint64_t term)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, "SELECT term FROM leadership FOR SHARE", CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return rc;
    return cp_rows_count(rows) == 1 && (uint64_t)cp_rows_i64(rows, 0, 0) == term ? SB_OK
                                                                                 : SB_ENOTLEADER;
}
