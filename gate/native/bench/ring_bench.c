#define _POSIX_C_SOURCE 200809L
#include "bench/ring_bench.h"

#include <time.h>

#define READ_MAX 64

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void drain(struct decision_ring *ring)
{
    struct decision_record records[READ_MAX];
    size_t found;
    while ((found = decision_ring_read(ring, records, READ_MAX)) > 0)
        decision_ring_release(ring, found);
}

uint64_t bench_pushes(struct decision_ring *ring, uint32_t *samples, size_t count, uint32_t batch, bool drains)
{
    struct order order = {.instrument_id = 1, .order_id = 1, .account = 2, .qty = 100, .price = 50, .side = ORDER_BUY};
    struct decision decision = {.has_row = true, .epoch = 1, .model_id = "default-7"};
    struct decision_context context = {.has_ledger = true, .order_text = "desk-1-0000000001", .order_text_length = 17};
    uint64_t lost = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t start_ns = monotonic_ns();
        for (uint32_t j = 0; j < batch; j++) {
            order.order_id++;
            context.now_ns = start_ns;
            lost += !decision_ring_push(ring, &order, &decision, &context);
        }
        int64_t span_ns = monotonic_ns() - start_ns;
        samples[i] = span_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)span_ns;
        if (drains)
            drain(ring);
    }
    return lost;
}
