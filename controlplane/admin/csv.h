/* controlplane/admin/csv.h - lines of RFC 4180, for spreadsheets. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"

/* Errors stick, as with sb_json: look once, at the end. */
struct cp_csv {
    struct sb_buf *out; /* borrowed */
    bool is_inside;     /* a comma is due */
    int rc;
};

void cp_csv_init(struct cp_csv *csv, struct sb_buf *out);
/* Quoted where it must be.  What a spreadsheet would take for a formula (clients
 * choose some of these texts) gets an apostrophe in front. */
void cp_csv_text(struct cp_csv *csv, struct sb_slice text);
void cp_csv_i64(struct cp_csv *csv, int64_t number);
void cp_csv_none(struct cp_csv *csv);
/* Ends the line. */
int cp_csv_end(struct cp_csv *csv) SB_MUSTCHECK;
