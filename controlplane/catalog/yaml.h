/* controlplane/catalog/yaml.h - YAML to nodes; use cp_doc_read() of
 * controlplane/catalog/doc.h.
 *
 * YAML 1.1 as libyaml reads it, with anchors, aliases and merge keys; one
 * document; no tags but !!str.  An alias shares its nodes, and their weight
 * counts each time, so nested aliases cannot blow up a walk.
 */
#pragma once

#include "controlplane/catalog/doc.h"

/* As cp_doc_read(). */
int cp_yaml_read(struct sb_slice text, struct sb_arena *arena, struct cp_node **ret_root,
                 struct sb_errmsg *err) SB_MUSTCHECK;
