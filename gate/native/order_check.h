/* The order check: one order against the limit table, at a time that the caller gives.
 *
 * Invariants: never looser than the envelope, whatever else the row holds; when in doubt the order is refused; a cancel
 * always passes (exits are never blocked). For each column the limit in force is
 *     fresh row:             min(envelope, dynamic)
 *     expired or stale row:  min(envelope, stale, dynamic where one is set)
 * so silence never loosens a limit, and neither does it end a halt. Any unset limit of the columns in force blocks.
 * All arithmetic is exact for every int64 input.
 *
 * The price band is directional: a buy above ref * (1 + band) or a sell below ref * (1 - band) is refused; the passive
 * side is free in this version. A market order has no price, so size, halt and kill switches apply and the band does not.
 *
 * Rejected: signed deltas on top of the envelope (a lost message would leave a wrong sum) and precomputed price bounds
 * in the row (they would hide which limit and which reference decided).
 */
#ifndef TIDEGATE_ORDER_CHECK_H
#define TIDEGATE_ORDER_CHECK_H

#include "limit_table.h"

enum order_action { ORDER_NEW = 0, ORDER_REPLACE = 1, ORDER_CANCEL = 2 };
enum order_side { ORDER_BUY = 1, ORDER_SELL = 2 };
enum order_type { ORDER_LIMIT = 1, ORDER_MARKET = 2 };

struct order {
    int64_t instrument_id;
    uint64_t account_hash; /* limit_account_hash of the account id */
    int64_t qty;           /* lots */
    int64_t price;         /* 1e-9 currency; not read for a market order */
    int32_t action, side, type;
};

/* Numbers are for ever: they are stored by users. Listed in the order in which they are judged. */
enum order_reason {
    REASON_OK = 0,
    REASON_INVALID_ORDER = 1,      /* unknown action, side or type; qty <= 0; price <= 0 of a limit order */
    REASON_KILLED = 2,             /* firm, account or instrument */
    REASON_UNKNOWN_INSTRUMENT = 3, /* no row */
    REASON_TORN_READ = 4,          /* the row would not stand still */
    REASON_LIMIT_UNSET = 5,
    REASON_HALTED = 6,
    REASON_MAX_ORDER_SIZE = 7,
    REASON_NO_REFERENCE_PRICE = 8,
    REASON_PRICE_BAND = 9,
    REASON_COUNT
};

struct decision {
    enum order_reason reason;
    bool has_numbers; /* `limit` and `observed` are set: lots for size, bp (rounded up) for the band */
    bool has_row;     /* `row` is set: the limits and the risk state in force */
    bool stale;       /* the stale column was in force */
    int64_t limit, observed;
    struct limit_row row;
};

/* Judge one order. `now_ns` is of the clock that `valid_until_ns` was written with; a clock at or below 0 is broken, and
 * then every row is expired. */
void order_check(const struct limit_table *table, const struct order *order, int64_t now_ns, struct decision *out);

/* Return the word of a reason, as in OrderDecision.reason; NULL outside the enumeration. */
const char *order_reason_word(int reason);

#endif
