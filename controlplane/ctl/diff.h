/* controlplane/ctl/diff.h - the difference between two states of the
 * configuration, for people. */
#pragma once

#include "common/json.h"

struct ctl;

enum { CTL_DIFF_LINES = 200 /* objects that are shown */ };

/* Prints a line per object: + added, ~ changed (and what in it), - removed.
 * difference: the API's array. */
void ctl_diff_print(struct ctl *ctl, yyjson_val *difference);
