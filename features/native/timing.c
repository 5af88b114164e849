/* The time of each event by itself, for benchmarks alone: the only place of the kernel that reads a clock. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include "kernel.h"

#include <time.h>

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void kernel_apply_timed(struct kernel *kernel, const struct frame *frame, uint32_t *spent_ns, uint32_t *rows)
{
    int64_t expected, before = now_ns();
    for (size_t i = 0; i < frame->rows; i++) {
        struct frame single = {
            .rows = 1,
            .ts_event_ns = frame->ts_event_ns + i,
            .price = frame->price + i,
            .qty = frame->qty + i,
            .instrument_id = frame->instrument_id + i,
            .kind = frame->kind + i,
            .side = frame->side + i,
            .order_id = frame->order_id + i,
            .seq_first = frame->seq_first + (int64_t)i,
            .seq_last = frame->seq_first + (int64_t)i,
            .ts_last_ns = frame->ts_event_ns[i],
            .flags = frame->flags,
        };
        kernel_apply(kernel, &single, &expected);
        int64_t after = now_ns();
        spent_ns[i] = after - before > UINT32_MAX ? UINT32_MAX : (uint32_t)(after - before);
        rows[i] = (uint32_t)kernel->row_count;
        before = after;
    }
}
