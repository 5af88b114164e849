/* How the mid moves: returns, volatility and its parts, and what trading does to it. */
#include "features.h"

#define RETURNS_MIN 100
#define TRADES_MIN 0.0625 /* of half-life 60 s: none for about four minutes is too long ago */
#define HALF_PI 1.5707963267948966

void moves_bring(struct flow *flow, const struct now *now, const struct shape *shape, double *brought)
{
    int64_t ticks = flow->ticks;
    uint32_t at = (uint32_t)(ticks % TICKS_60S);
    double step = shape->log_mid - flow->log_mid[(ticks + MIDS_RING - TICKS_1S) % MIDS_RING];
    double before = flow->steps[at % TICKS_1S], square = step * step, value = shape->value_per_lot;
    double flow_1s = (double)flow->windows.sum_1s[LOTS_SOLD_BOUGHT] * value;
    bool moved = !isnan(step), paired = moved && !isnan(before), valued = !isnan(value);
    brought[OF_10S_SQUARE] = brought[OF_30S_SQUARE] = brought[OF_60S_SQUARE] = moved ? square : 0;
    brought[OF_10S_RETURNS] = brought[OF_30S_RETURNS] = brought[OF_60S_RETURNS] = moved;
    brought[OF_60S_MOVE] = moved ? 1e4 * fabs(step) : 0;
    brought[OF_30S_PAIR] = paired ? fabs(step) * fabs(before) : 0;
    brought[OF_30S_PAIRS] = paired;
    brought[OF_60S_NOTIONAL] = valued ? (double)now->lots * value : 0;
    brought[OF_60S_FLOW_MOVE] = valued && moved ? flow_1s * (1e4 * step) : 0;
    brought[OF_60S_FLOW_SQUARE] = valued && moved ? flow_1s * flow_1s : 0;
    flow->step = flow->steps[at % TICKS_1S] = step;
    squares_push(&flow->squares, at, square);
    if (shape->mid > 0) {
        if (flow->last_mid > 0 && shape->mid > flow->last_mid)
            flow->run = flow->run > 0 ? flow->run + 1 : 1;
        else if (flow->last_mid > 0 && shape->mid < flow->last_mid)
            flow->run = flow->run < 0 ? flow->run - 1 : -1;
        flow->last_mid = shape->mid;
    }
}

void moves_write(const struct flow *flow, const struct shape *shape, double *out)
{
    const double *sums = flow->fading;
    const struct squares *squares = &flow->squares;
    bool enough = squares->known >= RETURNS_MIN;
    double before_10s = flow->log_mid[(flow->ticks + MIDS_RING - TICKS_10S) % MIDS_RING];
    out[F_MID_RETURN_1S_BPS] = 1e4 * flow->step;
    out[F_MID_RETURN_10S_BPS] = 1e4 * (shape->log_mid - before_10s);
    out[F_MID_RUN] = (double)flow->run;
    double known = (double)squares->known;
    pair squared = (pair){squares->sum, sums[OF_30S_SQUARE]} / (pair){known, sums[OF_30S_RETURNS]};
    pair lately = (pair){sums[OF_30S_PAIR], sums[OF_10S_SQUARE]} / (pair){sums[OF_30S_PAIRS], sums[OF_10S_RETURNS]};
    double smooth = HALF_PI * lately[0];
    pair parts = (pair){smooth, lately[1]} / (pair){squared[1], sums[OF_60S_SQUARE] / sums[OF_60S_RETURNS]};
    pair impact = (pair){sums[OF_60S_FLOW_MOVE], sums[OF_60S_MOVE]} /
                  (pair){sums[OF_60S_FLOW_SQUARE], TICKS_1S * sums[OF_60S_NOTIONAL]};
    out[F_REALISED_VOL_60S] = out[F_JUMP_SHARE] = out[F_VOL_RATIO] = out[F_KYLE_LAMBDA] = out[F_AMIHUD] = NAN;
    if (enough) /* mean squared 1 s return, times 60 s: ten offset grids of 60 returns each when the window is full */
        out[F_REALISED_VOL_60S] = 1e4 * sqrt(squared[0] * 60.0);
    if (enough && sums[OF_30S_SQUARE] > 0 && sums[OF_30S_PAIRS] > 0)
        out[F_JUMP_SHARE] = smooth < squared[1] ? 1 - parts[0] : 0;
    if (enough && sums[OF_60S_SQUARE] > 0)
        out[F_VOL_RATIO] = sqrt(parts[1]);
    if (sums[OF_60S_TRADED] >= TRADES_MIN && sums[OF_60S_FLOW_SQUARE] > 0)
        out[F_KYLE_LAMBDA] = impact[0];
    if (sums[OF_60S_TRADED] >= TRADES_MIN && sums[OF_60S_NOTIONAL] > 0)
        out[F_AMIHUD] = impact[1];
}
