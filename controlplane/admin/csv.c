/* controlplane/admin/csv.c */
#include "controlplane/admin/csv.h"

#include <string.h>

#include "common/err.h"
#include "common/num.h"

void cp_csv_init(struct cp_csv *csv, struct sb_buf *out)
{
    *csv = (struct cp_csv){.out = out, .rc = SB_OK};
}

static void put(struct cp_csv *csv, struct sb_slice bytes)
{
    if (csv->rc == SB_OK)
        csv->rc = sb_buf_append(csv->out, bytes);
}

static void begin(struct cp_csv *csv)
{
    if (csv->is_inside)
        put(csv, SB_SLICE_LIT(","));
    csv->is_inside = true;
}

static bool is_formula(struct sb_slice text)
{
    static const char first[] = {'=', '+', '-', '@', '\t', '\r'};

    return text.n > 0 && memchr(first, text.p[0], sizeof(first)) != NULL;
}

static bool needs_quotes(struct sb_slice text)
{
    static const char special[] = {',', '"', '\r', '\n', '\t'};

    for (size_t i = 0; i < text.n; i++) {
        if (memchr(special, text.p[i], sizeof(special)) != NULL)
            return true;
    }
    return false;
}

void cp_csv_text(struct cp_csv *csv, struct sb_slice text)
{
    bool is_quoted = needs_quotes(text);

    begin(csv);
    if (is_quoted)
        put(csv, SB_SLICE_LIT("\""));
    if (is_formula(text))
        put(csv, SB_SLICE_LIT("'"));
    while (text.n > 0) {
        size_t quote = sb_slice_find(text, '"');

        put(csv, sb_slice_make(text.p, quote));
        if (quote == text.n)
            break;
        put(csv, SB_SLICE_LIT("\"\""));
        text = sb_slice_from(text, quote + 1);
    }
    if (is_quoted)
        put(csv, SB_SLICE_LIT("\""));
}

void cp_csv_i64(struct cp_csv *csv, int64_t number)
{
    char text[SB_NUM_I64_MAX];
    size_t n = sb_num_put_i64(text, number);

    begin(csv);
    put(csv, sb_slice_make(text, n));
}

void cp_csv_none(struct cp_csv *csv)
{
    begin(csv);
}

int cp_csv_end(struct cp_csv *csv)
{
    put(csv, SB_SLICE_LIT("\r\n"));
    csv->is_inside = false;
    return csv->rc;
}
