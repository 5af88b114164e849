/* What events and ticks add to the rolling state, and the features that are read from it. */
#include "features.h"

#include <string.h>

#define RETURNS_MIN 100
#define RATE_TICKS_MIN 100 /* one half-life */

/* 2^(-0.1 s / half-life) */
static const double KEEP_10S = 0.9930924954370359;
static const double KEEP_30S = 0.9976921765270234;
static const double KEEP_60S = 0.9988454217380301;

void flow_init(struct flow *flow)
{
    memset(flow, 0, sizeof *flow);
    for (int i = 0; i < MIDS_RING; i++)
        flow->log_mid[i] = NAN;
    squares_init(&flow->squares);
}

void flow_prefetch(const struct flow *flow)
{
    __builtin_prefetch(&flow->ofi.sum_1s);
    __builtin_prefetch(flow->of_10s);
    __builtin_prefetch(&flow->log_mid[(flow->ticks + MIDS_RING - TICKS_1S) % MIDS_RING]);
    __builtin_prefetch(&flow->squares.ring[flow->ticks % TICKS_60S]);
}

/* Cont, Kukanov, Stoikov 2014: what the change adds to the bid less what it adds to the ask. An empty side stands at the
 * worst price with nothing in it. */
void flow_book_changed(struct flow *flow, const struct top *before, const struct top *after)
{
    __int128 change = 0;
    if (after->bid_qty && (!before->bid_qty || after->bid_price >= before->bid_price))
        change += after->bid_qty;
    if (before->bid_qty && (!after->bid_qty || after->bid_price <= before->bid_price))
        change -= before->bid_qty;
    if (after->ask_qty && (!before->ask_qty || after->ask_price <= before->ask_price))
        change -= after->ask_qty;
    if (before->ask_qty && (!after->ask_qty || after->ask_price >= before->ask_price))
        change += before->ask_qty;
    add_lots(&flow->ofi_now, change);
}

void flow_traded(struct flow *flow, int side, int64_t qty)
{
    flow->traded++;
    add_lots(&flow->signed_lots, side > 0 ? -qty : side < 0 ? qty : 0);
}

static void advance(struct flow *flow, const struct shape *shape)
{
    const double of_10s[OF_10S_COUNT] = {
        [OF_10S_ADDED] = (double)flow->added,
        [OF_10S_CANCELLED] = (double)flow->cancelled,
        [OF_10S_TRADED] = (double)flow->traded,
        [OF_10S_SIGNED] = (double)flow->signed_lots,
        [OF_10S_TOP_DEPTH] = ((double)shape->top.bid_qty + (double)shape->top.ask_qty) / 2,
        [OF_10S_TICKS] = 1,
    };
    const double of_30s[OF_30S_COUNT] = {shape->depth[0], shape->depth[1], 1};
    double of_60s[OF_60S_COUNT] = {0};
    resilience_tick(flow, shape, of_60s);
    fade(flow->of_10s, of_10s, OF_10S_COUNT, KEEP_10S);
    fade(flow->of_30s, of_30s, OF_30S_COUNT, KEEP_30S);
    fade(flow->of_60s, of_60s, OF_60S_COUNT, KEEP_60S);
    window_push(&flow->ofi, flow->ticks, flow->ofi_now);
    flow->added = flow->cancelled = flow->traded = flow->signed_lots = flow->ofi_now = 0;
}

static void moves(struct flow *flow, const struct shape *shape, double *out)
{
    int64_t ticks = flow->ticks;
    double before_1s = flow->log_mid[(ticks + MIDS_RING - TICKS_1S) % MIDS_RING];
    double before_10s = flow->log_mid[(ticks + MIDS_RING - TICKS_10S) % MIDS_RING];
    double step = shape->log_mid - before_1s;
    flow->log_mid[ticks % MIDS_RING] = shape->log_mid;
    squares_push(&flow->squares, ticks, step * step);
    out[F_MID_RETURN_1S_BPS] = 1e4 * step;
    out[F_MID_RETURN_10S_BPS] = 1e4 * (shape->log_mid - before_10s);
    /* Mean squared 1 s return, times 60 s: ten offset grids of 60 returns each when the window is full. */
    const struct squares *squares = &flow->squares;
    out[F_REALISED_VOL_60S] =
        squares->known < RETURNS_MIN ? NAN : 1e4 * sqrt(squares->sum / (double)squares->known * 60.0);
}

void flow_tick(struct flow *flow, const struct shape *shape, double *out)
{
    memcpy(out, shape->values, BOOK_FEATURES * sizeof *out);
    advance(flow, shape);
    moves(flow, shape, out);
    flow->ticks++;
    const double *of_10s = flow->of_10s;
    /* Seconds that the sums of half-life 10 s hold; NaN, and so null, before they hold enough. */
    double seconds = flow->ticks < RATE_TICKS_MIN ? NAN : of_10s[OF_10S_TICKS] * TICK_S;
    double depth = of_10s[OF_10S_TOP_DEPTH] / of_10s[OF_10S_TICKS];
    out[F_OFI_1S] = depth > 0 ? (double)flow->ofi.sum_1s / depth : NAN;
    out[F_OFI_10S] = depth > 0 ? (double)flow->ofi.sum_10s / depth : NAN;
    out[F_TRADE_TO_ORDER] = (of_10s[OF_10S_TRADED] + 1) / (of_10s[OF_10S_ADDED] + of_10s[OF_10S_CANCELLED] + 10);
    out[F_ADD_RATE] = of_10s[OF_10S_ADDED] / seconds;
    out[F_CANCEL_RATE] = of_10s[OF_10S_CANCELLED] / seconds;
    out[F_TRADE_RATE] = of_10s[OF_10S_TRADED] / seconds;
    out[F_SIGNED_TRADE_RATE] = of_10s[OF_10S_SIGNED] / seconds;
    out[F_LIQUIDITY_DECAY_S] = flow->ticks < TICKS_60S ? NAN
                                                       : 0.69314718055994531 * (flow->of_60s[OF_60S_AT_RISK_S] + 1) /
                                                             (flow->of_60s[OF_60S_RECOVERIES] + 1);
}
