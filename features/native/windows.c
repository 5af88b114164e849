#include "windows.h"

#include <string.h>

void squares_init(struct squares *squares)
{
    memset(squares, 0, sizeof *squares);
    for (int i = 0; i < TICKS_60S; i++)
        squares->ring[i] = -1;
}

/* Ten terms, of which negative ones are none; in pairs, because a chain of additions is what takes the time. */
static double sum_of_ten(const double *terms)
{
    double known[SQUARES_BLOCK];
    for (int i = 0; i < SQUARES_BLOCK; i++)
        known[i] = terms[i] > 0 ? terms[i] : 0;
    double first = (known[0] + known[1]) + (known[2] + known[3]), second = (known[4] + known[5]) + (known[6] + known[7]);
    return (first + second) + (known[8] + known[9]);
}

void squares_push(struct squares *squares, int64_t tick, double term)
{
    int at = (int)(tick % TICKS_60S), block = at / SQUARES_BLOCK, group = block / SQUARES_BLOCK;
    double after = isnan(term) ? -1 : term, before = squares->ring[at];
    squares->known += (after >= 0) - (before >= 0);
    squares->ring[at] = after;
    if (before <= 0 && after <= 0) /* a quiet market: no sum changes */
        return;
    squares->blocks[block] = sum_of_ten(&squares->ring[block * SQUARES_BLOCK]);
    squares->groups[group] = sum_of_ten(&squares->blocks[group * SQUARES_BLOCK]);
    const double *groups = squares->groups;
    squares->sum = ((groups[0] + groups[1]) + (groups[2] + groups[3])) + (groups[4] + groups[5]);
}
