#include "windows.h"

#include <string.h>

void squares_init(struct squares *squares)
{
    memset(squares, 0, sizeof *squares);
    for (int i = 0; i < TICKS_60S; i++)
        squares->ring[i] = -1;
}

static double sum_of(const double *terms, int count)
{
    double sums[2] = {0, 0};
    for (int i = 0; i < count; i++)
        sums[i & 1] += terms[i] > 0 ? terms[i] : 0;
    return sums[0] + sums[1];
}

void squares_push(struct squares *squares, int64_t tick, double term)
{
    int at = (int)(tick % TICKS_60S), block = at / SQUARES_BLOCK, group = block / SQUARES_BLOCK;
    double after = isnan(term) ? -1 : term, before = squares->ring[at];
    squares->known += (after >= 0) - (before >= 0);
    squares->ring[at] = after;
    if (before <= 0 && after <= 0) /* a quiet market: no sum changes */
        return;
    squares->blocks[block] = sum_of(&squares->ring[block * SQUARES_BLOCK], SQUARES_BLOCK);
    squares->groups[group] = sum_of(&squares->blocks[group * SQUARES_BLOCK], SQUARES_BLOCK);
    squares->sum = sum_of(squares->groups, SQUARES_GROUPS);
}
