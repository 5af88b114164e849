/* The instruments of a channel: by ascending id for the rows, and by a hash of the id for the events.
 *
 * Invariants: an instrument never moves, for pointers to it are kept. Room comes in slabs, as many places as there are
 * already, and apart for what events, ticks and books read: what events touch of thousands of instruments then fits in the
 * second cache, and large slabs lie on huge pages, where one entry of the TLB covers many of them.
 */
#define _DEFAULT_SOURCE /* madvise */
#include "events.h"
#include "kernel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (UINT64_C(1) << 21)
#define INSTRUMENTS_FIRST 8u

static uint32_t home_of(const struct kernel *kernel, uint32_t id)
{
    return (uint32_t)(id * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (kernel->map_capacity - 1);
}

struct instrument *kernel_find(const struct kernel *kernel, uint32_t id)
{
    if (!kernel->map_capacity)
        return NULL;
    for (uint32_t at = home_of(kernel, id);; at = (at + 1) & (kernel->map_capacity - 1)) {
        struct instrument *found = kernel->map[at].instrument;
        if (!found || kernel->map[at].id == id)
            return found;
    }
}

static void map_put(struct kernel *kernel, struct instrument *instrument)
{
    uint32_t at = home_of(kernel, instrument->id);
    while (kernel->map[at].instrument)
        at = (at + 1) & (kernel->map_capacity - 1);
    kernel->map[at] = (struct place){instrument->id, instrument};
}

static void *slab_alloc(size_t count, size_t size)
{
    size_t whole = count * size, unit = whole >= HUGE_PAGE ? HUGE_PAGE : LINE;
    void *slab = aligned_alloc(unit, (whole + unit - 1) / unit * unit);
#ifdef MADV_HUGEPAGE
    if (slab && unit == HUGE_PAGE)
        (void)madvise(slab, (whole + unit - 1) / unit * unit, MADV_HUGEPAGE); /* a wish: small pages are only slower */
#endif
    return slab;
}

static void slab_free(struct slab *slab)
{
    free(slab->instruments);
    free(slab->flows);
    free(slab->shapes);
    *slab = (struct slab){0};
}

/* Make room for as many instruments as there are. */
static bool add_slab(struct kernel *kernel, uint32_t count)
{
    struct slab slab = {
        .first = kernel->instrument_count,
        .instruments = slab_alloc(count, sizeof(struct instrument)),
        .flows = slab_alloc(count, sizeof(struct flow)),
        .shapes = slab_alloc(count, sizeof(struct shape)),
    };
    if (!slab.instruments || !slab.flows || !slab.shapes) {
        slab_free(&slab);
        return false;
    }
    kernel->slabs[kernel->slab_count++] = slab;
    return true;
}

static bool grow_instruments(struct kernel *kernel)
{
    uint32_t before = kernel->instrument_capacity, capacity = before ? before * 2 : INSTRUMENTS_FIRST;
    if (capacity > INSTRUMENTS_MAX)
        return false;
    struct instrument **grown = realloc(kernel->instruments, capacity * sizeof(struct instrument *));
    if (!grown)
        return false;
    kernel->instruments = grown;
    struct place *map = calloc(capacity * 2u, sizeof *map);
    if (!map)
        return false;
    if (!add_slab(kernel, capacity - before)) {
        free(map);
        return false;
    }
    free(kernel->map);
    kernel->map = map;
    kernel->map_capacity = capacity * 2;
    kernel->instrument_capacity = capacity;
    for (uint32_t i = 0; i < kernel->instrument_count; i++)
        map_put(kernel, kernel->instruments[i]);
    return true;
}

static uint32_t place_of(const struct kernel *kernel, uint32_t id)
{
    uint32_t low = 0, high = kernel->instrument_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (kernel->instruments[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Take the next place of the last slab. */
static struct instrument *instrument_new(struct kernel *kernel, uint32_t id)
{
    const struct slab *slab = &kernel->slabs[kernel->slab_count - 1];
    uint32_t place = kernel->instrument_count - slab->first;
    struct instrument *fresh = &slab->instruments[place];
    memset(fresh, 0, sizeof *fresh);
    fresh->id = id;
    fresh->status = STATUS_STALE;
    fresh->is_due = true;
    fresh->flow = &slab->flows[place];
    fresh->shape = &slab->shapes[place];
    memset(fresh->shape, 0, sizeof *fresh->shape);
    book_init(&fresh->book);
    now_init(&fresh->now);
    flow_init(fresh->flow);
    return fresh;
}

struct instrument *kernel_instrument(struct kernel *kernel, uint32_t id)
{
    if (kernel->last_found && kernel->last_found->id == id)
        return kernel->last_found;
    struct instrument *found = kernel_find(kernel, id);
    if (!found) {
        if (kernel->instrument_count == kernel->instrument_capacity && !grow_instruments(kernel))
            return NULL;
        found = instrument_new(kernel, id);
        uint32_t at = place_of(kernel, id);
        memmove(&kernel->instruments[at + 1], &kernel->instruments[at],
                (kernel->instrument_count - at) * sizeof *kernel->instruments);
        kernel->instruments[at] = found;
        kernel->instrument_count++;
        map_put(kernel, found);
    }
    kernel->last_found = found;
    return found;
}

void kernel_free_instruments(struct kernel *kernel)
{
    for (uint32_t i = 0; i < kernel->instrument_count; i++)
        book_free(&kernel->instruments[i]->book);
    for (uint32_t i = 0; i < kernel->slab_count; i++)
        slab_free(&kernel->slabs[i]);
    free(kernel->instruments);
    free(kernel->map);
}
