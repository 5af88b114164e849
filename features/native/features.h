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
    F_SPREAD_BPS, /* of the book alone: up to F_BOOK_PRESSURE */
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
    F_MICROPRICE_BPS, /* of the book and the standard clip alone: up to F_SELL_COST_BPS */
    F_IMBALANCE_L2,
    F_IMBALANCE_L3,
    F_IMBALANCE_L4,
    F_IMBALANCE_L6,
    F_IMBALANCE_L7,
    F_IMBALANCE_L8,
    F_IMBALANCE_L9,
    F_IMBALANCE_L10,
    F_BOOK_PRESSURE_SLOW,
    F_BOOK_PRESSURE_INVERSE,
    F_DEPTH_BID_5BP,
    F_DEPTH_ASK_5BP,
    F_DEPTH_BID_10BP,
    F_DEPTH_ASK_10BP,
    F_DEPTH_BID_25BP,
    F_DEPTH_ASK_25BP,
    F_BOOK_SLOPE_BID,
    F_BOOK_SLOPE_ASK,
    F_BUY_COST_BPS,
    F_SELL_COST_BPS,
    F_OFI_DEEP_1S,
    F_OFI_DEEP_10S,
    F_TRADE_IMBALANCE_1S,
    F_TRADE_IMBALANCE_10S,
    F_TRADE_TO_ORDER_1S,
    F_TRADE_TO_ORDER_60S,
    F_CANCEL_TO_TRADE_1S,
    F_CANCEL_TO_TRADE_10S,
    F_CANCEL_TO_TRADE_60S,
    F_QUEUE_DEPLETION_BID,
    F_QUEUE_DEPLETION_ASK,
    F_LIQUIDITY_DECAY_EVENTS,
    F_QUOTE_LIFETIME_S,
    F_BURSTINESS,
    F_VPIN,
    F_JUMP_SHARE,
    F_VOL_RATIO,
    F_KYLE_LAMBDA,
    F_AMIHUD,
    F_MID_RUN,
    F_LEAD_CORRELATION,
    F_FIRST_FACTOR_SHARE,
    F_SENTIMENT_EW, /* of signals: the kernel writes what holds without any, features/signals.py the rest */
    F_HEADLINE_RATE,
    F_OWN_FILL_RATIO,
    FEATURE_COUNT
};

#define BOOK_FEATURES (F_BOOK_PRESSURE + 1)
#define SHAPE_FIRST F_MICROPRICE_BPS
#define SHAPE_FEATURES (F_SELL_COST_BPS + 1 - F_MICROPRICE_BPS)
#define COUNTED_FIRST F_BURSTINESS /* of what came since the start, by its count and not by ticks: burstiness and VPIN */
#define COUNTED_FEATURES (F_VPIN + 1 - F_BURSTINESS)
#define BEST_LEVELS 10
#define CLIP_TRADES 10.0 /* the standard clip, in mean trades */
#define MIDS_RING (TICKS_10S + 1)
#define TICK_S 0.1

#define BUCKETS 50
#define SECONDS 60

/* Fading sums by half-life. */
enum { OF_1S_ADDED, OF_1S_CANCELLED, OF_1S_TRADED, OF_1S_COUNT };
enum {
    OF_10S_ADDED,
    OF_10S_CANCELLED,
    OF_10S_TRADED,
    OF_10S_SIGNED,
    OF_10S_TOP_DEPTH, /* mean of the two best sizes */
    OF_10S_DEEP_DEPTH, /* mean of the sides' lots within 10 levels */
    OF_10S_TOP_BID,
    OF_10S_TOP_ASK,
    OF_10S_DEPLETED_BID,
    OF_10S_DEPLETED_ASK,
    OF_10S_REQUOTES,
    OF_10S_SQUARE, /* of 1 s returns */
    OF_10S_RETURNS,
    OF_10S_TICKS,
    OF_10S_COUNT
};
enum { OF_30S_DEPTH_BID, OF_30S_DEPTH_ASK, OF_30S_TICKS, OF_30S_SQUARE, OF_30S_RETURNS, OF_30S_PAIR, OF_30S_PAIRS, OF_30S_COUNT };
enum {
    OF_60S_ADDED,
    OF_60S_CANCELLED,
    OF_60S_TRADED,
    OF_60S_AT_RISK_S,
    OF_60S_AT_RISK_EVENTS,
    OF_60S_RECOVERIES,
    OF_60S_SQUARE,
    OF_60S_RETURNS,
    OF_60S_MOVE,     /* absolute 1 s returns, bp */
    OF_60S_NOTIONAL, /* traded, 1e6 currency */
    OF_60S_FLOW_MOVE, /* signed 1 s notional times 1 s return */
    OF_60S_FLOW_SQUARE,
    OF_60S_COUNT
};

/* What a closing tick adds to the fading sums. */
struct brought {
    double of_1s[OF_1S_COUNT], of_10s[OF_10S_COUNT], of_30s[OF_30S_COUNT], of_60s[OF_60S_COUNT];
};

/* Volume buckets of VPIN: a trade falls into one bucket whole, which closes at the size that was set when it opened. */
struct buckets {
    double size; /* of the open bucket, lots; 0 before the first trade */
    int64_t lots, signed_lots, closed;
    int64_t ring_lots[BUCKETS], ring_signed[BUCKETS], sum_lots, sum_signed; /* signed: absolute per bucket */
};

/* Plain data: a snapshot copies it byte for byte. What the running tick holds stands first: events touch little else. */
struct flow {
    int64_t added, cancelled, traded, lots, signed_lots, ofi_now;
    int64_t changed, requotes;    /* events; changes of a best price */
    int64_t depleted[2];          /* lots that left the best bid and ask, less those that came */
    int64_t hit[2];               /* best level emptied by a trade in the running tick */
    int64_t renewed;              /* the book was dropped: what it shows now is no flow */
    int64_t last_event_ns;        /* -1: none yet */
    double gaps, gap_squares, gap_weight; /* s between events, half-life 256 events */
    int64_t arrivals;
    double size_sum, size_weight; /* lots and number of trades, half-life 64 trades */
    int64_t ticks;                /* ticks closed */
    double of_1s[OF_1S_COUNT], of_10s[OF_10S_COUNT], of_30s[OF_30S_COUNT], of_60s[OF_60S_COUNT];
    double shock_from[2], shock_low[2]; /* open shock: depth before, lowest since; from = 0: none */
    double step;                        /* 1 s return of the last tick, NaN: none */
    double last_mid;                    /* 1e-9 currency, 0: none yet */
    int64_t run;                        /* moves of the mid in one direction, signed */
    double lead_correlation;
    struct buckets buckets;
    struct window ofi, ofi_deep, sold_bought, volume;
    struct level seen[2][BEST_LEVELS]; /* best levels at the last tick, best first */
    double steps[TICKS_1S];            /* 1 s returns of the last ticks */
    double log_mid[MIDS_RING];         /* NaN where there was no mid */
    double seconds[SECONDS];           /* 1 s returns at whole seconds, by second of event time modulo 60 */
    struct squares squares;            /* squared 1 s returns */
};

/* Best levels; qty 0: the side is empty. */
struct top {
    int64_t bid_price, bid_qty, ask_price, ask_qty;
};

/* Weights of the pressure kernels by whole ticks of distance: `exp` would cost as much as all other features together. */
#define WEIGHTS 256
struct weights {
    double fast[WEIGHTS], slow[WEIGHTS];
};

void weights_init(struct weights *weights);

/* What the book shows at a tick's end; not in snapshots, for it follows from the book. */
struct shape {
    struct top top;
    double mid, log_mid; /* 1e-9 currency; 0 and NaN without a side */
    double depth[2], depth_10[2]; /* lots within 5 and 10 levels, by side */
    struct level best[2][BEST_LEVELS]; /* best first; qty 0 behind the last */
    double values[FEATURE_COUNT];      /* of those features that follow from the book */
    bool is_fresh; /* it was worked out anew for the tick in hand */
};

/* What a reading of the book needs besides: `tick_size` 0 = not defined, `clip` lots, 0 = no trade yet. */
struct reading {
    int64_t tick_size;
    double clip;
    const struct weights *weights;
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
void flow_prefetch(const struct flow *flow, const struct shape *shape);

/* Account for one book change. */
void flow_book_changed(struct flow *flow, const struct top *before, const struct top *after);

/* Account for one trade of `qty` lots against resting side `side`. */
void flow_traded(struct flow *flow, int side, int64_t qty);

/* Account for one event at `ts_ns`. */
void flow_arrived(struct flow *flow, int64_t ts_ns);

/* Write the features that only events change. */
void trades_write(const struct flow *flow, double *out);

void shape_update(struct shape *shape, const struct book *book, const struct reading *reading);

/* Close a tick: advance every window and write all features but those of the channel; NaN = null. `value_per_lot` is in
 * 1e6 currency, NaN without a mid or a definition. `is_whole`: the book can be trusted. */
struct closing {
    double value_per_lot;
    bool is_whole;
};
void flow_tick(struct flow *flow, const struct shape *shape, const struct closing *closing, double *out);

/* The parts of a tick, each in its file: add to what the tick brings; write what follows. */
void resilience_brings(struct flow *flow, const struct shape *shape, struct brought *brought);
void resilience_write(const struct flow *flow, double *out);
void moves_bring(struct flow *flow, const struct shape *shape, const struct closing *closing, struct brought *brought);
void moves_write(const struct flow *flow, const struct shape *shape, double *out);

#endif
