/* Resiliency: how long the depth of a side takes to come back after a trade emptied its best level. */
#include "features.h"

#define SHOCK_DEPTH_MAX 0.8 /* a shock leaves less than this part of the usual depth */
#define RECOVERED_PART 0.5
#define LN_2 0.69314718055994531
#define PRIOR_S 1.0
#define PRIOR_EVENTS 20.0 /* Degryse et al. 2005: about 20 best-limit updates */

static void follow(struct flow *flow, struct now *now, int which, double depth, double *brought)
{
    if (flow->shock_from[which] > 0) {
        brought[OF_60S_AT_RISK_S] += TICK_S;
        brought[OF_60S_AT_RISK_EVENTS] += (double)now->changed;
        flow->shock_low[which] = depth < flow->shock_low[which] ? depth : flow->shock_low[which];
        double target = flow->shock_low[which] + RECOVERED_PART * (flow->shock_from[which] - flow->shock_low[which]);
        if (depth >= target && depth > flow->shock_low[which]) {
            brought[OF_60S_RECOVERIES] += 1;
            flow->shock_from[which] = 0;
        }
    }
    if (!now->hit[which])
        return;
    now->hit[which] = 0;
    double ticks = flow->fading[OF_30S_TICKS];
    double usual = ticks > 0 ? flow->fading[OF_30S_DEPTH_BID + which] / ticks : 0;
    if (depth < SHOCK_DEPTH_MAX * usual) { /* a new shock censors an open one */
        flow->shock_from[which] = usual;
        flow->shock_low[which] = depth;
    }
}

void resilience_brings(struct flow *flow, struct now *now, const struct shape *shape, double *brought)
{
    brought[OF_60S_AT_RISK_S] = brought[OF_60S_AT_RISK_EVENTS] = brought[OF_60S_RECOVERIES] = 0;
    follow(flow, now, 0, shape->depth[0], brought);
    follow(flow, now, 1, shape->depth[1], brought);
}

void resilience_write(const struct flow *flow, double *out)
{
    const double *sums = flow->fading;
    double recoveries = flow->ticks < TICKS_60S ? NAN : sums[OF_60S_RECOVERIES] + 1;
    pair at_risk = {sums[OF_60S_AT_RISK_S] + PRIOR_S, sums[OF_60S_AT_RISK_EVENTS] + PRIOR_EVENTS};
    pair lives = LN_2 * at_risk / recoveries;
    out[F_LIQUIDITY_DECAY_S] = lives[0];
    out[F_LIQUIDITY_DECAY_EVENTS] = lives[1];
}
