#include "features.h"

#include <math.h>
#include <string.h>

#define TICK_S 0.1
#define SHOCK_DEPTH_MAX 0.8 /* a shock leaves less than this part of the usual depth */
#define RECOVERED_PART 0.5
#define PRESSURE_LEVELS 10
#define PRESSURE_DECAY 0.5 /* per tick of distance */
#define RETURNS_MIN 100
#define RATE_TICKS_MIN 100 /* one half-life */

/* 2^(-0.1 s / half-life) */
static const double DECAY_10S = 0.9930924954370359;
static const double DECAY_30S = 0.9976921765270234;
static const double DECAY_60S = 0.9988454217380301;

void flow_init(struct flow *flow)
{
    memset(flow, 0, sizeof *flow);
    for (int i = 0; i < MIDS_RING; i++)
        flow->log_mid[i] = NAN;
    for (int i = 0; i < TICKS_60S; i++)
        flow->squared[i] = NAN;
}

struct top top_of(const struct book *book)
{
    const struct level *bid = book_best(book, 1), *ask = book_best(book, -1);
    return (struct top){
        .bid_price = bid ? bid->price : 0,
        .bid_qty = bid ? bid->qty : 0,
        .ask_price = ask ? ask->price : 0,
        .ask_qty = ask ? ask->qty : 0,
    };
}

static void add_saturated(int64_t *sum, int64_t value)
{
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = value > 0 ? INT64_MAX : INT64_MIN;
}

/* Cont, Kukanov, Stoikov 2014: what the change adds to the bid less what it adds to the ask. An empty side stands at the
 * worst price with nothing in it. */
void flow_book_changed(struct flow *flow, const struct top *before, const struct top *after)
{
    if (after->bid_qty && (!before->bid_qty || after->bid_price >= before->bid_price))
        add_saturated(&flow->ofi_now, after->bid_qty);
    if (before->bid_qty && (!after->bid_qty || after->bid_price <= before->bid_price))
        add_saturated(&flow->ofi_now, -before->bid_qty);
    if (after->ask_qty && (!before->ask_qty || after->ask_price <= before->ask_price))
        add_saturated(&flow->ofi_now, -after->ask_qty);
    if (before->ask_qty && (!after->ask_qty || after->ask_price >= before->ask_price))
        add_saturated(&flow->ofi_now, before->ask_qty);
}

void flow_traded(struct flow *flow, int side, int64_t qty)
{
    flow->traded++;
    add_saturated(&flow->signed_lots, side > 0 ? -qty : side < 0 ? qty : 0);
}

static double ratio(double a, double b)
{
    return a + b > 0 ? (a - b) / (a + b) : NAN;
}

static double ofi_over(const struct flow *flow, int ticks)
{
    double depth = flow->top_depth_weight > 0 ? flow->top_depth_ew / flow->top_depth_weight : 0;
    if (depth <= 0)
        return NAN;
    double sum = 0; /* of integers below 2^53 in any market: exact */
    for (int i = 0; i < ticks && i < flow->ticks; i++)
        sum += (double)flow->ofi[(flow->ticks - 1 - i) % TICKS_10S];
    return sum / depth;
}

/* Distance from the mid of the nearest level: its weight is factored out, lest a wide spread make all of them 0. */
static double nearest_of(const struct book *book, double mid)
{
    double nearest = INFINITY;
    for (int which = 0; which < 2; which++) {
        const struct side *side = &book->sides[which];
        for (uint32_t i = 0; i < PRESSURE_LEVELS && i < side->count; i++)
            nearest = fmin(nearest, fabs((double)side->levels[side->count - 1 - i].price - mid));
    }
    return nearest;
}

static double pressure(const struct book *book, double mid, int64_t tick_size)
{
    double sums[2] = {0, 0}, nearest = nearest_of(book, mid);
    for (int which = 0; which < 2; which++) {
        const struct side *side = &book->sides[which];
        for (uint32_t i = 0; i < PRESSURE_LEVELS && i < side->count; i++) {
            const struct level *level = &side->levels[side->count - 1 - i];
            double distance = (fabs((double)level->price - mid) - nearest) / (double)tick_size;
            sums[which] += exp(-PRESSURE_DECAY * distance) * (double)level->qty;
        }
    }
    return ratio(sums[0], sums[1]);
}

/* One side's part of the resiliency estimate: open, follow or close a shock. */
static void follow_shock(struct flow *flow, int which, double depth)
{
    double usual = flow->depth_weight[which] > 0 ? flow->depth_ew[which] / flow->depth_weight[which] : 0;
    if (flow->shock_from[which] > 0) {
        flow->at_risk_s += TICK_S;
        flow->shock_low[which] = fmin(flow->shock_low[which], depth);
        double target = flow->shock_low[which] + RECOVERED_PART * (flow->shock_from[which] - flow->shock_low[which]);
        if (depth >= target && depth > flow->shock_low[which]) {
            flow->recoveries += 1;
            flow->shock_from[which] = 0;
        }
    }
    if (flow->hit[which] && depth < SHOCK_DEPTH_MAX * usual) { /* a new shock censors an open one */
        flow->shock_from[which] = usual;
        flow->shock_low[which] = depth;
    }
    flow->hit[which] = 0;
    flow->depth_ew[which] = flow->depth_ew[which] * DECAY_30S + depth;
    flow->depth_weight[which] = flow->depth_weight[which] * DECAY_30S + 1;
}

static double realised_vol(const struct flow *flow)
{
    double sum = 0;
    int count = 0;
    for (int i = 0; i < TICKS_60S; i++)
        if (!isnan(flow->squared[i])) {
            sum += flow->squared[i];
            count++;
        }
    if (count < RETURNS_MIN)
        return NAN;
    /* Mean squared 1 s return, times 60 s: ten offset grids of 60 returns each when the window is full. */
    return 1e4 * sqrt(sum / count * 60.0);
}

static void advance(struct flow *flow, const struct top *top)
{
    flow->add_ew = flow->add_ew * DECAY_10S + (double)flow->added;
    flow->cancel_ew = flow->cancel_ew * DECAY_10S + (double)flow->cancelled;
    flow->trade_ew = flow->trade_ew * DECAY_10S + (double)flow->traded;
    flow->signed_ew = flow->signed_ew * DECAY_10S + (double)flow->signed_lots;
    flow->at_risk_s *= DECAY_60S;
    flow->recoveries *= DECAY_60S;
    double depth = ((double)top->bid_qty + (double)top->ask_qty) / 2;
    flow->top_depth_ew = flow->top_depth_ew * DECAY_10S + depth;
    flow->top_depth_weight = flow->top_depth_weight * DECAY_10S + 1;
    flow->ofi[flow->ticks % TICKS_10S] = flow->ofi_now;
    flow->added = flow->cancelled = flow->traded = flow->signed_lots = flow->ofi_now = 0;
}

static void prices(struct flow *flow, const struct top *top, int64_t tick_size, double *out)
{
    bool both = top->bid_qty && top->ask_qty;
    double mid = ((double)top->bid_price + (double)top->ask_price) / 2;
    double spread = (double)(top->ask_price - top->bid_price);
    double log_mid = both && mid > 0 ? log(mid) : NAN;
    double before_1s = flow->log_mid[(flow->ticks + MIDS_RING - TICKS_1S) % MIDS_RING];
    double before_10s = flow->log_mid[(flow->ticks + MIDS_RING - TICKS_10S) % MIDS_RING];
    double step = log_mid - before_1s;
    flow->squared[flow->ticks % TICKS_60S] = step * step;
    flow->log_mid[flow->ticks % MIDS_RING] = log_mid;
    out[F_SPREAD_BPS] = both && mid > 0 ? 1e4 * spread / mid : NAN;
    out[F_SPREAD_TICKS] = both && tick_size > 0 ? spread / (double)tick_size : NAN;
    out[F_MID_RETURN_1S_BPS] = 1e4 * step;
    out[F_MID_RETURN_10S_BPS] = 1e4 * (log_mid - before_10s);
}

void flow_tick(struct flow *flow, const struct book *book, int64_t tick_size, double *out)
{
    struct top top = top_of(book);
    double mid = ((double)top.bid_price + (double)top.ask_price) / 2;
    double depth_bid = (double)book_depth(book, 1, 5), depth_ask = (double)book_depth(book, -1, 5);
    advance(flow, &top);
    prices(flow, &top, tick_size, out);
    follow_shock(flow, 0, depth_bid);
    follow_shock(flow, 1, depth_ask);
    flow->ticks++;
    /* Seconds that the averages of half-life 10 s hold; NaN, and so null, before they hold enough. */
    double weight_s = flow->ticks < RATE_TICKS_MIN ? NAN : flow->top_depth_weight * TICK_S;
    out[F_BID_QTY_TOP] = (double)top.bid_qty;
    out[F_ASK_QTY_TOP] = (double)top.ask_qty;
    out[F_DEPTH_BID_5] = depth_bid;
    out[F_DEPTH_ASK_5] = depth_ask;
    out[F_DEPTH_TOTAL_10] = (double)book_depth(book, 1, 10) + (double)book_depth(book, -1, 10);
    out[F_IMBALANCE_L1] = ratio((double)top.bid_qty, (double)top.ask_qty);
    out[F_IMBALANCE_L5] = ratio(depth_bid, depth_ask);
    out[F_BOOK_PRESSURE] = top.bid_qty && top.ask_qty && tick_size > 0 ? pressure(book, mid, tick_size) : NAN;
    out[F_OFI_1S] = ofi_over(flow, TICKS_1S);
    out[F_OFI_10S] = ofi_over(flow, TICKS_10S);
    out[F_TRADE_TO_ORDER] = (flow->trade_ew + 1) / (flow->add_ew + flow->cancel_ew + 10);
    out[F_ADD_RATE] = flow->add_ew / weight_s;
    out[F_CANCEL_RATE] = flow->cancel_ew / weight_s;
    out[F_TRADE_RATE] = flow->trade_ew / weight_s;
    out[F_SIGNED_TRADE_RATE] = flow->signed_ew / weight_s;
    out[F_LIQUIDITY_DECAY_S] =
        flow->ticks < TICKS_60S ? NAN : 0.69314718055994531 * (flow->at_risk_s + 1) / (flow->recoveries + 1);
    out[F_REALISED_VOL_60S] = realised_vol(flow);
}
