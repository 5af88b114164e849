/* A ledger that another process left: whatever is found there, no later step leaves its tables, and no list goes round.
 *
 * Nothing that can be made again is trusted: lists, chains, sums and counts are built from positions and orders. What cannot be
 * made again (positions, orders, cash, counters of the past) is taken where it is possible at all; where it is not, and where a sum
 * was another one than what it is made of, the account waits for reconciliation. A table in which an account, a position or a
 * session's bucket cannot be found is no ledger. */
#include "ledger/ledger.h"

#include <string.h>

#define LOTS_MAX (INT64_C(1) << 62)

static bool is_within(int64_t *number, int64_t least, int64_t most)
{
    bool within = *number >= least && *number <= most;
    *number = *number < least ? least : *number > most ? most : *number;
    return within;
}

static bool is_sum(wide *sum)
{
    bool within = *sum <= SUM_MAX && *sum >= -SUM_MAX;
    *sum = within ? *sum : 0;
    return within;
}

/* A value that counts against a limit: one that cannot be is the largest. */
static bool is_spent(wide *value)
{
    bool within = *value >= 0 && *value <= VALUE_MAX;
    *value = within ? *value : VALUE_MAX;
    return within;
}

static bool accounts_are_found(struct ledger *ledger)
{
    struct account *accounts = ledger_accounts(ledger);
    uint32_t count = 0;
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        count += atomic_load_explicit(&accounts[i].hash, memory_order_relaxed) != 0;
    if (count > ledger->sizes.accounts) /* then a search might find no free slot */
        return false;
    atomic_store_explicit(&ledger->account_count, count, memory_order_relaxed);
    for (uint32_t i = 0; i < ledger->account_slots; i++) {
        uint64_t hash = atomic_load_explicit(&accounts[i].hash, memory_order_relaxed);
        if (hash && ledger_account(ledger, hash, false) != &accounts[i])
            return false;
    }
    return true;
}

static struct account *holder_of(struct ledger *ledger, uint64_t key)
{
    uint64_t index = (key >> 32) - 1;
    struct account *accounts = ledger_accounts(ledger);
    bool is_there = key >> 32 != 0 && index < ledger->account_slots &&
                    atomic_load_explicit(&accounts[index].hash, memory_order_relaxed) != 0;
    return is_there ? &accounts[index] : NULL;
}

static bool positions_are_found(struct ledger *ledger)
{
    struct position *positions = ledger_positions(ledger);
    uint32_t count = 0;
    for (uint32_t i = 0; i < ledger->position_slots; i++)
        count += atomic_load_explicit(&positions[i].key, memory_order_relaxed) != 0;
    if (count > ledger->sizes.positions)
        return false;
    atomic_store_explicit(&ledger->position_count, count, memory_order_relaxed);
    for (uint32_t i = 0; i < ledger->position_slots; i++) {
        uint64_t key = atomic_load_explicit(&positions[i].key, memory_order_relaxed);
        if (key == 0)
            continue;
        struct account *account = holder_of(ledger, key);
        if (!account || ledger_position(ledger, account, (int64_t)(key & UINT32_MAX), false) != &positions[i])
            return false;
    }
    return true;
}

/* Of a session there is nobody to reconcile it: a bucket that cannot be makes the whole no ledger. */
static bool sessions_are_found(struct ledger *ledger)
{
    struct session_rate *rates = ledger_session_rates(ledger);
    for (uint32_t i = 0; i < SESSION_RATES; i++) {
        uint64_t session = atomic_load_explicit(&rates[i].session, memory_order_relaxed);
        atomic_store_explicit(&rates[i].lock, 0, memory_order_relaxed);
        if (session == 0)
            memset(&rates[i], 0, sizeof rates[i]); /* who takes the place finds nothing there */
        else if (ledger_session_rate(ledger, session) != &rates[i] || rates[i].tokens < 0 || rates[i].tokens > LOTS_MAX ||
                 rates[i].tokens_ns < 0)
            return false;
    }
    return true;
}

/* What an account remembers of the past. */
static bool past_is_possible(struct account *account)
{
    bool sound = is_within(&account->tokens, 0, LOTS_MAX) & is_within(&account->tokens_ns, 0, INT64_MAX);
    sound &= is_within(&account->period_width_ns, 0, LIMIT_PERIOD_MAX_NS) & is_within(&account->period_start_ns, 0, INT64_MAX);
    sound &= is_within(&account->period_newest, 0, INT64_MAX);
    int64_t start_ns;
    if (__builtin_mul_overflow(account->period_newest, account->period_width_ns, &start_ns)) {
        account->period_newest = 0;
        sound = false;
    }
    for (int i = 0; i < PERIOD_BUCKETS; i++)
        sound &= is_spent(&account->period_values[i]);
    sound &= is_spent(&account->period_total);
    for (int i = 0; i < STRATEGY_SLOTS; i++)
        sound &= is_within(&account->strategies[i].count, 0, LOTS_MAX) & is_within(&account->strategies[i].run_start_ns, 0, INT64_MAX);
    for (int i = 0; i < BASKET_SLOTS; i++)
        sound &= is_spent(&account->baskets[i].value) & is_within(&account->baskets[i].last_ns, 0, INT64_MAX);
    for (int i = 0; i < PARENT_SLOTS; i++) {
        struct parent_slot *slot = &account->parents[i];
        sound &= is_within(&slot->declared, 0, INT64_MAX) & is_within(&slot->used, 0, INT64_MAX) & is_within(&slot->open, 0, LOTS_MAX);
    }
    return sound & is_sum(&account->base) & is_sum(&account->peak);
}

static bool position_is_possible(struct position *position)
{
    bool sound = is_within(&position->held, -LOTS_MAX, LOTS_MAX) & is_within(&position->mark, 0, INT64_MAX) &
                 is_within(&position->lot_nano, 0, INT64_MAX) & is_within(&position->margin_weight, 0, LIMIT_MARGIN_MAX);
    for (int i = 0; i < RECENT_EQUAL; i++)
        sound &= is_within(&position->equal[i].ts_ns, 0, INT64_MAX);
    return sound & is_sum(&position->cash);
}

static bool works(const struct working *order)
{
    return order->state == ORDER_WORKING || order->state == ORDER_PENDING_REPLACE;
}

/* An order that stands where it says: its account, and for a working one its position. */
static bool order_is_possible(struct ledger *ledger, struct working *order)
{
    struct account *account = holder_of(ledger, (uint64_t)order->account + 1 > UINT32_MAX ? 0 : ((uint64_t)order->account + 1) << 32);
    if (!account || atomic_load_explicit(&account->hash, memory_order_relaxed) != order->account_hash || order->order_id == 0 ||
        order->state > ORDER_PENDING_REPLACE)
        return false;
    if (!works(order))
        return true;
    uint64_t key = ((uint64_t)order->account + 1) << 32 | ((uint64_t)order->instrument_id & UINT32_MAX);
    return order->position < ledger->position_slots && (uint64_t)order->instrument_id <= UINT32_MAX &&
           atomic_load_explicit(&ledger_positions(ledger)[order->position].key, memory_order_relaxed) == key &&
           (order->side == ORDER_BUY || order->side == ORDER_SELL) && order->price > 0 && order->price <= LOTS_MAX &&
           order->open >= 0 && order->open <= LOTS_MAX && order->asked >= 0 && order->asked <= LOTS_MAX &&
           order->in_parent >= 0 && order->in_parent <= LOTS_MAX;
}

/* The two halves of a replace know each other, or neither does. */
static bool partner_is_possible(struct ledger *ledger, struct working *order)
{
    struct working *orders = ledger_orders(ledger);
    if (order->partner == NONE)
        return order->state == ORDER_WORKING;
    if (order->partner >= ledger->order_count)
        return false;
    const struct working *other = &orders[order->partner];
    return works(other) && other->partner == order_index(ledger, order) && other->state != order->state &&
           other->position == order->position && other->side == order->side;
}

static bool add_lots(int64_t *sum, int64_t lots)
{
    int64_t after;
    if (__builtin_add_overflow(*sum, lots, &after) || after > LOTS_MAX)
        return false;
    *sum = after;
    return true;
}

/* Take an order into its position, or drop it; false when something was wrong with it. */
static bool settle_order(struct ledger *ledger, struct working *order)
{
    struct position *position = &ledger_positions(ledger)[order->position];
    bool sound = partner_is_possible(ledger, order);
    if (!sound) {
        order->state = ORDER_WORKING;
        order->partner = NONE;
    }
    if (!add_lots(order->side == ORDER_BUY ? &position->working_buy : &position->working_sell, order->open)) {
        order->open = 0;
        sound = false;
    }
    position_link(ledger, position, order);
    ledger_accounts(ledger)[order->account].open_orders++;
    atomic_fetch_add_explicit(&ledger->working_count, 1, memory_order_relaxed);
    return sound;
}

/* The recent orders of an account, each once; marks them as remembered. */
static void settle_recent(struct ledger *ledger, struct account *account)
{
    struct working *orders = ledger_orders(ledger);
    for (int i = 0; i < RECENT_ORDERS; i++) {
        uint32_t at = account->recent[i];
        if (at < ledger->order_count && orders[at].state != ORDER_FREE && !orders[at].remembered &&
            &ledger_accounts(ledger)[orders[at].account] == account)
            orders[at].remembered = 1;
        else
            account->recent[i] = NONE;
    }
}

static void distrust(struct account *account)
{
    account->reconciled = 0;
}

/* Drop what cannot be an order; then give every account its recent ones, and free the closed ones that nobody remembers. */
static void settle_orders(struct ledger *ledger)
{
    struct working *orders = ledger_orders(ledger);
    struct account *accounts = ledger_accounts(ledger);
    for (uint32_t i = 0; i < ledger->order_count; i++) {
        orders[i].remembered = 0;
        if (orders[i].state == ORDER_FREE || order_is_possible(ledger, &orders[i]))
            continue;
        struct account *account = ledger_account(ledger, orders[i].account_hash, false);
        if (account)
            distrust(account);
        orders[i].state = ORDER_FREE;
    }
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        settle_recent(ledger, &accounts[i]);
    for (uint32_t i = 0; i < ledger->order_count; i++) {
        if (orders[i].state == ORDER_CLOSED && !orders[i].remembered)
            orders[i].state = ORDER_FREE;
        if (works(&orders[i]) && !settle_order(ledger, &orders[i]))
            distrust(&accounts[orders[i].account]);
    }
}

static void clear_position(struct account *account, struct position *position, struct quick *quick)
{
    *quick = (struct quick){.working_buy = position->working_buy, .working_sell = position->working_sell};
    if (!position_is_possible(position))
        distrust(account);
    position->working_buy = position->working_sell = 0;
    position->buys = position->sells = NONE;
    position->best_buy = position->best_sell = position->firm_units = 0;
    position->up = position->down = position->gross = position->marked = position->margin = 0;
    if (value_abs(account->cash += position->cash) > SUM_MAX) {
        account->cash = 0;
        distrust(account);
    }
}

static void clear_account(struct account *account)
{
    if (atomic_load_explicit(&account->hash, memory_order_relaxed) == 0) {
        ledger_fresh_account(account); /* who takes the place finds nothing there */
        return;
    }
    account->has_room = account->reconciled != 0; /* until all is settled: what it said of itself */
    uint32_t changing = atomic_load_explicit(&account->changing, memory_order_relaxed);
    if (changing & 1u) {
        distrust(account);
        atomic_store_explicit(&account->changing, changing + 1, memory_order_relaxed);
    }
    if (!past_is_possible(account))
        distrust(account);
    atomic_store_explicit(&account->lock, 0, memory_order_relaxed);
    account->terms.is_read = false;
    account->session.session = 0; /* another table may be attached */
    account->positions = 0;
    account->open_orders = 0;
    account->up = account->down = account->gross = account->margin = account->marked = account->cash = 0;
}

/* Make the sums of a position again; its quick terms hold what it said that works, and are cleared: another table may be attached. */
static void settle_position(struct ledger *ledger, struct account *account, struct position *position)
{
    struct quick *quick = ledger_quick_of(ledger, position);
    if (quick->working_buy != position->working_buy || quick->working_sell != position->working_sell)
        distrust(account);
    memset(quick, 0, sizeof *quick);
    position_weigh(ledger, account, position);
}

bool ledger_adopt(struct ledger *ledger)
{
    struct account *accounts = ledger_accounts(ledger);
    struct position *positions = ledger_positions(ledger);
    if (!accounts_are_found(ledger) || !positions_are_found(ledger) || !sessions_are_found(ledger))
        return false;
    memset(ledger_quicks(ledger), 0, ledger->position_slots * sizeof(struct quick));
    atomic_store_explicit(&ledger->working_count, 0, memory_order_relaxed);
    atomic_store_explicit(&ledger->firm_units, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        clear_account(&accounts[i]);
    for (uint32_t i = 0; i < ledger->position_slots; i++) {
        struct account *account = holder_of(ledger, atomic_load_explicit(&positions[i].key, memory_order_relaxed));
        if (!account) {
            memset(&positions[i], 0, sizeof positions[i]); /* who takes the place finds nothing there */
            continue;
        }
        clear_position(account, &positions[i], &ledger_quicks(ledger)[i]);
        positions[i].next_of_account = account->positions;
        account->positions = i + 1;
    }
    settle_orders(ledger);
    ledger_chain_orders(ledger);
    for (uint32_t i = 0; i < ledger->position_slots; i++) {
        struct account *account = holder_of(ledger, atomic_load_explicit(&positions[i].key, memory_order_relaxed));
        if (account)
            settle_position(ledger, account, &positions[i]);
    }
    for (uint32_t i = 0; i < ledger->account_slots; i++) {
        if (accounts[i].has_room && !accounts[i].reconciled)
            atomic_fetch_add_explicit(&ledger->torn_accounts, 1, memory_order_relaxed);
        accounts[i].has_room = 0;
    }
    return true;
}
