/* What follows from the book and the standard clip alone. */
#include "features.h"

#include <math.h>

#define FAST_DECAY 0.5 /* per tick of distance */
#define SLOW_DECAY 0.1
#define WALK_LEVELS 500 /* levels that a walk of the book looks at: it stays short in the deepest book */

/* The best levels of one side, all ten of them, that divisions go in pairs: behind the last, price and lots are 0. */
struct ladder {
    int count;
    double distance[BEST_LEVELS]; /* from the mid, 1e-9 currency */
    double lots[BEST_LEVELS], within[BEST_LEVELS]; /* of the level; of all up to it, also behind the last */
    double ticks[BEST_LEVELS]; /* distance in ticks; set where the tick size is known */
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

static inline double ratio(double a, double b)
{
    double quotient = (a - b) / (a + b);
    return a + b > 0 ? quotient : NAN;
}

static void ladder_fill(struct ladder *ladder, const struct side *side, double mid, struct level best[BEST_LEVELS])
{
    int64_t sum = 0;
    int count = side->count < BEST_LEVELS ? (int)side->count : BEST_LEVELS;
    for (int i = 0; i < count; i++)
        best[i] = side->levels[side->count - 1 - (uint32_t)i];
    for (int i = count; i < BEST_LEVELS; i++)
        best[i] = (struct level){0, 0};
    for (int i = 0; i < BEST_LEVELS; i++) {
        if (__builtin_add_overflow(sum, best[i].qty, &sum))
            sum = INT64_MAX;
        ladder->distance[i] = fabs((double)best[i].price - mid);
        ladder->lots[i] = (double)best[i].qty;
        ladder->within[i] = (double)sum;
    }
    ladder->count = count;
}

/* A crossed book has its nearest level anywhere; in any book a missing level, at price 0, is farther than a best one. */
static double nearest_of(const struct ladder sides[2], bool crossed)
{
    double nearest = lesser(sides[0].distance[0], sides[1].distance[0]);
    for (int which = 0; which < 2 && crossed; which++)
        for (int i = 1; i < BEST_LEVELS; i++)
            nearest = lesser(nearest, sides[which].distance[i]);
    return nearest;
}

/* Lots of a side, each level times its weight. */
struct pressure {
    double fast, slow, inverse;
};

static struct pressure pressure_of(const struct ladder *ladder, double nearest, double tick_size, const struct weights *weights)
{
    struct pressure sum = {0, 0, 0};
    double ticks[BEST_LEVELS], inverse[BEST_LEVELS];
    for (int i = 0; i < BEST_LEVELS; i++) {
        ticks[i] = (ladder->distance[i] - nearest) / tick_size;
        inverse[i] = ladder->lots[i] / (1 + ladder->ticks[i]);
    }
    for (int i = 0; i < ladder->count; i++) {
        int at = ticks[i] < WEIGHTS ? (int)ticks[i] : 0;
        bool listed = (double)at == ticks[i];
        sum.fast += (listed ? weights->fast[at] : exp(-FAST_DECAY * ticks[i])) * ladder->lots[i];
        sum.slow += (listed ? weights->slow[at] : exp(-SLOW_DECAY * ticks[i])) * ladder->lots[i];
        sum.inverse += inverse[i];
    }
    return sum;
}

/* Cao, Hansch, Wang 2009. The nearest level's weight is factored out of the exponential kernels, lest a wide spread make
 * all of them 0. */
static void pressures(double *out, const struct ladder sides[2], double nearest, const struct reading *reading)
{
    struct pressure bid = pressure_of(&sides[0], nearest, (double)reading->tick_size, reading->weights);
    struct pressure ask = pressure_of(&sides[1], nearest, (double)reading->tick_size, reading->weights);
    out[F_BOOK_PRESSURE] = ratio(bid.fast, ask.fast);
    out[F_BOOK_PRESSURE_SLOW] = ratio(bid.slow, ask.slow);
    out[F_BOOK_PRESSURE_INVERSE] = ratio(bid.inverse, ask.inverse);
}

/* Slope of the lots up to a distance over that distance in ticks: least squares through the origin. */
static double slope(const struct ladder *ladder)
{
    double along = 0, square = 0;
    for (int i = 0; i < ladder->count; i++) {
        along += ladder->ticks[i] * ladder->within[i];
        square += ladder->ticks[i] * ladder->ticks[i];
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
        double price = (double)level->price, distance = which == 0 ? mid - price : price - mid;
        if (distance > limits[2] && left <= 0)
            break;
        for (int limit = 0; limit < 3; limit++) { /* masks, not branches: where a limit falls cannot be foreseen */
            int64_t near = level->qty & -(int64_t)(distance <= limits[limit]);
            if (__builtin_add_overflow(lots[limit], near, &lots[limit]))
                lots[limit] = INT64_MAX;
        }
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
    static const int imbalances[BEST_LEVELS] = {F_IMBALANCE_L1, F_IMBALANCE_L2, F_IMBALANCE_L3, F_IMBALANCE_L4, F_IMBALANCE_L5,
                                                F_IMBALANCE_L6, F_IMBALANCE_L7, F_IMBALANCE_L8, F_IMBALANCE_L9, F_IMBALANCE_L10};
    double *out = shape->values, ratios[BEST_LEVELS];
    for (int i = 0; i < BEST_LEVELS; i++)
        ratios[i] = ratio(sides[0].within[i], sides[1].within[i]);
    for (int i = 0; i < BEST_LEVELS; i++)
        out[imbalances[i]] = ratios[i];
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
static void in_ticks(struct shape *shape, struct ladder sides[2], const struct reading *reading)
{
    const struct level *bid = &shape->top.bid, *ask = &shape->top.ask;
    double tick_size = (double)reading->tick_size;
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < BEST_LEVELS; i++)
            sides[which].ticks[i] = sides[which].distance[i] / tick_size;
    shape->values[F_SPREAD_TICKS] = ((double)ask->price - (double)bid->price) / tick_size;
    shape->values[F_BOOK_SLOPE_BID] = slope(&sides[0]);
    shape->values[F_BOOK_SLOPE_ASK] = slope(&sides[1]);
    pressures(shape->values, sides, nearest_of(sides, bid->price > ask->price), reading);
}

void shape_update(struct shape *shape, const struct book *book, const struct reading *reading)
{
    struct top top = top_of(book);
    bool both = top.bid.qty && top.ask.qty, in_tick_sizes = both && reading->tick_size > 0;
    double mid = ((double)top.bid.price + (double)top.ask.price) / 2;
    for (int i = 0; i < FEATURE_COUNT && !in_tick_sizes; i++)
        shape->values[i] = NAN;
    if (!both)
        shape->mid = 0, shape->log_mid = NAN;
    else if (mid != shape->mid)
        shape->mid = mid, shape->log_mid = log(mid);
    shape->top = top;
    struct ladder sides[2];
    ladder_fill(&sides[0], &book->sides[0], mid, shape->best[0]);
    ladder_fill(&sides[1], &book->sides[1], mid, shape->best[1]);
    sizes(shape, sides);
    if (both)
        around_mid(shape, book, reading->clip);
    if (in_tick_sizes)
        in_ticks(shape, sides, reading);
}
