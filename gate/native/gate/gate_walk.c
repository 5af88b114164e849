/* Looking at the ledger from outside: positions, working orders, and which of them must be cancelled. */
#include "judge/judge.h"

bool gate_next_position(const struct gate *gate, uint32_t *cursor, struct gate_position *out)
{
    struct ledger *ledger = gate->ledger;
    struct position *positions = ledger_positions(ledger);
    for (; *cursor < ledger->position_slots; ++*cursor) {
        struct position *position = &positions[*cursor];
        uint64_t key = atomic_load_explicit(&position->key, memory_order_acquire);
        if (key == 0)
            continue;
        struct account *account = &ledger_accounts(ledger)[(key >> 32) - 1];
        account_lock(account);
        out->account = atomic_load_explicit(&account->hash, memory_order_relaxed);
        out->instrument_id = (int64_t)(key & UINT32_MAX);
        out->position = position->held;
        out->working_buy = position->working_buy;
        out->working_sell = position->working_sell;
        out->cash = position->cash;
        account_unlock(account);
        ++*cursor;
        return true;
    }
    return false;
}

/* Whether something that a person ordered, or a lost session, says that the order must go. */
static bool must_go(const struct gate *gate, const struct gate_working *order)
{
    const struct limit_table *table = &gate->table;
    struct limit_row row;
    const uint64_t scopes[] = {order->account, order->trader, order->desk, order->strategy, order->venue, order->session};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        if (scopes[i] && limit_set_find(table, LIMIT_SET_BLOCKED, scopes[i], NULL))
            return true;
    return atomic_load_explicit(&table->header->firm_killed, memory_order_acquire) ||
           session_is_down(gate->ledger, order->session) ||
           (limit_table_read(table, order->instrument_id, &row) == LIMIT_FOUND && row.killed);
}

bool gate_next_working(const struct gate *gate, uint32_t *cursor, struct gate_working *out)
{
    struct ledger *ledger = gate->ledger;
    struct working *orders = ledger_orders(ledger);
    for (; *cursor < ledger->order_count; ++*cursor) {
        const struct working *order = &orders[*cursor];
        uint8_t state = __atomic_load_n(&order->state, __ATOMIC_ACQUIRE);
        if (state != ORDER_WORKING && state != ORDER_PENDING_REPLACE)
            continue;
        struct account *account = ledger_account(ledger, __atomic_load_n(&order->account_hash, __ATOMIC_RELAXED), false);
        if (!account)
            continue;
        account_lock(account);
        state = __atomic_load_n(&order->state, __ATOMIC_RELAXED);
        uint64_t owner = __atomic_load_n(&order->account_hash, __ATOMIC_RELAXED);
        if ((state != ORDER_WORKING && state != ORDER_PENDING_REPLACE) ||
            owner != atomic_load_explicit(&account->hash, memory_order_relaxed)) { /* it ended, and may be another's by now */
            account_unlock(account);
            continue;
        }
        *out = (struct gate_working){
            .account = owner, .order_id = order->order_id, .trader = order->trader, .desk = order->desk,
            .strategy = order->strategy, .venue = order->venue, .session = order->session,
            .instrument_id = order->instrument_id, .open_qty = order->open, .price = order->price, .side = order->side,
        };
        account_unlock(account);
        out->blocked = must_go(gate, out);
        ++*cursor;
        return true;
    }
    return false;
}
