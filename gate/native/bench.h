/* Latency of lookup + check, measured inside C: a call from Python costs more than what is measured.
 *
 * Invariant: every sample is one `order_check` between two reads of the processor's clock, the clock's own cost included;
 * `bench_timer` gives that cost alone, by the same two reads with nothing between them.
 */
#ifndef TIDEGATE_BENCH_H
#define TIDEGATE_BENCH_H

#include "order_check.h"

/* Fill `samples` with the length of `count` empty measurements, in clock units. */
void bench_timer(uint32_t *samples, size_t count);

/* Fill `samples` with the length of `count` checks, orders taken in turn from `orders`, in clock units. Returns the number
 * of orders accepted, so that the work cannot be optimised away. */
uint64_t bench_checks(const struct limit_table *table, const struct order *orders, size_t order_count, int64_t now_ns,
                      uint32_t *samples, size_t count);

/* Return the ns that `count` checks take back to back, without a clock between them. */
int64_t bench_batch(const struct limit_table *table, const struct order *orders, size_t order_count, int64_t now_ns,
                    size_t count);

/* Return ns per clock unit, measured over `span_ns` against the monotonic clock. */
double bench_clock_unit_ns(int64_t span_ns);

#endif
