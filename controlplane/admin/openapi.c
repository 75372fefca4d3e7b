/* controlplane/admin/openapi.c - the route table as an OpenAPI 3.1 document. */
#include <string.h>

#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/catalog/prices.h"

static void add_ref(struct sb_json *json, const char *schema, struct sb_arena *arena)
{
    sb_json_open_object(json);
    sb_json_add_text(json, "$ref", sb_arena_printf(arena, "#/components/schemas/%s", schema));
    sb_json_close_object(json);
}

static void add_type(struct sb_json *json, const char *name, const char *type)
{
    sb_json_add_object(json, name);
    sb_json_add_text(json, "type", sb_slice_of(type));
    sb_json_close_object(json);
}

/* --- one operation -------------------------------------------------------------------- */

static void add_parameter(struct sb_json *json, const char *where, struct sb_slice name,
                          const char *help)
{
    sb_json_open_object(json);
    sb_json_add_text(json, "name", name);
    sb_json_add_text(json, "in", sb_slice_of(where));
    if (strcmp(where, "path") == 0)
        sb_json_add_bool(json, "required", true);
    sb_json_add_text(json, "description", sb_slice_of(help));
    sb_json_add_object(json, "schema");
}

static void close_parameter(struct sb_json *json)
{
    sb_json_close_object(json);
    sb_json_close_object(json);
}

static void add_path_parameters(struct sb_json *json, const char *path)
{
    struct sb_slice left = sb_slice_of(path);
    size_t at;

    while ((at = sb_slice_find(left, '{')) < left.n) {
        struct sb_slice name;

        left = sb_slice_from(left, at + 1);
        name = sb_slice_make(left.p, sb_slice_find(left, '}'));
        name.n = sb_slice_find(name, '.');
        add_parameter(json, "path", name,
                      sb_slice_is(name, "name") ? "slashes may stand as they are" : "a number");
        sb_json_add_text(json, "type", SB_SLICE_LIT("string"));
        close_parameter(json);
    }
}

static void add_query_parameters(struct sb_json *json, const struct cp_route *route)
{
    for (const struct cp_route_param *one = route->params; one->name != NULL; one++) {
        static const char *const types[] = {
            [CP_PARAM_OF_TEXT] = "string",
            [CP_PARAM_OF_NUMBER] = "integer",
            [CP_PARAM_OF_FLAG] = "boolean",
            [CP_PARAM_OF_TIME] = "string",
        };

        add_parameter(json, "query", sb_slice_of(one->name), one->help);
        sb_json_add_text(json, "type", sb_slice_of(types[one->kind]));
        if (one->choices != NULL) {
            sb_json_add_array(json, "enum");
            for (const char *const *choice = one->choices; *choice != NULL; choice++)
                sb_json_put_text(json, sb_slice_of(*choice));
            sb_json_close_array(json);
        }
        close_parameter(json);
    }
    if (route->answer == CP_ANSWER_CHANGE) {
        add_parameter(json, "header", SB_SLICE_LIT("If-Match"),
                      "do it only if this is the newest revision, else 409");
        sb_json_add_text(json, "type", SB_SLICE_LIT("string"));
        close_parameter(json);
    }
}

static void add_media(struct sb_json *json, const char *type, const char *schema,
                      struct sb_arena *arena)
{
    sb_json_add_object(json, type);
    sb_json_name(json, SB_SLICE_LIT("schema"));
    add_ref(json, schema, arena);
    sb_json_close_object(json);
}

static void add_body(struct sb_json *json, const struct cp_route *route, struct sb_arena *arena)
{
    static const char *const schemas[] = {
        [CP_BODY_NONE] = "Object",    [CP_BODY_OBJECT] = "Object",
        [CP_BODY_PATCH] = "Object",   [CP_BODY_DOCUMENT] = "Catalog",
        [CP_BODY_REQUEST] = "Object", [CP_BODY_TOKEN] = "TokenWish",
        [CP_BODY_HOLD] = "HoldWish",  [CP_BODY_ERASURE] = "ErasureWish",
    };
    const char *schema = schemas[route->body];

    if (route->body == CP_BODY_NONE)
        return;
    sb_json_add_object(json, "requestBody");
    sb_json_add_object(json, "content");
    if (route->body == CP_BODY_PATCH)
        add_media(json, "application/merge-patch+json", schema, arena);
    else
        add_media(json, "application/json", schema, arena);
    if (route->body == CP_BODY_OBJECT || route->body == CP_BODY_DOCUMENT)
        add_media(json, "application/yaml", schema, arena);
    sb_json_close_object(json);
    sb_json_close_object(json);
}

static void add_responses(struct sb_json *json, const struct cp_route *route,
                          struct sb_arena *arena)
{
    static const char *const schemas[] = {
        [CP_ANSWER_OBJECT] = "Object",
        [CP_ANSWER_LIST] = "List",
        [CP_ANSWER_CHANGE] = "Change",
        [CP_ANSWER_REPORT] = "Object",
    };

    sb_json_add_object(json, "responses");
    sb_json_add_object(json, "200");
    sb_json_add_text(json, "description", SB_SLICE_LIT("done"));
    sb_json_add_object(json, "content");
    if (route->answer == CP_ANSWER_TEXT) {
        sb_json_add_object(json, "text/plain");
        sb_json_close_object(json);
    } else {
        add_media(json, "application/json", schemas[route->answer], arena);
        if (route->answer == CP_ANSWER_REPORT) {
            sb_json_add_object(json, "text/html");
            sb_json_close_object(json);
        }
    }
    sb_json_close_object(json);
    sb_json_close_object(json);
    sb_json_add_object(json, "default");
    sb_json_add_text(json, "description", SB_SLICE_LIT("refused or failed"));
    sb_json_add_object(json, "content");
    add_media(json, "application/json", "Error", arena);
    sb_json_close_object(json);
    sb_json_close_object(json);
    sb_json_close_object(json);
}

/* Who may: in words for people, and as lists for programs. */
static void add_roles(struct sb_json *json, const struct cp_route *route, struct sb_arena *arena)
{
    struct sb_slice who = cp_may_who(route->needs, arena);

    sb_json_add_text(json, "description",
                     sb_arena_printf(arena, "Needs the permission %s: %.*s.  %s",
                                     cp_may_name(route->needs), SB_SLICE_ARGS(who),
                                     route->is_of_kind
                                         ? "A token with a scope: of its kinds and tenants only."
                                         : "Not for a token with a scope."));
    sb_json_add_text(json, "x-permission", sb_slice_of(cp_may_name(route->needs)));
    sb_json_add_array(json, "x-roles");
    for (int role = 0; role < CP_ROLES; role++)
        if (cp_role_may((enum cp_role)role, route->needs))
            sb_json_put_text(json, sb_slice_of(cp_role_name((enum cp_role)role)));
    sb_json_close_array(json);
}

static void add_operation(struct sb_json *json, const struct cp_route *route,
                          struct sb_arena *arena)
{
    char method[8] = "";

    for (size_t i = 0; route->method[i] != '\0' && i + 1 < sizeof(method); i++)
        method[i] = (char)(route->method[i] | 0x20);
    sb_json_add_object(json, method);
    sb_json_add_text(json, "operationId", sb_slice_of(route->id));
    sb_json_add_text(json, "summary", sb_slice_of(route->summary));
    if (route->is_open) {
        sb_json_add_array(json, "security");
        sb_json_close_array(json);
    } else {
        add_roles(json, route, arena);
    }
    sb_json_add_array(json, "parameters");
    add_path_parameters(json, route->path);
    add_query_parameters(json, route);
    sb_json_close_array(json);
    add_body(json, route, arena);
    add_responses(json, route, arena);
    sb_json_close_object(json);
}

/* --- the document ---------------------------------------------------------------------- */

static bool is_first_of_path(size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(cp_routes[i].path, cp_routes[at].path) == 0)
            return false;
    }
    return true;
}

/* "{name...}" is ours: elsewhere a parameter has no dots. */
static struct sb_slice shown_path(const char *path, struct sb_arena *arena)
{
    const char *dots = strstr(path, "...}");

    if (dots == NULL)
        return sb_slice_of(path);
    return sb_arena_printf(arena, "%.*s}", (int)(dots - path), path);
}

static void add_paths(struct sb_json *json, struct sb_arena *arena)
{
    sb_json_add_object(json, "paths");
    for (size_t i = 0; i < cp_routes_n; i++) {
        if (!is_first_of_path(i))
            continue;
        sb_json_name(json, shown_path(cp_routes[i].path, arena));
        sb_json_open_object(json);
        for (size_t j = i; j < cp_routes_n; j++) {
            if (strcmp(cp_routes[i].path, cp_routes[j].path) == 0)
                add_operation(json, &cp_routes[j], arena);
        }
        sb_json_close_object(json);
    }
    sb_json_close_object(json);
}

static void open_schema(struct sb_json *json, const char *name)
{
    sb_json_add_object(json, name);
    sb_json_add_text(json, "type", SB_SLICE_LIT("object"));
    sb_json_add_object(json, "properties");
}

static void close_schema(struct sb_json *json)
{
    sb_json_close_object(json);
    sb_json_close_object(json);
}

static void add_list_of(struct sb_json *json, const char *name, const char *type)
{
    sb_json_add_object(json, name);
    sb_json_add_text(json, "type", SB_SLICE_LIT("array"));
    add_type(json, "items", type);
    sb_json_close_object(json);
}

/* A closed one: a misspelt price is refused. */
static void close_closed_schema(struct sb_json *json)
{
    sb_json_close_object(json);
    sb_json_add_bool(json, "additionalProperties", false);
    sb_json_close_object(json);
}

static void add_described(struct sb_json *json, const char *name, const char *type,
                          const char *help)
{
    sb_json_add_object(json, name);
    sb_json_add_text(json, "type", sb_slice_of(type));
    sb_json_add_text(json, "description", sb_slice_of(help));
    sb_json_close_object(json);
}

static void add_price_properties(struct sb_json *json)
{
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        add_described(json, cp_price_forms[kind].name, "string",
                      cp_price_forms[kind].per_million ? "USD per million tokens, a decimal"
                                                       : "USD each, a decimal");
}

static void add_days(struct sb_json *json)
{
    sb_json_add_object(json, "days");
    sb_json_add_text(json, "type", SB_SLICE_LIT("array"));
    sb_json_add_text(json, "description",
                     SB_SLICE_LIT("of the moment in UTC at which the request came"));
    sb_json_add_object(json, "items");
    sb_json_add_array(json, "enum");
    for (int day = 0; day < MSG_DAY_COUNT; day++)
        sb_json_put_text(json, sb_slice_of(msg_day_name(day)));
    sb_json_close_array(json);
    sb_json_close_object(json);
    sb_json_close_object(json);
}

/* Of endpoints: what they charge, and under which conditions something else. */
static void add_pricing_schemas(struct sb_json *json, struct sb_arena *arena)
{
    open_schema(json, "Pricing");
    add_price_properties(json);
    sb_json_add_object(json, "overrides");
    sb_json_add_text(json, "type", SB_SLICE_LIT("array"));
    sb_json_add_u64(json, "maxItems", MSG_OVERRIDES_MAX);
    sb_json_add_text(json, "description",
                     SB_SLICE_LIT("those whose conditions all hold apply in their order: for each "
                                  "price the last one that names it wins"));
    sb_json_name(json, SB_SLICE_LIT("items"));
    add_ref(json, "PriceOverride", arena);
    sb_json_close_object(json);
    close_closed_schema(json);
    open_schema(json, "PriceOverride");
    add_described(json, "min_prompt_tokens", "integer",
                  "condition: the prompt has more tokens than that");
    add_described(json, "hours", "string",
                  "condition: HH:MM-HH:MM of the UTC day, the end excluded; may go past midnight");
    add_days(json);
    add_price_properties(json);
    close_closed_schema(json);
}

static void add_change_schema(struct sb_json *json)
{
    static const char *const numbers[] = {"epoch", "revision", "added", "changed", "removed"};

    open_schema(json, "Change");
    for (size_t i = 0; i < SB_ARRAY_LEN(numbers); i++)
        add_type(json, numbers[i], "integer");
    add_type(json, "dry_run", "boolean");
    add_type(json, "is_changed", "boolean");
    add_list_of(json, "difference", "object");
    add_list_of(json, "notes", "string");
    add_list_of(json, "keys", "object");
    close_schema(json);
}

static void add_token_schema(struct sb_json *json)
{
    open_schema(json, "TokenWish");
    add_type(json, "name", "string");
    sb_json_add_object(json, "role");
    sb_json_add_text(json, "type", SB_SLICE_LIT("string"));
    sb_json_add_array(json, "enum");
    for (int role = 0; role < CP_ROLES; role++)
        sb_json_put_text(json, sb_slice_of(cp_role_name((enum cp_role)role)));
    sb_json_close_array(json);
    sb_json_close_object(json);
    add_type(json, "expires_at", "string");
    sb_json_add_object(json, "scope");
    sb_json_add_text(json, "type", SB_SLICE_LIT("object"));
    sb_json_add_object(json, "properties");
    add_list_of(json, "kinds", "string");
    add_list_of(json, "tenants", "string");
    sb_json_close_object(json);
    sb_json_close_object(json);
    close_schema(json);
}

static void add_retention_schemas(struct sb_json *json)
{
    open_schema(json, "HoldWish");
    add_type(json, "name", "string");
    add_type(json, "from", "string");
    add_type(json, "to", "string");
    add_type(json, "note", "string");
    close_schema(json);
    open_schema(json, "ErasureWish");
    add_type(json, "tenant", "string");
    add_type(json, "user", "string");
    add_type(json, "from", "string");
    add_type(json, "to", "string");
    add_type(json, "dry_run", "boolean");
    close_schema(json);
}

static void add_error_schema(struct sb_json *json)
{
    open_schema(json, "Error");
    sb_json_add_object(json, "error");
    sb_json_add_text(json, "type", SB_SLICE_LIT("object"));
    sb_json_add_object(json, "properties");
    add_type(json, "code", "string");
    add_type(json, "message", "string");
    add_type(json, "request_id", "string");
    add_list_of(json, "details", "object");
    sb_json_close_object(json);
    sb_json_close_object(json);
    close_schema(json);
}

static void add_components(struct sb_json *json, struct sb_arena *arena)
{
    sb_json_add_object(json, "components");
    sb_json_add_object(json, "securitySchemes");
    sb_json_add_object(json, "token");
    sb_json_add_text(json, "type", SB_SLICE_LIT("http"));
    sb_json_add_text(json, "scheme", SB_SLICE_LIT("bearer"));
    sb_json_close_object(json);
    sb_json_close_object(json);
    sb_json_add_object(json, "schemas");
    open_schema(json, "Object"); /* of whatever kind; most members are told by the checks alone */
    sb_json_name(json, SB_SLICE_LIT("pricing"));
    add_ref(json, "Pricing", arena);
    close_schema(json);
    add_pricing_schemas(json, arena);
    open_schema(json, "Catalog");
    add_type(json, "version", "integer");
    close_schema(json);
    open_schema(json, "List");
    add_list_of(json, "data", "object");
    sb_json_add_object(json, "next_cursor");
    sb_json_add_array(json, "type");
    sb_json_put_text(json, SB_SLICE_LIT("string"));
    sb_json_put_text(json, SB_SLICE_LIT("null"));
    sb_json_close_array(json);
    sb_json_close_object(json);
    close_schema(json);
    add_change_schema(json);
    add_token_schema(json);
    add_retention_schemas(json);
    add_error_schema(json);
    sb_json_close_object(json);
    sb_json_close_object(json);
}

int cp_serve_openapi(struct cp_call *call)
{
    struct sb_json json;

    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "openapi", SB_SLICE_LIT("3.1.0"));
    sb_json_add_object(&json, "info");
    sb_json_add_text(&json, "title", SB_SLICE_LIT("Switchboard admin API"));
    sb_json_add_text(&json, "version", sb_slice_of(call->world->release));
    sb_json_close_object(&json);
    sb_json_add_array(&json, "security");
    sb_json_open_object(&json);
    sb_json_add_array(&json, "token");
    sb_json_close_array(&json);
    sb_json_close_object(&json);
    sb_json_close_array(&json);
    add_paths(&json, call->arena);
    add_components(&json, call->arena);
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}
