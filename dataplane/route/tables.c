/* dataplane/route/tables.c */
#include "dataplane/route/tables.h"

#include "common/err.h"
#include "common/mem.h"
#include "dataplane/route/index.h"
#include "dataplane/route/view.h"

enum { SLOTS_MIN = 64, MEAN_LIFE = 1000 /* milliseconds */ };

struct dp_tables {
    struct dp_row *row; /* never moves relative to its number while the tables live */
    uint32_t n, room;
    uint32_t *slot;       /* open addressing by dp_mix(id): numbers of rows, or DP_NONE */
    uint32_t slots;       /* a power of two, at least twice room */
    sb_msec marked_until; /* no outage and no cooldown ends later */
    uint64_t epoch, term, sequence;
};

struct dp_tables *dp_tables_new(void)
{
    return sb_mem_new(sizeof(struct dp_tables));
}

void dp_tables_destroy(struct dp_tables **tables)
{
    if (*tables == NULL)
        return;
    sb_mem_free((*tables)->row);
    sb_mem_free((*tables)->slot);
    sb_mem_free(*tables);
    *tables = NULL;
}

/* --- rows by id -------------------------------------------------------------------- */

/* The slot of an id: where its number is, or the free one where it belongs. */
static uint32_t *find_slot(const struct dp_tables *tables, uint64_t id)
{
    uint32_t at = (uint32_t)dp_mix(id);

    for (;; at++) {
        uint32_t *slot = &tables->slot[at & (tables->slots - 1)];

        if (*slot == DP_NONE || tables->row[*slot].endpoint == id)
            return slot;
    }
}

static int grow(struct dp_tables *tables, size_t room)
{
    size_t slots = SLOTS_MIN;
    struct dp_row *row;
    uint32_t *slot;

    while (slots < 2 * room)
        slots *= 2;
    slot = sb_mem_try(slots * sizeof(*slot));
    if (slot == NULL)
        return SB_ENOMEM;
    row = sb_mem_resize(tables->row, room * sizeof(*row));
    if (row == NULL) {
        sb_mem_free(slot);
        return SB_ENOMEM;
    }
    sb_mem_free(tables->slot);
    tables->row = row;
    tables->room = (uint32_t)room;
    tables->slot = slot;
    tables->slots = (uint32_t)slots;
    memset(slot, 0xff, slots * sizeof(*slot));
    for (uint32_t i = 0; i < tables->n; i++)
        *find_slot(tables, row[i].endpoint) = i;
    return SB_OK;
}

static int make_room(struct dp_tables *tables, size_t more)
{
    size_t need = tables->n + more;

    if (need <= tables->room)
        return SB_OK;
    if (need < 2 * (size_t)tables->room)
        need = 2 * (size_t)tables->room;
    return grow(tables, need > SLOTS_MIN ? need : SLOTS_MIN);
}

const struct dp_row *dp_tables_find_id(const struct dp_tables *tables, uint64_t endpoint)
{
    uint32_t *slot;

    if (tables == NULL || tables->slots == 0)
        return NULL;
    slot = find_slot(tables, endpoint);
    return *slot != DP_NONE ? &tables->row[*slot] : NULL;
}

const struct dp_row *dp_tables_find(const struct dp_tables *tables,
                                    const struct dp_snapshot *snapshot,
                                    const struct dp_endpoint *endpoint)
{
    uint32_t *hint = &snapshot->table_slot[endpoint->number];
    const struct dp_row *row;

    if (tables == NULL)
        return NULL;
    if (*hint < tables->n && tables->row[*hint].endpoint == endpoint->row->id)
        return &tables->row[*hint];
    row = dp_tables_find_id(tables, endpoint->row->id);
    if (row != NULL)
        *hint = (uint32_t)(row - tables->row);
    return row;
}

/* --- merging ------------------------------------------------------------------------ */

/* When something ends that the sender saw `age` ago and that lives for `life`. */
static sb_msec ends_at(sb_msec now, uint32_t age, sb_msec life)
{
    return age < life ? now + life - age : 0;
}

static void merge_row(struct dp_tables *tables, const struct msg_table_row *from, sb_msec now)
{
    uint32_t *slot = find_slot(tables, from->endpoint);
    struct dp_row *row;

    if (*slot == DP_NONE)
        *slot = tables->n++;
    row = &tables->row[*slot];
    *row = (struct dp_row){
        .endpoint = from->endpoint,
        .fresh_until = ends_at(now, from->age, DP_PERCENTILE_LIFE),
        .outage_until = from->outage ? ends_at(now, from->outage_age, DP_OUTAGE_LIFE) : 0,
        .cooldown_until = from->cooldown > 0 ? now + from->cooldown : 0,
        .samples = from->samples,
        .uptime = from->uptime,
        .uptime_half_hour = from->uptime_half_hour,
        .uptime_day = from->uptime_day,
        .mean_completion = from->mean_completion,
        .half_hour_until = ends_at(now, from->age, DP_HALF_HOUR_LIFE),
        .day_until = ends_at(now, from->age, DP_DAY_LIFE),
    };
    if (row->outage_until > tables->marked_until)
        tables->marked_until = row->outage_until;
    if (row->cooldown_until > tables->marked_until)
        tables->marked_until = row->cooldown_until;
    memcpy(row->first_token, from->first_token, sizeof(row->first_token));
    memcpy(row->throughput, from->throughput, sizeof(row->throughput));
    memcpy(row->first_token_half_hour, from->first_token_half_hour,
           sizeof(row->first_token_half_hour));
    memcpy(row->throughput_half_hour, from->throughput_half_hour,
           sizeof(row->throughput_half_hour));
}

/* What to do with a message, from its version and the one that is held alone. */
enum verdict { OLD, APPLY, GAP };

static enum verdict judge(const struct dp_tables *have, const struct msg_tables *message)
{
    if (message->epoch != have->epoch)
        return message->epoch < have->epoch ? OLD : message->complete ? APPLY : GAP;
    if (message->term != have->term) /* another leader counts from its own start */
        return message->term < have->term ? OLD : message->complete ? APPLY : GAP;
    if (message->sequence <= have->sequence)
        return OLD;
    return message->complete || message->sequence == have->sequence + 1 ? APPLY : GAP;
}

int dp_tables_apply(struct dp_tables *tables, const struct msg_tables *message, sb_msec now)
{
    enum verdict verdict = judge(tables, message);
    int rc;

    if (verdict != APPLY)
        return verdict == GAP ? SB_EGAP : SB_OK;
    rc = make_room(tables, message->n_rows);
    if (rc != SB_OK)
        return rc;
    if (message->complete) {
        tables->n = 0;
        tables->marked_until = 0;
        if (tables->slots > 0)
            memset(tables->slot, 0xff, tables->slots * sizeof(*tables->slot));
    }
    for (size_t i = 0; i < message->n_rows; i++)
        merge_row(tables, &message->rows[i], now);
    tables->epoch = message->epoch;
    tables->term = message->term;
    tables->sequence = message->sequence;
    return SB_OK;
}

uint64_t dp_tables_sequence(const struct dp_tables *tables)
{
    return tables->sequence;
}

bool dp_tables_have_marks(const struct dp_tables *tables, sb_msec now)
{
    return tables != NULL && now < tables->marked_until;
}

void dp_tables_count_marks(const struct dp_tables *tables, sb_msec now, size_t *ret_out,
                           size_t *ret_cooling)
{
    *ret_out = *ret_cooling = 0;
    for (uint32_t i = 0; i < tables->n; i++) {
        *ret_out += now < tables->row[i].outage_until;
        *ret_cooling += now < tables->row[i].cooldown_until;
    }
}

size_t dp_tables_count(const struct dp_tables *tables)
{
    return tables->n;
}

/* --- means --------------------------------------------------------------------------- */

double dp_tables_mean_completion(const struct dp_tables *tables, const struct dp_snapshot *snapshot,
                                 const struct dp_model *model, sb_msec now)
{
    struct dp_model_mean *mean = &snapshot->mean[model->number];
    double tokens = 0, samples = 0;

    if (tables == NULL || tables->n == 0)
        return 0;
    if (mean->tables == tables && mean->sequence == tables->sequence && now < mean->until)
        return mean->tokens;
    for (uint32_t i = 0; i < model->n; i++) {
        const struct dp_row *row =
            dp_tables_find(tables, snapshot, &snapshot->endpoints[model->first + i]);

        if (!dp_row_is_fresh(row, now) || row->mean_completion == 0)
            continue;
        tokens += (double)row->mean_completion * row->samples;
        samples += row->samples;
    }
    *mean = (struct dp_model_mean){
        .tables = tables,
        .sequence = tables->sequence,
        .until = now + MEAN_LIFE,
        .tokens = samples > 0 ? tokens / samples : 0,
    };
    return mean->tokens;
}
