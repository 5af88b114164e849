/* The instruments of a channel: by ascending id for the rows, and by a hash of the id for the events. */
#include "events.h"
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64 /* bytes: what the running tick touches then lies in as few cache lines as it can */

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

static bool grow_instruments(struct kernel *kernel)
{
    uint32_t capacity = kernel->instrument_capacity ? kernel->instrument_capacity * 2 : 8;
    if (capacity > INSTRUMENTS_MAX)
        return false;
    struct instrument **grown = realloc(kernel->instruments, capacity * sizeof(struct instrument *));
    if (!grown)
        return false;
    kernel->instruments = grown;
    struct place *map = calloc(capacity * 2u, sizeof *map);
    if (!map)
        return false;
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

static struct instrument *instrument_new(uint32_t id)
{
    struct instrument *fresh = aligned_alloc(LINE, (sizeof *fresh + LINE - 1) / LINE * LINE);
    if (!fresh)
        return NULL;
    memset(fresh, 0, sizeof *fresh);
    fresh->id = id;
    fresh->status = STATUS_STALE;
    fresh->is_due = true;
    book_init(&fresh->book);
    flow_init(&fresh->flow);
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
        found = instrument_new(id);
        if (!found)
            return NULL;
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
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        book_free(&kernel->instruments[i]->book);
        free(kernel->instruments[i]);
    }
    free(kernel->instruments);
    free(kernel->map);
}
