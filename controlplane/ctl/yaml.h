/* controlplane/ctl/yaml.h - a JSON value as YAML, for people.  The only door to
 * libyaml here. */
#pragma once

#include "common/attr.h"
#include "common/json.h"

struct sb_buf;

/* Appends value as a YAML document that reads back as the same. */
int ctl_yaml_write(yyjson_val *value, struct sb_buf *out) SB_MUSTCHECK;
