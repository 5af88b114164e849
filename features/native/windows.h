/* Sums over the last ticks that cannot drift: rings of whole lots, block sums that are built anew, and sums that fade. */
#ifndef TIDEGATE_WINDOWS_H
#define TIDEGATE_WINDOWS_H

#include <math.h>
#include <stdint.h>

#define TICKS_1S 10
#define TICKS_10S 100
#define TICKS_60S 600

/* Most lots that a tick can count, far above any market: the sum of a hundred such ticks fits. */
#define LOTS_MAX (INT64_C(1) << 55)

/* Below this a fading sum is nothing: numbers near the smallest that exist are slow and never reach 0. */
#define FADED 1e-200

static inline void add_lots(int64_t *sum, __int128 value)
{
    __int128 made = *sum + value;
    *sum = made > LOTS_MAX ? LOTS_MAX : made < -LOTS_MAX ? -LOTS_MAX : (int64_t)made;
}

/* Lots of the last 100 ticks; the sums are of integers and so exact, whatever came and went. */
struct window {
    int64_t ring[TICKS_10S], sum_1s, sum_10s;
};

static inline void window_push(struct window *window, int64_t tick, int64_t lots)
{
    int64_t *slot = &window->ring[tick % TICKS_10S];
    window->sum_10s += lots - *slot;
    window->sum_1s += lots - window->ring[(tick + TICKS_10S - TICKS_1S) % TICKS_10S];
    *slot = lots;
}

#define SQUARES_BLOCK 10
#define SQUARES_BLOCKS (TICKS_60S / SQUARES_BLOCK)
#define SQUARES_GROUPS (SQUARES_BLOCKS / SQUARES_BLOCK)

_Static_assert(SQUARES_GROUPS == 6, "squares_push adds six groups");

/* Terms of the last 600 ticks; a new term sums its block and its group anew, 26 additions instead of 600. */
struct squares {
    double ring[TICKS_60S]; /* -1 where there was none */
    double blocks[SQUARES_BLOCKS], groups[SQUARES_GROUPS], sum;
    int64_t known;
};

void squares_init(struct squares *squares);

/* Put in the term of a tick; NaN: there is none. */
void squares_push(struct squares *squares, int64_t tick, double term);

/* Let one tick pass: each sum keeps a part of itself and takes what the tick brought. */
static inline void fade(double *sums, const double *brought, int count, double keep)
{
    for (int i = 0; i < count; i++) {
        double sum = sums[i] * keep + brought[i];
        sums[i] = fabs(sum) < FADED ? 0 : sum;
    }
}

#endif
