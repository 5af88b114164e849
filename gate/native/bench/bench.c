#define _POSIX_C_SOURCE 200809L
#include "bench/bench.h"

#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The fences keep what is measured between the two reads (Intel's white paper on benchmarking with rdtscp). */
static inline uint64_t clock_start(void)
{
#if defined(__x86_64__)
    _mm_lfence();
    uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return (uint64_t)bench_now_ns();
#endif
}

static inline uint64_t clock_stop(void)
{
#if defined(__x86_64__)
    unsigned processor;
    uint64_t now = __rdtscp(&processor);
    _mm_lfence();
    return now;
#else
    return (uint64_t)bench_now_ns();
#endif
}

static uint32_t clamp(uint64_t length)
{
    return length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
}

double bench_clock_unit_ns(int64_t span_ns)
{
    int64_t start_ns = bench_now_ns(), stop_ns;
    uint64_t start = clock_start(), stop;
    do {
        stop_ns = bench_now_ns();
        stop = clock_stop();
    } while (stop_ns - start_ns < span_ns);
    return (double)(stop_ns - start_ns) / (double)(stop - start);
}

static void rewrite(struct gate *gate, const struct order *order, int64_t now_ns)
{
    struct limit_row row;
    if (limit_table_read(&gate->table, order->instrument_id, &row) == LIMIT_FOUND) {
        row.tick_ns = row.written_ns = now_ns;
        row.epoch++;
        (void)limit_table_put(&gate->table, &row);
    }
}

/* One sample of any mode but BENCH_VISIBLE and BENCH_BATCH. */
static inline uint32_t sample(struct gate *gate, enum bench_mode mode, const struct order *order, int64_t now_ns,
                              struct decision *decision)
{
    uint64_t start = clock_start();
    switch (mode) {
    case BENCH_CHECK:
    case BENCH_REWRITTEN:
        gate_check(gate, order, now_ns, decision);
        break;
    case BENCH_SUBMIT:
        gate_submit(gate, order, now_ns, decision);
        break;
    case BENCH_KILL:
        limit_table_kill_firm(&gate->table, true);
        gate_check(gate, order, now_ns, decision);
        break;
    default:
        break;
    }
    return clamp(clock_stop() - start);
}

static uint64_t run_samples(struct gate *gate, enum bench_mode mode, struct bench_orders load, uint32_t *samples, size_t count)
{
    struct decision decision = {.reason = REASON_OK};
    uint64_t ended_well = 0, first_id = (uint64_t)bench_now_ns() << 8;
    for (size_t i = 0, at = 0; i < count; i++, at = at + 1 == load.count ? 0 : at + 1) {
        struct order order = load.orders[at];
        int64_t now_ns = bench_now_ns();
        order.order_id = first_id + i;
        if (mode == BENCH_REWRITTEN)
            rewrite(gate, &order, now_ns);
        samples[i] = sample(gate, mode, &order, now_ns, &decision);
        ended_well += decision.reason == (mode == BENCH_KILL ? REASON_KILLED : REASON_OK);
        if (mode == BENCH_SUBMIT && decision.reason == REASON_OK)
            (void)gate_closed(gate, order.account, order.order_id);
        if (mode == BENCH_KILL)
            limit_table_kill_firm(&gate->table, false);
    }
    return ended_well;
}

/* Look at one row until it says another tick; its tick is the time at which the writer began to write it. */
static uint64_t run_visible(struct gate *gate, const struct order *order, uint32_t *samples, size_t count)
{
    struct decision decision;
    uint64_t ended_well = 0;
    gate_check(gate, order, bench_now_ns(), &decision);
    for (size_t i = 0; i < count; i++) {
        int64_t tick_ns = decision.tick_ns, now_ns = bench_now_ns(), give_up_ns = now_ns + INT64_C(5000000000);
        while (decision.tick_ns == tick_ns && now_ns < give_up_ns) {
            gate_check(gate, order, now_ns, &decision);
            now_ns = bench_now_ns();
        }
        samples[i] = clamp((uint64_t)(now_ns - decision.tick_ns));
        ended_well += decision.tick_ns != tick_ns && decision.reason == REASON_OK;
    }
    return ended_well;
}

static uint64_t run_batch(struct gate *gate, struct bench_orders load, size_t count)
{
    struct decision decision;
    uint64_t ended_well = 0;
    int64_t now_ns = bench_now_ns();
    for (size_t i = 0, at = 0; i < count; i++, at = at + 1 == load.count ? 0 : at + 1) {
        gate_check(gate, &load.orders[at], now_ns, &decision);
        ended_well += decision.reason == REASON_OK;
    }
    return ended_well;
}

uint64_t bench_run(struct gate *gate, enum bench_mode mode, struct bench_orders load, uint32_t *samples, size_t count)
{
    if (mode == BENCH_BATCH)
        return run_batch(gate, load, count);
    if (mode == BENCH_VISIBLE)
        return run_visible(gate, &load.orders[0], samples, count);
    return run_samples(gate, mode, load, samples, count);
}
