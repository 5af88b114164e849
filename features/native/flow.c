/* The closing of a tick: what it brings goes into the windows, and features are read from them. */
#include "features.h"

#include <string.h>

#define RATE_TICKS_MIN 100 /* one half-life */

/* 2^(-0.1 s / half-life) */
static const double KEEP_1S = 0.9330329915368074;
static const double KEEP_10S = 0.9930924954370359;
static const double KEEP_30S = 0.9976921765270234;
static const double KEEP_60S = 0.9988454217380301;

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
    flow->last_event_ns = -1;
    flow->renewed = 1;
    squares_init(&flow->squares);
}

static void ask_for(const void *from, size_t size)
{
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch((const char *)from + at, 1);
}

void flow_prefetch(const struct flow *flow, const struct shape *shape)
{
    const struct window *windows[] = {&flow->ofi, &flow->ofi_deep, &flow->sold_bought, &flow->volume};
    int64_t ticks = flow->ticks;
    ask_for(flow, offsetof(struct flow, buckets));
    ask_for(shape, offsetof(struct shape, best));
    ask_for(shape->values, sizeof shape->values);
    for (int i = 0; i < 4; i++) {
        __builtin_prefetch(&windows[i]->sum_1s, 1);
        __builtin_prefetch(&windows[i]->ring[ticks % TICKS_10S], 1);
        __builtin_prefetch(&windows[i]->ring[(ticks + TICKS_10S - TICKS_1S) % TICKS_10S]);
    }
    __builtin_prefetch(&flow->log_mid[ticks % MIDS_RING], 1);
    __builtin_prefetch(&flow->log_mid[(ticks + MIDS_RING - TICKS_1S) % MIDS_RING]);
    __builtin_prefetch(&flow->squares.ring[ticks % TICKS_60S], 1);
    __builtin_prefetch(&flow->squares.known, 1);
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

static void counts_bring(const struct flow *flow, const struct shape *shape, struct brought *brought)
{
    double top_bid = (double)shape->top.bid_qty, top_ask = (double)shape->top.ask_qty;
    double added = (double)flow->added, cancelled = (double)flow->cancelled, traded = (double)flow->traded;
    brought->of_1s[OF_1S_ADDED] = brought->of_10s[OF_10S_ADDED] = brought->of_60s[OF_60S_ADDED] = added;
    brought->of_1s[OF_1S_CANCELLED] = brought->of_10s[OF_10S_CANCELLED] = brought->of_60s[OF_60S_CANCELLED] = cancelled;
    brought->of_1s[OF_1S_TRADED] = brought->of_10s[OF_10S_TRADED] = brought->of_60s[OF_60S_TRADED] = traded;
    brought->of_10s[OF_10S_SIGNED] = (double)flow->signed_lots;
    brought->of_10s[OF_10S_TOP_DEPTH] = (top_bid + top_ask) / 2;
    brought->of_10s[OF_10S_DEEP_DEPTH] = (shape->depth_10[0] + shape->depth_10[1]) / 2;
    brought->of_10s[OF_10S_TOP_BID] = top_bid;
    brought->of_10s[OF_10S_TOP_ASK] = top_ask;
    brought->of_10s[OF_10S_DEPLETED_BID] = (double)flow->depleted[0];
    brought->of_10s[OF_10S_DEPLETED_ASK] = (double)flow->depleted[1];
    brought->of_10s[OF_10S_REQUOTES] = (double)flow->requotes;
    brought->of_10s[OF_10S_TICKS] = 1;
    brought->of_30s[OF_30S_DEPTH_BID] = shape->depth[0];
    brought->of_30s[OF_30S_DEPTH_ASK] = shape->depth[1];
    brought->of_30s[OF_30S_TICKS] = 1;
}

static double part(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static void flow_write(const struct flow *flow, double *out)
{
    const double *of_1s = flow->of_1s, *of_10s = flow->of_10s, *of_60s = flow->of_60s;
    /* Seconds that the sums of half-life 10 s hold; NaN, and so null, before they hold enough. */
    double seconds = flow->ticks < RATE_TICKS_MIN ? NAN : of_10s[OF_10S_TICKS] * TICK_S;
    double depth = of_10s[OF_10S_TOP_DEPTH] / of_10s[OF_10S_TICKS];
    double deep = of_10s[OF_10S_DEEP_DEPTH] / of_10s[OF_10S_TICKS];
    out[F_OFI_1S] = part((double)flow->ofi.sum_1s, depth);
    out[F_OFI_10S] = part((double)flow->ofi.sum_10s, depth);
    out[F_OFI_DEEP_1S] = part((double)flow->ofi_deep.sum_1s, deep);
    out[F_OFI_DEEP_10S] = part((double)flow->ofi_deep.sum_10s, deep);
    out[F_TRADE_IMBALANCE_1S] = part((double)flow->sold_bought.sum_1s, (double)flow->volume.sum_1s);
    out[F_TRADE_IMBALANCE_10S] = part((double)flow->sold_bought.sum_10s, (double)flow->volume.sum_10s);
    out[F_TRADE_TO_ORDER_1S] = (of_1s[OF_1S_TRADED] + 1) / (of_1s[OF_1S_ADDED] + of_1s[OF_1S_CANCELLED] + 10);
    out[F_TRADE_TO_ORDER] = (of_10s[OF_10S_TRADED] + 1) / (of_10s[OF_10S_ADDED] + of_10s[OF_10S_CANCELLED] + 10);
    out[F_TRADE_TO_ORDER_60S] = (of_60s[OF_60S_TRADED] + 1) / (of_60s[OF_60S_ADDED] + of_60s[OF_60S_CANCELLED] + 10);
    out[F_CANCEL_TO_TRADE_1S] = (of_1s[OF_1S_CANCELLED] + 1) / (of_1s[OF_1S_TRADED] + 1);
    out[F_CANCEL_TO_TRADE_10S] = (of_10s[OF_10S_CANCELLED] + 1) / (of_10s[OF_10S_TRADED] + 1);
    out[F_CANCEL_TO_TRADE_60S] = (of_60s[OF_60S_CANCELLED] + 1) / (of_60s[OF_60S_TRADED] + 1);
    out[F_ADD_RATE] = of_10s[OF_10S_ADDED] / seconds;
    out[F_CANCEL_RATE] = of_10s[OF_10S_CANCELLED] / seconds;
    out[F_TRADE_RATE] = of_10s[OF_10S_TRADED] / seconds;
    out[F_SIGNED_TRADE_RATE] = of_10s[OF_10S_SIGNED] / seconds;
    out[F_QUEUE_DEPLETION_BID] = out[F_QUEUE_DEPLETION_ASK] = NAN;
    if (flow->ticks >= RATE_TICKS_MIN) {
        out[F_QUEUE_DEPLETION_BID] = part(of_10s[OF_10S_DEPLETED_BID], of_10s[OF_10S_TOP_BID] * TICK_S);
        out[F_QUEUE_DEPLETION_ASK] = part(of_10s[OF_10S_DEPLETED_ASK], of_10s[OF_10S_TOP_ASK] * TICK_S);
    }
    out[F_QUOTE_LIFETIME_S] = 2 * seconds / (of_10s[OF_10S_REQUOTES] + 1);
}

void flow_tick(struct flow *flow, const struct shape *shape, const struct closing *closing, double *out)
{
    int64_t ticks = flow->ticks;
    struct brought brought = {0};
    bool is_flow = closing->is_whole && !flow->renewed;
    window_push(&flow->ofi, ticks, flow->ofi_now);
    window_push(&flow->ofi_deep, ticks, shape->is_fresh ? deep_change(flow, shape, is_flow) : 0);
    window_push(&flow->sold_bought, ticks, flow->signed_lots);
    window_push(&flow->volume, ticks, flow->lots);
    counts_bring(flow, shape, &brought);
    resilience_brings(flow, shape, &brought);
    moves_bring(flow, shape, closing, &brought);
    fade(flow->of_1s, brought.of_1s, OF_1S_COUNT, KEEP_1S);
    fade(flow->of_10s, brought.of_10s, OF_10S_COUNT, KEEP_10S);
    fade(flow->of_30s, brought.of_30s, OF_30S_COUNT, KEEP_30S);
    fade(flow->of_60s, brought.of_60s, OF_60S_COUNT, KEEP_60S);
    moves_write(flow, shape, out);
    flow->log_mid[ticks % MIDS_RING] = shape->log_mid;
    flow->ticks++;
    memcpy(out, shape->values, BOOK_FEATURES * sizeof *out);
    memcpy(out + SHAPE_FIRST, shape->values + SHAPE_FIRST, SHAPE_FEATURES * sizeof *out);
    memcpy(out + COUNTED_FIRST, shape->values + COUNTED_FIRST, COUNTED_FEATURES * sizeof *out);
    flow_write(flow, out);
    resilience_write(flow, out);
    flow->added = flow->cancelled = flow->traded = flow->lots = flow->signed_lots = flow->ofi_now = 0;
    flow->changed = flow->requotes = flow->depleted[0] = flow->depleted[1] = flow->renewed = 0;
}
