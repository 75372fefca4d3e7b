/* controlplane/stuck.c */
#include "controlplane/stuck.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/err.h"
#include "common/log.h"
#include "controlplane/db.h"

int cp_stuck_end(struct cp_db *db, const char *role)
{
    char back[64];
    uint64_t n = 0;
    int rc = cp_db_script(db, "RESET ROLE"); /* to the login */

    if (rc == SB_OK)
        rc = cp_db_exec(db,
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        " AND application_name LIKE 'switchboard-control %'"
                        " AND pg_has_role(usesysid, 'USAGE')"
                        " AND (state LIKE 'idle in transaction%'"
                        "      OR state = 'active' AND wait_event = 'ClientRead')"
                        " AND state_change < now() - interval '1 second'",
                        CP_NO_PARAMS, &n);
    (void)snprintf(back, sizeof(back), "SET ROLE %s", role);
    if (rc == SB_OK)
        rc = cp_db_script(db, back);
    if (rc == SB_OK && n > 0)
        sb_log_warn(LEADER, "ended sessions of a stopped daemon sessions=%" PRIu64, n);
    return rc;
}
