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

/* Add any value to a sum of at most LOTS_MAX either way, and keep it there. */
static inline void add_lots(int64_t *sum, int64_t value)
{
    int64_t made;
    if (__builtin_expect(__builtin_add_overflow(*sum, value, &made) || made > LOTS_MAX || made < -LOTS_MAX, 0))
        made = value > 0 ? LOTS_MAX : -LOTS_MAX;
    *sum = made;
}

static inline int64_t saturated(__int128 value)
{
    return value > INT64_MAX ? INT64_MAX : value < -INT64_MAX ? -INT64_MAX : (int64_t)value;
}

#define WINDOWS 4

/* Lots of the last 100 ticks, of several kinds; the sums are of integers and so exact, whatever came and went. */
struct windows {
    int64_t sum_1s[WINDOWS], sum_10s[WINDOWS], ring[TICKS_10S][WINDOWS];
};

static inline void windows_push(struct windows *windows, uint32_t slot, const int64_t *restrict lots)
{
    int64_t *restrict old = windows->ring[slot];
    const int64_t *restrict second = windows->ring[slot < TICKS_1S ? slot + TICKS_10S - TICKS_1S : slot - TICKS_1S];
    for (int i = 0; i < WINDOWS; i++) {
        windows->sum_1s[i] += lots[i] - second[i];
        windows->sum_10s[i] += lots[i] - old[i];
    }
    for (int i = 0; i < WINDOWS; i++)
        old[i] = lots[i];
}

#define SQUARES_BLOCK 10
#define SQUARES_BLOCKS (TICKS_60S / SQUARES_BLOCK)
#define SQUARES_GROUPS (SQUARES_BLOCKS / SQUARES_BLOCK)

_Static_assert(SQUARES_GROUPS == 6, "squares_push adds six groups");

/* Terms of the last 600 ticks; a new term sums its block and its group anew, 26 additions instead of 600. No term is
 * -0.0, which adds nothing and is told from a term of 0 by its sign. */
struct squares {
    double sum, groups[SQUARES_GROUPS];
    int64_t known;
    double blocks[SQUARES_BLOCKS], ring[TICKS_60S];
};

void squares_init(struct squares *squares);

/* Sum anew what holds slot `at`. */
void squares_sum(struct squares *squares, uint32_t at);

/* Put in the term of a tick, NaN: there is none; `at` is the tick modulo 600. */
static inline void squares_push(struct squares *squares, uint32_t at, double term)
{
    double after = isnan(term) ? -0.0 : term, before = squares->ring[at];
    squares->known += (signbit(before) != 0) - (signbit(after) != 0);
    squares->ring[at] = after;
    if (before != 0 || after != 0) /* else a quiet market: no sum changes */
        squares_sum(squares, at);
}

/* Let one tick pass: each sum keeps a part of itself and takes what the tick brought. */
static inline void fade(double *restrict sums, const double *restrict brought, const double *restrict keep, int count)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; i++) {
        double sum = sums[i] * keep[i] + brought[i];
        sums[i] = fabs(sum) < FADED ? 0 : sum;
    }
}

#endif
