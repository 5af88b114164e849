/* The order that nothing is wrong with.
 *
 * Most orders are within all limits, of an account that was active a moment ago, in an instrument whose row has not changed since.
 * For those the answer is some forty comparisons with numbers that were left behind by the last order (quick_terms.c). Whatever
 * is not plainly right is answered "do not know", and the full judgement asks everything: every refusal, with its reason and its
 * numbers, comes from there.
 *
 * Invariant: yes is said only where the full judgement would accept; the twin is compared with both.
 */
#include "judge/judge.h"

#include <string.h>

static bool is_plain(const struct order *order)
{
    return order->action == ORDER_NEW && order->type == ORDER_LIMIT && (order->flags & ~ORDER_POST_ONLY) == 0 &&
           (order->side == ORDER_BUY || order->side == ORDER_SELL) && (order->basket | order->parent) == 0 &&
           order->order_id != 0;
}

/* Nobody stopped anything, and what was read for the last order still stands. */
static bool still_stands(const struct judgement *j, const struct quick *quick)
{
    const struct limit_table *table = &j->gate->table;
    const struct limit_header *header = table->header;
    const struct limit_set *blocked = &header->sets[LIMIT_SET_BLOCKED];
    const struct account_room *room = &j->account->room;
    bool is_calm = (atomic_load_explicit(&header->firm_killed, memory_order_acquire) |
                    atomic_load_explicit(&blocked->filter, memory_order_acquire) |
                    atomic_load_explicit(&blocked->overflowed, memory_order_acquire) |
                    atomic_load_explicit(&j->gate->ledger->session_count, memory_order_acquire)) == 0;
    return is_calm && limit_row_unchanged(table, quick->seen) && limit_account_unchanged(table, room->seen) &&
           limit_account_unchanged(table, room->firm_seen) && j->now_ns > 0 && j->now_ns < quick->until_ns &&
           !limit_table_writer_dead(table, j->now_ns);
}

static uint64_t turned(uint64_t word, unsigned by)
{
    return word >> by | word << (-by & 63);
}

static bool is_within_terms(struct judgement *j, const struct quick *quick)
{
    const struct order *order = j->order;
    bool buys = order->side == ORDER_BUY;
    int64_t qty = order->qty, price = order->price;
    if (qty < quick->qty_min || qty > (buys ? quick->buy_lots : quick->sell_lots) || price <= 0 || price > INT64_C(1) << 62)
        return false;
    if (buys ? price > quick->buy_max : price < quick->sell_min)
        return false;
    if (order->flags && (buys ? price > quick->quote_buy_max : price < quick->quote_sell_min))
        return false;
    /* Multiplying by the inverse of an odd number takes exactly its multiples to 0, 1, 2 ...; the turn asks for its zeros. */
    if (turned((uint64_t)price * quick->tick_inverse, quick->tick_shift) > quick->tick_most)
        return false;
    return quick->qty_step == 1 || (uint64_t)qty % quick->qty_step == 0;
}

static bool is_within_values(struct judgement *j, const struct quick *quick)
{
    const struct account_room *room = &j->account->room;
    const struct ledger *ledger = j->gate->ledger;
    uint64_t qty = (uint64_t)j->order->qty;
    j->value = value_of(j->order->qty, j->order->price, quick->lot_nano);
    if (j->value >> (FIRM_SHIFT + 62) != 0)
        return false;
    int64_t value = (int64_t)((j->value + ((wide)1 << FIRM_SHIFT) - 1) >> FIRM_SHIFT);
    int64_t more = (int64_t)((uwide)qty * (uint64_t)quick->lot_units >> (FIRM_SHIFT - LOT_SHIFT)) + 1, margin;
    if (__builtin_mul_overflow(more, (int64_t)quick->margin, &margin))
        return false;
    margin = (margin >> (MARGIN_SHIFT - FIRM_SHIFT)) + 1;
    int64_t gross = more + quick->more_gross;
    int64_t firm_units = atomic_load_explicit(&ledger->firm_units, memory_order_relaxed);
    return value <= quick->value_most && value <= room->period && more <= room->instrument - quick->gross &&
           gross <= room->gross && firm_units <= room->firm - gross && more + quick->more_net <= room->net &&
           margin + quick->more_margin <= room->margin && room->profit + quick->more_profit >= 0 &&
           atomic_load_explicit(&ledger->working_count, memory_order_relaxed) < ledger->sizes.orders;
}

/* The strategy stands where its search begins, and has not done the same too often. */
static bool is_no_repeat(struct judgement *j)
{
    const struct order *order = j->order;
    const struct account_room *room = &j->account->room;
    uint32_t at = (uint32_t)order->strategy % STRATEGY_SLOTS;
    const struct strategy_slot *slot = &j->account->strategies[at];
    if (order->strategy == 0 || room->repeats_max == LIMIT_UNLIMITED)
        return true;
    if (slot->strategy != order->strategy || slot->tripped)
        return judge_strategy(j) == REASON_OK;
    bool again = slot->instrument_id == order->instrument_id && slot->qty == order->qty && slot->side == order->side &&
                 j->now_ns - slot->run_start_ns < room->period_ns;
    j->strategy_at = at;
    return (again ? slot->count + 1 : 1) <= room->repeats_max;
}

static bool is_new(struct judgement *j, const struct quick *quick)
{
    const struct account_room *room = &j->account->room;
    struct ledger *ledger = j->gate->ledger;
    if (account_may_know(j->account, j->order->order_id) && ledger_order(ledger, j->order->account, j->order->order_id))
        return false;
    if (quick->sent_ns > 0 && j->now_ns - quick->sent_ns < room->duplicate_ns) {
        j->as_position = ledger_position_of(ledger, quick);
        if (was_sent(j))
            return false;
    }
    j->in_force[LIMIT_MESSAGE_WEIGHT] = quick->weight;
    return (room->tokens >= quick->weight * MESSAGE_PERMILLE || judge_rate(j) == REASON_OK) && judge_session(j) == REASON_OK &&
           is_no_repeat(j);
}

/* Write down what was in force; false when the row has changed since it was looked at. */
static bool testify_quickly(const struct judgement *j, const struct quick *quick)
{
    const struct limit_table *table = &j->gate->table;
    const struct limit_slot *slot = &table->slots[quick->seen.slot & table->slot_mask];
    struct decision *out = j->out;
    uint64_t words[W_VALID];
#pragma GCC unroll 16
    for (int i = W_FLAGS; i < W_VALID; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
    out->tier = (uint8_t)(words[W_FLAGS] & TIER_MAX);
    out->epoch = (int64_t)words[W_EPOCH];
    out->tick_ns = (int64_t)words[W_TICK];
    memcpy(&out->score, &words[W_SCORE], sizeof out->score);
    memcpy(out->model_id, &words[W_MODEL], sizeof out->model_id);
    out->ref_price = quick->ref_price;
    out->has_row = out->has_ledger = true;
    out->position_before = quick->held;
    out->working_buy_before = quick->working_buy;
    out->working_sell_before = quick->working_sell;
    return limit_row_unchanged(table, quick->seen);
}

bool judge_quickly(struct judgement *j, struct quick *quick)
{
    const struct order *order = j->order;
    struct account *account = j->account;
    if (!is_plain(order) || (!account->has_room && !make_room(account)) || !still_stands(j, quick))
        return false;
    if (!quick->is_settled && !settle_quick(j->gate->ledger, quick))
        return false;
    j->terms = &account->terms;
    j->as_account = account;
    if ((account->room.class_mask >> quick->class_id & 1) && is_within_terms(j, quick) && is_within_values(j, quick) &&
        is_new(j, quick) && testify_quickly(j, quick))
        return true;
    j->trips = j->session_is_rated = j->out->has_numbers = false;
    j->strategy_at = NONE;
    return false;
}
