/* Resiliency: how long the depth of a side takes to come back after a trade emptied its best level. */
#include "features.h"

#define SHOCK_DEPTH_MAX 0.8 /* a shock leaves less than this part of the usual depth */
#define RECOVERED_PART 0.5

static void follow(struct flow *flow, int which, double depth, double brought[OF_60S_COUNT])
{
    double ticks = flow->of_30s[OF_30S_TICKS];
    double usual = ticks > 0 ? flow->of_30s[OF_30S_DEPTH_BID + which] / ticks : 0;
    if (flow->shock_from[which] > 0) {
        brought[OF_60S_AT_RISK_S] += TICK_S;
        flow->shock_low[which] = depth < flow->shock_low[which] ? depth : flow->shock_low[which];
        double target = flow->shock_low[which] + RECOVERED_PART * (flow->shock_from[which] - flow->shock_low[which]);
        if (depth >= target && depth > flow->shock_low[which]) {
            brought[OF_60S_RECOVERIES] += 1;
            flow->shock_from[which] = 0;
        }
    }
    if (flow->hit[which] && depth < SHOCK_DEPTH_MAX * usual) { /* a new shock censors an open one */
        flow->shock_from[which] = usual;
        flow->shock_low[which] = depth;
    }
    flow->hit[which] = 0;
}

void resilience_tick(struct flow *flow, const struct shape *shape, double brought[OF_60S_COUNT])
{
    follow(flow, 0, shape->depth[0], brought);
    follow(flow, 1, shape->depth[1], brought);
}
