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
    if (!isnan(step)) {
        brought[OF_10S_SQUARE] = brought[OF_30S_SQUARE] = brought[OF_60S_SQUARE] = square;
        brought[OF_10S_RETURNS] = brought[OF_30S_RETURNS] = brought[OF_60S_RETURNS] = 1;
        brought[OF_60S_MOVE] = 1e4 * fabs(step);
    }
    if (!isnan(step) && !isnan(before)) {
        brought[OF_30S_PAIR] = fabs(step) * fabs(before);
        brought[OF_30S_PAIRS] = 1;
    }
    if (!isnan(value)) {
        double flow_1s = (double)flow->windows.sum_1s[LOTS_SOLD_BOUGHT] * value;
        brought[OF_60S_NOTIONAL] = (double)now->lots * value;
        if (!isnan(step)) {
            brought[OF_60S_FLOW_MOVE] = flow_1s * (1e4 * step);
            brought[OF_60S_FLOW_SQUARE] = flow_1s * flow_1s;
        }
    }
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
    out[F_REALISED_VOL_60S] = out[F_JUMP_SHARE] = out[F_VOL_RATIO] = out[F_KYLE_LAMBDA] = out[F_AMIHUD] = NAN;
    /* Divisions in fours, and before it is known which of them count: that is cheaper than to branch. */
    quad means = (quad){squares->sum, sums[OF_30S_SQUARE], sums[OF_30S_PAIR], sums[OF_10S_SQUARE]} /
                 (quad){(double)squares->known, sums[OF_30S_RETURNS], sums[OF_30S_PAIRS], sums[OF_10S_RETURNS]};
    if (enough) /* mean squared 1 s return, times 60 s: ten offset grids of 60 returns each when the window is full */
        out[F_REALISED_VOL_60S] = 1e4 * sqrt(means[0] * 60.0);
    if (enough && sums[OF_30S_SQUARE] > 0 && sums[OF_30S_PAIRS] > 0) {
        double whole = means[1], smooth = HALF_PI * means[2];
        out[F_JUMP_SHARE] = smooth < whole ? 1 - smooth / whole : 0;
    }
    if (enough && sums[OF_60S_SQUARE] > 0)
        out[F_VOL_RATIO] = sqrt(means[3] / (sums[OF_60S_SQUARE] / sums[OF_60S_RETURNS]));
    if (sums[OF_60S_TRADED] >= TRADES_MIN) {
        if (sums[OF_60S_FLOW_SQUARE] > 0)
            out[F_KYLE_LAMBDA] = sums[OF_60S_FLOW_MOVE] / sums[OF_60S_FLOW_SQUARE];
        if (sums[OF_60S_NOTIONAL] > 0)
            out[F_AMIHUD] = sums[OF_60S_MOVE] / (TICKS_1S * sums[OF_60S_NOTIONAL]);
    }
}
