/* What an account's sums owe to one position. All of it runs under the account's lock. */
#include "ledger/ledger.h"

void position_weigh(struct ledger *ledger, struct account *account, struct position *position)
{
    ledger_quick_of(ledger, position)->is_settled = 0;
    int64_t highest = lots_cap((wide)position->held + position->working_buy);
    int64_t lowest = lots_cap((wide)position->held - position->working_sell);
    wide up = value_of(highest, position->mark, position->lot_nano);
    wide down = value_of(lowest, position->mark, position->lot_nano);
    wide marked = value_of(position->held, position->mark, position->lot_nano);
    wide gross = value_abs(up) > value_abs(down) ? value_abs(up) : value_abs(down);
    int64_t units = firm_units_of(gross);
    account->up += up - position->up;
    account->down += down - position->down;
    account->marked += marked - position->marked;
    account->gross += gross - position->gross;
    account->margin += margin_of(gross, position->margin_weight) - position->margin;
    atomic_fetch_add_explicit(&ledger->firm_units, units - position->firm_units, memory_order_relaxed);
    position->up = up;
    position->down = down;
    position->marked = marked;
    position->gross = gross;
    position->margin = margin_of(gross, position->margin_weight);
    position->firm_units = units;
    if (account->margin > SUM_MAX || value_abs(account->cash) > SUM_MAX || value_abs(account->base) > SUM_MAX)
        account->reconciled = 0; /* no market is so large: something reports nonsense */
}

void position_mark(struct account *account, struct position *position, int64_t mark, int64_t lot_nano)
{
    if (position->mark <= 0 || position->lot_nano <= 0)
        account->base += value_of(position->held, mark, lot_nano);
    position->mark = mark;
    position->lot_nano = lot_nano;
}

static bool is_better(uint8_t side, int64_t price, int64_t best)
{
    return best == 0 || (side == ORDER_BUY ? price > best : price < best);
}

void position_link(struct ledger *ledger, struct position *position, struct working *order)
{
    struct working *orders = ledger_orders(ledger);
    uint32_t *head = order->side == ORDER_BUY ? &position->buys : &position->sells;
    int64_t *best = order->side == ORDER_BUY ? &position->best_buy : &position->best_sell;
    uint32_t index = order_index(ledger, order);
    order->previous = NONE;
    order->next = *head;
    if (*head != NONE)
        orders[*head].previous = index;
    *head = index;
    if (is_better(order->side, order->price, *best))
        *best = order->price;
}

void position_unlink(struct ledger *ledger, struct position *position, struct working *order)
{
    struct working *orders = ledger_orders(ledger);
    uint32_t *head = order->side == ORDER_BUY ? &position->buys : &position->sells;
    int64_t *best = order->side == ORDER_BUY ? &position->best_buy : &position->best_sell;
    if (order->previous != NONE)
        orders[order->previous].next = order->next;
    else
        *head = order->next;
    if (order->next != NONE)
        orders[order->next].previous = order->previous;
    if (order->price != *best)
        return;
    *best = 0;
    for (uint32_t at = *head; at != NONE; at = orders[at].next)
        if (is_better(order->side, orders[at].price, *best))
            *best = orders[at].price;
}

wide account_profit(const struct account *account)
{
    return account->cash + account->marked - account->base;
}

void account_peak(struct account *account)
{
    wide profit = account_profit(account);
    if (profit > account->peak)
        account->peak = profit;
}

void account_remember(struct ledger *ledger, struct account *account, struct working *order)
{
    struct working *orders = ledger_orders(ledger);
    uint32_t *place = &account->recent[account->recent_at % RECENT_ORDERS];
    if (*place != NONE) {
        struct working *oldest = &orders[*place];
        oldest->remembered = 0;
        if (oldest->state == ORDER_CLOSED)
            ledger_give(ledger, account, oldest);
    }
    *place = order_index(ledger, order);
    order->remembered = 1;
    account->recent_at++;
}
