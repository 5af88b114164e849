/* What recording a decision costs, measured inside C.
 *
 * Invariant: one sample is the time of a batch of pushes between two readings of the clock, so that the clock's own 20 ns
 * are shared by all of the batch. */
#ifndef TIDEGATE_RING_BENCH_H
#define TIDEGATE_RING_BENCH_H

#include "ring/decision_ring.h"

/* Push `batch` decisions for each of `count` samples, in ns of the batch. With `drains` this thread also empties the ring
 * between the batches, outside of what is timed. Returns how many pushes found no room. */
uint64_t bench_pushes(struct decision_ring *ring, uint32_t *samples, size_t count, uint32_t batch, bool drains);

#endif
