#include "windows.h"

#include <string.h>

void squares_init(struct squares *squares)
{
    memset(squares, 0, sizeof *squares);
    for (int i = 0; i < TICKS_60S; i++)
        squares->ring[i] = -0.0;
}

/* In pairs, because a chain of additions is what takes the time; the 0 makes a sum of nothing 0, not -0. */
static double sum_of_ten(const double *terms)
{
    double first = (terms[0] + terms[1]) + (terms[2] + terms[3]), second = (terms[4] + terms[5]) + (terms[6] + terms[7]);
    return (first + second) + (terms[8] + terms[9]) + 0.0;
}

void squares_sum(struct squares *squares, uint32_t at)
{
    uint32_t block = at / SQUARES_BLOCK, group = block / SQUARES_BLOCK;
    squares->blocks[block] = sum_of_ten(&squares->ring[block * SQUARES_BLOCK]);
    squares->groups[group] = sum_of_ten(&squares->blocks[group * SQUARES_BLOCK]);
    const double *groups = squares->groups;
    squares->sum = ((groups[0] + groups[1]) + (groups[2] + groups[3])) + (groups[4] + groups[5]);
}
