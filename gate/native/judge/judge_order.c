/* Questions that the order, its sender and the instrument's row answer: nothing here looks at the ledger. */
#include "judge/judge.h"

#define BPS 10000

enum order_reason judge_form(const struct order *order)
{
    const int64_t largest = INT64_C(1) << 62;
    bool known = (order->action == ORDER_NEW || order->action == ORDER_REPLACE) &&
                 (order->side == ORDER_BUY || order->side == ORDER_SELL) &&
                 (order->type == ORDER_LIMIT || order->type == ORDER_MARKET) && (order->flags & ~ORDER_FLAGS) == 0;
    bool priced = order->type == ORDER_MARKET ? order->price >= 0 && !(order->flags & ORDER_POST_ONLY) : order->price > 0;
    bool named = order->order_id != 0 && order->account != 0 && (order->action != ORDER_REPLACE || order->target_id != 0);
    bool sized = order->qty > 0 && order->qty <= largest && order->price <= largest;
    return known && priced && named && sized ? REASON_OK : REASON_INVALID_ORDER;
}

static bool is_blocked(const struct limit_table *table, uint64_t hash)
{
    return hash != 0 && limit_set_find(table, LIMIT_SET_BLOCKED, hash, NULL);
}

/* Nothing at all is blocked, on most days: one word says so. */
static bool nothing_is_blocked(const struct limit_table *table)
{
    const struct limit_set *set = &table->header->sets[LIMIT_SET_BLOCKED];
    return atomic_load_explicit(&set->filter, memory_order_acquire) == 0 &&
           atomic_load_explicit(&set->overflowed, memory_order_acquire) == 0;
}

static bool is_killed(const struct limit_table *table, const struct order *order)
{
    return is_blocked(table, order->account) || is_blocked(table, order->desk) || is_blocked(table, order->trader) ||
           is_blocked(table, order->strategy) || is_blocked(table, order->venue) || is_blocked(table, order->session);
}

enum order_reason judge_scopes(struct judgement *j)
{
    const struct limit_table *table = &j->gate->table;
    const struct order *order = j->order;
    bool is_calm = nothing_is_blocked(table);
    if (atomic_load_explicit(&table->header->firm_killed, memory_order_acquire) || (!is_calm && is_killed(table, order)))
        return REASON_KILLED;
    if (j->found != LIMIT_FOUND)
        return j->found == LIMIT_ABSENT ? REASON_UNKNOWN_INSTRUMENT : REASON_TORN_READ;
    uint64_t flags = j->words[W_FLAGS];
    if (flags & FLAG_KILLED)
        return REASON_KILLED;
    if (flags & FLAG_RESTRICTED || (!is_calm && is_blocked(table, pair_hash(order->account, order->instrument_id))))
        return REASON_RESTRICTED;
    return REASON_OK;
}

static int64_t tighter(int limit, int64_t a, int64_t b)
{
    return limit < LIMIT_FLOORS ? (a < b ? a : b) : (a > b ? a : b);
}

/* Negative where the number is 0 or negative, without a branch; also of the smallest, from which 1 cannot be taken. */
static int64_t below_one(int64_t number)
{
    return (int64_t)((uint64_t)number - 1) | number;
}

enum order_reason judge_limits_set(struct judgement *j)
{
    int64_t envelope[LIMIT_COUNT], other[LIMIT_COUNT];
    j->out->stale = j->words[W_FLAGS] & FLAG_STALE || j->now_ns <= 0 || j->now_ns >= word(j, W_VALID) ||
                    limit_table_writer_dead(&j->gate->table, j->now_ns);
    column_unpack(&j->words[W_ENVELOPE], envelope);
    column_unpack(&j->words[j->out->stale ? W_STALE : j->exit ? W_ENVELOPE : W_DYNAMIC], other);
    uint64_t steps = j->words[W_QTY_STEP];
    int64_t unset = below_one(word(j, W_TICK_SIZE)) | below_one(word(j, W_LOT)) | below_one((int64_t)(uint32_t)steps) |
                    below_one((int64_t)(steps >> 32));
    for (int k = 0; k < LIMIT_COUNT; k++) {
        unset |= envelope[k] | other[k];
        j->in_force[k] = tighter(k, envelope[k], other[k]);
    }
    if (j->out->stale && !j->exit) { /* silence never loosens what was in force */
        column_unpack(&j->words[W_DYNAMIC], other);
        for (int k = 0; k < LIMIT_COUNT; k++)
            if (other[k] >= 0)
                j->in_force[k] = tighter(k, j->in_force[k], other[k]);
    }
    return unset < 0 ? REASON_LIMIT_UNSET : REASON_OK;
}

enum order_reason judge_terms(struct judgement *j)
{
    const struct order *order = j->order;
    int64_t least = (int64_t)(uint32_t)j->words[W_QTY_STEP], step = (int64_t)(j->words[W_QTY_STEP] >> 32);
    if (j->words[W_FLAGS] & FLAG_HALTED && !j->exit)
        return REASON_HALTED;
    if (order->qty < least)
        return refuse(j, REASON_QTY_STEP, least, order->qty);
    if (step > 1 && order->qty % step != 0)
        return refuse(j, REASON_QTY_STEP, step, order->qty);
    if (word(j, W_TICK_SIZE) > 1 && order->price % word(j, W_TICK_SIZE) != 0)
        return refuse(j, REASON_TICK_SIZE, word(j, W_TICK_SIZE), order->price);
    if (order->qty > j->in_force[LIMIT_ORDER_QTY])
        return refuse(j, REASON_MAX_ORDER_SIZE, j->in_force[LIMIT_ORDER_QTY], order->qty);
    return REASON_OK;
}

/* Distance in 1/10,000 of `base`, rounded up (down: towards what is nearer). */
static int64_t bps_up(wide scaled, int64_t base)
{
    wide whole = scaled / base + (scaled > 0 && scaled % base != 0);
    return lots_cap(whole);
}

static int64_t bps_down(wide scaled, int64_t base)
{
    wide whole = scaled / base - (scaled < 0 && scaled % base != 0);
    return lots_cap(whole);
}

/* The furthest price that bands allow: for a buy the highest, for a sell the lowest; a tick that the venue takes. */
static bool collar(const struct judgement *j, int64_t *price)
{
    int64_t ref_price = word(j, W_REF), tick_size = word(j, W_TICK_SIZE);
    const int64_t *limit = j->in_force;
    wide bound, ticks = (wide)limit[LIMIT_BAND_TICKS] * tick_size, period;
    if (j->order->side == ORDER_BUY) {
        bound = (wide)ref_price * (BPS + limit[LIMIT_BAND_BPS]) / BPS;
        period = (wide)word(j, W_REF_LOW) * (BPS + limit[LIMIT_PERIOD_BAND_BPS]) / BPS;
        bound = bound < ref_price + ticks ? bound : ref_price + ticks;
        bound = bound < period ? bound : period;
        bound -= bound % tick_size;
        bound = bound > INT64_MAX ? INT64_MAX - INT64_MAX % tick_size : bound;
    } else {
        wide near = (wide)ref_price * (BPS - limit[LIMIT_BAND_BPS]);
        wide far = (wide)word(j, W_REF_HIGH) * (BPS - limit[LIMIT_PERIOD_BAND_BPS]);
        bound = near > 0 ? (near + BPS - 1) / BPS : 1;
        period = far > 0 ? (far + BPS - 1) / BPS : 1;
        bound = bound > ref_price - ticks ? bound : ref_price - ticks;
        bound = bound > period ? bound : period;
        bound = (bound + tick_size - 1) / tick_size * tick_size;
    }
    *price = (int64_t)bound;
    return bound > 0 && bound <= INT64_C(1) << 62;
}

static enum order_reason judge_bands(struct judgement *j)
{
    int64_t ref_price = word(j, W_REF), tick_size = word(j, W_TICK_SIZE);
    const struct order *order = j->order;
    const int64_t *limit = j->in_force;
    bool buys = order->side == ORDER_BUY;
    int64_t edge = buys ? word(j, W_REF_LOW) : word(j, W_REF_HIGH);
    wide beyond = buys ? (wide)order->price - ref_price : (wide)ref_price - order->price;
    if (beyond * BPS > (wide)limit[LIMIT_BAND_BPS] * ref_price)
        return refuse(j, REASON_PRICE_BAND, limit[LIMIT_BAND_BPS], bps_up(beyond * BPS, ref_price));
    if (beyond > (wide)limit[LIMIT_BAND_TICKS] * tick_size)
        return refuse(j, REASON_PRICE_BAND_TICKS, limit[LIMIT_BAND_TICKS], bps_up(beyond, tick_size));
    wide run = buys ? (wide)order->price - edge : (wide)edge - order->price;
    if (run * BPS > (wide)limit[LIMIT_PERIOD_BAND_BPS] * edge)
        return refuse(j, REASON_PERIOD_BAND, limit[LIMIT_PERIOD_BAND_BPS], bps_up(run * BPS, edge));
    if (order->flags & ORDER_POST_ONLY && -beyond * BPS < (wide)limit[LIMIT_QUOTE_OFFSET_BPS] * ref_price)
        return refuse(j, REASON_QUOTE_OFFSET, limit[LIMIT_QUOTE_OFFSET_BPS], bps_down(-beyond * BPS, ref_price));
    return REASON_OK;
}

enum order_reason judge_price(struct judgement *j)
{
    const struct order *order = j->order;
    int64_t edge = order->side == ORDER_BUY ? word(j, W_REF_LOW) : word(j, W_REF_HIGH);
    if (word(j, W_REF) <= 0 || edge <= 0 || j->now_ns <= 0 || j->now_ns >= word(j, W_REF_UNTIL))
        return REASON_NO_REFERENCE_PRICE;
    j->price = order->price;
    if (order->type == ORDER_MARKET && order->price == 0) {
        if (!collar(j, &j->price))
            return REASON_PRICE_BAND;
    } else {
        enum order_reason reason = judge_bands(j);
        if (reason != REASON_OK)
            return reason;
    }
    j->value = value_of(order->qty, j->price, word(j, W_LOT));
    int64_t limit = j->in_force[LIMIT_ORDER_VALUE];
    if (limit != LIMIT_UNLIMITED && j->value > (wide)limit * VALUE_PER_MICRO)
        return refuse(j, REASON_MAX_ORDER_VALUE, limit, shown(j->value, VALUE_PER_MICRO));
    return REASON_OK;
}

/* Whether x is above so many thousandths of a limit; what is unlimited has no thousandths. */
static bool above_share(wide x, int64_t limit, int64_t unit, uint16_t permille)
{
    return permille < 1000 && limit != LIMIT_UNLIMITED && x * 1000 > (wide)limit * unit * permille;
}

enum order_reason judge_soft(struct judgement *j)
{
    uint16_t warn = warn_of(j->words[W_FLAGS]), pend = pend_of(j->words[W_FLAGS]);
    if (warn >= 1000 && pend >= 1000)
        return REASON_OK;
    int64_t qty = j->order->qty, qty_max = j->in_force[LIMIT_ORDER_QTY], value_max = j->in_force[LIMIT_ORDER_VALUE];
    bool large = above_share(qty, qty_max, 1, pend);
    bool dear = above_share(j->value, value_max, VALUE_PER_MICRO, pend);
    if (large || dear) {
        int64_t until_ns = 0;
        bool approved = limit_set_find(&j->gate->table, LIMIT_SET_APPROVED, j->order->order_id, &until_ns);
        if (!approved || until_ns <= j->now_ns)
            return large ? refuse(j, REASON_NEEDS_APPROVAL, qty_max, qty)
                         : refuse(j, REASON_NEEDS_APPROVAL, value_max, shown(j->value, VALUE_PER_MICRO));
    }
    j->out->warned = above_share(qty, qty_max, 1, warn) ||
                     above_share(j->value, value_max, VALUE_PER_MICRO, warn);
    return REASON_OK;
}
