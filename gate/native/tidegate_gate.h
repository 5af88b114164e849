/* The gate: what a trading process embeds. Every order is judged against the limit table and against what the process itself
 * has working, and an accepted one is booked in the same step.
 *
 *     struct gate gate;
 *     if (gate_open(&gate, "/dev/shm/tidegate.limits", "/var/lib/desk/ledger", sizes, &found) != GATE_OPEN_OK) ...
 *     gate_submit(&gate, &order, now_ns, &decision);     // from any thread
 *     gate_filled(&gate, account, order_id, qty, price); // what the venue says
 *
 * Invariants: an order is never accepted that the envelope alone would have refused; what is not known is refused; a cancel
 * always passes; what an account has working is counted on its worst side before the order leaves. All value arithmetic
 * is exact in 128 bits (1e-18 currency) and saturates towards refusal.
 *
 * Threads: any number may submit and report; each account has a lock of its own, held for one judgement. The limits come from
 * another process by the table. Times are arguments, on one clock that does not go back.
 *
 * The ledger (positions, working orders, counters) is memory of this process, or a file that survives it. An account that was
 * being changed when its process died is REASON_NOT_RECONCILED until `gate_reconcile` says what is true.
 */
#ifndef TIDEGATE_GATE_H
#define TIDEGATE_GATE_H

#include "order/order.h"

struct gate_sizes {
    uint32_t accounts;  /* 1 .. 4,096 */
    uint32_t positions; /* (account, instrument) pairs, 1 .. 2^20 */
    uint32_t orders;    /* working at once, 1 .. 2^20 */
};

struct ledger; /* ledger.h; so are these two */
struct account;
struct quick;

struct gate {
    struct limit_table table;
    struct ledger *ledger;
    struct account *accounts; /* in the ledger */
    struct quick *quicks;
    uint32_t account_mask, position_mask;
    uint64_t firm; /* hash of the row whose gross value bounds all accounts */
    size_t ledger_bytes;
    bool owns_table;
    int ledger_fd; /* holds the lock; -1 = private */
};

enum gate_open {
    GATE_OPEN_OK = 0,
    GATE_OPEN_TABLE,         /* `found->table` says why */
    GATE_OPEN_SYSTEM,        /* errno says why */
    GATE_OPEN_SIZES,         /* out of range */
    GATE_OPEN_LEDGER_LOCKED, /* another process holds the ledger */
    GATE_OPEN_LEDGER_SHAPE,  /* the file is no ledger of these sizes */
};

struct gate_found {
    enum limit_open table;
    uint64_t value;
};

/* Attach to a table, and open the ledger at `ledger_path` (made when absent); NULL = a ledger of this process alone. */
enum gate_open gate_open(struct gate *gate, const char *table_path, const char *ledger_path, struct gate_sizes sizes,
                         struct gate_found *found);

/* The same with a table that is already open; it is not closed by gate_close. */
enum gate_open gate_open_on(struct gate *gate, const struct limit_table *table, const char *ledger_path,
                            struct gate_sizes sizes);
void gate_close(struct gate *gate);

/* Judge an order and change nothing. */
void gate_check(const struct gate *gate, const struct order *order, int64_t now_ns, struct decision *decision);

/* Judge an order and, when accepted, book it. A cancel is passed and books nothing: the order works until it is closed. */
void gate_submit(struct gate *gate, const struct order *order, int64_t now_ns, struct decision *decision);

/* What the venue says. False: no such working order (counted; a fill of it is booked on the position all the same by
 * gate_executed). A fill beyond what is open closes the order and is counted. */
bool gate_filled(struct gate *gate, uint64_t account, uint64_t order_id, int64_t qty, int64_t price);
bool gate_closed(struct gate *gate, uint64_t account, uint64_t order_id);   /* cancelled, rejected, expired */
bool gate_replaced(struct gate *gate, uint64_t account, uint64_t order_id); /* the replace `order_id` took effect */

/* An execution without a working order here: drop copy, give-up, another system. `side` is the account's. */
bool gate_executed(struct gate *gate, uint64_t account, int64_t instrument_id, int side, int64_t qty, int64_t price);

/* Declare a parent order of `qty` lots: its children may not exceed it. Declaring again changes the quantity. */
bool gate_parent(struct gate *gate, uint64_t account, uint64_t parent, int64_t qty);

/* A session is lost, or back. While it is down its orders are refused; gate_working lists what must be cancelled. */
bool gate_session(struct gate *gate, uint64_t session, bool up);

/* Positions from the books of record: what `account` holds in `instrument_id`. With `done` the account is reconciled.
 * Returns false when the ledger has no room. `*was` is what the gate believed. */
bool gate_reconcile(struct gate *gate, uint64_t account, int64_t instrument_id, int64_t position, bool done, int64_t *was);

/* Start a day: profit and loss, peaks and period counters of every account begin anew. */
void gate_new_day(struct gate *gate);

/* The same of one account: days of accounts need not start together where their messages arrive apart. */
void gate_new_day_account(struct gate *gate, uint64_t account);

/* Mark every position at the table's reference price. Call it every 100 ms or so from one thread, so that losses count
 * also where nothing is traded. */
void gate_mark(struct gate *gate);

/* Mark what one account holds in these instruments, as one step: its profit and loss is looked at when all are marked. */
void gate_mark_account(struct gate *gate, uint64_t account, const int64_t *instruments, size_t count);

struct gate_position {
    uint64_t account;
    int64_t instrument_id;
    int64_t position, working_buy, working_sell; /* lots */
    __extension__ __int128 cash;                 /* 1e-18 currency, since the start of the day */
};
struct gate_working {
    uint64_t account, order_id, trader, desk, strategy, venue, session;
    int64_t instrument_id, open_qty, price;
    uint8_t side;
    bool blocked; /* some scope of it is killed, or its session is down: it must be cancelled */
};

/* Copy position or working order number `*cursor` and step on; false at the end. Start at 0; what changes meanwhile may be
 * missed or seen twice, as with any walk over a living table. */
bool gate_next_position(const struct gate *gate, uint32_t *cursor, struct gate_position *out);
bool gate_next_working(const struct gate *gate, uint32_t *cursor, struct gate_working *out);

struct gate_counters {
    uint64_t accepted, refused, pended, unknown_reports, overfills, torn_accounts;
};
struct gate_counters gate_counters(const struct gate *gate);

/* The ledger as bytes: what is used of it, the same for the same history of orders and reports. Nobody may submit or report
 * meanwhile. `memory` has room for gate_snapshot_bytes, as of the same moment. */
size_t gate_snapshot_bytes(const struct gate *gate);
void gate_snapshot(const struct gate *gate, void *memory);

/* Load such bytes into a ledger just made, of the sizes of the one that wrote them. False: they are no snapshot of these sizes, or
 * damaged; the gate must then be closed. */
bool gate_restore(struct gate *gate, const void *memory, size_t bytes);

#endif
