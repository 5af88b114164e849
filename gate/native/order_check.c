#include "order_check.h"

#include <stddef.h>

#define BPS 10000

__extension__ typedef __int128 wide;

static bool is_valid(const struct order *order)
{
    if (order->action != ORDER_NEW && order->action != ORDER_REPLACE)
        return false;
    if ((order->side != ORDER_BUY && order->side != ORDER_SELL) || order->qty <= 0)
        return false;
    return order->type == ORDER_MARKET || (order->type == ORDER_LIMIT && order->price > 0);
}

static int64_t tighter(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Return the limit in force out of the three columns of a row, LIMIT_UNSET when one that counts is unset. */
static int64_t in_force(const int64_t column[LIMIT_COLUMNS], bool stale)
{
    int64_t envelope = column[LIMIT_ENVELOPE], dynamic = column[LIMIT_DYNAMIC];
    if (!stale)
        return envelope < 0 || dynamic < 0 ? LIMIT_UNSET : tighter(envelope, dynamic);
    if (envelope < 0 || column[LIMIT_STALE] < 0)
        return LIMIT_UNSET;
    int64_t limit = tighter(envelope, column[LIMIT_STALE]);
    return dynamic < 0 ? limit : tighter(limit, dynamic);
}

/* Return how far the price lies beyond the reference in the aggressive direction, times BPS * reference. Both prices are
 * positive, so the result is below 2^63 * 10^4 in size and fits 128 bits. */
static wide beyond(const struct order *order, int64_t ref_price)
{
    wide distance = (wide)order->price - ref_price;
    return (order->side == ORDER_BUY ? distance : -distance) * BPS;
}

static enum order_reason judge(const struct order *order, struct decision *out)
{
    const struct limit_row *row = &out->row;
    if (row->killed)
        return REASON_KILLED;
    int64_t qty_max = in_force(row->qty, out->stale);
    int64_t band_bps = in_force(row->band_bps, out->stale);
    if (qty_max < 0 || band_bps < 0)
        return REASON_LIMIT_UNSET;
    if (row->halted)
        return REASON_HALTED;
    if (order->qty > qty_max) {
        out->has_numbers = true;
        out->limit = qty_max;
        out->observed = order->qty;
        return REASON_MAX_ORDER_SIZE;
    }
    if (order->type == ORDER_MARKET)
        return REASON_OK;
    if (row->ref_price <= 0)
        return REASON_NO_REFERENCE_PRICE;
    wide distance = beyond(order, row->ref_price);
    if (distance <= (wide)band_bps * row->ref_price)
        return REASON_OK;
    wide observed = (distance + row->ref_price - 1) / row->ref_price; /* rounded up, so above the limit */
    out->has_numbers = true;
    out->limit = band_bps;
    out->observed = observed > INT64_MAX ? INT64_MAX : (int64_t)observed;
    return REASON_PRICE_BAND;
}

void order_check(const struct limit_table *table, const struct order *order, int64_t now_ns, struct decision *out)
{
    enum limit_read found = limit_table_read(table, order->instrument_id, &out->row);
    out->has_numbers = false;
    out->limit = out->observed = 0;
    out->has_row = found == LIMIT_FOUND;
    out->stale = out->has_row && (out->row.stale || now_ns <= 0 || now_ns >= out->row.valid_until_ns);
    if (order->action == ORDER_CANCEL)
        out->reason = REASON_OK;
    else if (!is_valid(order))
        out->reason = REASON_INVALID_ORDER;
    else if (limit_table_killed(table, order->account_hash))
        out->reason = REASON_KILLED;
    else if (found == LIMIT_ABSENT)
        out->reason = REASON_UNKNOWN_INSTRUMENT;
    else if (found == LIMIT_TORN)
        out->reason = REASON_TORN_READ;
    else
        out->reason = judge(order, out);
}

const char *order_reason_word(int reason)
{
    static const char *const words[REASON_COUNT] = {
        [REASON_OK] = "ok",
        [REASON_INVALID_ORDER] = "invalid_order",
        [REASON_KILLED] = "killed",
        [REASON_UNKNOWN_INSTRUMENT] = "unknown_instrument",
        [REASON_TORN_READ] = "torn_read",
        [REASON_LIMIT_UNSET] = "limit_unset",
        [REASON_HALTED] = "halted",
        [REASON_MAX_ORDER_SIZE] = "max_order_size",
        [REASON_NO_REFERENCE_PRICE] = "no_reference_price",
        [REASON_PRICE_BAND] = "price_band",
    };
    return reason >= 0 && reason < REASON_COUNT ? words[reason] : NULL;
}
