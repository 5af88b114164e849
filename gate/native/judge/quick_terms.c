/* What the next order is compared with: made from the row when it was judged in full, from the position when it changed, and
 * from the account when it changed. Every number is rounded towards "do not know". */
#include "judge/judge.h"

#define UNUSUAL_FLAGS (FLAG_HALTED | FLAG_KILLED | FLAG_STALE | FLAG_RESTRICTED | FLAG_LOCATE)
#define BPS 10000
#define UNITS_MAX (INT64_C(1) << 60) /* sums of a few stay within 64 bits */

static wide smaller(wide a, wide b)
{
    return a < b ? a : b;
}

static wide larger(wide a, wide b)
{
    return a > b ? a : b;
}

/* A limit in units, rounded down; what does not fit is tighter than it was. */
static int64_t most_units(wide limit, int shift)
{
    return (int64_t)smaller(limit >> shift, UNITS_MAX);
}

static wide up_units(wide value, int shift)
{
    return (value + ((wide)1 << shift) - 1) >> shift;
}

static bool fits(wide units)
{
    return units <= UNITS_MAX && units >= -UNITS_MAX;
}

bool make_room(struct account *account)
{
    const struct account_terms *terms = &account->terms;
    const struct account_limits *limits = &terms->limits;
    if (!terms->is_read || terms->fault != REASON_OK || terms->firm_fault != REASON_OK || !account->reconciled ||
        account->open_orders >= limits->open_orders)
        return false;
    int64_t unused; /* of another period all parts count; of this one never more than now, whenever it is asked */
    wide spent = period_is_kept(account, limits) ? account->period_total : period_sum(account, limits, 1, &unused);
    wide gross = up_units(account->gross, FIRM_SHIFT), margin = up_units(account->margin, MARGIN_SHIFT);
    wide net = up_units(larger(value_abs(account->up), value_abs(account->down)), FIRM_SHIFT);
    wide period = up_units(spent, FIRM_SHIFT), profit = account_profit(account) >> FIRM_SHIFT;
    wide least = larger(larger(up_units(-terms->day_loss, FIRM_SHIFT), up_units(account->peak - terms->drawdown, FIRM_SHIFT)),
                        -UNITS_MAX);
    if (!fits(gross) || !fits(margin) || !fits(net) || !fits(period) || !fits(profit) || !fits(least))
        return false;
    account->room = (struct account_room){
        .instrument = (int64_t)smaller(most_units(terms->instrument, FIRM_SHIFT), FIRM_UNITS_MAX - 1),
        .gross = most_units(terms->gross, FIRM_SHIFT) - (int64_t)gross,
        .net = most_units(terms->net, FIRM_SHIFT) - (int64_t)net,
        .margin = most_units(terms->credit, MARGIN_SHIFT) - (int64_t)margin,
        .firm = (int64_t)smaller(terms->firm_most, UNITS_MAX),
        .profit = (int64_t)(profit - least),
        .period = most_units(terms->period, FIRM_SHIFT) - (int64_t)period,
        .tokens = tokens_held(account, limits),
        .duplicate_ns = limits->duplicate_ns, .repeats_max = limits->repeats_max, .period_ns = limits->period_ns,
        .class_mask = limits->class_mask, .seen = terms->seen, .firm_seen = terms->firm_seen,
    };
    account->has_room = 1;
    return true;
}

/* What the account's sums would change by, if the position stood at the row's reference price. */
static bool settle_values(const struct position *position, struct quick *quick)
{
    int64_t ref = quick->ref_price, lot = quick->lot_nano;
    wide up = value_of(lots_cap((wide)position->held + position->working_buy), ref, lot);
    wide down = value_of(lots_cap((wide)position->held - position->working_sell), ref, lot);
    wide marked = value_of(position->held, ref, lot);
    wide gross = larger(value_abs(up), value_abs(down));
    if (gross >> (FIRM_SHIFT + 55) != 0)
        return false;
    wide units = up_units(gross, FIRM_SHIFT);
    wide more_gross = larger(up_units(gross - position->gross, FIRM_SHIFT), units - position->firm_units);
    wide more_net = up_units(larger(value_abs(up - position->up), value_abs(down - position->down)), FIRM_SHIFT);
    wide more_margin = up_units(gross * quick->margin - position->margin, MARGIN_SHIFT);
    wide more_profit = (marked - position->marked) >> FIRM_SHIFT;
    if (!fits(more_gross) || !fits(more_net) || !fits(more_margin) || !fits(more_profit))
        return false;
    quick->gross = (int64_t)units;
    quick->more_gross = (int64_t)more_gross;
    quick->more_net = (int64_t)more_net;
    quick->more_margin = (int64_t)more_margin;
    quick->more_profit = (int64_t)more_profit;
    return true;
}

bool settle_quick(struct ledger *ledger, struct quick *quick)
{
    const struct position *position = ledger_position_of(ledger, quick);
    if (position->mark <= 0 || position->lot_nano <= 0 || !settle_values(position, quick))
        return false;
    wide held = position->held;
    quick->held = position->held;
    quick->working_buy = position->working_buy;
    quick->working_sell = position->working_sell;
    quick->buy_lots = lots_cap(smaller(quick->qty_max, quick->long_max - held - position->working_buy));
    quick->sell_lots = lots_cap(smaller(quick->qty_max, quick->short_max + held - position->working_sell));
    quick->buy_max = quick->row_buy_max;
    quick->sell_min = quick->row_sell_min;
    if (position->best_sell > 0 && position->best_sell <= quick->buy_max)
        quick->buy_max = position->best_sell - 1;
    if (position->best_buy > 0 && position->best_buy >= quick->sell_min)
        quick->sell_min = position->best_buy + 1;
    quick->sent_ns = 0;
    for (int i = 0; i < RECENT_EQUAL; i++)
        if (position->equal[i].ts_ns > quick->sent_ns)
            quick->sent_ns = position->equal[i].ts_ns;
    quick->is_settled = 1;
    return true;
}

static int64_t price_of(wide price)
{
    const wide largest = (wide)1 << 62;
    return price > largest ? (int64_t)largest : price < 1 ? 1 : (int64_t)price;
}

/* price * permyriad / 10,000 rounded down and up; the price is positive. The division by a constant is a multiplication as long
 * as the product fits 64 bits. */
static wide share_down(int64_t price, int64_t permyriad)
{
    wide product = (wide)price * permyriad;
    if (product >> 63 == 0)
        return (wide)((uint64_t)product / BPS);
    return product > 0 ? product / BPS : -((-product + BPS - 1) / BPS);
}

static wide share_up(int64_t price, int64_t permyriad)
{
    wide product = (wide)price * permyriad;
    if (product >> 62 == 0)
        return (wide)(((uint64_t)product + BPS - 1) / BPS);
    return product > 0 ? (product + BPS - 1) / BPS : product / BPS;
}

/* The inverse of the tick's odd part modulo 2^64 by Newton's iteration: each step doubles the bits that are right, from 5. */
static void keep_tick(struct quick *quick, int64_t tick_size)
{
    unsigned zeros = (unsigned)__builtin_ctzll((uint64_t)tick_size);
    uint64_t odd = (uint64_t)tick_size >> zeros, inverse = 3 * odd ^ 2;
    for (int i = 0; i < 4; i++)
        inverse *= 2 - odd * inverse;
    quick->tick_inverse = inverse;
    quick->tick_shift = zeros & 63;
    quick->tick_most = UINT64_MAX / (uint64_t)tick_size;
    quick->tick_size = tick_size;
}

/* Prices that every band allows, and those that also stand far enough behind the market. */
static void keep_prices(struct judgement *j, struct quick *quick)
{
    int64_t ref = word(j, W_REF);
    const int64_t *limit = j->in_force;
    wide ticks = (wide)limit[LIMIT_BAND_TICKS] * word(j, W_TICK_SIZE);
    wide buy = smaller(share_down(ref, BPS + limit[LIMIT_BAND_BPS]), ref + ticks);
    wide sell = larger(share_up(ref, BPS - limit[LIMIT_BAND_BPS]), ref - ticks);
    buy = smaller(buy, share_down(word(j, W_REF_LOW), BPS + limit[LIMIT_PERIOD_BAND_BPS]));
    sell = larger(sell, share_up(word(j, W_REF_HIGH), BPS - limit[LIMIT_PERIOD_BAND_BPS]));
    wide quote_buy = smaller(buy, share_down(ref, BPS - limit[LIMIT_QUOTE_OFFSET_BPS]));
    wide quote_sell = larger(sell, share_up(ref, BPS + limit[LIMIT_QUOTE_OFFSET_BPS]));
    quick->row_buy_max = buy < 1 ? 0 : price_of(buy);
    quick->row_sell_min = price_of(sell);
    quick->quote_buy_max = quote_buy < 1 ? 0 : price_of(quote_buy);
    quick->quote_sell_min = price_of(quote_sell);
}

void keep_terms(struct judgement *j)
{
    const wide lots_max = (wide)1 << 62;
    const int64_t *limit = j->in_force;
    uint64_t flags = j->words[W_FLAGS];
    wide lot_units = up_units((wide)word(j, W_REF) * word(j, W_LOT), LOT_SHIFT);
    bool is_plain = (flags & UNUSUAL_FLAGS) == 0 && warn_of(flags) >= 1000 && pend_of(flags) >= 1000 &&
                    word(j, W_REF_LOW) > 0 && word(j, W_REF_HIGH) > 0 && lot_units < lots_max;
    if (!j->position || j->exit || j->out->stale || !is_plain)
        return;
    struct quick *quick = ledger_quick_of(j->gate->ledger, j->position);
    quick->seen = j->seen;
    quick->until_ns = word(j, W_VALID) < word(j, W_REF_UNTIL) ? word(j, W_VALID) : word(j, W_REF_UNTIL);
    quick->ref_price = word(j, W_REF);
    quick->lot_nano = word(j, W_LOT);
    quick->lot_units = (int64_t)lot_units;
    quick->qty_min = (uint32_t)j->words[W_QTY_STEP];
    quick->qty_step = (uint32_t)(j->words[W_QTY_STEP] >> 32);
    quick->weight = (uint32_t)limit[LIMIT_MESSAGE_WEIGHT] & ((1u << SMALL_BITS) - 1);
    quick->margin = (uint32_t)limit[LIMIT_MARGIN] & ((1u << SMALL_BITS) - 1);
    quick->class_id = class_of(flags) & CLASS_MAX;
    /* So few that their value at the reference price stays below the largest of units. */
    wide qty_max = ((wide)1 << (54 + FIRM_SHIFT - LOT_SHIFT)) / quick->lot_units;
    quick->qty_max = (int64_t)smaller(smaller(limit[LIMIT_ORDER_QTY], qty_max), lots_max);
    quick->long_max = (int64_t)smaller(limit[LIMIT_LONG], lots_max);
    quick->short_max = (int64_t)smaller(limit[LIMIT_SHORT], lots_max);
    quick->value_most = limit[LIMIT_ORDER_VALUE] == LIMIT_UNLIMITED
                            ? INT64_MAX
                            : most_units((wide)limit[LIMIT_ORDER_VALUE] * VALUE_PER_MICRO, FIRM_SHIFT);
    if (quick->tick_size != word(j, W_TICK_SIZE))
        keep_tick(quick, word(j, W_TICK_SIZE));
    keep_prices(j, quick);
    quick->is_settled = 0;
    atomic_store_explicit(&quick->key, atomic_load_explicit(&j->position->key, memory_order_relaxed), memory_order_relaxed);
}
