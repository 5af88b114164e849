/* How the mid moves: returns, volatility and its parts, and what trading does to it. */
#include "features.h"

#define RETURNS_MIN 100
#define TRADES_MIN 0.0625 /* of half-life 60 s: none for about four minutes is too long ago */
#define HALF_PI 1.5707963267948966

void moves_bring(struct flow *flow, const struct shape *shape, const struct closing *closing, struct brought *brought)
{
    int64_t ticks = flow->ticks;
    double step = shape->log_mid - flow->log_mid[(ticks + MIDS_RING - TICKS_1S) % MIDS_RING];
    double before = flow->steps[ticks % TICKS_1S];
    if (!isnan(step)) {
        double square = step * step;
        brought->of_10s[OF_10S_SQUARE] = brought->of_30s[OF_30S_SQUARE] = brought->of_60s[OF_60S_SQUARE] = square;
        brought->of_10s[OF_10S_RETURNS] = brought->of_30s[OF_30S_RETURNS] = brought->of_60s[OF_60S_RETURNS] = 1;
        brought->of_60s[OF_60S_MOVE] = 1e4 * fabs(step);
    }
    if (!isnan(step) && !isnan(before)) {
        brought->of_30s[OF_30S_PAIR] = fabs(step) * fabs(before);
        brought->of_30s[OF_30S_PAIRS] = 1;
    }
    double value = closing->value_per_lot;
    if (!isnan(value)) {
        double flow_1s = (double)flow->sold_bought.sum_1s * value;
        brought->of_60s[OF_60S_NOTIONAL] = (double)flow->lots * value;
        if (!isnan(step)) {
            brought->of_60s[OF_60S_FLOW_MOVE] = flow_1s * (1e4 * step);
            brought->of_60s[OF_60S_FLOW_SQUARE] = flow_1s * flow_1s;
        }
    }
    flow->step = flow->steps[ticks % TICKS_1S] = step;
    squares_push(&flow->squares, ticks, step * step);
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
    int64_t ticks = flow->ticks;
    double before_10s = flow->log_mid[(ticks + MIDS_RING - TICKS_10S) % MIDS_RING];
    out[F_MID_RETURN_1S_BPS] = 1e4 * flow->step;
    out[F_MID_RETURN_10S_BPS] = 1e4 * (shape->log_mid - before_10s);
    /* Mean squared 1 s return, times 60 s: ten offset grids of 60 returns each when the window is full. */
    const struct squares *squares = &flow->squares;
    out[F_REALISED_VOL_60S] =
        squares->known < RETURNS_MIN ? NAN : 1e4 * sqrt(squares->sum / (double)squares->known * 60.0);
    const double *of_10s = flow->of_10s, *of_30s = flow->of_30s, *of_60s = flow->of_60s;
    out[F_JUMP_SHARE] = out[F_VOL_RATIO] = out[F_KYLE_LAMBDA] = out[F_AMIHUD] = NAN;
    if (of_30s[OF_30S_SQUARE] > 0 && of_30s[OF_30S_PAIRS] > 0 && squares->known >= RETURNS_MIN) {
        double whole = of_30s[OF_30S_SQUARE] / of_30s[OF_30S_RETURNS];
        double smooth = HALF_PI * (of_30s[OF_30S_PAIR] / of_30s[OF_30S_PAIRS]);
        out[F_JUMP_SHARE] = smooth < whole ? 1 - smooth / whole : 0;
    }
    if (of_60s[OF_60S_SQUARE] > 0 && squares->known >= RETURNS_MIN) {
        double lately = of_10s[OF_10S_SQUARE] / of_10s[OF_10S_RETURNS];
        out[F_VOL_RATIO] = sqrt(lately / (of_60s[OF_60S_SQUARE] / of_60s[OF_60S_RETURNS]));
    }
    if (of_60s[OF_60S_TRADED] >= TRADES_MIN) {
        if (of_60s[OF_60S_FLOW_SQUARE] > 0)
            out[F_KYLE_LAMBDA] = of_60s[OF_60S_FLOW_MOVE] / of_60s[OF_60S_FLOW_SQUARE];
        if (of_60s[OF_60S_NOTIONAL] > 0)
            out[F_AMIHUD] = of_60s[OF_60S_MOVE] / (TICKS_1S * of_60s[OF_60S_NOTIONAL]);
    }
    out[F_MID_RUN] = (double)flow->run;
}
