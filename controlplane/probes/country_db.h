/* controlplane/probes/country_db.h - which country an address is in.
 *
 * A file in MaxMind's DB format (https://maxmind.github.io/MaxMind-DB/), as
 * GeoLite2 Country and others come in, by libmaxminddb.  Of an address's record
 * country.iso_code counts, else country_code, else country when that is a text.
 *
 * The file is copied into memory when it is read: it may be replaced, or
 * written over in its place, at any time.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"

struct cp_country_db;
struct sb_address;

enum { CP_COUNTRY_DB_MAX = 1 << 30 };

/* path is borrowed.  SB_EPARSE: it is no such file; SB_ETOOBIG: over
 * CP_COUNTRY_DB_MAX bytes; SB_ENOENT, SB_EACCES, SB_EIO. */
int cp_country_db_new(const char *path, struct cp_country_db **ret,
                      struct sb_errmsg *err) SB_MUSTCHECK;
void cp_country_db_destroy(struct cp_country_db **db);

/* Whether the file is another one than was last read, or tried to be. */
bool cp_country_db_has_changed(const struct cp_country_db *db);
/* Reads the file again.  On errors, those of cp_country_db_new(), what was read
 * before stays. */
int cp_country_db_reload(struct cp_country_db *db, struct sb_errmsg *err) SB_MUSTCHECK;

/* A number of proto/country.h; -1: the file does not say, as of private
 * addresses. */
int cp_country_db_find(const struct cp_country_db *db, const struct sb_address *address);
/* The day (UTC) on which the file says that it was made: "2026-11-28". */
const char *cp_country_db_date(const struct cp_country_db *db);
