/* The features of one instrument: what the book shows now, and rolling state with one update per event and per tick.
 *
 * Invariants: every window is an exponential average (a contraction: errors die out), a ring of integers, or terms summed
 * anew; nothing is added and later subtracted in floating point, so nothing drifts. What depends on the book alone is
 * worked out again only after an event, which gives the same bits as doing it at each tick. The order of `enum feature`
 * is that of features/spec.py (a test compares the two).
 */
#ifndef TIDEGATE_FEATURES_H
#define TIDEGATE_FEATURES_H

#include "book.h"
#include "windows.h"

enum feature {
    F_SPREAD_BPS, /* of the book alone: F_SPREAD_BPS to F_BOOK_PRESSURE */
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

#define BOOK_FEATURES (F_BOOK_PRESSURE + 1)
#define MIDS_RING (TICKS_10S + 1)
#define TICK_S 0.1

/* Fading sums by half-life; each line of an enum is one sum. */
enum { OF_10S_ADDED, OF_10S_CANCELLED, OF_10S_TRADED, OF_10S_SIGNED, OF_10S_TOP_DEPTH, OF_10S_TICKS, OF_10S_COUNT };
enum { OF_30S_DEPTH_BID, OF_30S_DEPTH_ASK, OF_30S_TICKS, OF_30S_COUNT };
enum { OF_60S_AT_RISK_S, OF_60S_RECOVERIES, OF_60S_COUNT };

/* Plain data: a snapshot copies it byte for byte. What the running tick holds stands first: events touch nothing else. */
struct flow {
    int64_t added, cancelled, traded, signed_lots, ofi_now;
    int64_t hit[2]; /* best level emptied by a trade in the running tick */
    int64_t ticks;  /* ticks closed */
    struct window ofi;
    double of_10s[OF_10S_COUNT], of_30s[OF_30S_COUNT], of_60s[OF_60S_COUNT];
    double shock_from[2], shock_low[2]; /* open shock: depth before, lowest since; from = 0: none */
    double log_mid[MIDS_RING];          /* NaN where there was no mid */
    struct squares squares;             /* squared 1 s returns */
};

/* Best levels; qty 0: the side is empty. */
struct top {
    int64_t bid_price, bid_qty, ask_price, ask_qty;
};

/* What the book shows at a tick's end; not in snapshots, for it follows from the book. */
struct shape {
    struct top top;
    double mid, log_mid;  /* 1e-9 currency; 0 and NaN without a side */
    double depth[2];      /* lots within 5 levels */
    double values[BOOK_FEATURES];
    bool is_due;          /* an event came since */
};

void flow_init(struct flow *flow);

static inline struct top top_of(const struct book *book)
{
    const struct level *bid = book_best(book, 1), *ask = book_best(book, -1);
    return (struct top){
        .bid_price = bid ? bid->price : 0,
        .bid_qty = bid ? bid->qty : 0,
        .ask_price = ask ? ask->price : 0,
        .ask_qty = ask ? ask->qty : 0,
    };
}

/* Ask for the memory that the closing of a tick will touch. */
void flow_prefetch(const struct flow *flow);

/* Account for one book change. */
void flow_book_changed(struct flow *flow, const struct top *before, const struct top *after);

/* Account for one trade of `qty` lots against resting side `side`. */
void flow_traded(struct flow *flow, int side, int64_t qty);

/* Read the book. `tick_size` 0 = not defined. */
void shape_update(struct shape *shape, const struct book *book, int64_t tick_size);

/* Close a tick: advance every window and write FEATURE_COUNT values; NaN = null. */
void flow_tick(struct flow *flow, const struct shape *shape, double *out);

/* Follow shocks and recoveries of the depth over one tick that closes; see liquidity_decay_s. */
void resilience_tick(struct flow *flow, const struct shape *shape, double brought[OF_60S_COUNT]);

#endif
