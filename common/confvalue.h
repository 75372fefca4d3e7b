/* common/confvalue.h - the text of one setting to its value, and back.
 *
 * The part of conf.h that knows types and units; others use conf.h.
 */
#pragma once

#include "common/conf.h"

/* As it is stored in the target: the member that belongs to the type. */
union sb_conf_value {
    int64_t number;     /* INT */
    uint64_t size;      /* SIZE, MSEC */
    bool truth;         /* BOOL */
    const char *string; /* STRING; borrowed from the text it was read from */
    int choice;         /* ENUM */
};

enum { SB_CONF_ALLOWED_MAX = 160 };

/* Bytes of the union's member that belongs to the type. */
size_t sb_conf_value_size(enum sb_conf_type type);
/* False when the text is not what sb_conf_value_allowed() says. */
bool sb_conf_value_read(const struct sb_conf_item *item, const char *text,
                        union sb_conf_value *ret_value) SB_MUSTCHECK;
/* "a whole number from 1 to 65535", "logfmt or json". */
void sb_conf_value_allowed(const struct sb_conf_item *item, char text[SB_CONF_ALLOWED_MAX]);
/* "NUMBER", "SIZE", ...: what stands for a value in --help. */
const char *sb_conf_value_word(enum sb_conf_type type);
