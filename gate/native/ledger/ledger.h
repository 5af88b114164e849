/* The ledger: what each account holds, has working and has lately done. Memory of one process, or a file that outlives it.
 *
 * Fixed tables, sized when it is made, found by hash: accounts, positions (account, instrument), orders. Nothing is allocated
 * afterwards, and a table that is full refuses orders.
 *
 * Locks: an account's record, its positions and its orders change under its spin lock alone. Between accounts are shared the
 * places in the tables (taken by compare-and-swap, never given back), and the pool and the chains of orders and the buckets of
 * sessions (a lock each, held for some instructions, taken after the account's and never two at once).
 *
 * A crash: an account says that it is being changed, so the successor knows whose numbers may be half; free list and
 * chains are not trusted but built again from the orders themselves (ledger_adopt.c).
 */
#ifndef TIDEGATE_LEDGER_H
#define TIDEGATE_LEDGER_H

#include <stdatomic.h>
#include <stddef.h>

#include "table/limit_words.h"
#include "tidegate_gate.h"
#include "order/value.h"

#define LEDGER_MAGIC UINT64_C(0x52454744454C4754)
#define LEDGER_VERSION 2u
#define NONE UINT32_MAX

#define RECENT_ORDERS 256
#define RECENT_EQUAL 4
#define STRATEGY_SLOTS 32
#define BASKET_SLOTS 64
#define PARENT_SLOTS 256
#define PERIOD_PARTS 8
#define PERIOD_BUCKETS 9 /* the parts of a period, and the one that is running */
#define SESSION_SLOTS 64
#define SESSION_RATES 256 /* sessions with a rate, a power of two */
#define KNOWN_IDS 4096
#define LOT_SHIFT 16
#define MARGIN_SHIFT 50

enum working_state { ORDER_FREE = 0, ORDER_CLOSED, ORDER_WORKING, ORDER_PENDING_REPLACE };

struct working {
    uint64_t order_id, account_hash;
    uint64_t trader, desk, strategy, venue, session, parent;
    int64_t instrument_id, price;
    int64_t open;      /* lots that may still trade; of a pending replace, what it adds to its target's */
    int64_t asked;     /* of a pending replace: lots open afterwards, less what its target traded since */
    int64_t in_parent; /* lots that its parent counts for it, beside what was traded */
    uint32_t account, position;
    uint32_t next, previous; /* among the working orders of one side of the position */
    uint32_t chain;    /* next in the bucket of its id */
    uint32_t partner;  /* the target of a pending replace, and the other way round; NONE */
    uint8_t state, side;
    uint8_t remembered; /* stands among the account's recent orders */
    uint8_t replaced;   /* was a replace, and took effect */
};

struct equal_order {
    uint64_t content; /* hash of side, type, quantity, price and strategy */
    int64_t ts_ns;
};

/* All that is asked of an order that nothing is wrong with, in the form in which the answer costs least. Of the row, as an order
 * of the position was last judged: true while the row's sequence number stands. Of the position, as it stands: true while
 * `is_settled`. Kept apart from the position, so that the four thousand of an active desk fit the processor's own cache.
 *
 * Values are units of 2^FIRM_SHIFT, margins of 2^MARGIN_SHIFT, each rounded towards refusal: within these the exact judgement
 * would say yes; beyond, it decides. */
struct quick {
    _Alignas(64) _Atomic uint64_t key; /* the position's; 0 = nothing was kept yet */
    struct limit_row_seen seen;        /* sequence odd: nothing is kept of the row */
    int64_t until_ns;                  /* reference price and limits are good before it */
    int64_t held, working_buy, working_sell;
    int64_t sent_ns; /* the newest of the position's equal orders */
    int64_t lot_nano;
    /* Line 1. */
    int64_t buy_max, sell_min;   /* prices that bands and own orders allow */
    int64_t buy_lots, sell_lots; /* largest quantities */
    uint64_t tick_inverse, tick_most; /* a multiple of the tick times the inverse, turned by tick_shift, is at most this */
    uint32_t qty_min, qty_step;
    uint32_t weight : 20, tick_shift : 6, class_id : 6;
    uint32_t margin : 20, is_settled : 1;
    /* Line 2. */
    int64_t value_most, lot_units; /* lot_units: a lot at the reference price, in 2^LOT_SHIFT of 1e-18 currency */
    int64_t gross;                 /* of the position, at the reference price */
    int64_t more_gross, more_net, more_margin, more_profit; /* by which the account's sums change at that price */
    int64_t ref_price;
    /* Line 3: the row alone, from which the position's part is made anew; and what only post-only orders ask. */
    int64_t quote_buy_max, quote_sell_min; /* prices that stand far enough behind the market, within the bands */
    int64_t row_buy_max, row_sell_min, qty_max, long_max, short_max, tick_size;
};
_Static_assert(sizeof(struct quick) == 256, "four cache lines, of which most orders touch three");

struct position {
    _Alignas(64) _Atomic uint64_t key; /* (account index + 1) << 32 | instrument; 0 = free; written once */
    int64_t held, working_buy, working_sell;
    int64_t mark, lot_nano, margin_weight;
    uint32_t buys, sells;              /* heads of the lists of working orders */
    uint32_t next_of_account;          /* place of another position of the account, plus one; 0 = the last */
    wide cash, up, down, gross, marked, margin; /* as they stand in the account's sums; cash since the start of the day */
    int64_t best_buy, best_sell;       /* highest working buy, lowest working sell; 0 = none */
    int64_t firm_units;                /* gross, rounded up, as it stands in the firm's total */
    uint32_t equal_at;
    struct equal_order equal[RECENT_EQUAL];
};

struct strategy_slot {
    uint64_t strategy;
    int64_t instrument_id, qty, run_start_ns, count, rearmed_seen;
    uint8_t side, tripped;
};

struct basket_slot {
    wide value;
    uint64_t basket;
    int64_t last_ns;
};

struct parent_slot {
    uint64_t parent;
    int64_t declared, used, open; /* used: open and traded */
};

/* An account's limits as the table says them, and in the units that the judgement compares. */
struct account_terms {
    struct account_limits limits;
    wide gross, net, instrument, credit, day_loss, drawdown, period, basket; /* 1e-18 currency, credit in thousandths of it */
    wide firm_most;               /* units of the firm's total */
    int64_t firm_limit;           /* the same as people said it */
    struct limit_account_seen seen, firm_seen;
    enum order_reason fault;      /* of the account's limits */
    enum order_reason firm_fault;
    bool is_read;
};

struct message_rate {
    int64_t messages_per_s, message_burst; /* the first LIMIT_UNLIMITED: none */
};

/* What the table said of the session that was asked for last. */
struct session_terms {
    uint64_t session; /* 0 = of none yet */
    struct limit_account_seen seen;
    struct message_rate rate;
};

/* What is left of an account's limits, in the units of struct quick; made anew after each change of the account. */
struct account_room {
    int64_t instrument, gross, net, margin, firm, profit, period; /* instrument and firm: the limits themselves */
    int64_t tokens; /* of the message bucket, without what it gained since */
    int64_t duplicate_ns, repeats_max, period_ns;
    uint64_t class_mask;
    struct limit_account_seen seen, firm_seen;
};

struct account {
    _Alignas(64) _Atomic uint64_t hash; /* 0 = free; written once */
    _Atomic uint32_t lock;
    _Atomic uint32_t changing; /* odd while its numbers are being changed */
    uint32_t reconciled, open_orders;
    uint32_t positions; /* head of the list of its positions: place plus one; 0 = none */
    uint32_t has_room; /* `room` is true; nothing of it is trusted by a successor */
    struct account_room room;
    struct strategy_slot strategies[STRATEGY_SLOTS];
    uint8_t known[KNOWN_IDS]; /* orders of the account by the hash of their id; 255 = so many or more */
    struct account_terms terms; /* as last read; read anew when the table changed */
    struct session_terms session; /* of the last order */
    int64_t period_start_ns;    /* of bucket period_newest */
    int64_t tokens, tokens_ns; /* 1e-9 messages; tokens_ns 0 = the bucket was never used, and is full */
    wide up, down, gross, margin, cash, marked, base, peak; /* sums over positions; margin in thousandths */
    int64_t period_width_ns, period_newest;
    wide period_values[PERIOD_BUCKETS]; /* of index i in place i % PERIOD_BUCKETS */
    wide period_total;                  /* their sum as long as period_newest runs */
    int64_t period_index[PERIOD_BUCKETS];
    uint32_t recent_at, recent[RECENT_ORDERS]; /* accepted orders, the newest before recent_at; NONE */
    struct basket_slot baskets[BASKET_SLOTS];
    struct parent_slot parents[PARENT_SLOTS];
};

/* The messages of a session: one bucket for all accounts that send by it. A place is taken by the first order accepted. */
struct session_rate {
    _Alignas(64) _Atomic uint64_t session; /* 0 = free; written once */
    _Atomic uint32_t lock;
    _Atomic int64_t tokens; /* as those of an account; never more than it holds */
    int64_t tokens_ns;
};

struct ledger {
    _Alignas(64) uint64_t magic;
    uint32_t version, account_slots, position_slots, bucket_count, order_count;
    struct gate_sizes sizes;
    uint64_t size_bytes;
    _Alignas(64) _Atomic int64_t firm_units;
    _Atomic uint32_t account_count, position_count, working_count;
    _Alignas(64) _Atomic uint32_t pool_lock;
    uint32_t free_order, free_count;
    _Alignas(64) _Atomic uint64_t accepted, refused, pended, unknown_reports, overfills, torn_accounts;
    _Atomic uint64_t sessions_down[SESSION_SLOTS];
    _Atomic uint32_t session_count; /* places of sessions_down ever used; SESSION_SLOTS + 1 = they did not fit */
};

/* Open or make the ledger of a gate. */
enum gate_open ledger_open(struct gate *gate, const char *path, struct gate_sizes sizes);
void ledger_close(struct gate *gate);

struct session_rate *ledger_session_rates(struct ledger *ledger);
struct account *ledger_accounts(struct ledger *ledger);
struct position *ledger_positions(struct ledger *ledger);
struct quick *ledger_quicks(struct ledger *ledger); /* one beside each position */
struct working *ledger_orders(struct ledger *ledger);

/* Make a ledger that a dead process left, or that was loaded, usable: half-changed accounts wait for reconciliation. False: it is damaged so that
 * accounts or positions would not be found again. */
bool ledger_adopt(struct ledger *ledger);

/* Make the place of an account one that nobody has taken. */
void ledger_fresh_account(struct account *account);

/* Build free list and chains from the orders themselves. */
void ledger_chain_orders(struct ledger *ledger);

/* Find, or with `make` take a place; NULL when absent, or full. */
struct account *ledger_account(struct ledger *ledger, uint64_t hash, bool make);
struct position *ledger_position(struct ledger *ledger, struct account *account, int64_t instrument_id, bool make);

/* The place of a session's bucket, or the free one where it would be put; NULL when all are others'. */
struct session_rate *ledger_session_rate(struct ledger *ledger, uint64_t session);

/* The positions of an account, one after the other: from NULL to NULL. Under its lock. */
struct position *ledger_next_position(struct ledger *ledger, const struct account *account, const struct position *after);
bool ledger_has_room(const struct ledger *ledger, bool for_account);
void ledger_prefetch(struct ledger *ledger, const struct account *account, int64_t instrument_id, uint64_t order_id);
struct position *ledger_position_of(struct ledger *ledger, const struct quick *quick);
struct quick *ledger_quick_of(struct ledger *ledger, const struct position *position);

/* The order with this id that the account accepted lately, working or closed; NULL. Under the account's lock. */
struct working *ledger_order(struct ledger *ledger, uint64_t account_hash, uint64_t order_id);

/* Take an order from the pool and chain it under its id (NULL: empty), or give it back. Under the account's lock. */
struct working *ledger_take(struct ledger *ledger, struct account *account, uint64_t order_id);
void ledger_give(struct ledger *ledger, struct account *account, struct working *order);

/* Bring the account's sums to what the position holds, has working and is marked at. */
void position_weigh(struct ledger *ledger, struct account *account, struct position *position);

/* Give a position a mark; the first one values what it held before, which is no profit. Weigh it afterwards. */
void position_mark(struct account *account, struct position *position, int64_t mark, int64_t lot_nano);

/* Put a working order into the lists of its position, or take it out. */
void position_link(struct ledger *ledger, struct position *position, struct working *order);
void position_unlink(struct ledger *ledger, struct position *position, struct working *order);

/* Profit and loss of the day; the peak follows it up. */
wide account_profit(const struct account *account);
void account_peak(struct account *account);

/* Remember an accepted order's id; the oldest is forgotten. */
void account_remember(struct ledger *ledger, struct account *account, struct working *order);

/* Lock and unlock an account; `account_begin` and `account_end` stand around every change of its numbers. */
static inline void spin_lock(_Atomic uint32_t *lock)
{
    while (atomic_exchange_explicit(lock, 1, memory_order_acquire))
        while (atomic_load_explicit(lock, memory_order_relaxed)) {
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
}

static inline void spin_unlock(_Atomic uint32_t *lock)
{
    atomic_store_explicit(lock, 0, memory_order_release);
}

static inline void account_lock(struct account *account)
{
    spin_lock(&account->lock);
}

static inline void account_unlock(struct account *account)
{
    spin_unlock(&account->lock);
}

void account_begin(struct account *account);
void account_end(struct account *account);

static inline uint64_t id_hash(uint64_t account_hash, uint64_t order_id)
{
    return (order_id ^ account_hash) * UINT64_C(0x9E3779B97F4A7C15);
}

/* False: no order of this id is in the chains. Most new ids are answered by this byte. Under the account's lock. */
static inline bool account_may_know(const struct account *account, uint64_t order_id)
{
    uint64_t hash = id_hash(atomic_load_explicit(&account->hash, memory_order_relaxed), order_id);
    return account->known[hash >> 52] != 0;
}
_Static_assert(KNOWN_IDS == 1 << (64 - 52), "the upper bits of the hash");

/* The place where the search for a position begins. */
static inline uint32_t position_hash(uint64_t key)
{
    return (uint32_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

/* Walks look at the state without a lock; nobody else does. */
static inline void order_become(struct working *order, enum working_state state)
{
    __atomic_store_n(&order->state, (uint8_t)state, __ATOMIC_RELEASE);
}

static inline uint32_t order_index(struct ledger *ledger, const struct working *order)
{
    return (uint32_t)(order - ledger_orders(ledger));
}

#endif
