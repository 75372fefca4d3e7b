/* controlplane/admin/report_page.h - a compliance report as a page.
 *
 * Pure.  The page is whole in itself (no script, no font, no picture, nothing
 * is fetched), reads well on a screen and prints on A4 and letter paper.
 */
#pragma once

#include "common/attr.h"
#include "common/json.h"

struct sb_buf;

/* report: as GET compliance/report gives it.  Appends HTML.  SB_ETOOBIG,
 * SB_ENOMEM of the buffer. */
int cp_report_page(yyjson_val *report, struct sb_buf *out) SB_MUSTCHECK;
