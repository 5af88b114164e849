/* The closing of a tick: what it brings goes into the windows, and features are read from them. */
#include "features.h"

#include <string.h>

#define RATE_TICKS_MIN 100 /* one half-life */

/* 2^(-0.1 s / half-life) */
#define KEEP_1S 0.9330329915368074
#define KEEP_10S 0.9930924954370359
#define KEEP_30S 0.9976921765270234
#define KEEP_60S 0.9988454217380301

static const double KEEP[FADING_COUNT] = {
    [OF_10S_ADDED ... OF_10S_RETURNS] = KEEP_10S,
    [OF_1S_ADDED ... OF_1S_TRADED] = KEEP_1S,
    [OF_30S_DEPTH_BID ... OF_30S_PAIRS] = KEEP_30S,
    [OF_60S_ADDED ... OF_60S_FLOW_SQUARE] = KEEP_60S,
};

void now_init(struct now *now)
{
    memset(now, 0, sizeof *now);
    now->last_event_ns = -1;
    now->renewed = 1;
}

void flow_init(struct flow *flow)
{
    memset(flow, 0, sizeof *flow);
    for (int i = 0; i < MIDS_RING; i++)
        flow->log_mid[i] = NAN;
    for (int i = 0; i < TICKS_1S; i++)
        flow->steps[i] = NAN;
    for (int i = 0; i < SECONDS; i++)
        flow->seconds[i] = NAN;
    flow->step = flow->lead_correlation = NAN;
    squares_init(&flow->squares);
}

static void ask_for(const void *from, size_t size)
{
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch((const char *)from + at, 1);
}

void flow_prefetch(const struct flow *flow, const struct shape *shape)
{
    int64_t ticks = flow->ticks;
    uint32_t at = (uint32_t)(ticks % TICKS_60S), slot = at % TICKS_10S;
    ask_for(flow, offsetof(struct flow, windows.ring));
    ask_for(&flow->squares, offsetof(struct squares, blocks));
    ask_for(flow->steps, sizeof flow->steps);
    ask_for(shape, offsetof(struct shape, best));
    ask_for(shape->values, BOOK_FEATURES * sizeof(double));
    ask_for(shape->values + SHAPE_FIRST, SHAPE_FEATURES * sizeof(double));
    ask_for(shape->values + COUNTED_FIRST, COUNTED_FEATURES * sizeof(double));
    __builtin_prefetch(flow->windows.ring[slot], 1);
    __builtin_prefetch(flow->windows.ring[(slot + TICKS_10S - TICKS_1S) % TICKS_10S]);
    __builtin_prefetch(&flow->log_mid[ticks % MIDS_RING], 1);
    __builtin_prefetch(&flow->log_mid[(ticks + MIDS_RING - TICKS_1S) % MIDS_RING]);
    __builtin_prefetch(&flow->squares.ring[at], 1);
}

/* Cont, Cucuringu, Zhang 2023: the rule of one level for each of the best ten, between two ticks. */
static int64_t deep_change(struct flow *flow, const struct shape *shape, bool is_flow)
{
    int64_t lots = 0;
    for (int which = 0; which < 2; which++) {
        __int128 change = 0;
        for (int i = 0; i < BEST_LEVELS; i++) {
            change += level_change(which, &flow->seen[which][i], &shape->best[which][i]);
            flow->seen[which][i] = shape->best[which][i];
        }
        add_lots(&lots, saturated(which == 0 ? change : -change));
    }
    return is_flow ? lots : 0;
}

/* What the book that stands brings to every tick. */
static void book_brings(const struct shape *shape, double *brought)
{
    double top_bid = (double)shape->top.bid.qty, top_ask = (double)shape->top.ask.qty;
    brought[OF_10S_TOP_DEPTH] = (top_bid + top_ask) / 2;
    brought[OF_10S_DEEP_DEPTH] = (shape->depth_10[0] + shape->depth_10[1]) / 2;
    brought[OF_10S_TOP_BID] = top_bid;
    brought[OF_10S_TOP_ASK] = top_ask;
    brought[OF_10S_TICKS] = 1;
    brought[OF_30S_DEPTH_BID] = shape->depth[0];
    brought[OF_30S_DEPTH_ASK] = shape->depth[1];
    brought[OF_30S_TICKS] = 1;
}

static void events_bring(const struct now *now, double *brought)
{
    double added = (double)now->added, cancelled = (double)now->cancelled, traded = (double)now->traded;
    brought[OF_1S_ADDED] = brought[OF_10S_ADDED] = brought[OF_60S_ADDED] = added;
    brought[OF_1S_CANCELLED] = brought[OF_10S_CANCELLED] = brought[OF_60S_CANCELLED] = cancelled;
    brought[OF_1S_TRADED] = brought[OF_10S_TRADED] = brought[OF_60S_TRADED] = traded;
    brought[OF_10S_SIGNED] = (double)now->signed_lots;
    brought[OF_10S_DEPLETED_BID] = (double)now->depleted[0];
    brought[OF_10S_DEPLETED_ASK] = (double)now->depleted[1];
    brought[OF_10S_REQUOTES] = (double)now->requotes;
}

/* The next tick begins, and is quiet until an event comes. */
static void now_clear(struct now *now, double *brought)
{
    now->added = now->cancelled = now->traded = now->lots = now->signed_lots = now->ofi = 0;
    now->changed = now->requotes = now->depleted[0] = now->depleted[1] = now->renewed = 0;
    events_bring(now, brought);
}

static inline double above_0(double by, double quotient)
{
    return by > 0 ? quotient : NAN;
}

static void windows_write(const struct flow *flow, double *out)
{
    const int64_t *of_1s = flow->windows.sum_1s, *of_10s = flow->windows.sum_10s;
    const double *sums = flow->fading;
    pair depth = (pair){sums[OF_10S_TOP_DEPTH], sums[OF_10S_DEEP_DEPTH]} / sums[OF_10S_TICKS];
    pair ofi = (pair){(double)of_1s[LOTS_OFI], (double)of_10s[LOTS_OFI]} / depth[0];
    pair deep = (pair){(double)of_1s[LOTS_OFI_DEEP], (double)of_10s[LOTS_OFI_DEEP]} / depth[1];
    pair volume = {(double)of_1s[LOTS_VOLUME], (double)of_10s[LOTS_VOLUME]};
    pair imbalance = (pair){(double)of_1s[LOTS_SOLD_BOUGHT], (double)of_10s[LOTS_SOLD_BOUGHT]} / volume;
    out[F_OFI_1S] = above_0(depth[0], ofi[0]);
    out[F_OFI_10S] = above_0(depth[0], ofi[1]);
    out[F_OFI_DEEP_1S] = above_0(depth[1], deep[0]);
    out[F_OFI_DEEP_10S] = above_0(depth[1], deep[1]);
    out[F_TRADE_IMBALANCE_1S] = above_0(volume[0], imbalance[0]);
    out[F_TRADE_IMBALANCE_10S] = above_0(volume[1], imbalance[1]);
}

/* Trades to orders and cancellations to trades. */
static void ratios_write(const double *sums, double *out)
{
    double traded_1s = sums[OF_1S_TRADED] + 1, traded_10s = sums[OF_10S_TRADED] + 1, traded_60s = sums[OF_60S_TRADED] + 1;
    pair of_1s = (pair){traded_1s, sums[OF_1S_CANCELLED] + 1} /
                 (pair){sums[OF_1S_ADDED] + sums[OF_1S_CANCELLED] + 10, traded_1s};
    pair of_10s = (pair){traded_10s, sums[OF_10S_CANCELLED] + 1} /
                  (pair){sums[OF_10S_ADDED] + sums[OF_10S_CANCELLED] + 10, traded_10s};
    pair of_60s = (pair){traded_60s, sums[OF_60S_CANCELLED] + 1} /
                  (pair){sums[OF_60S_ADDED] + sums[OF_60S_CANCELLED] + 10, traded_60s};
    out[F_TRADE_TO_ORDER_1S] = of_1s[0];
    out[F_TRADE_TO_ORDER] = of_10s[0];
    out[F_TRADE_TO_ORDER_60S] = of_60s[0];
    out[F_CANCEL_TO_TRADE_1S] = of_1s[1];
    out[F_CANCEL_TO_TRADE_10S] = of_10s[1];
    out[F_CANCEL_TO_TRADE_60S] = of_60s[1];
}

static void rates_write(const struct flow *flow, double *out)
{
    const double *sums = flow->fading;
    /* Seconds that the sums of half-life 10 s hold; NaN, and so null, before they hold enough. */
    bool enough = flow->ticks >= RATE_TICKS_MIN;
    double seconds = enough ? sums[OF_10S_TICKS] * TICK_S : NAN;
    for (int i = 0; i < 4; i++)
        out[F_ADD_RATE + i] = sums[OF_10S_ADDED + i] / seconds;
    pair depth = (pair){sums[OF_10S_TOP_BID], sums[OF_10S_TOP_ASK]} * TICK_S;
    pair depleted = (pair){sums[OF_10S_DEPLETED_BID], sums[OF_10S_DEPLETED_ASK]} / depth;
    out[F_QUEUE_DEPLETION_BID] = enough ? above_0(depth[0], depleted[0]) : NAN;
    out[F_QUEUE_DEPLETION_ASK] = enough ? above_0(depth[1], depleted[1]) : NAN;
    out[F_QUOTE_LIFETIME_S] = 2 * seconds / (sums[OF_10S_REQUOTES] + 1);
}

/* A copy in pieces: of a larger one the compiler makes a string instruction, which costs more than all of it. */
static inline void copy(double *restrict out, const double *restrict from, int count)
{
    for (; count >= 8; count -= 8, out += 8, from += 8)
        memcpy(out, from, 8 * sizeof *out);
    memcpy(out, from, (size_t)count * sizeof *out);
}

void flow_tick(struct flow *flow, struct now *now, struct shape *shape, bool is_whole, double *out)
{
    int64_t lots[WINDOWS] = {0};
    uint32_t at = (uint32_t)(flow->ticks % TICKS_60S);
    if (shape->is_fresh) { /* without an event none of this changes */
        lots[LOTS_OFI] = now->ofi;
        lots[LOTS_OFI_DEEP] = deep_change(flow, shape, is_whole && !now->renewed);
        lots[LOTS_SOLD_BOUGHT] = now->signed_lots;
        lots[LOTS_VOLUME] = now->lots;
        events_bring(now, shape->brought);
        book_brings(shape, shape->brought);
    }
    windows_push(&flow->windows, at % TICKS_10S, lots);
    resilience_brings(flow, now, shape, shape->brought);
    moves_bring(flow, now, shape, shape->brought);
    fade(flow->fading, shape->brought, KEEP, FADING_COUNT);
    moves_write(flow, shape, out);
    flow->log_mid[flow->ticks % MIDS_RING] = shape->log_mid;
    flow->ticks++;
    copy(out, shape->values, BOOK_FEATURES);
    copy(out + SHAPE_FIRST, shape->values + SHAPE_FIRST, SHAPE_FEATURES);
    copy(out + COUNTED_FIRST, shape->values + COUNTED_FIRST, COUNTED_FEATURES);
    windows_write(flow, out);
    ratios_write(flow->fading, out);
    rates_write(flow, out);
    resilience_write(flow, out);
    if (shape->is_fresh)
        now_clear(now, shape->brought);
}
