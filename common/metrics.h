/* common/metrics.h - numbers for Prometheus.
 *
 * The values are plain members of a struct of the caller, changed and read by
 * one thread (stats->requests++), and a table says what they are called:
 *
 *      struct dp_stats {
 *          uint64_t accepted;
 *          uint64_t outcomes[DP_OUTCOMES];
 *          int64_t in_flight;
 *          struct sb_histogram first_byte;
 *      };
 *      static const struct sb_metric metrics[] = {
 *          {SB_COUNTER, "switchboard_accepted_total", "Connections accepted.",
 *           SB_METRIC_AT(struct dp_stats, accepted)},
 *          {SB_COUNTER, "switchboard_attempts_total", "Attempts by outcome.",
 *           SB_METRIC_AT(struct dp_stats, outcomes), .label = "outcome",
 *           .label_value = outcome_label},
 *          ...
 *      };
 *      rc = sb_metrics_write(&page, metrics, SB_ARRAY_LEN(metrics), &stats);
 *
 * All label sets are bounded: fixed text, or one label over a small enum.
 * Names, help texts and label keys are ours; label values are escaped.  The
 * page is text format 0.0.4.  Functions that write return the errors of
 * sb_buf_append(), and what they wrote so far stays.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_buf;

#define SB_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* --- histogram ------------------------------------------------------------ */

enum { SB_HISTOGRAM_BOUNDS_MAX = 24 };

struct sb_histogram_bounds {
    unsigned n;                              /* at most SB_HISTOGRAM_BOUNDS_MAX */
    uint64_t upper[SB_HISTOGRAM_BOUNDS_MAX]; /* ascending; a bound belongs to its bucket */
};

struct sb_histogram {
    const struct sb_histogram_bounds *bounds;     /* borrowed, static */
    uint64_t counts[SB_HISTOGRAM_BOUNDS_MAX + 1]; /* not cumulative; the last one is +Inf */
    uint64_t sum;
};

/* 1 ms to 10 minutes; written with scale 1000 they are seconds. */
extern const struct sb_histogram_bounds sb_bounds_msec;
/* 10 us to 10 s; with scale 1000000. */
extern const struct sb_histogram_bounds sb_bounds_usec;
/* 256 bytes to 64 MiB; with scale 1. */
extern const struct sb_histogram_bounds sb_bounds_bytes;

void sb_histogram_init(struct sb_histogram *histogram, const struct sb_histogram_bounds *bounds);
void sb_histogram_add(struct sb_histogram *histogram, uint64_t value);

/* --- table ---------------------------------------------------------------- */

enum sb_metric_type {
    SB_COUNTER,   /* uint64_t, or an array of it */
    SB_GAUGE,     /* int64_t, or an array of it */
    SB_HISTOGRAM, /* struct sb_histogram, or an array of it */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order one reads a row */
struct sb_metric {
    enum sb_metric_type type;
    const char *name;    /* "switchboard_requests_total" */
    const char *help;    /* a sentence */
    size_t offset, size; /* SB_METRIC_AT(struct x, member); an array is a vector */
    uint32_t scale;      /* the value is divided by it, exactly; a power of ten; 0 is 1 */
    const char *fixed;   /* more labels, as text ("plane=\"data\""), or NULL */
    const char *label;   /* vector: key of the label that tells its members apart */
    const char *(*label_value)(int index); /* vector: its value; NULL leaves a member out */
};

#define SB_METRIC_AT(type, member)                                                                 \
    .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)

/* Appends all metrics of the table, read from the struct at base. */
int sb_metrics_write(struct sb_buf *page, const struct sb_metric *metrics, size_t n,
                     const void *base) SB_MUSTCHECK;

/* --- one by one, for values that live elsewhere ----------------------------- */

/* The HELP and TYPE lines; the samples of the family follow at once. */
int sb_metrics_family(struct sb_buf *page, enum sb_metric_type type, const char *name,
                      const char *help) SB_MUSTCHECK;
/* One sample.  labels: as sb_metrics_label() made them, or empty. */
int sb_metrics_sample(struct sb_buf *page, const char *name, struct sb_slice labels, int64_t value,
                      uint32_t scale) SB_MUSTCHECK;
/* Appends key="value" with the value escaped, after a comma when needed. */
int sb_metrics_label(struct sb_buf *labels, const char *key, struct sb_slice value) SB_MUSTCHECK;

/* --- many pages as one ------------------------------------------------------ */

struct sb_metrics_page {
    struct sb_slice text;   /* what sb_metrics_write() made elsewhere */
    struct sb_slice labels; /* added to each of its samples: worker="w1" */
};

/* Appends the pages as one, families with the same name under one HELP and
 * TYPE (those of the first that has it), as the format demands; samples of a
 * family that has another type elsewhere are left out there.  SB_EPARSE when
 * a page is not of the form that we write (the text came over the wire).  On
 * error `page` is as before. */
int sb_metrics_join(struct sb_buf *page, const struct sb_metrics_page *pages,
                    size_t n) SB_MUSTCHECK;
