/* controlplane/sql.h - the files of controlplane/sql/, as parts of the program.
 *
 * cmake/EmbedSql.cmake makes the definitions: sql/NNNN_name.sql are rows of
 * the list, sql/query/name.sql are texts of their own.
 */
#pragma once

#include <stddef.h>

struct cp_sql_file {
    unsigned number;
    const char *name; /* "0001_configuration" */
    const char *text;
};

/* In order; the first is number 0, the bootstrap. */
extern const struct cp_sql_file cp_sql_files[];
extern const size_t cp_sql_n_files;

extern const char cp_sql_cascade_credentials[];
extern const char cp_sql_check_aliases[];
extern const char cp_sql_check_chat_prices[];
extern const char cp_sql_check_references[];
extern const char cp_sql_check_sequences[];
extern const char cp_sql_clear_aliases[];
extern const char cp_sql_count_change[];
extern const char cp_sql_insert_aliases[];
extern const char cp_sql_rollback_notes[];
extern const char cp_sql_stage_rollback[];
extern const char cp_sql_suspend_credentials[];
extern const char cp_sql_upsert_credentials[];
extern const char cp_sql_upsert_endpoints[];
extern const char cp_sql_upsert_keys[];
extern const char cp_sql_upsert_models[];
extern const char cp_sql_upsert_policies[];
extern const char cp_sql_upsert_providers[];
extern const char cp_sql_upsert_tenants[];
