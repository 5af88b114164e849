/* Latency of the gate, measured inside C: a call from Python costs more than what is measured.
 *
 * Invariant: every sample is one judgement between two reads of the processor's clock, the clock's own cost included;
 * BENCH_TIMER gives that cost alone. The order lies in the processor's first cache, as one that was just made does. Reports,
 * writes of rows and the reading of the time stand outside of what is measured. */
#ifndef TIDEGATE_BENCH_H
#define TIDEGATE_BENCH_H

#include "tidegate_gate.h"

enum bench_mode {
    BENCH_TIMER = 0,
    BENCH_CHECK,
    BENCH_SUBMIT,    /* closed again, outside of the sample */
    BENCH_REWRITTEN, /* a check just after this process rewrote the row; wants a table that it may write */
    BENCH_KILL,      /* from the call that kills the firm to the refusal of the next order; wants the same */
    BENCH_VISIBLE,   /* from the time in the row's tick_ns, another process's, to the check that has it; in ns */
    BENCH_BATCH,     /* checks back to back, no clock between them: no samples */
    BENCH_MODES
};

struct bench_orders {
    const struct order *orders; /* taken in turn, each under an id of its own */
    size_t count;
};

/* Fill `samples` in clock units. Returns how many orders ended as they should: accepted, and for BENCH_KILL refused. */
uint64_t bench_run(struct gate *gate, enum bench_mode mode, struct bench_orders load, uint32_t *samples, size_t count);

/* Return ns per clock unit, measured over `span_ns` against the monotonic clock. */
double bench_clock_unit_ns(int64_t span_ns);
int64_t bench_now_ns(void);

#endif
