/* Money in exact integers: 128 bits of 1e-18 currency. One value saturates at 2^106: above every limit, and so far below 2^127
 * that those of a million positions sum without overflow.
 *
 * price (1e-9 currency) * lots * lot_nano (1e-9 units per lot) = 1e-18 currency, with nothing rounded. Limits are 1e-6
 * currency: a limit times 10^12 stays below 2^103. Rejected: doubles (400 * 250,000.01 passes a limit of 100,000,000 in
 * single precision), and 64 bits of a coarser unit (the division costs more than the whole check). */
#ifndef TIDEGATE_VALUE_H
#define TIDEGATE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

#define VALUE_MAX ((wide)1 << 106)
#define SUM_MAX ((wide)1 << 126)
#define UNLIMITED SUM_MAX /* nothing that is compared with a limit is above it */
#define MARGIN_CAP ((wide)1 << 114)
#define VALUE_PER_MICRO INT64_C(1000000000000)
#define FIRM_SHIFT 40 /* firm totals are counted in 2^40 * 1e-18 currency, so that they fit an atomic word */
#define FIRM_UNITS_MAX (INT64_C(1) << 56)

static inline wide value_cap(wide value)
{
    return value > VALUE_MAX ? VALUE_MAX : value < -VALUE_MAX ? -VALUE_MAX : value;
}

/* lots * price * lot_nano; lots of either sign, price and lot_nano at least 0. */
static inline wide value_of(int64_t lots, int64_t price, int64_t lot_nano)
{
    uwide size = (uwide)(lots < 0 ? -(uint64_t)lots : (uint64_t)lots) * (uint64_t)price;
    uwide value;
    if (size >> 64 == 0)
        value = (uwide)(uint64_t)size * (uint64_t)lot_nano;
    else if (lot_nano == 0)
        value = 0;
    else
        value = size > (uwide)VALUE_MAX / (uint64_t)lot_nano ? (uwide)VALUE_MAX : size * (uint64_t)lot_nano;
    if (value > (uwide)VALUE_MAX)
        value = (uwide)VALUE_MAX;
    return lots < 0 ? -(wide)value : (wide)value;
}

static inline wide value_abs(wide value)
{
    return value < 0 ? -value : value;
}

/* A value or a count as a report shows it: divided, rounded up, capped. */
static inline int64_t shown(wide value, int64_t unit)
{
    wide whole = value / unit + (value > 0 && value % unit != 0);
    return whole > INT64_MAX ? INT64_MAX : whole < -(wide)INT64_MAX ? -INT64_MAX : (int64_t)whole;
}

/* Thousandths of a value. */
static inline wide margin_of(wide gross, int64_t weight)
{
    if (gross >> 94 != 0 && gross > MARGIN_CAP / (weight > 0 ? weight : 1))
        return MARGIN_CAP;
    return gross * weight;
}

/* A gross value in units of the firm's total, rounded up. */
static inline int64_t firm_units_of(wide gross)
{
    wide units = (gross + ((wide)1 << FIRM_SHIFT) - 1) >> FIRM_SHIFT;
    return units > FIRM_UNITS_MAX ? FIRM_UNITS_MAX : (int64_t)units;
}

static inline int64_t lots_cap(wide lots)
{
    return lots > INT64_MAX ? INT64_MAX : lots < -(wide)INT64_MAX ? -INT64_MAX : (int64_t)lots;
}

#endif
