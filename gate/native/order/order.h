/* An order, the reasons to refuse it, and the decision. Plain data; no function here touches memory of others. */
#ifndef TIDEGATE_ORDER_H
#define TIDEGATE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "table/limit_table.h"

enum order_action { ORDER_NEW = 0, ORDER_REPLACE = 1, ORDER_CANCEL = 2 };
enum order_side { ORDER_BUY = 1, ORDER_SELL = 2 };
enum order_type { ORDER_LIMIT = 1, ORDER_MARKET = 2 };
enum order_flag { ORDER_POST_ONLY = 1, ORDER_REDUCE_ONLY = 2, ORDER_FLAGS = 3 };

/* Ids are hashes (scope_hash) of the texts that the venue and people use; 0 = none. */
struct order {
    int64_t instrument_id;
    uint64_t order_id;  /* of "order:<id>"; never used twice by an account */
    uint64_t target_id; /* the working order that a replace or a cancel is about */
    uint64_t account;   /* "account:<id>" */
    uint64_t trader, desk, strategy, venue, session;
    uint64_t parent;    /* "parent:<id>": the order that this one is a slice of */
    uint64_t basket;    /* "basket:<id>" */
    int64_t qty;        /* lots; of a replace: the quantity that shall be open afterwards */
    int64_t price;      /* 1e-9 currency; of a market order: worst price that the sender accepts, 0 = what the gate allows */
    uint8_t action, side, type, flags;
};

/* Numbers are for ever: they are stored by users. */
enum order_reason {
    REASON_OK = 0,
    REASON_INVALID_ORDER = 1,      /* unknown action, side, type or flag; qty <= 0; price <= 0 of a limit order; post-only market */
    REASON_KILLED = 2,             /* firm, account, desk, trader, strategy, venue, session or instrument */
    REASON_UNKNOWN_INSTRUMENT = 3, /* no row */
    REASON_TORN_READ = 4,          /* a row would not stand still */
    REASON_LIMIT_UNSET = 5,
    REASON_HALTED = 6,
    REASON_MAX_ORDER_SIZE = 7,
    REASON_NO_REFERENCE_PRICE = 8, /* missing or too old */
    REASON_PRICE_BAND = 9,
    REASON_UNKNOWN_ACCOUNT = 10,   /* no row */
    REASON_RESTRICTED = 11,        /* the instrument, for the firm or for this account */
    REASON_NOT_PERMITTED = 12,     /* the account may not trade the class */
    REASON_TICK_SIZE = 13,
    REASON_QTY_STEP = 14,          /* below the smallest quantity, or no multiple of the step */
    REASON_PRICE_BAND_TICKS = 15,
    REASON_PERIOD_BAND = 16,
    REASON_QUOTE_OFFSET = 17,
    REASON_MAX_ORDER_VALUE = 18,
    REASON_DUPLICATE_ORDER = 19,   /* the id was used, or an equal order went out a moment ago */
    REASON_MESSAGE_RATE = 20,      /* of the account */
    REASON_REPEATED_EXECUTION = 21, /* waits for a named person */
    REASON_PERIOD_VALUE = 22,
    REASON_BASKET_VALUE = 23,
    REASON_PARENT_QTY = 24,        /* children would exceed their parent, or nobody declared it */
    REASON_REDUCE_ONLY = 25,       /* would not reduce, or would flip */
    REASON_MAX_LONG = 26,
    REASON_MAX_SHORT = 27,
    REASON_SHORT_LOCATE = 28,
    REASON_SELF_MATCH = 29,
    REASON_OPEN_ORDERS = 30,
    REASON_GROSS_VALUE = 31,
    REASON_NET_VALUE = 32,
    REASON_CONCENTRATION = 33,
    REASON_CREDIT = 34,
    REASON_DAY_LOSS = 35,
    REASON_DRAWDOWN = 36,
    REASON_FIRM_VALUE = 37,
    REASON_UNKNOWN_ORDER = 38,     /* a replace of an order that does not work here */
    REASON_SESSION_DOWN = 39,      /* the session is disconnected */
    REASON_NOT_RECONCILED = 40,    /* the account's positions are not known to be right */
    REASON_NO_ROOM = 41,           /* a bound of the ledger is hit */
    REASON_NEEDS_APPROVAL = 42,    /* soft limit: waits for a second person */
    REASON_SESSION_RATE = 43,      /* the messages of the session, of all accounts together */
    REASON_COUNT
};

enum order_verdict { VERDICT_ACCEPT = 0, VERDICT_REJECT = 1, VERDICT_PEND = 2 };

struct decision {
    enum order_reason reason;
    enum order_verdict verdict;
    bool warned;      /* accepted, above the warning level */
    bool has_numbers; /* `limit` and `observed` are set, in the unit of the limit that decided */
    bool has_row;     /* there is a row, and the risk state in force is set below; else it is zero */
    bool stale;       /* the stale column was in force */
    int64_t limit, observed;
    int64_t worst_price; /* of an accepted market order: what must go to the venue as its limit; else 0 */
    int64_t ref_price, epoch, tick_ns;
    double score;
    char model_id[LIMIT_MODEL_ID_BYTES];
    uint8_t tier;
    bool has_ledger; /* the account's position was looked at; below it is as it was before the order */
    int64_t position_before, working_buy_before, working_sell_before; /* lots */
};

/* Return the word of a reason, as in OrderDecision.reason, or its rule id; NULL outside the enumeration. */
const char *order_reason_word(int reason);
const char *order_reason_rule(int reason);

#endif
