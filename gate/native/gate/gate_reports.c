/* What the venue and the books of record say: fills, ends of orders, positions, days. */
#include "judge/judge.h"

#include <string.h>

#define LOTS_MAX (INT64_C(1) << 62)

static int64_t held_after(const struct position *position, uint8_t side, int64_t qty)
{
    wide held = (wide)position->held + (side == ORDER_BUY ? qty : -qty);
    return held > LOTS_MAX ? LOTS_MAX : held < -LOTS_MAX ? -LOTS_MAX : (int64_t)held;
}

static void grow_side(struct position *position, uint8_t side, int64_t lots)
{
    if (side == ORDER_BUY)
        position->working_buy += lots;
    else
        position->working_sell += lots;
}

static struct parent_slot *parent_of(struct account *account, const struct working *order)
{
    uint32_t at = order->parent ? parent_place(account, order->parent) : NONE;
    return at != NONE && account->parents[at].parent == order->parent ? &account->parents[at] : NULL;
}

/* Change how many lots a parent counts for a working child; `traded` of them stay used for ever. */
static void count_in_parent(struct account *account, struct working *order, int64_t lots, int64_t traded)
{
    struct parent_slot *slot = parent_of(account, order);
    if (slot) {
        slot->used = lots_cap((wide)slot->used + lots + traded - order->in_parent);
        slot->open += lots - order->in_parent;
    }
    order->in_parent = lots;
}

/* The order works no more. What it had open leaves the position and its parent. */
static void end_order(struct ledger *ledger, struct account *account, struct position *position, struct working *order)
{
    grow_side(position, order->side, -order->open);
    count_in_parent(account, order, 0, 0);
    position_unlink(ledger, position, order);
    order->open = 0;
    order->partner = NONE;
    order_become(order, ORDER_CLOSED);
    account->open_orders--;
    atomic_fetch_sub_explicit(&ledger->working_count, 1, memory_order_relaxed);
    if (!order->remembered)
        ledger_give(ledger, account, order);
}

/* A replace took effect: from being what it adds to its target, it becomes an order of its own. */
static void promote(struct ledger *ledger, struct account *account, struct position *position, struct working *order)
{
    grow_side(position, order->side, order->asked - order->open);
    order->open = order->asked;
    order_become(order, ORDER_WORKING);
    order->partner = NONE;
    order->replaced = 1;
    count_in_parent(account, order, order->parent ? order->open : 0, 0);
    if (order->open == 0)
        end_order(ledger, account, position, order);
}

/* End an order and settle with the other half of a replace. */
static void end_either(struct ledger *ledger, struct account *account, struct position *position, struct working *order)
{
    struct working *partner = order->partner == NONE ? NULL : &ledger_orders(ledger)[order->partner];
    bool is_target = partner && order->state == ORDER_WORKING;
    end_order(ledger, account, position, order);
    if (is_target)
        promote(ledger, account, position, partner);
    else if (partner)
        partner->partner = NONE;
}

static void take_effect(struct ledger *ledger, struct account *account, struct position *position, struct working *order)
{
    struct working *target = &ledger_orders(ledger)[order->partner];
    end_order(ledger, account, position, target);
    promote(ledger, account, position, order);
}

static struct account *locked(struct gate *gate, uint64_t hash, bool make)
{
    struct account *account = hash == 0 ? NULL : ledger_account(gate->ledger, hash, make);
    if (account) {
        account_lock(account);
        account_begin(account);
    }
    return account;
}

static void unlocked(struct account *account)
{
    account_end(account);
    account_unlock(account);
}

static bool unknown(struct gate *gate)
{
    atomic_fetch_add_explicit(&gate->ledger->unknown_reports, 1, memory_order_relaxed);
    return false;
}

static struct working *working_order(struct gate *gate, uint64_t account_hash, uint64_t order_id)
{
    struct working *order = ledger_order(gate->ledger, account_hash, order_id);
    return order && (order->state == ORDER_WORKING || order->state == ORDER_PENDING_REPLACE) ? order : NULL;
}

/* Mark a position that never was: at the table's reference, else at the price that was paid. */
static void mark_first(const struct gate *gate, struct account *account, struct position *position, int64_t price)
{
    struct limit_row row;
    if (position->mark > 0 && position->lot_nano > 0)
        return;
    int64_t instrument_id = (int64_t)(atomic_load_explicit(&position->key, memory_order_relaxed) & UINT32_MAX);
    bool found = limit_table_read(&gate->table, instrument_id, &row) == LIMIT_FOUND;
    int64_t mark = found && row.ref_price > 0 ? row.ref_price : price;
    if (mark > 0)
        position_mark(account, position, mark, found && row.lot_nano > 0 ? row.lot_nano : 0);
}

static void trade(struct gate *gate, struct account *account, struct position *position, uint8_t side, int64_t qty, int64_t price)
{
    mark_first(gate, account, position, price);
    wide paid = value_of(qty, price, position->lot_nano);
    position->held = held_after(position, side, qty);
    position->cash += side == ORDER_BUY ? -paid : paid;
    account->cash += side == ORDER_BUY ? -paid : paid;
}

static bool is_report(int64_t qty, int64_t price)
{
    return qty > 0 && qty <= LOTS_MAX && price > 0 && price <= LOTS_MAX;
}

bool gate_filled(struct gate *gate, uint64_t account_hash, uint64_t order_id, int64_t qty, int64_t price)
{
    struct ledger *ledger = gate->ledger;
    struct account *account = is_report(qty, price) ? locked(gate, account_hash, false) : NULL;
    if (!account)
        return unknown(gate);
    struct working *order = working_order(gate, account_hash, order_id);
    if (order) {
        struct position *position = &ledger_positions(ledger)[order->position];
        if (order->state == ORDER_PENDING_REPLACE)
            take_effect(ledger, account, position, order);
        int64_t traded = qty < order->open ? qty : order->open;
        if (qty > order->open)
            atomic_fetch_add_explicit(&ledger->overfills, 1, memory_order_relaxed);
        trade(gate, account, position, order->side, qty, price);
        if (order->state == ORDER_WORKING) {
            order->open -= traded;
            grow_side(position, order->side, -traded);
            count_in_parent(account, order, order->parent ? order->open : 0, qty);
            if (order->partner != NONE) {
                struct working *replace = &ledger_orders(ledger)[order->partner];
                replace->asked = replace->asked > qty ? replace->asked - qty : 0;
            }
            if (order->open == 0)
                end_either(ledger, account, position, order);
        } else if (order->remembered) { /* its replace left nothing to trade, and yet it traded */
            count_in_parent(account, order, 0, qty);
        }
        position_weigh(ledger, account, position);
        account_peak(account);
    }
    unlocked(account);
    return order ? true : unknown(gate);
}

bool gate_closed(struct gate *gate, uint64_t account_hash, uint64_t order_id)
{
    struct account *account = locked(gate, account_hash, false);
    if (!account)
        return unknown(gate);
    struct working *order = working_order(gate, account_hash, order_id);
    if (order) {
        struct position *position = &ledger_positions(gate->ledger)[order->position];
        end_either(gate->ledger, account, position, order);
        position_weigh(gate->ledger, account, position);
    }
    unlocked(account);
    return order ? true : unknown(gate);
}

bool gate_replaced(struct gate *gate, uint64_t account_hash, uint64_t order_id)
{
    struct account *account = locked(gate, account_hash, false);
    if (!account)
        return unknown(gate);
    struct working *order = ledger_order(gate->ledger, account_hash, order_id);
    bool known = order && (order->state == ORDER_PENDING_REPLACE || (order->state == ORDER_WORKING && order->replaced));
    if (known && order->state == ORDER_PENDING_REPLACE) {
        struct position *position = &ledger_positions(gate->ledger)[order->position];
        take_effect(gate->ledger, account, position, order);
        position_weigh(gate->ledger, account, position);
    }
    unlocked(account);
    return known ? true : unknown(gate);
}

bool gate_executed(struct gate *gate, uint64_t account_hash, int64_t instrument_id, int side, int64_t qty, int64_t price)
{
    bool sound = is_report(qty, price) && (side == ORDER_BUY || side == ORDER_SELL) && instrument_id > 0 &&
                 instrument_id <= UINT32_MAX;
    struct account *account = sound ? locked(gate, account_hash, true) : NULL;
    if (!account)
        return unknown(gate);
    struct position *position = ledger_position(gate->ledger, account, instrument_id, true);
    if (position) {
        trade(gate, account, position, (uint8_t)side, qty, price);
        position_weigh(gate->ledger, account, position);
        account_peak(account);
    } else {
        account->reconciled = 0; /* it holds what the ledger cannot */
    }
    unlocked(account);
    return position ? true : unknown(gate);
}

bool gate_parent(struct gate *gate, uint64_t account_hash, uint64_t parent, int64_t qty)
{
    struct account *account = parent && qty > 0 ? locked(gate, account_hash, true) : NULL;
    if (!account)
        return false;
    uint32_t at = parent_place(account, parent);
    if (at != NONE) {
        account->parents[at].parent = parent;
        account->parents[at].declared = qty;
    }
    unlocked(account);
    return at != NONE;
}

bool gate_session(struct gate *gate, uint64_t session, bool up)
{
    struct ledger *ledger = gate->ledger;
    uint32_t used = atomic_load_explicit(&ledger->session_count, memory_order_acquire);
    if (session == 0 || used > SESSION_SLOTS)
        return false;
    for (uint32_t i = 0; i < used; i++)
        if (atomic_load_explicit(&ledger->sessions_down[i], memory_order_acquire) == session) {
            if (up)
                atomic_store_explicit(&ledger->sessions_down[i], 0, memory_order_release);
            return true;
        }
    if (up)
        return true;
    for (uint32_t i = 0; i < SESSION_SLOTS; i++) {
        uint64_t free = 0;
        if (atomic_compare_exchange_strong_explicit(&ledger->sessions_down[i], &free, session, memory_order_acq_rel,
                                                    memory_order_relaxed)) {
            while (used <= i && !atomic_compare_exchange_weak_explicit(&ledger->session_count, &used, i + 1,
                                                                       memory_order_acq_rel, memory_order_relaxed))
                ;
            return true;
        }
    }
    atomic_store_explicit(&ledger->session_count, SESSION_SLOTS + 1, memory_order_release); /* every session counts as down */
    return false;
}

/* Count again from the orders and positions themselves what a crash may have left half done. */
static void recount(struct ledger *ledger, struct account *account)
{
    uint64_t hash = atomic_load_explicit(&account->hash, memory_order_relaxed);
    struct working *orders = ledger_orders(ledger);
    struct position *position = NULL;
    account->up = account->down = account->gross = account->margin = account->marked = account->cash = 0;
    account->open_orders = 0;
    while ((position = ledger_next_position(ledger, account, position))) {
        position->working_buy = position->working_sell = 0;
        position->buys = position->sells = NONE;
        position->best_buy = position->best_sell = 0;
        position->up = position->down = position->gross = position->marked = position->margin = 0;
        account->cash += position->cash;
    }
    for (uint32_t i = 0; i < ledger->order_count; i++) {
        struct working *order = &orders[i];
        uint8_t state = __atomic_load_n(&order->state, __ATOMIC_ACQUIRE); /* it may be another account's */
        bool works = state == ORDER_WORKING || state == ORDER_PENDING_REPLACE;
        if (!works || __atomic_load_n(&order->account_hash, __ATOMIC_RELAXED) != hash)
            continue;
        struct position *its = &ledger_positions(ledger)[order->position];
        grow_side(its, order->side, order->open);
        position_link(ledger, its, order);
        account->open_orders++;
    }
    while ((position = ledger_next_position(ledger, account, position)))
        position_weigh(ledger, account, position);
}

bool gate_reconcile(struct gate *gate, uint64_t account_hash, int64_t instrument_id, int64_t held, bool done, int64_t *was)
{
    bool sound = instrument_id > 0 && instrument_id <= UINT32_MAX && held >= -LOTS_MAX && held <= LOTS_MAX;
    struct account *account = sound ? locked(gate, account_hash, true) : NULL;
    *was = 0;
    if (!account)
        return false;
    struct position *position = ledger_position(gate->ledger, account, instrument_id, held != 0);
    if (position) {
        *was = position->held;
        mark_first(gate, account, position, 0);
        account->base += value_of(held, position->mark, position->lot_nano) -
                         value_of(position->held, position->mark, position->lot_nano);
        position->held = held;
        position_weigh(gate->ledger, account, position);
    }
    bool fits = position || held == 0;
    if (done && fits) {
        if (!account->reconciled)
            recount(gate->ledger, account);
        account->reconciled = 1;
    }
    unlocked(account);
    return fits;
}

/* Forget the parents of yesterday that nothing works for; the others keep their numbers, at places found by probing. */
static void forget_parents(struct account *account)
{
    struct parent_slot kept[PARENT_SLOTS];
    memcpy(kept, account->parents, sizeof kept);
    memset(account->parents, 0, sizeof account->parents);
    for (int i = 0; i < PARENT_SLOTS; i++)
        if (kept[i].parent && kept[i].open > 0)
            account->parents[parent_place(account, kept[i].parent)] = kept[i];
}

void gate_new_day_account(struct gate *gate, uint64_t account_hash)
{
    struct account *account = locked(gate, account_hash, false);
    struct position *position = NULL;
    if (!account)
        return;
    while ((position = ledger_next_position(gate->ledger, account, position)))
        position->cash = 0;
    account->cash = 0;
    account->base = account->marked;
    account->peak = 0;
    memset(account->period_values, 0, sizeof account->period_values);
    forget_parents(account);
    unlocked(account);
}

void gate_new_day(struct gate *gate)
{
    struct account *accounts = ledger_accounts(gate->ledger);
    for (uint32_t i = 0; i < gate->ledger->account_slots; i++)
        gate_new_day_account(gate, atomic_load_explicit(&accounts[i].hash, memory_order_acquire));
}

void gate_mark(struct gate *gate)
{
    struct ledger *ledger = gate->ledger;
    struct account *accounts = ledger_accounts(ledger);
    for (uint32_t i = 0; i < ledger->account_slots; i++) {
        struct account *account = locked(gate, atomic_load_explicit(&accounts[i].hash, memory_order_acquire), false);
        struct position *position = NULL;
        struct limit_row row;
        if (!account)
            continue;
        while ((position = ledger_next_position(ledger, account, position))) {
            int64_t instrument_id = (int64_t)(atomic_load_explicit(&position->key, memory_order_relaxed) & UINT32_MAX);
            if (limit_table_read(&gate->table, instrument_id, &row) != LIMIT_FOUND || row.ref_price <= 0)
                continue;
            position_mark(account, position, row.ref_price, row.lot_nano > 0 ? row.lot_nano : position->lot_nano);
            position_weigh(ledger, account, position);
        }
        account_peak(account); /* once all are marked: a book half marked shows profits that nobody made */
        unlocked(account);
    }
}

void gate_mark_account(struct gate *gate, uint64_t account_hash, const int64_t *instruments, size_t count)
{
    struct account *account = locked(gate, account_hash, false);
    if (!account)
        return;
    for (size_t i = 0; i < count; i++) {
        struct position *position = ledger_position(gate->ledger, account, instruments[i], false);
        struct limit_row row;
        if (!position || limit_table_read(&gate->table, instruments[i], &row) != LIMIT_FOUND || row.ref_price <= 0)
            continue;
        position_mark(account, position, row.ref_price, row.lot_nano > 0 ? row.lot_nano : position->lot_nano);
        position_weigh(gate->ledger, account, position);
    }
    account_peak(account);
    unlocked(account);
}
