/* Questions about what the account holds and has working, this order counted on its worst side. */
#include "judge/judge.h"

static const struct account nobody = {.reconciled = 1};
static const struct position nowhere = {.buys = NONE, .sells = NONE, .margin_weight = 1000};

void judge_find(struct judgement *j, struct account *account)
{
    j->account = account;
    j->position = account ? ledger_position(j->gate->ledger, account, j->order->instrument_id, false) : NULL;
    j->as_account = account ? account : &nobody;
    j->as_position = j->position ? j->position : &nowhere;
    j->out->has_ledger = true;
    j->out->position_before = j->as_position->held;
    j->out->working_buy_before = j->as_position->working_buy;
    j->out->working_sell_before = j->as_position->working_sell;
}

bool session_is_down(const struct ledger *ledger, uint64_t session)
{
    uint32_t used = atomic_load_explicit(&ledger->session_count, memory_order_acquire);
    if (used == 0 || session == 0)
        return false;
    if (used > SESSION_SLOTS)
        return true;
    for (uint32_t i = 0; i < used; i++)
        if (atomic_load_explicit(&ledger->sessions_down[i], memory_order_acquire) == session)
            return true;
    return false;
}

/* Find the order that a replace is about. */
static bool find_target(struct judgement *j)
{
    const struct order *order = j->order;
    struct working *target = j->account ? ledger_order(j->gate->ledger, order->account, order->target_id) : NULL;
    if (!target || target->state != ORDER_WORKING || target->partner != NONE)
        return false;
    j->target = target;
    return target->instrument_id == order->instrument_id && target->side == order->side;
}

/* A reduce-only order must lie within what is held, less what already works to reduce it. */
static enum order_reason judge_exit(struct judgement *j)
{
    const struct order *order = j->order;
    const struct position *position = j->as_position;
    if (!(order->flags & ORDER_REDUCE_ONLY))
        return REASON_OK;
    int64_t target_open = j->target ? j->target->open : 0;
    wide left = order->side == ORDER_SELL ? (wide)position->held - position->working_sell
                                          : -(wide)position->held - position->working_buy;
    left += target_open;
    if (left < order->qty)
        return refuse(j, REASON_REDUCE_ONLY, left > 0 ? lots_cap(left) : 0, order->qty);
    j->exit = true;
    return REASON_OK;
}

enum order_reason judge_standing(struct judgement *j)
{
    const struct ledger *ledger = j->gate->ledger;
    if ((!j->account || !j->position) && !ledger_has_room(ledger, !j->account))
        return REASON_NO_ROOM;
    if (!j->as_account->reconciled)
        return REASON_NOT_RECONCILED;
    if (session_is_down(ledger, j->order->session))
        return REASON_SESSION_DOWN;
    if (j->order->action == ORDER_REPLACE && !find_target(j))
        return REASON_UNKNOWN_ORDER;
    int64_t open = j->target ? j->target->open : 0;
    j->added = j->order->qty > open ? j->order->qty - open : 0;
    return judge_exit(j);
}

static enum order_reason judge_position(struct judgement *j)
{
    const struct position *position = j->as_position;
    const int64_t largest = INT64_C(1) << 62; /* no position is larger, so that sums of lots cannot overflow */
    bool buys = j->order->side == ORDER_BUY;
    wide after = j->added + (buys ? (wide)position->held + position->working_buy
                                  : (wide)position->working_sell - position->held);
    int64_t limit = j->in_force[buys ? LIMIT_LONG : LIMIT_SHORT];
    limit = limit < largest ? limit : largest;
    if (after > limit)
        return refuse(j, buys ? REASON_MAX_LONG : REASON_MAX_SHORT, limit, lots_cap(after));
    if (!buys && after > 0 && j->words[W_FLAGS] & FLAG_LOCATE) {
        int64_t located = 0;
        if (!limit_set_find(&j->gate->table, LIMIT_SET_LOCATED, pair_hash(j->order->account, j->order->instrument_id), &located))
            located = 0;
        if (after > located)
            return refuse(j, REASON_SHORT_LOCATE, located, lots_cap(after));
    }
    return REASON_OK;
}

enum order_reason judge_lots(struct judgement *j)
{
    const struct position *position = j->as_position;
    enum order_reason reason = j->exit ? REASON_OK : judge_position(j);
    if (reason != REASON_OK)
        return reason;
    if (j->order->side == ORDER_BUY && position->best_sell > 0 && j->price >= position->best_sell)
        return refuse(j, REASON_SELF_MATCH, position->best_sell, j->price);
    if (j->order->side == ORDER_SELL && position->best_buy > 0 && j->price <= position->best_buy)
        return refuse(j, REASON_SELF_MATCH, position->best_buy, j->price);
    int64_t open_orders = (int64_t)j->as_account->open_orders + 1;
    if (!j->exit && !j->target && open_orders > j->terms->limits.open_orders)
        return refuse(j, REASON_OPEN_ORDERS, j->terms->limits.open_orders, open_orders);
    if (atomic_load_explicit(&j->gate->ledger->working_count, memory_order_relaxed) >= j->gate->ledger->sizes.orders)
        return REASON_NO_ROOM;
    return REASON_OK;
}

/* What the position weighs with this order, at the reference price. */
void judge_weight(struct judgement *j)
{
    const struct position *position = j->as_position;
    bool buys = j->order->side == ORDER_BUY;
    int64_t up = lots_cap((wide)position->held + position->working_buy + (buys ? j->added : 0));
    int64_t down = lots_cap((wide)position->held - position->working_sell - (buys ? 0 : j->added));
    j->up = value_of(up, word(j, W_REF), word(j, W_LOT));
    j->down = value_of(down, word(j, W_REF), word(j, W_LOT));
    wide largest = value_abs(j->up) > value_abs(j->down) ? value_abs(j->up) : value_abs(j->down);
    j->gross = largest;
    j->firm_units = firm_units_of(largest);
}

static enum order_reason judge_firm(struct judgement *j)
{
    const struct account_terms *terms = j->terms;
    if (terms->firm_fault != REASON_OK || terms->firm_most == UNLIMITED)
        return terms->firm_fault;
    wide after = (wide)atomic_load_explicit(&j->gate->ledger->firm_units, memory_order_relaxed) + j->firm_units -
                 j->as_position->firm_units;
    if (j->firm_units >= FIRM_UNITS_MAX) /* more than the total can count */
        return refuse(j, REASON_FIRM_VALUE, terms->firm_limit, INT64_MAX);
    if (after > terms->firm_most)
        return refuse(j, REASON_FIRM_VALUE, terms->firm_limit, shown(value_cap(after << FIRM_SHIFT), VALUE_PER_MICRO));
    return REASON_OK;
}

/* Profit and loss of the day, this position at its new mark. */
static enum order_reason judge_losses(struct judgement *j)
{
    const struct account *account = j->as_account;
    const struct position *position = j->as_position;
    wide marked = value_of(position->held, word(j, W_REF), word(j, W_LOT));
    wide first = position->mark > 0 && position->lot_nano > 0 ? 0 : marked; /* the first mark of a position is no profit */
    wide profit = account->cash + account->marked - position->marked + marked - account->base - first;
    wide peak = account->peak > profit ? account->peak : profit;
    if (-profit > j->terms->day_loss)
        return refuse(j, REASON_DAY_LOSS, j->terms->limits.day_loss, shown(value_cap(-profit), VALUE_PER_MICRO));
    if (peak - profit > j->terms->drawdown)
        return refuse(j, REASON_DRAWDOWN, j->terms->limits.drawdown, shown(value_cap(peak - profit), VALUE_PER_MICRO));
    return REASON_OK;
}

enum order_reason judge_values(struct judgement *j)
{
    const struct account *account = j->as_account;
    const struct position *position = j->as_position;
    const struct account_limits *limits = &j->terms->limits;
    judge_weight(j);
    if (j->exit)
        return REASON_OK;
    if (j->gross > j->terms->instrument)
        return refuse(j, REASON_CONCENTRATION, limits->instrument_value, shown(j->gross, VALUE_PER_MICRO));
    wide gross = account->gross - position->gross + j->gross;
    if (gross > j->terms->gross)
        return refuse(j, REASON_GROSS_VALUE, limits->gross_value, shown(gross, VALUE_PER_MICRO));
    wide up = value_abs(account->up - position->up + j->up);
    wide down = value_abs(account->down - position->down + j->down);
    wide net = up > down ? up : down;
    if (net > j->terms->net)
        return refuse(j, REASON_NET_VALUE, limits->net_value, shown(net, VALUE_PER_MICRO));
    wide margin = account->margin - position->margin +
                  margin_of(j->gross, j->in_force[LIMIT_MARGIN]);
    if (margin > j->terms->credit)
        return refuse(j, REASON_CREDIT, limits->credit, shown(margin, VALUE_PER_MICRO * 1000));
    enum order_reason reason = judge_firm(j);
    return reason == REASON_OK ? judge_losses(j) : reason;
}
