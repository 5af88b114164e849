/* What follows from the book and the standard clip alone. */
#include "features.h"

#include <math.h>

#define FAST_DECAY 0.5 /* per tick of distance */
#define SLOW_DECAY 0.1
#define WALK_LEVELS 500 /* levels that a walk of the book looks at: it stays short in the deepest book */

/* The best levels of one side. */
struct ladder {
    int count;
    double distance[BEST_LEVELS]; /* from the mid, 1e-9 currency */
    double lots[BEST_LEVELS], within[BEST_LEVELS]; /* of the level; of all up to it, also behind the last */
};

void weights_init(struct weights *weights)
{
    for (int i = 0; i < WEIGHTS; i++) {
        weights->fast[i] = exp(-FAST_DECAY * i);
        weights->slow[i] = exp(-SLOW_DECAY * i);
    }
}

/* fmin is a call, for it minds NaN. */
static inline double lesser(double a, double b)
{
    return b < a ? b : a;
}

static double ratio(double a, double b)
{
    return a + b > 0 ? (a - b) / (a + b) : NAN;
}

static struct ladder ladder_of(const struct side *side, double mid, struct level best[BEST_LEVELS])
{
    struct ladder ladder;
    int64_t sum = 0;
    ladder.count = side->count < BEST_LEVELS ? (int)side->count : BEST_LEVELS;
    for (int i = 0; i < BEST_LEVELS; i++) {
        best[i] = i < ladder.count ? side->levels[side->count - 1 - (uint32_t)i] : (struct level){0, 0};
        if (__builtin_add_overflow(sum, best[i].qty, &sum))
            sum = INT64_MAX;
        ladder.distance[i] = fabs((double)best[i].price - mid);
        ladder.lots[i] = (double)best[i].qty;
        ladder.within[i] = (double)sum;
    }
    return ladder;
}

static double weight(const double *table, double decay, double ticks)
{
    if (ticks < WEIGHTS && (double)(int)ticks == ticks)
        return table[(int)ticks];
    return exp(-decay * ticks);
}

/* Cao, Hansch, Wang 2009. The nearest level's weight is factored out of the exponential kernels, lest a wide spread make
 * all of them 0. */
static void pressures(double *out, const struct ladder sides[2], double tick_size, const struct weights *weights)
{
    double nearest = lesser(sides[0].distance[0], sides[1].distance[0]);
    for (int which = 0; which < 2; which++)
        for (int i = 1; i < sides[which].count; i++) /* a crossed book has its nearest level anywhere */
            nearest = lesser(nearest, sides[which].distance[i]);
    double fast[2] = {0, 0}, slow[2] = {0, 0}, inverse[2] = {0, 0};
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < sides[which].count; i++) {
            double lots = sides[which].lots[i], distance = sides[which].distance[i];
            double ticks = (distance - nearest) / tick_size;
            fast[which] += weight(weights->fast, FAST_DECAY, ticks) * lots;
            slow[which] += weight(weights->slow, SLOW_DECAY, ticks) * lots;
            inverse[which] += lots / (1 + distance / tick_size);
        }
    out[F_BOOK_PRESSURE] = ratio(fast[0], fast[1]);
    out[F_BOOK_PRESSURE_SLOW] = ratio(slow[0], slow[1]);
    out[F_BOOK_PRESSURE_INVERSE] = ratio(inverse[0], inverse[1]);
}

/* Slope of the lots up to a distance over that distance in ticks: least squares through the origin. */
static double slope(const struct ladder *ladder, double tick_size)
{
    double along = 0, square = 0;
    for (int i = 0; i < ladder->count; i++) {
        double ticks = ladder->distance[i] / tick_size;
        along += ticks * ladder->within[i];
        square += ticks * ticks;
    }
    return square > 0 ? along / square : NAN;
}

/* Write the lots within 5, 10 and 25 bp of the mid; return what a market order of the clip against this side pays over
 * the mid, in bp: NaN when the levels do not hold it. Of a crossed book, levels beyond the mid are near. */
static double walk(const struct book *book, int which, double mid, double clip, double within[3])
{
    const double limits[3] = {mid * 0.0005, mid * 0.001, mid * 0.0025};
    const struct side *side = &book->sides[which];
    int64_t lots[3] = {0, 0, 0};
    double left = clip, paid = 0;
    for (uint32_t i = 0; i < WALK_LEVELS && i < side->count; i++) {
        const struct level *level = &side->levels[side->count - 1 - i];
        double distance = which == 0 ? mid - (double)level->price : (double)level->price - mid;
        if (distance > limits[2] && left <= 0)
            break;
        for (int limit = 0; limit < 3; limit++)
            if (distance <= limits[limit] && __builtin_add_overflow(lots[limit], level->qty, &lots[limit]))
                lots[limit] = INT64_MAX;
        double taken = lesser(left, (double)level->qty);
        paid += taken * distance;
        left -= taken;
    }
    for (int limit = 0; limit < 3; limit++)
        within[limit] = (double)lots[limit];
    return clip > 0 && left <= 0 ? 1e4 * (paid / clip) / mid : NAN;
}

static void sizes(struct shape *shape, const struct ladder sides[2])
{
    static const int levels[][2] = {{1, F_IMBALANCE_L1}, {2, F_IMBALANCE_L2}, {3, F_IMBALANCE_L3}, {4, F_IMBALANCE_L4},
                                    {5, F_IMBALANCE_L5}, {6, F_IMBALANCE_L6}, {7, F_IMBALANCE_L7}, {8, F_IMBALANCE_L8},
                                    {9, F_IMBALANCE_L9}, {10, F_IMBALANCE_L10}};
    double *out = shape->values;
    for (int i = 0; i < BEST_LEVELS; i++)
        out[levels[i][1]] = ratio(sides[0].within[levels[i][0] - 1], sides[1].within[levels[i][0] - 1]);
    for (int which = 0; which < 2; which++) {
        shape->depth[which] = sides[which].within[4];
        shape->depth_10[which] = sides[which].within[9];
    }
    out[F_BID_QTY_TOP] = sides[0].within[0];
    out[F_ASK_QTY_TOP] = sides[1].within[0];
    out[F_DEPTH_BID_5] = shape->depth[0];
    out[F_DEPTH_ASK_5] = shape->depth[1];
    out[F_DEPTH_TOTAL_10] = shape->depth_10[0] + shape->depth_10[1];
}

/* Features that need a mid. */
static void around_mid(struct shape *shape, const struct book *book, double clip)
{
    double *out = shape->values, mid = shape->mid;
    double spread = (double)shape->top.ask.price - (double)shape->top.bid.price, within[2][3];
    out[F_SPREAD_BPS] = 1e4 * spread / mid;
    out[F_MICROPRICE_BPS] = 1e4 * (spread / 2 * out[F_IMBALANCE_L1]) / mid;
    out[F_SELL_COST_BPS] = walk(book, 0, mid, clip, within[0]);
    out[F_BUY_COST_BPS] = walk(book, 1, mid, clip, within[1]);
    for (int which = 0; which < 2; which++) {
        out[F_DEPTH_BID_5BP + which] = within[which][0];
        out[F_DEPTH_BID_10BP + which] = within[which][1];
        out[F_DEPTH_BID_25BP + which] = within[which][2];
    }
}

/* Features that need a mid and the tick size. */
static void in_ticks(struct shape *shape, const struct ladder sides[2], const struct reading *reading)
{
    double tick_size = (double)reading->tick_size;
    shape->values[F_SPREAD_TICKS] = ((double)shape->top.ask.price - (double)shape->top.bid.price) / tick_size;
    shape->values[F_BOOK_SLOPE_BID] = slope(&sides[0], tick_size);
    shape->values[F_BOOK_SLOPE_ASK] = slope(&sides[1], tick_size);
    pressures(shape->values, sides, tick_size, reading->weights);
}

void shape_update(struct shape *shape, const struct book *book, const struct reading *reading)
{
    struct top top = top_of(book);
    bool both = top.bid.qty && top.ask.qty;
    double mid = ((double)top.bid.price + (double)top.ask.price) / 2;
    for (int i = 0; i < FEATURE_COUNT; i++)
        shape->values[i] = NAN;
    if (!both)
        shape->mid = 0, shape->log_mid = NAN;
    else if (mid != shape->mid)
        shape->mid = mid, shape->log_mid = log(mid);
    shape->top = top;
    struct ladder sides[2];
    for (int which = 0; which < 2; which++)
        sides[which] = ladder_of(&book->sides[which], mid, shape->best[which]);
    sizes(shape, sides);
    if (both)
        around_mid(shape, book, reading->clip);
    if (both && reading->tick_size > 0)
        in_ticks(shape, sides, reading);
}
