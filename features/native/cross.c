/* Features across the instruments of a channel, once a second: returns of 1 s over the last minute, at whole seconds of
 * event time. All is worked out anew from the returns, so a change of the lead instrument or of the group leaves nothing
 * behind. Returns of 1 s, not of a tick: short ones hardly correlate (Epps 1979). */
#include "kernel.h"

#include <string.h>

#define PAIRS_MIN 20
#define GROUP_MAX 64
#define POWER_STEPS 20
#define MOVED_MIN 1e-12 /* of the sum of squares: less is rounding, not movement */

/* Ascending ids and strict comparison: of equals, the smallest id leads. */
static const struct flow *lead_of(const struct kernel *kernel)
{
    const struct flow *lead = NULL;
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        const struct flow *flow = kernel->instruments[i]->flow;
        if (!lead || flow->fading[OF_60S_TRADED] > lead->fading[OF_60S_TRADED])
            lead = flow;
    }
    return lead;
}

static double correlation(const double *a, const double *b)
{
    double mean_a = 0, mean_b = 0, square_a = 0, square_b = 0, both = 0, raw_a = 0, raw_b = 0;
    int count = 0;
    for (int i = 0; i < SECONDS; i++)
        if (!isnan(a[i]) && !isnan(b[i])) {
            mean_a += a[i];
            mean_b += b[i];
            count++;
        }
    if (count < PAIRS_MIN)
        return NAN;
    mean_a /= count;
    mean_b /= count;
    for (int i = 0; i < SECONDS; i++)
        if (!isnan(a[i]) && !isnan(b[i])) {
            square_a += (a[i] - mean_a) * (a[i] - mean_a);
            square_b += (b[i] - mean_b) * (b[i] - mean_b);
            both += (a[i] - mean_a) * (b[i] - mean_b);
            raw_a += a[i] * a[i];
            raw_b += b[i] * b[i];
        }
    if (square_a <= MOVED_MIN * raw_a || square_b <= MOVED_MIN * raw_b)
        return NAN;
    return fmax(-1, fmin(1, both / sqrt(square_a) / sqrt(square_b)));
}

/* Write the returns less their mean, of length 1, 0 where unknown; false when too few are known or none differs. */
static bool standardise(const double *returns, double *out)
{
    double mean = 0, square = 0, raw = 0;
    int count = 0;
    for (int i = 0; i < SECONDS; i++)
        if (!isnan(returns[i])) {
            mean += returns[i];
            count++;
        }
    if (count < PAIRS_MIN)
        return false;
    mean /= count;
    for (int i = 0; i < SECONDS; i++) {
        out[i] = isnan(returns[i]) ? 0 : returns[i] - mean;
        square += out[i] * out[i];
        raw += isnan(returns[i]) ? 0 : returns[i] * returns[i];
    }
    if (square <= MOVED_MIN * raw)
        return false;
    for (int i = 0; i < SECONDS; i++)
        out[i] /= sqrt(square);
    return true;
}

/* Trades below which an instrument is not among the busiest; of equals, smaller ids stay. Write how many equals stay. */
static double busy_min(const struct kernel *kernel, uint32_t *equals)
{
    double top[GROUP_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        double trades = kernel->instruments[i]->flow->fading[OF_60S_TRADED];
        if (count == GROUP_MAX && trades <= top[count - 1])
            continue;
        uint32_t at = count < GROUP_MAX ? count++ : count - 1;
        for (; at > 0 && top[at - 1] < trades; at--)
            top[at] = top[at - 1];
        top[at] = trades;
    }
    *equals = 0;
    for (uint32_t i = 0; i < count; i++)
        *equals += top[i] == top[count - 1];
    return count ? top[count - 1] : 0;
}

/* Part of the correlation matrix's trace that is its first eigenvalue. The matrix Z Z' is never built. */
static double first_share(double (*group)[SECONDS], int count)
{
    double vector[GROUP_MAX], factor[SECONDS], value = 0;
    for (int i = 0; i < count; i++)
        vector[i] = 1.0 / (1 + i); /* not equal parts: those can be at right angles to the answer */
    for (int step = 0; step < POWER_STEPS; step++) {
        double square = 0;
        memset(factor, 0, sizeof factor);
        for (int i = 0; i < count; i++)
            square += vector[i] * vector[i];
        for (int i = 0; i < count; i++) {
            double part = vector[i] / sqrt(square);
            for (int t = 0; t < SECONDS; t++)
                factor[t] += part * group[i][t];
        }
        value = 0;
        for (int t = 0; t < SECONDS; t++)
            value += factor[t] * factor[t];
        for (int i = 0; i < count; i++) {
            double sums[4] = {0, 0, 0, 0}; /* four chains of additions run side by side */
            for (int t = 0; t < SECONDS; t += 4)
                for (int lane = 0; lane < 4; lane++)
                    sums[lane] += group[i][t + lane] * factor[t + lane];
            vector[i] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        }
        if (value <= 0)
            return NAN;
    }
    return value / count;
}

void cross_second(struct kernel *kernel, int64_t tick_ns)
{
    double group[GROUP_MAX][SECONDS];
    int64_t slot = tick_ns / (TICK_NS * TICKS_1S) % SECONDS;
    int count = 0;
    for (uint32_t i = 0; i < kernel->instrument_count; i++)
        kernel->instruments[i]->flow->seconds[slot] = kernel->instruments[i]->flow->step;
    const struct flow *lead = lead_of(kernel);
    uint32_t equals;
    double trades_min = busy_min(kernel, &equals);
    bool alone = kernel->instrument_count < 2;
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        struct flow *flow = kernel->instruments[i]->flow;
        flow->lead_correlation = flow == lead ? 1 : correlation(flow->seconds, lead->seconds);
        double trades = flow->fading[OF_60S_TRADED];
        bool is_busy = trades > trades_min || (trades == trades_min && equals > 0);
        equals -= trades == trades_min && equals > 0;
        count += !alone && is_busy && standardise(flow->seconds, group[count]);
    }
    kernel->first_share = count > 1 ? first_share(group, count) : NAN;
}

void cross_write(const struct kernel *kernel, size_t first_row)
{
    double *out = &kernel->row_values[first_row * FEATURE_COUNT];
    for (uint32_t i = 0; i < kernel->instrument_count; i++, out += FEATURE_COUNT) {
        out[F_LEAD_CORRELATION] = kernel->instruments[i]->flow->lead_correlation;
        out[F_FIRST_FACTOR_SHARE] = kernel->first_share;
        out[F_SENTIMENT_EW] = NAN;
        out[F_HEADLINE_RATE] = 0;
        out[F_OWN_FILL_RATIO] = 0.5;
    }
}
