#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static int64_t monotonic_ns(void)
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
    return (uint64_t)monotonic_ns();
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
    return (uint64_t)monotonic_ns();
#endif
}

static uint32_t clamp(uint64_t length)
{
    return length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
}

void bench_timer(uint32_t *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t start = clock_start();
        samples[i] = clamp(clock_stop() - start);
    }
}

uint64_t bench_checks(const struct limit_table *table, const struct order *orders, size_t order_count, int64_t now_ns,
                      uint32_t *samples, size_t count)
{
    uint64_t accepted = 0;
    struct decision decision;
    for (size_t i = 0, at = 0; i < count; i++, at = at + 1 == order_count ? 0 : at + 1) {
        uint64_t start = clock_start();
        order_check(table, &orders[at], now_ns, &decision);
        samples[i] = clamp(clock_stop() - start);
        accepted += decision.reason == REASON_OK;
    }
    return accepted;
}

int64_t bench_batch(const struct limit_table *table, const struct order *orders, size_t order_count, int64_t now_ns,
                    size_t count)
{
    struct decision decision;
    int64_t start = monotonic_ns();
    for (size_t i = 0, at = 0; i < count; i++, at = at + 1 == order_count ? 0 : at + 1)
        order_check(table, &orders[at], now_ns, &decision);
    return monotonic_ns() - start;
}

double bench_clock_unit_ns(int64_t span_ns)
{
    int64_t start_ns = monotonic_ns(), stop_ns;
    uint64_t start = clock_start(), stop;
    do {
        stop_ns = monotonic_ns();
        stop = clock_stop();
    } while (stop_ns - start_ns < span_ns);
    return (double)(stop_ns - start_ns) / (double)(stop - start);
}
