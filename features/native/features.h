/* The features of one instrument: rolling state, one update per event and one reading per tick.
 *
 * Invariants: every window is either an exponential average advanced once a tick (a contraction: errors die out) or a ring
 * of exact integers or of terms summed anew at each tick; nothing is added and later subtracted in floating point, so
 * nothing drifts. The order of `enum feature` is that of features/spec.py (a test compares the two).
 */
#ifndef TIDEGATE_FEATURES_H
#define TIDEGATE_FEATURES_H

#include "book.h"

enum feature {
    F_SPREAD_BPS,
    F_SPREAD_TICKS,
    F_BID_QTY_TOP,
    F_ASK_QTY_TOP,
    F_DEPTH_BID_5,
    F_DEPTH_ASK_5,
    F_DEPTH_TOTAL_10,
    F_IMBALANCE_L1,
    F_IMBALANCE_L5,
    F_BOOK_PRESSURE,
    F_OFI_1S,
    F_OFI_10S,
    F_TRADE_TO_ORDER,
    F_ADD_RATE,
    F_CANCEL_RATE,
    F_TRADE_RATE,
    F_SIGNED_TRADE_RATE,
    F_LIQUIDITY_DECAY_S,
    F_REALISED_VOL_60S,
    F_MID_RETURN_1S_BPS,
    F_MID_RETURN_10S_BPS,
    FEATURE_COUNT
};

#define TICKS_1S 10
#define TICKS_10S 100
#define TICKS_60S 600
#define MIDS_RING (TICKS_10S + 1)

/* Plain data: a snapshot copies it byte for byte. All counts are of the running tick until it closes. */
struct flow {
    int64_t added, cancelled, traded, signed_lots; /* running tick */
    int64_t ofi_now;                               /* running tick, lots */
    int64_t ofi[TICKS_10S];                        /* closed ticks */
    double add_ew, cancel_ew, trade_ew, signed_ew; /* per tick, half-life 10 s */
    double top_depth_ew, top_depth_weight;         /* mean size at the best levels, half-life 10 s */
    double log_mid[MIDS_RING];                     /* NaN where there was no mid */
    double squared[TICKS_60S];                     /* squared 1 s returns, NaN where there was none */
    double depth_ew[2], depth_weight[2];           /* mean depth of 5 levels per side, half-life 30 s */
    double shock_from[2], shock_low[2];            /* open shock: depth before, lowest since; from = 0: none */
    double at_risk_s, recoveries;                  /* half-life 60 s */
    int64_t ticks;                                 /* ticks closed */
    int64_t hit[2];                                /* best level emptied by a trade in the running tick */
};

/* Top of book around one event, for order-flow imbalance. */
struct top {
    int64_t bid_price, bid_qty, ask_price, ask_qty; /* qty 0: the side is empty */
};

void flow_init(struct flow *flow);

struct top top_of(const struct book *book);

/* Account for one book change. */
void flow_book_changed(struct flow *flow, const struct top *before, const struct top *after);

/* Account for one trade of `qty` lots against resting side `side`. */
void flow_traded(struct flow *flow, int side, int64_t qty);

/* Close a tick: advance every window and write FEATURE_COUNT values; NaN = null. `tick_size` 0 = not defined. */
void flow_tick(struct flow *flow, const struct book *book, int64_t tick_size, double *out);

#endif
