/* What follows from the book alone. */
#include "features.h"

#include <math.h>

#define PRESSURE_LEVELS 10
#define PRESSURE_DECAY 0.5 /* per tick of distance */

static double ratio(double a, double b)
{
    return a + b > 0 ? (a - b) / (a + b) : NAN;
}

/* Distance from the mid of the nearest level: its weight is factored out, lest a wide spread make all of them 0. */
static double nearest_of(const struct book *book, double mid)
{
    double nearest = INFINITY;
    for (int which = 0; which < 2; which++) {
        const struct side *side = &book->sides[which];
        for (uint32_t i = 0; i < PRESSURE_LEVELS && i < side->count; i++)
            nearest = fmin(nearest, fabs((double)side->levels[side->count - 1 - i].price - mid));
    }
    return nearest;
}

static double pressure(const struct book *book, double mid, int64_t tick_size)
{
    double sums[2] = {0, 0}, nearest = nearest_of(book, mid);
    for (int which = 0; which < 2; which++) {
        const struct side *side = &book->sides[which];
        for (uint32_t i = 0; i < PRESSURE_LEVELS && i < side->count; i++) {
            const struct level *level = &side->levels[side->count - 1 - i];
            double distance = (fabs((double)level->price - mid) - nearest) / (double)tick_size;
            sums[which] += exp(-PRESSURE_DECAY * distance) * (double)level->qty;
        }
    }
    return ratio(sums[0], sums[1]);
}

void shape_update(struct shape *shape, const struct book *book, int64_t tick_size)
{
    struct top top = top_of(book);
    double *out = shape->values;
    bool both = top.bid_qty && top.ask_qty, defined = both && tick_size > 0;
    double mid = ((double)top.bid_price + (double)top.ask_price) / 2;
    double spread = (double)top.ask_price - (double)top.bid_price;
    if (!both)
        shape->mid = 0, shape->log_mid = NAN;
    else if (mid != shape->mid)
        shape->mid = mid, shape->log_mid = log(mid);
    shape->top = top;
    shape->depth[0] = (double)book_depth(book, 1, 5);
    shape->depth[1] = (double)book_depth(book, -1, 5);
    out[F_SPREAD_BPS] = both ? 1e4 * spread / mid : NAN;
    out[F_SPREAD_TICKS] = defined ? spread / (double)tick_size : NAN;
    out[F_BID_QTY_TOP] = (double)top.bid_qty;
    out[F_ASK_QTY_TOP] = (double)top.ask_qty;
    out[F_DEPTH_BID_5] = shape->depth[0];
    out[F_DEPTH_ASK_5] = shape->depth[1];
    out[F_DEPTH_TOTAL_10] = (double)book_depth(book, 1, 10) + (double)book_depth(book, -1, 10);
    out[F_IMBALANCE_L1] = ratio((double)top.bid_qty, (double)top.ask_qty);
    out[F_IMBALANCE_L5] = ratio(shape->depth[0], shape->depth[1]);
    out[F_BOOK_PRESSURE] = defined ? pressure(book, mid, tick_size) : NAN;
    shape->is_due = false;
}
