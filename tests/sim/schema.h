/* tests/sim/schema.h - a JSON value that satisfies a JSON schema.
 *
 * As much of the standard as callers of structured output and tools use: type
 * (also a list), properties, required, items, prefixItems, enum, const,
 * default, anyOf, oneOf, allOf, $ref inside the document, minItems, minLength,
 * minimum, exclusiveMinimum, maximum, multipleOf, format.  Not: pattern.
 *
 * The value is the same for the same schema.  Every property is given, not only
 * the required ones, as structured output does; deep recursion ends in the
 * smallest value.
 */
#pragma once

#include "common/json.h" /* yyjson_val */

/* root: the document that "$ref": "#/..." refers to; schema is in it. */
void sim_schema_write(struct sb_json *json, yyjson_val *schema, yyjson_val *root);
