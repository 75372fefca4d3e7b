/* proto/tables.c */
#include "proto/tables.h"

#include "proto/codec.h"

/* A percentile that is missing or nil has no data. */
static void put_percentiles(struct wire_writer *w, const uint32_t (*v)[MSG_PERCENTILES],
                            uint64_t unused)
{
    (void)unused;
    wire_write_array(w, MSG_PERCENTILES);
    for (size_t i = 0; i < MSG_PERCENTILES; i++)
        put_opt32(w, &(*v)[i], 0);
}

static void get_percentiles(struct wire_reader *r, uint32_t (*v)[MSG_PERCENTILES], uint64_t unused)
{
    struct wire_scope outer = wire_enter(r);

    (void)unused;
    for (size_t i = 0; i < MSG_PERCENTILES; i++)
        get_opt32(r, &(*v)[i], 0);
    wire_leave(r, outer);
}

#define TABLE_ROW_FIELDS(F, A)                                                                     \
    F(id, endpoint, UINT64_MAX)                                                                    \
    F(u32, age, UINT32_MAX)                                                                        \
    F(flag, outage, 0)                                                                             \
    F(u32, outage_age, UINT32_MAX)                                                                 \
    F(u32, samples, UINT32_MAX)                                                                    \
    F(opt32, uptime, 0)                                                                            \
    F(percentiles, first_token, 0)                                                                 \
    F(percentiles, throughput, 0)                                                                  \
    F(u32, mean_completion, UINT32_MAX)                                                            \
    F(u32, cooldown, UINT32_MAX)                                                                   \
    F(opt32, uptime_half_hour, 0)                                                                  \
    F(opt32, uptime_day, 0)                                                                        \
    F(percentiles, first_token_half_hour, 0)                                                       \
    F(percentiles, throughput_half_hour, 0)
WIRE_STRUCT(table_row, TABLE_ROW_FIELDS)

#define TABLES_FIELDS(F, A)                                                                        \
    F(u64, epoch, UINT64_MAX)                                                                      \
    F(u64, term, UINT64_MAX)                                                                       \
    F(u64, sequence, UINT64_MAX)                                                                   \
    F(flag, complete, 0)                                                                           \
    A(table_row, rows, n_rows, MSG_ROWS_MAX, 0)
WIRE_MESSAGE_ROWS(tables, TABLES_FIELDS)
