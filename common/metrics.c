/* common/metrics.c */
#include "common/metrics.h"

#include <stdbool.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/num.h"

enum { LABELS_MAX = 4096 };

const struct sb_histogram_bounds sb_bounds_msec = {
    .n = 18,
    .upper = {1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000,
              300000, 600000},
};
const struct sb_histogram_bounds sb_bounds_usec = {
    .n = 19,
    .upper = {10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
              500000, 1000000, 2500000, 5000000, 10000000},
};
const struct sb_histogram_bounds sb_bounds_bytes = {
    .n = 10,
    .upper = {256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864},
};

void sb_histogram_init(struct sb_histogram *histogram, const struct sb_histogram_bounds *bounds)
{
    SB_BUG_ON(bounds->n > SB_HISTOGRAM_BOUNDS_MAX);
    *histogram = (struct sb_histogram){.bounds = bounds};
}

void sb_histogram_add(struct sb_histogram *histogram, uint64_t value)
{
    unsigned i = 0;

    while (i < histogram->bounds->n && value > histogram->bounds->upper[i])
        i++;
    histogram->counts[i]++;
    histogram->sum += value;
}

/* --- lines ---------------------------------------------------------------- */

/* A buffer and the first error, which sticks: one check at the end does. */
struct out {
    struct sb_buf *buf;
    int rc;
};

static void put(struct out *out, struct sb_slice text)
{
    if (out->rc == SB_OK)
        out->rc = sb_buf_append(out->buf, text);
}

static void put_text(struct out *out, const char *text)
{
    put(out, sb_slice_of(text));
}

/* Quotes are escaped in label values only. */
static void put_escaped(struct out *out, struct sb_slice text, bool quotes)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '\\' || (c == '"' && quotes))
            put_text(out, "\\");
        put(out, c == '\n' ? SB_SLICE_LIT("\\n") : sb_slice_make(&c, 1));
    }
}

/* magnitude / scale in decimals, exactly. */
static void put_scaled(struct out *out, bool negative, uint64_t magnitude, uint32_t scale)
{
    uint64_t rest = scale > 1 ? magnitude % scale : 0;
    char text[2 + 2 * SB_NUM_U64_MAX];
    size_t n = 0;

    if (negative)
        text[n++] = '-';
    n += sb_num_put_u64(text + n, scale > 1 ? magnitude / scale : magnitude);
    if (rest > 0)
        text[n++] = '.';
    for (uint32_t place = scale / 10; rest > 0; place /= 10) {
        text[n++] = (char)('0' + rest / place);
        rest %= place;
    }
    put(out, sb_slice_make(text, n));
}

/* Everything of a sample before its value. */
static void put_name(struct out *out, const char *name, const char *suffix, struct sb_slice labels)
{
    put_text(out, name);
    put_text(out, suffix);
    if (labels.n > 0) {
        put_text(out, "{");
        put(out, labels);
        put_text(out, "}");
    }
    put_text(out, " ");
}

static void put_unsigned(struct out *out, uint64_t value, uint32_t scale)
{
    put_scaled(out, false, value, scale);
    put_text(out, "\n");
}

static void put_signed(struct out *out, int64_t value, uint32_t scale)
{
    put_scaled(out, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, scale);
    put_text(out, "\n");
}

static void put_label(struct out *out, const char *key, struct sb_slice value)
{
    if (sb_buf_len(out->buf) > 0)
        put_text(out, ",");
    put_text(out, key);
    put_text(out, "=\"");
    put_escaped(out, value, true);
    put_text(out, "\"");
}

static void put_family(struct out *out, enum sb_metric_type type, const char *name,
                       const char *help)
{
    static const char *const words[] = {
        [SB_COUNTER] = "counter", [SB_GAUGE] = "gauge", [SB_HISTOGRAM] = "histogram"};

    put_text(out, "# HELP ");
    put_text(out, name);
    put_text(out, " ");
    put_escaped(out, sb_slice_of(help), false);
    put_text(out, "\n# TYPE ");
    put_text(out, name);
    put_text(out, " ");
    put_text(out, words[type]);
    put_text(out, "\n");
}

int sb_metrics_family(struct sb_buf *page, enum sb_metric_type type, const char *name,
                      const char *help)
{
    struct out out = {.buf = page};

    put_family(&out, type, name, help);
    return out.rc;
}

int sb_metrics_sample(struct sb_buf *page, const char *name, struct sb_slice labels, int64_t value,
                      uint32_t scale)
{
    struct out out = {.buf = page};

    put_name(&out, name, "", labels);
    put_signed(&out, value, scale);
    return out.rc;
}

int sb_metrics_label(struct sb_buf *labels, const char *key, struct sb_slice value)
{
    struct out out = {.buf = labels};

    put_label(&out, key, value);
    return out.rc;
}

/* --- table ---------------------------------------------------------------- */

/* One bucket: cumulative in the format, with its bound as one more label. */
static void put_bucket(struct out *out, const struct sb_metric *metric, struct out *labels,
                       const uint64_t *bound, uint64_t count)
{
    size_t before = sb_buf_len(labels->buf);

    put_text(labels, before > 0 ? ",le=\"" : "le=\"");
    if (bound != NULL)
        put_scaled(labels, false, *bound, metric->scale);
    else
        put_text(labels, "+Inf");
    put_text(labels, "\"");
    put_name(out, metric->name, "_bucket", sb_buf_slice(labels->buf));
    put_unsigned(out, count, 1);
    sb_buf_truncate(labels->buf, before);
}

static void put_histogram(struct out *out, const struct sb_metric *metric, struct out *labels,
                          const struct sb_histogram *histogram)
{
    const struct sb_histogram_bounds *bounds = histogram->bounds;
    uint64_t count = 0;

    SB_BUG_ON(bounds == NULL); /* sb_histogram_init() was forgotten */
    for (unsigned i = 0; i <= bounds->n; i++) {
        count += histogram->counts[i];
        put_bucket(out, metric, labels, i < bounds->n ? &bounds->upper[i] : NULL, count);
    }
    put_name(out, metric->name, "_sum", sb_buf_slice(labels->buf));
    put_unsigned(out, histogram->sum, metric->scale);
    put_name(out, metric->name, "_count", sb_buf_slice(labels->buf));
    put_unsigned(out, count, 1);
}

static void put_value(struct out *out, const struct sb_metric *metric, struct out *labels,
                      const void *value)
{
    switch (metric->type) {
    case SB_COUNTER:
        put_name(out, metric->name, "", sb_buf_slice(labels->buf));
        put_unsigned(out, *(const uint64_t *)value, metric->scale);
        return;
    case SB_GAUGE:
        put_name(out, metric->name, "", sb_buf_slice(labels->buf));
        put_signed(out, *(const int64_t *)value, metric->scale);
        return;
    case SB_HISTOGRAM:
        put_histogram(out, metric, labels, value);
        return;
    }
}

static void put_metric(struct out *out, const struct sb_metric *metric, struct out *labels,
                       const void *base)
{
    size_t each = metric->type == SB_HISTOGRAM ? sizeof(struct sb_histogram) : sizeof(uint64_t);
    size_t members = metric->size / each;

    SB_BUG_ON(metric->size % each != 0 || (members != 1 && metric->label == NULL));
    put_family(out, metric->type, metric->name, metric->help);
    for (size_t i = 0; i < members; i++) {
        const char *label = metric->label != NULL ? metric->label_value((int)i) : NULL;

        if (metric->label != NULL && label == NULL)
            continue;
        sb_buf_reset(labels->buf);
        if (metric->fixed != NULL)
            put_text(labels, metric->fixed);
        if (label != NULL)
            put_label(labels, metric->label, sb_slice_of(label));
        put_value(out, metric, labels, (const char *)base + metric->offset + i * each);
    }
}

int sb_metrics_write(struct sb_buf *page, const struct sb_metric *metrics, size_t n,
                     const void *base)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf label_buf;
    struct out labels = {.buf = &label_buf};
    struct out out = {.buf = page};

    sb_buf_init(&label_buf, LABELS_MAX);
    for (size_t i = 0; out.rc == SB_OK && labels.rc == SB_OK && i < n; i++)
        put_metric(&out, &metrics[i], &labels, base);
    return out.rc != SB_OK ? out.rc : labels.rc;
}
