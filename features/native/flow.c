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
    [OF_10S_ADDED ... OF_10S_TICKS] = KEEP_10S,
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
    for (int which = 0; which < 2 && is_flow; which++) {
        __int128 change = 0;
        for (int i = 0; i < BEST_LEVELS; i++) {
            const struct level *before = &flow->seen[which][i], *after = &shape->best[which][i];
            int better = (after->qty > 0) - (before->qty > 0);
            if (after->qty && before->qty) {
                better = (after->price > before->price) - (after->price < before->price);
                better = which == 0 ? better : -better;
            }
            change += (better >= 0 ? after->qty : 0) - (__int128)(better <= 0 ? before->qty : 0);
        }
        add_lots(&lots, which == 0 ? change : -change);
    }
    memcpy(flow->seen, shape->best, sizeof flow->seen);
    return lots;
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

/* The next tick begins. */
static void now_clear(struct now *now)
{
    now->added = now->cancelled = now->traded = now->lots = now->signed_lots = now->ofi = 0;
    now->changed = now->requotes = now->depleted[0] = now->depleted[1] = now->renewed = 0;
}

static inline double part(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static void windows_write(const struct flow *flow, double *out)
{
    const int64_t *of_1s = flow->windows.sum_1s, *of_10s = flow->windows.sum_10s;
    double ticks = flow->fading[OF_10S_TICKS];
    double depth = flow->fading[OF_10S_TOP_DEPTH] / ticks, deep = flow->fading[OF_10S_DEEP_DEPTH] / ticks;
    quad lots = {(double)of_1s[LOTS_OFI], (double)of_10s[LOTS_OFI], (double)of_1s[LOTS_OFI_DEEP],
                 (double)of_10s[LOTS_OFI_DEEP]};
    quad parts = lots / (quad){depth, depth, deep, deep};
    out[F_OFI_1S] = depth > 0 ? parts[0] : NAN;
    out[F_OFI_10S] = depth > 0 ? parts[1] : NAN;
    out[F_OFI_DEEP_1S] = deep > 0 ? parts[2] : NAN;
    out[F_OFI_DEEP_10S] = deep > 0 ? parts[3] : NAN;
    out[F_TRADE_IMBALANCE_1S] = part((double)of_1s[LOTS_SOLD_BOUGHT], (double)of_1s[LOTS_VOLUME]);
    out[F_TRADE_IMBALANCE_10S] = part((double)of_10s[LOTS_SOLD_BOUGHT], (double)of_10s[LOTS_VOLUME]);
}

/* Trades to orders and cancellations to trades. */
static void ratios_write(const double *sums, double *out)
{
    double traded_1s = sums[OF_1S_TRADED] + 1, traded_10s = sums[OF_10S_TRADED] + 1, traded_60s = sums[OF_60S_TRADED] + 1;
    quad to_orders = (quad){traded_1s, traded_10s, traded_60s, 0} /
                     (quad){sums[OF_1S_ADDED] + sums[OF_1S_CANCELLED] + 10, sums[OF_10S_ADDED] + sums[OF_10S_CANCELLED] + 10,
                            sums[OF_60S_ADDED] + sums[OF_60S_CANCELLED] + 10, 1};
    quad to_trades = (quad){sums[OF_1S_CANCELLED] + 1, sums[OF_10S_CANCELLED] + 1, sums[OF_60S_CANCELLED] + 1, 0} /
                     (quad){traded_1s, traded_10s, traded_60s, 1};
    out[F_TRADE_TO_ORDER_1S] = to_orders[0];
    out[F_TRADE_TO_ORDER] = to_orders[1];
    out[F_TRADE_TO_ORDER_60S] = to_orders[2];
    out[F_CANCEL_TO_TRADE_1S] = to_trades[0];
    out[F_CANCEL_TO_TRADE_10S] = to_trades[1];
    out[F_CANCEL_TO_TRADE_60S] = to_trades[2];
}

static void rates_write(const struct flow *flow, double *out)
{
    const double *sums = flow->fading;
    /* Seconds that the sums of half-life 10 s hold; NaN, and so null, before they hold enough. */
    double seconds = flow->ticks < RATE_TICKS_MIN ? NAN : sums[OF_10S_TICKS] * TICK_S;
    for (int i = 0; i < 4; i++)
        out[F_ADD_RATE + i] = sums[OF_10S_ADDED + i] / seconds;
    out[F_QUEUE_DEPLETION_BID] = out[F_QUEUE_DEPLETION_ASK] = NAN;
    if (flow->ticks >= RATE_TICKS_MIN) {
        out[F_QUEUE_DEPLETION_BID] = part(sums[OF_10S_DEPLETED_BID], sums[OF_10S_TOP_BID] * TICK_S);
        out[F_QUEUE_DEPLETION_ASK] = part(sums[OF_10S_DEPLETED_ASK], sums[OF_10S_TOP_ASK] * TICK_S);
    }
    out[F_QUOTE_LIFETIME_S] = 2 * seconds / (sums[OF_10S_REQUOTES] + 1);
}

void flow_tick(struct flow *flow, struct now *now, const struct shape *shape, bool is_whole, double *out)
{
    int64_t lots[WINDOWS] = {0};
    double brought[FADING_COUNT] = {0};
    uint32_t at = (uint32_t)(flow->ticks % TICKS_60S);
    if (shape->is_fresh) { /* without an event all of this is 0 */
        lots[LOTS_OFI] = now->ofi;
        lots[LOTS_OFI_DEEP] = deep_change(flow, shape, is_whole && !now->renewed);
        lots[LOTS_SOLD_BOUGHT] = now->signed_lots;
        lots[LOTS_VOLUME] = now->lots;
        events_bring(now, brought);
    }
    windows_push(&flow->windows, at % TICKS_10S, lots);
    book_brings(shape, brought);
    resilience_brings(flow, now, shape, brought);
    moves_bring(flow, now, shape, brought);
    fade(flow->fading, brought, KEEP, FADING_COUNT);
    moves_write(flow, shape, out);
    flow->log_mid[flow->ticks % MIDS_RING] = shape->log_mid;
    flow->ticks++;
    memcpy(out, shape->values, BOOK_FEATURES * sizeof *out);
    memcpy(out + SHAPE_FIRST, shape->values + SHAPE_FIRST, SHAPE_FEATURES * sizeof *out);
    memcpy(out + COUNTED_FIRST, shape->values + COUNTED_FIRST, COUNTED_FEATURES * sizeof *out);
    windows_write(flow, out);
    ratios_write(flow->fading, out);
    rates_write(flow, out);
    resilience_write(flow, out);
    if (shape->is_fresh)
        now_clear(now);
}
