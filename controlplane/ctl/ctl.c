/* controlplane/ctl/ctl.c - see ctl.h. */
#include "controlplane/ctl/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/check.h"
#include "common/file.h"
#include "common/keyfile.h"
#include "common/mem.h"
#include "common/secret.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/yaml.h"

#ifndef SB_VERSION
#define SB_VERSION "0"
#endif

enum { ARENA_BYTES = 64 * 1024, LINE_BYTES_MAX = 16 * 1024, URL_MAX = 2048, PAGE_MAX = 1000 };

/* --- settings --------------------------------------------------------------------- */

static const struct ctl_flag common_flags[] = {
    {"url", 0, "URL", "of the control plane (SWITCHBOARD_URL; else the home's)"},
    {"token", 0, "TOKEN", "what to show it (SWITCHBOARD_TOKEN)"},
    {"token-file", 0, "FILE", "where the token is (SWITCHBOARD_TOKEN_FILE; else the home's)"},
    {"output", 'o', "FORMAT", "table, json or yaml"},
    {"color", 0, "WHEN", "auto, always or never (NO_COLOR is respected)"},
    {"help", 'h', NULL, "this page"},
    {NULL, 0, NULL, NULL},
};

static const struct ctl_table_of_commands *commands(void)
{
    static struct ctl_table_of_commands table = {.common = common_flags,
                                                 .planned = ctl_commands_planned};

    table.commands = ctl_commands;
    table.n_commands = ctl_commands_n;
    return &table;
}

const char *ctl_flag(const struct ctl *ctl, const char *name)
{
    return ctl_args_get(commands(), &ctl->args, name);
}

bool ctl_has(const struct ctl *ctl, const char *name)
{
    return ctl_flag(ctl, name) != NULL;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

const char *ctl_home(void)
{
    const char *home = environment("SWITCHBOARD_HOME");

    return home != NULL ? home : "./.switchboard";
}

/* --- speaking ------------------------------------------------------------------------ */

static struct ctl_term term_of(int fd, const char *when)
{
    const char *kind = environment("TERM");
    struct winsize size = {.ws_col = 0};
    struct ctl_term term = {.has_colour = false};

    if (isatty(fd) == 1) {
        if (ioctl(fd, TIOCGWINSZ, &size) == 0)
            term.width = size.ws_col;
        term.has_colour =
            environment("NO_COLOR") == NULL && (kind == NULL || strcmp(kind, "dumb") != 0);
    }
    if (when != NULL && strcmp(when, "always") == 0)
        term.has_colour = true;
    if (when != NULL && strcmp(when, "never") == 0)
        term.has_colour = false;
    return term;
}

static void write_all(int fd, struct sb_slice bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody reads: nothing to be told */
        bytes = sb_slice_from(bytes, (size_t)n);
    }
}

static void clear_progress(struct ctl *ctl)
{
    if (ctl->progress_is_on)
        write_all(STDERR_FILENO, SB_SLICE_LIT("\r\033[K"));
    ctl->progress_is_on = false;
}

static void say(struct ctl *ctl, enum ctl_style style, const char *word, const char *fmt,
                va_list args) SB_PRINTF(4, 0);
static void say(struct ctl *ctl, enum ctl_style style, const char *word, const char *fmt,
                va_list args)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf line;
    char text[1024];
    int rc;

    clear_progress(ctl);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    sb_buf_init(&line, LINE_BYTES_MAX);
    rc = ctl_style_write(&line, &ctl->err_term, style, sb_slice_of(word));
    if (rc == SB_OK)
        rc = ctl_style_write(&line, &ctl->err_term, CTL_PLAIN, sb_slice_of(text));
    if (rc == SB_OK)
        rc = sb_buf_append_byte(&line, '\n');
    if (rc == SB_OK)
        write_all(STDERR_FILENO, sb_buf_slice(&line));
}

int ctl_fail(struct ctl *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(ctl, CTL_BAD, "switchboardctl: ", fmt, args);
    va_end(args);
    return CTL_FAILED;
}

int ctl_misuse(struct ctl *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(ctl, CTL_BAD, "switchboardctl: ", fmt, args);
    va_end(args);
    return CTL_USAGE;
}

void ctl_note(struct ctl *ctl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(ctl, CTL_DIM, "", fmt, args);
    va_end(args);
}

/* Answers are bounded, so what overflows here is a bug or a lack of memory. */
static void must(int rc)
{
    if (rc == SB_OK)
        return;
    (void)fprintf(stderr, "switchboardctl: cannot show the answer: %s\n", sb_err_str(rc));
    exit(CTL_FAILED);
}

void ctl_print(struct ctl *ctl, const char *fmt, ...)
{
    va_list args, again;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    SB_BUG_ON(n < 0);
    must(sb_buf_reserve(&ctl->out, (size_t)n + 1));
    (void)vsnprintf(sb_buf_end(&ctl->out), (size_t)n + 1, fmt, again);
    va_end(again);
    sb_buf_commit(&ctl->out, (size_t)n);
}

void ctl_print_styled(struct ctl *ctl, enum ctl_style style, struct sb_slice text)
{
    must(ctl_style_write(&ctl->out, &ctl->term, style, text));
}

void ctl_print_table(struct ctl *ctl, const struct ctl_table *table)
{
    must(ctl_table_write(table, &ctl->term, &ctl->out));
}

void ctl_print_value(struct ctl *ctl, yyjson_val *value)
{
    size_t n = 0;
    char *text;

    if (ctl->format == CTL_AS_YAML) {
        must(ctl_yaml_write(value, &ctl->out));
        return;
    }
    text =
        yyjson_val_write_opts(value, YYJSON_WRITE_PRETTY_TWO_SPACES, sb_json_allocator(), &n, NULL);
    must(text != NULL ? SB_OK : SB_ENOMEM);
    must(sb_buf_append(&ctl->out, sb_slice_make(text, n)));
    must(sb_buf_append_byte(&ctl->out, '\n'));
    sb_mem_free(text); /* that is where the allocator takes it from */
}

int ctl_flush(struct ctl *ctl)
{
    struct sb_slice left = sb_buf_slice(&ctl->out);

    clear_progress(ctl);
    while (left.n > 0) {
        ssize_t n = write(STDOUT_FILENO, left.p, left.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE) {
            ctl->reader_is_gone = true; /* "| head" has seen enough */
            break;
        }
        if (n < 0)
            return ctl_fail(ctl, "cannot write: %s", strerror(errno));
        left = sb_slice_from(left, (size_t)n);
    }
    sb_buf_reset(&ctl->out);
    return CTL_DONE;
}

/* --- progress ---------------------------------------------------------------------------- */

enum { PROGRESS_AFTER = 300, PROGRESS_EVERY = 100 /* milliseconds */ };

/* Whether a line of progress is due; the first moments are not worth one. */
static bool progress_is_due(struct ctl *ctl)
{
    sb_msec now = sb_clock_now(&sb_clock_system);

    if (!ctl->shows_progress)
        return false;
    if (ctl->progress_at == 0)
        ctl->progress_at = ctl->progress_from = now;
    if (now < ctl->progress_from + PROGRESS_AFTER || now < ctl->progress_at)
        return false;
    ctl->progress_at = now + PROGRESS_EVERY;
    return true;
}

static void draw_progress(struct ctl *ctl, const char *doing, unsigned number, const char *unit)
{
    static const char *const wheel[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    char line[128];
    int n = snprintf(line, sizeof(line), "\r\033[K%s %s %u %s", wheel[ctl->progress_step++ % 10],
                     doing, number, unit);

    write_all(STDERR_FILENO, sb_slice_make(line, (size_t)n));
    ctl->progress_is_on = true;
}

void ctl_progress(struct ctl *ctl, const char *doing, uint64_t done, uint64_t total)
{
    if (progress_is_due(ctl))
        draw_progress(ctl, doing, (unsigned)(done * 100 / total), "%");
}

static void on_progress(void *ctx, uint64_t sent, uint64_t total)
{
    struct ctl *ctl = ctx;

    if (!progress_is_due(ctl))
        return;
    if (sent < total)
        draw_progress(ctl, "sending", (unsigned)(sent * 100 / total), "%");
    else
        draw_progress(ctl, ctl->doing, (unsigned)((ctl->progress_at - ctl->progress_from) / 1000),
                      "s");
}

/* --- reaching the control plane ------------------------------------------------------------ */

/* The first line of a small file; NULL when there is none. */
static const char *first_line(struct ctl *ctl, const char *path)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_slice left, line;

    sb_buf_init(&text, URL_MAX);
    if (sb_file_read(path, &text, NULL) != SB_OK)
        return NULL;
    left = sb_buf_slice(&text);
    if (!sb_keyfile_next_line(&left, &line) || line.n == 0)
        return NULL;
    return sb_arena_dup(ctl->arena, line).p;
}

static const char *find_url(struct ctl *ctl)
{
    const char *url = ctl_flag(ctl, "url");

    if (url == NULL)
        url = environment("SWITCHBOARD_URL");
    if (url == NULL)
        url = first_line(ctl, sb_arena_printf(ctl->arena, "%s/admin.url", ctl_home()).p);
    return url != NULL ? url : "http://127.0.0.1:9090";
}

static int find_token(struct ctl *ctl, struct sb_secret **ret_token)
{
    const char *token = ctl_flag(ctl, "token"), *path = ctl_flag(ctl, "token-file");
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *content = NULL;
    struct sb_errmsg err = {.text = ""};
    struct sb_slice left, line;
    bool is_given = path != NULL;

    if (token == NULL && path == NULL)
        token = environment("SWITCHBOARD_TOKEN");
    if (token == NULL && path == NULL) {
        path = environment("SWITCHBOARD_TOKEN_FILE");
        is_given = path != NULL;
    }
    if (token != NULL)
        return sb_secret_new(sb_slice_of(token), ret_token) == SB_OK
                   ? CTL_DONE
                   : ctl_fail(ctl, "the token is too long");
    if (path == NULL)
        path = sb_arena_printf(ctl->arena, "%s/admin.token", ctl_home()).p;
    if (sb_keyfile_read(path, true, &content, &err) != SB_OK)
        return is_given ? ctl_fail(ctl, "%s", err.text)
                        : ctl_fail(ctl, "no token: %s; give --token-file, or set SWITCHBOARD_HOME",
                                   err.text);
    left = sb_secret_expose(content);
    while (sb_keyfile_next_line(&left, &line)) {
        if (line.n > 0 && line.p[0] != '#')
            return sb_secret_new(line, ret_token) == SB_OK ? CTL_DONE
                                                           : ctl_fail(ctl, "out of memory");
    }
    return ctl_fail(ctl, "%s holds no token", path);
}

static int connect_rest(struct ctl *ctl)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *token = NULL;
    struct sb_errmsg err = {.text = ""};
    int status;

    if (ctl->rest != NULL)
        return CTL_DONE;
    status = find_token(ctl, &token);
    if (status != CTL_DONE)
        return status;
    if (ctl_rest_new(find_url(ctl), &token, &ctl->rest, &err) != SB_OK)
        return ctl_misuse(ctl, "%s", err.text);
    if (ctl->shows_progress)
        ctl_rest_set_progress(ctl->rest, on_progress, ctl);
    return CTL_DONE;
}

const char *ctl_escape(struct ctl *ctl, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = sb_arena_alloc(ctl->arena, strlen(text) * 3 + 1), *at = out;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_free = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       strchr("-._~/@:", c) != NULL;

        if (is_free) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = hex[c >> 4];
        *at++ = hex[c & 15];
    }
    return out;
}

void ctl_query_add(struct ctl_query *query, const char *name, const char *value)
{
    if (value != NULL)
        query->text =
            sb_arena_printf(query->ctl->arena, "%.*s%c%s=%s", SB_SLICE_ARGS(query->text),
                            query->text.n == 0 ? '?' : '&', name, ctl_escape(query->ctl, value));
}

void ctl_query_add_switch(struct ctl_query *query, const char *flag, const char *name)
{
    ctl_query_add(query, name, ctl_has(query->ctl, flag) ? "true" : NULL);
}

const char *ctl_query_path(const struct ctl_query *query, const char *path)
{
    return sb_arena_printf(query->ctl->arena, "%s%.*s", path, SB_SLICE_ARGS(query->text)).p;
}

/* All of an error of the API, place by place. */
static void show_error(struct ctl *ctl, const struct ctl_reply *reply)
{
    yyjson_val *error = NULL, *details, *one;
    yyjson_arr_iter iter;

    if (reply->doc != NULL)
        error = yyjson_obj_get(yyjson_doc_get_root(reply->doc), "error");
    if (error == NULL) {
        (void)ctl_fail(ctl, "answer %ld that is not of the admin API; is --url right?",
                       reply->status);
        return;
    }
    (void)ctl_fail(ctl, "%.*s%s", SB_SLICE_ARGS(sb_json_text(yyjson_obj_get(error, "message"))),
                   reply->status == 401 ? "; --token-file FILE shows another" : "");
    details = yyjson_obj_get(error, "details");
    iter = yyjson_arr_iter_with(details);
    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        struct sb_slice path = sb_json_text(yyjson_obj_get(one, "path"));
        struct sb_slice problem = sb_json_text(yyjson_obj_get(one, "problem"));

        ctl_note(ctl, "  %.*s%s%.*s", SB_SLICE_ARGS(path), path.n > 0 ? ": " : "",
                 SB_SLICE_ARGS(problem));
    }
    if (yyjson_obj_get(error, "more") != NULL)
        ctl_note(ctl, "  ... and %llu more",
                 (unsigned long long)yyjson_get_uint(yyjson_obj_get(error, "more")));
}

static void on_arena_end(void *ctx)
{
    ctl_reply_release(ctx);
}

int ctl_call(struct ctl *ctl, const struct ctl_request *request, yyjson_val **ret_root)
{
    struct ctl_reply *reply = sb_arena_alloc(ctl->arena, sizeof(*reply));
    struct sb_errmsg err = {.text = ""};
    int status = connect_rest(ctl), rc;

    if (status != CTL_DONE)
        return status;
    ctl->progress_at = 0;
    rc = ctl_rest_call(ctl->rest, request, reply, &err);
    if (rc == SB_ECANCELED) /* by on_piece, which has said why */
        return ctl->reader_is_gone ? CTL_DONE : CTL_FAILED;
    if (rc != SB_OK)
        return ctl_fail(ctl, "%s", err.text);
    clear_progress(ctl);
    sb_arena_on_destroy(ctl->arena, on_arena_end, reply);
    ctl->status = reply->status;
    if (reply->status < 200 || reply->status >= 300) {
        show_error(ctl, reply);
        return CTL_FAILED;
    }
    if (request->on_piece != NULL)
        return CTL_DONE;
    if (reply->doc == NULL)
        return ctl_fail(ctl, "the answer is not JSON; is --url right?");
    *ret_root = yyjson_doc_get_root(reply->doc);
    return CTL_DONE;
}

int ctl_get(struct ctl *ctl, const char *path, yyjson_val **ret_root)
{
    struct ctl_request request = {.method = "GET", .path = path};

    return ctl_call(ctl, &request, ret_root);
}

static void on_list_end(void *ctx)
{
    yyjson_doc *doc = ctx;

    sb_json_free(&doc);
}

/* Adds the objects of one page; gives the next cursor or NULL. */
static const char *add_page(struct sb_json *all, yyjson_val *page, size_t *n, size_t most)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(yyjson_obj_get(page, "data"));
    yyjson_val *one;

    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        if (*n == most)
            return NULL;
        ++*n;
        sb_json_put_value(all, one);
    }
    return *n < most ? yyjson_get_str(yyjson_obj_get(page, "next_cursor")) : NULL;
}

int ctl_get_list(struct ctl *ctl, const char *path, const struct ctl_query *filters, size_t most,
                 yyjson_val **ret_list)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct ctl_query query = {.ctl = ctl};
    const char *cursor = NULL;
    yyjson_doc *doc = NULL;
    struct sb_json all;
    size_t n = 0;

    sb_buf_init(&text, CTL_OUT_MAX);
    sb_json_init(&all, &text);
    sb_json_open_array(&all);
    do {
        yyjson_val *page = NULL;
        int status;

        query.text = filters != NULL ? filters->text : SB_SLICE_NONE;
        if (cursor != NULL || (most < CTL_ALL && most > PAGE_MAX))
            ctl_query_add(&query, "limit", "1000");
        else if (most < CTL_ALL)
            ctl_query_add(&query, "limit", sb_arena_printf(ctl->arena, "%zu", most).p);
        ctl_query_add(&query, "cursor", cursor);
        status = ctl_get(ctl, ctl_query_path(&query, path), &page);
        if (status != CTL_DONE)
            return status;
        cursor = add_page(&all, page, &n, most);
    } while (cursor != NULL);
    sb_json_close_array(&all);
    must(sb_json_end(&all));
    must(sb_json_read(sb_buf_slice(&text), CTL_OUT_MAX, &doc, NULL));
    sb_arena_on_destroy(ctl->arena, on_list_end, doc);
    *ret_list = yyjson_doc_get_root(doc);
    return CTL_DONE;
}

/* --- all of the program ---------------------------------------------------------------------- */

static int choose_format(struct ctl *ctl)
{
    static const char *const names[] = {"table", "json", "yaml"};
    const char *name = ctl_flag(ctl, "output");

    for (size_t i = 0; name != NULL && i < SB_ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            ctl->format = (enum ctl_format)i;
            return CTL_DONE;
        }
    }
    return name == NULL ? CTL_DONE
                        : ctl_misuse(ctl, "--output %s: there are table, json and yaml", name);
}

static int run(struct ctl *ctl)
{
    const char *when = ctl_flag(ctl, "color");
    int status;

    ctl->term = term_of(STDOUT_FILENO, when);
    ctl->err_term = term_of(STDERR_FILENO, when);
    ctl->shows_progress = isatty(STDERR_FILENO) == 1;
    if (when != NULL && strcmp(when, "auto") != 0 && strcmp(when, "always") != 0 &&
        strcmp(when, "never") != 0)
        return ctl_misuse(ctl, "--color %s: there are auto, always and never", when);
    if (ctl->args.action == CTL_HELP) {
        must(ctl_args_help(commands(), ctl->args.command, &ctl->out));
        return CTL_DONE;
    }
    if (ctl->args.action == CTL_VERSION) {
        ctl_print(ctl, "switchboardctl %s\n", SB_VERSION);
        return CTL_DONE;
    }
    status = choose_format(ctl);
    return status == CTL_DONE ? ctl->args.command->run(ctl) : status;
}

int ctl_main(int argc, char *const *argv)
{
    struct ctl ctl = {.arena = sb_arena_new(ARENA_BYTES), .doing = "waiting"};
    struct sb_errmsg err = {.text = ""};
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    sb_buf_init(&ctl.out, CTL_OUT_MAX);
    ctl.err_term = term_of(STDERR_FILENO, NULL);
    if (ctl_args_read(commands(), argc, argv, &ctl.args, &err) != SB_OK) {
        status = ctl_misuse(&ctl, "%s", err.text);
    } else {
        status = run(&ctl);
        if (ctl_flush(&ctl) != CTL_DONE)
            status = CTL_FAILED;
    }
    ctl_rest_destroy(&ctl.rest);
    sb_buf_release(&ctl.out);
    sb_arena_destroy(&ctl.arena);
    return status;
}
