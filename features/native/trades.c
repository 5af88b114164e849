/* What events add to the running tick. */
#include "features.h"

#define BUCKETS_MIN 10
#define ARRIVALS_MIN 32

/* Size of a volume bucket in mean trades; a hair below 50, so that trades of one size fill buckets of 50. */
#define BUCKET_TRADES (50.0 * (1 - 1e-9))

static const double KEEP_64_TRADES = 0.9892280131939755; /* 2^(-1/64) */
static const double KEEP_256_EVENTS = 0.9972960560854701;

/* Lots that left a best level less those that came; a better level is a new queue, not a change of this one. */
static void deplete(int64_t *depleted, int64_t before, int64_t after, int64_t better)
{
    if (before > 0 && better <= 0)
        add_lots(depleted, (__int128)before - (better == 0 ? after : 0));
}

/* Cont, Kukanov, Stoikov 2014: what the change adds to the bid less what it adds to the ask. An empty side stands at the
 * worst price with nothing in it. */
void flow_book_changed(struct flow *flow, const struct top *before, const struct top *after)
{
    /* 1: the side's best is better than before, -1: worse. */
    int bid = (after->bid_qty > 0) - (before->bid_qty > 0), ask = (after->ask_qty > 0) - (before->ask_qty > 0);
    if (after->bid_qty && before->bid_qty)
        bid = (after->bid_price > before->bid_price) - (after->bid_price < before->bid_price);
    if (after->ask_qty && before->ask_qty)
        ask = (after->ask_price < before->ask_price) - (after->ask_price > before->ask_price);
    __int128 change = 0;
    change += bid >= 0 ? after->bid_qty : 0;
    change -= bid <= 0 ? before->bid_qty : 0;
    change -= ask >= 0 ? after->ask_qty : 0;
    change += ask <= 0 ? before->ask_qty : 0;
    add_lots(&flow->ofi_now, change);
    flow->requotes += (bid != 0) + (ask != 0);
    deplete(&flow->depleted[0], before->bid_qty, after->bid_qty, bid);
    deplete(&flow->depleted[1], before->ask_qty, after->ask_qty, ask);
}

/* Easley, Lopez de Prado, O'Hara 2012, with the aggressors' true sides. */
static void bucket_trade(struct buckets *buckets, double mean, int64_t qty, int64_t signed_qty)
{
    if (buckets->size <= 0)
        buckets->size = BUCKET_TRADES * mean;
    add_lots(&buckets->lots, qty);
    add_lots(&buckets->signed_lots, signed_qty);
    if ((double)buckets->lots < buckets->size)
        return;
    int64_t at = buckets->closed % BUCKETS, tilt = buckets->signed_lots < 0 ? -buckets->signed_lots : buckets->signed_lots;
    buckets->sum_lots += buckets->lots - buckets->ring_lots[at];
    buckets->sum_signed += tilt - buckets->ring_signed[at];
    buckets->ring_lots[at] = buckets->lots;
    buckets->ring_signed[at] = tilt;
    buckets->closed++;
    buckets->lots = buckets->signed_lots = 0;
    buckets->size = BUCKET_TRADES * mean;
}

void flow_traded(struct flow *flow, int side, int64_t qty)
{
    int64_t signed_qty = side > 0 ? -qty : side < 0 ? qty : 0;
    flow->traded++;
    add_lots(&flow->lots, qty);
    add_lots(&flow->signed_lots, signed_qty);
    flow->size_sum = flow->size_sum * KEEP_64_TRADES + (double)qty;
    flow->size_weight = flow->size_weight * KEEP_64_TRADES + 1;
    bucket_trade(&flow->buckets, flow->size_sum / flow->size_weight, qty, signed_qty);
}

void flow_arrived(struct flow *flow, int64_t ts_ns)
{
    flow->changed++;
    if (flow->last_event_ns >= 0) {
        double gap = (double)(ts_ns - flow->last_event_ns) * 1e-9;
        flow->gaps = flow->gaps * KEEP_256_EVENTS + gap;
        flow->gap_squares = flow->gap_squares * KEEP_256_EVENTS + gap * gap;
        flow->gap_weight = flow->gap_weight * KEEP_256_EVENTS + 1;
        flow->arrivals++;
    }
    flow->last_event_ns = ts_ns;
}

void trades_write(const struct flow *flow, double *out)
{
    const struct buckets *buckets = &flow->buckets;
    out[F_VPIN] = buckets->closed < BUCKETS_MIN ? NAN : (double)buckets->sum_signed / (double)buckets->sum_lots;
    out[F_BURSTINESS] = NAN;
    if (flow->arrivals < ARRIVALS_MIN)
        return;
    double mean = flow->gaps / flow->gap_weight; /* Goh, Barabasi 2008 */
    double deviation = sqrt(fmax(flow->gap_squares / flow->gap_weight - mean * mean, 0));
    if (deviation + mean > 0)
        out[F_BURSTINESS] = (deviation - mean) / (deviation + mean);
}
