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

/* Two divisions at once take as long as one, and divisions are what a tick takes its time for: they go in pairs, and before
 * it is known whether they count. */
typedef double pair __attribute__((vector_size(16)));

#define BUCKETS 50
#define SECONDS 60

/* Fading sums, by half-life, in one array: a tick lets all of them pass in one loop without branches. The rates' terms of
 * half-life 10 s stand in the order of their features. */
enum fading {
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
    OF_10S_TICKS,
    OF_10S_SQUARE, /* of 1 s returns */
    OF_10S_RETURNS,
    OF_1S_ADDED,
    OF_1S_CANCELLED,
    OF_1S_TRADED,
    OF_30S_DEPTH_BID,
    OF_30S_DEPTH_ASK,
    OF_30S_TICKS,
    OF_30S_SQUARE,
    OF_30S_RETURNS,
    OF_30S_PAIR,
    OF_30S_PAIRS,
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
    FADING_COUNT
};

_Static_assert(FADING_COUNT % 4 == 0, "fade takes whole vectors");

/* Windows of whole lots, side by side: a tick reads and writes one slot for all of them. */
enum { LOTS_OFI, LOTS_OFI_DEEP, LOTS_SOLD_BOUGHT, LOTS_VOLUME };

/* The open volume bucket of VPIN: a trade falls into one bucket whole, which closes at the size that was set when it
 * opened. */
struct bucket {
    double size; /* lots; 0 before the first trade */
    int64_t lots, signed_lots, closed; /* closed: buckets before this one */
};

/* What events change: kept apart from the windows, in as few cache lines as an event can do with; the line of the trades
 * comes last. Plain data: a snapshot copies it byte for byte. */
struct now {
    int64_t last_event_ns;                /* -1: none yet */
    double gaps, gap_squares, gap_weight; /* s between events, half-life 256 events */
    int64_t arrivals;
    int64_t added, cancelled, ofi; /* from here on of the running tick, as far as not said otherwise */
    int64_t changed, requotes;     /* events; changes of a best price */
    int64_t depleted[2];           /* lots that left the best bid and ask, less those that came */
    int64_t renewed;               /* the book was dropped: what it shows now is no flow */
    int64_t hit[2];                /* best level emptied by a trade */
    int64_t traded, lots, signed_lots;
    double size_sum, size_weight; /* lots and number of trades, half-life 64 trades; they last */
    struct bucket bucket;         /* lasts */
};

/* Closed buckets. */
struct buckets {
    int64_t sum_lots, sum_signed, ring_lots[BUCKETS], ring_signed[BUCKETS]; /* signed: absolute per bucket */
};

/* What only ticks and trades change. Plain data: a snapshot copies it byte for byte. What every tick touches stands first. */
struct flow {
    double fading[FADING_COUNT];
    int64_t ticks;      /* ticks closed */
    double step;        /* 1 s return of the last tick, NaN: none */
    double last_mid;    /* 1e-9 currency, 0: none yet */
    int64_t run;        /* moves of the mid in one direction, signed */
    double shock_from[2], shock_low[2]; /* open shock: depth before, lowest since; from = 0: none */
    double lead_correlation;
    struct windows windows;
    struct squares squares;            /* squared 1 s returns */
    double steps[TICKS_1S];            /* 1 s returns of the last ticks */
    double log_mid[MIDS_RING];         /* NaN where there was no mid */
    double seconds[SECONDS];           /* 1 s returns at whole seconds, by second of event time modulo 60 */
    struct level seen[2][BEST_LEVELS]; /* best levels at the last tick, best first */
    struct buckets buckets;
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
    int64_t ref_price;
    double value_per_lot; /* 1e6 currency, NaN without a mid or a definition */
    uint32_t status;      /* the bits that say what the book shows */
    bool is_fresh;        /* it was worked out anew for the tick in hand */
    double brought[FADING_COUNT]; /* what the tick in hand adds to the fading sums; what events add is 0 between two ticks */
};

/* What a reading of the book needs besides: `tick_size` 0 = not defined, `clip` lots, 0 = no trade yet. */
struct reading {
    int64_t tick_size;
    double clip;
    const struct weights *weights;
};

void flow_init(struct flow *flow);
void now_init(struct now *now);

/* Ask for the memory that the closing of a tick will touch. */
void flow_prefetch(const struct flow *flow, const struct shape *shape);

/* Account for one change of the book, whose best levels were `before`. */
void now_book_changed(struct now *now, const struct top *before, const struct book *book);

/* Account for one trade of `qty` lots against resting side `side`. */
void now_traded(struct now *now, struct buckets *buckets, int side, int64_t qty);

/* Account for one event at `ts_ns`. */
void now_arrived(struct now *now, int64_t ts_ns);

/* Write the features that only events change. */
void trades_write(const struct now *now, const struct buckets *buckets, double *out);

void shape_update(struct shape *shape, const struct book *book, const struct reading *reading);

/* Close a tick: advance every window and write all features but those of the channel; NaN = null. `is_whole`: the book can
 * be trusted. */
void flow_tick(struct flow *flow, struct now *now, struct shape *shape, bool is_whole, double *out);

/* The parts of a tick, each in its file: add to what the tick brings to the fading sums; write what follows. */
void resilience_brings(struct flow *flow, struct now *now, const struct shape *shape, double *brought);
void resilience_write(const struct flow *flow, double *out);
void moves_bring(struct flow *flow, const struct now *now, const struct shape *shape, double *brought);
void moves_write(const struct flow *flow, const struct shape *shape, double *out);

#endif
