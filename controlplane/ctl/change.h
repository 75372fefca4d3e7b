/* controlplane/ctl/change.h - showing what a change did. */
#pragma once

#include "common/json.h"

struct ctl;
struct ctl_query;

/* dry_run, force and note of the command, as parameters. */
void ctl_change_query(struct ctl_query *query);
/* Prints the API's answer to a change; gives CTL_DONE. */
int ctl_change_show(struct ctl *ctl, yyjson_val *answer);
