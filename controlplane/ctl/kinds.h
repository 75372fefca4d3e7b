/* controlplane/ctl/kinds.h - the kinds of objects, and how a list of each is
 * shown. */
#pragma once

#include "controlplane/ctl/show.h"

struct ctl_kind {
    const char *one;  /* "provider" */
    const char *many; /* "providers", as in the address */
    const struct ctl_field *fields;
    unsigned n_fields;
};

/* By either form; NULL when it is none, and then *ret_guess (unless that is NULL)
 * is what may have been meant, or NULL. */
const struct ctl_kind *ctl_kind_find(struct sb_slice word, const char **ret_guess);
