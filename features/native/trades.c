/* What events add to the running tick. */
#include "features.h"

#define BUCKETS_MIN 10
#define ARRIVALS_MIN 32

/* Size of a volume bucket in mean trades; a hair below 50, so that trades of one size fill buckets of 50. */
#define BUCKET_TRADES (50.0 * (1 - 1e-9))

static const double KEEP_64_TRADES = 0.9892280131939755; /* 2^(-1/64) */
static const double KEEP_256_EVENTS = 0.9972960560854701;

/* Return what a side's best level gained, and note what left it. An empty side stands at the worst price with nothing in
 * it. */
static inline int64_t side_changed(struct now *now, int which, const struct level *before, const struct level *after)
{
    uint64_t was = rank_of(which, before->price), is = rank_of(which, after->price);
    int64_t change = level_change(which, before, after);
    now->requotes += is != was;
    add_lots(&now->depleted[which], -change & -(int64_t)(is <= was)); /* a better level takes nothing from the one before */
    return change;
}

/* Cont, Kukanov, Stoikov 2014: what the change adds to the bid less what it adds to the ask. */
void now_book_changed(struct now *now, const struct top *before, const struct book *book)
{
    int64_t bid = side_changed(now, 0, &before->bid, &book->sides[0].best), change;
    int64_t ask = side_changed(now, 1, &before->ask, &book->sides[1].best);
    if (__builtin_sub_overflow(bid, ask, &change))
        change = bid > 0 ? INT64_MAX : -INT64_MAX;
    add_lots(&now->ofi, change);
}

/* Easley, Lopez de Prado, O'Hara 2012, with the aggressors' true sides. */
static void bucket_trade(struct bucket *bucket, struct buckets *closed, double mean, const int64_t lots[2])
{
    if (bucket->size <= 0)
        bucket->size = BUCKET_TRADES * mean;
    add_lots(&bucket->lots, lots[0]);
    add_lots(&bucket->signed_lots, lots[1]);
    if ((double)bucket->lots < bucket->size)
        return;
    int64_t at = bucket->closed % BUCKETS, tilt = bucket->signed_lots < 0 ? -bucket->signed_lots : bucket->signed_lots;
    closed->sum_lots += bucket->lots - closed->ring_lots[at];
    closed->sum_signed += tilt - closed->ring_signed[at];
    closed->ring_lots[at] = bucket->lots;
    closed->ring_signed[at] = tilt;
    bucket->closed++;
    bucket->lots = bucket->signed_lots = 0;
    bucket->size = BUCKET_TRADES * mean;
}

void now_traded(struct now *now, struct buckets *buckets, int side, int64_t qty)
{
    const int64_t lots[2] = {qty, side > 0 ? -qty : side < 0 ? qty : 0}; /* signed: bought less sold by aggressors */
    now->traded++;
    add_lots(&now->lots, lots[0]);
    add_lots(&now->signed_lots, lots[1]);
    now->size_sum = now->size_sum * KEEP_64_TRADES + (double)qty;
    now->size_weight = now->size_weight * KEEP_64_TRADES + 1;
    bucket_trade(&now->bucket, buckets, now->size_sum / now->size_weight, lots);
}

void now_arrived(struct now *now, int64_t ts_ns)
{
    now->changed++;
    if (now->last_event_ns >= 0) {
        double gap = (double)(ts_ns - now->last_event_ns) * 1e-9;
        now->gaps = now->gaps * KEEP_256_EVENTS + gap;
        now->gap_squares = now->gap_squares * KEEP_256_EVENTS + gap * gap;
        now->gap_weight = now->gap_weight * KEEP_256_EVENTS + 1;
        now->arrivals++;
    }
    now->last_event_ns = ts_ns;
}

void trades_write(const struct now *now, const struct buckets *buckets, double *out)
{
    out[F_VPIN] = now->bucket.closed < BUCKETS_MIN ? NAN : (double)buckets->sum_signed / (double)buckets->sum_lots;
    out[F_BURSTINESS] = NAN;
    if (now->arrivals < ARRIVALS_MIN)
        return;
    double mean = now->gaps / now->gap_weight; /* Goh, Barabasi 2008 */
    double deviation = sqrt(fmax(now->gap_squares / now->gap_weight - mean * mean, 0));
    if (deviation + mean > 0)
        out[F_BURSTINESS] = (deviation - mean) / (deviation + mean);
}
