#define _GNU_SOURCE
#include "ring/decision_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct decision_slot *slot_of(const struct decision_ring *ring, uint64_t position)
{
    return &ring->slots[position & ring->mask];
}

/* Unsigned positions wrap; the sign of their difference does not. */
static int64_t ahead(uint64_t left, uint64_t right)
{
    return (int64_t)(left - right);
}

static size_t bytes_of(uint32_t capacity)
{
    return sizeof(struct decision_ring_header) + (size_t)capacity * sizeof(struct decision_slot);
}

static void take_shape(struct decision_ring *ring, void *memory, uint32_t capacity)
{
    ring->header = memory;
    ring->slots = (struct decision_slot *)(ring->header + 1);
    ring->mask = capacity - 1;
    ring->size_bytes = bytes_of(capacity);
}

/* The memory is all zeros. */
static void make(struct decision_ring *ring, uint32_t capacity, uint64_t identity)
{
    struct decision_ring_header *header = ring->header;
    header->version = DECISION_RING_VERSION;
    header->header_size = sizeof *header;
    header->slot_size = sizeof(struct decision_slot);
    header->capacity = capacity;
    header->identity = identity;
    for (uint32_t i = 0; i < capacity; i++)
        atomic_init(&ring->slots[i].turn, i);
    atomic_store_explicit(&header->magic, DECISION_RING_MAGIC, memory_order_release);
}

static bool has_shape(const struct decision_ring_header *header, uint32_t capacity)
{
    return atomic_load_explicit(&header->magic, memory_order_acquire) == DECISION_RING_MAGIC &&
           header->version == DECISION_RING_VERSION && header->header_size == sizeof *header &&
           header->slot_size == sizeof(struct decision_slot) && header->capacity == capacity;
}

static uint64_t losses(const struct decision_ring_header *header)
{
    uint64_t sum = 0;
    for (int i = 0; i < DECISION_LOSS_REASONS; i++)
        sum += atomic_load_explicit(&header->lost[i], memory_order_relaxed);
    return sum;
}

/* Make a ring whose process died fit for use: entries it was writing are torn, slots it was releasing are free. A second
 * death in here is borne; at worst it counts one torn entry twice. False when positions contradict each other. */
static bool recover(struct decision_ring *ring)
{
    struct decision_ring_header *header = ring->header;
    uint64_t head = atomic_load(&header->head), tail = atomic_load(&header->tail), capacity = ring->mask + 1;
    if (ahead(tail, head) < 0 || tail - head > capacity)
        return false;
    for (uint64_t i = 0; i < capacity; i++) {
        uint64_t position = head + i;
        struct decision_slot *slot = slot_of(ring, position);
        uint64_t turn = atomic_load(&slot->turn);
        if (ahead(position, tail) >= 0) { /* free; or released, and the process died before it said so in the turn */
            if (turn != position && turn != position - capacity + 1)
                return false;
            atomic_store(&slot->turn, position);
        } else if (turn == position) { /* claimed and not published */
            memset(&slot->record, 0, sizeof slot->record);
            slot->record.marks = DECISION_TORN;
            atomic_fetch_add(&header->torn_slots, 1);
            atomic_store(&slot->turn, position + 1);
        } else if (turn != position + 1) {
            return false;
        }
    }
    uint64_t recorded = tail - atomic_load(&header->torn_slots) + losses(header);
    uint64_t numbered = atomic_load(&header->numbered);
    if (ahead(numbered, recorded) < 0)
        return false;
    atomic_store(&header->torn, numbered - recorded);
    return true;
}

static enum decision_ring_open map_file(struct decision_ring *ring, uint32_t capacity, uint64_t identity)
{
    struct stat found;
    if (flock(ring->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? DECISION_RING_LOCKED : DECISION_RING_SYSTEM;
    if (fstat(ring->fd, &found) != 0)
        return DECISION_RING_SYSTEM;
    if (found.st_size == 0) {
        /* Its pages are taken now: later, a full disk would be a signal in the middle of an order. */
        int failed = posix_fallocate(ring->fd, 0, (off_t)bytes_of(capacity));
        if (failed) {
            errno = failed;
            return DECISION_RING_SYSTEM;
        }
    } else if ((uint64_t)found.st_size != bytes_of(capacity)) {
        return DECISION_RING_SHAPE;
    }
    void *memory = mmap(NULL, bytes_of(capacity), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, 0);
    if (memory == MAP_FAILED)
        return DECISION_RING_SYSTEM;
    take_shape(ring, memory, capacity);
    if (atomic_load_explicit(&ring->header->magic, memory_order_acquire) == 0 && ring->header->numbered == 0)
        make(ring, capacity, identity); /* new, or its maker died before it was one */
    if (!has_shape(ring->header, capacity))
        return DECISION_RING_SHAPE;
    return recover(ring) ? DECISION_RING_OK : DECISION_RING_DAMAGED;
}

enum decision_ring_open decision_ring_open(struct decision_ring *ring, const char *path, uint32_t capacity,
                                           uint64_t identity)
{
    *ring = (struct decision_ring){.fd = -1};
    if (capacity < 2 || capacity > DECISION_RING_CAPACITY_MAX || (capacity & (capacity - 1)) != 0)
        return DECISION_RING_CAPACITY;
    enum decision_ring_open result = DECISION_RING_OK;
    if (path) {
        ring->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        result = ring->fd < 0 ? DECISION_RING_SYSTEM : map_file(ring, capacity, identity);
    } else {
        void *memory = mmap(NULL, bytes_of(capacity), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory == MAP_FAILED) {
            result = DECISION_RING_SYSTEM;
        } else {
            take_shape(ring, memory, capacity);
            make(ring, capacity, identity);
        }
    }
    if (result == DECISION_RING_OK) {
        ring->cursor = atomic_load(&ring->header->head);
    } else {
        int why = errno;
        decision_ring_close(ring);
        errno = why;
    }
    return result;
}

void decision_ring_close(struct decision_ring *ring)
{
    if (ring->header)
        munmap(ring->header, ring->size_bytes);
    if (ring->fd >= 0)
        close(ring->fd);
    *ring = (struct decision_ring){.fd = -1};
}

struct decision_record *decision_ring_claim(struct decision_ring *ring, unsigned reason)
{
    struct decision_ring_header *header = ring->header;
    uint64_t seq = atomic_fetch_add_explicit(&header->numbered, 1, memory_order_relaxed) + 1;
    uint64_t position = atomic_load_explicit(&header->tail, memory_order_relaxed);
    for (;;) {
        struct decision_slot *slot = slot_of(ring, position);
        int64_t difference = ahead(atomic_load_explicit(&slot->turn, memory_order_acquire), position);
        if (difference < 0) { /* the entry of a round ago is still there */
            unsigned counted = reason < REASON_COUNT ? reason : DECISION_LOSS_REASONS - 1;
            atomic_fetch_add_explicit(&header->lost[counted], 1, memory_order_relaxed);
            return NULL;
        }
        if (difference > 0) { /* others were faster */
            position = atomic_load_explicit(&header->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&header->tail, &position, position + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            slot->record.seq = seq;
            slot->record.wall_offset_ns = atomic_load_explicit(&header->wall_offset_ns, memory_order_relaxed);
            return &slot->record;
        }
    }
}

void decision_ring_publish(struct decision_record *record)
{
    struct decision_slot *slot =
        (struct decision_slot *)(void *)((char *)record - offsetof(struct decision_slot, record));
    /* The slot is this thread's alone since the claim, so its turn is still the position. */
    uint64_t position = atomic_load_explicit(&slot->turn, memory_order_relaxed);
    atomic_store_explicit(&slot->turn, position + 1, memory_order_release);
}

static void set_text(struct decision_record *record, const char *text, size_t length)
{
    size_t kept = length < DECISION_TEXT_BYTES ? length : DECISION_TEXT_BYTES;
    record->text_length = (uint16_t)(length < UINT16_MAX ? length : UINT16_MAX);
    memset(record->order_text, 0, DECISION_TEXT_BYTES);
    if (text)
        memcpy(record->order_text, text, kept);
}

bool decision_ring_push(struct decision_ring *ring, const struct order *order, const struct decision *decision,
                        const struct decision_context *context)
{
    struct decision_record *record = decision_ring_claim(ring, (unsigned)decision->reason);
    if (!record)
        return false;
    record->now_ns = context->now_ns;
    record->order = *order;
    record->limit = decision->limit;
    record->observed = decision->observed;
    record->worst_price = decision->worst_price;
    record->ref_price = decision->ref_price;
    record->epoch = decision->epoch;
    record->tick_ns = decision->tick_ns;
    record->score = decision->score;
    record->tier = decision->tier;
    memcpy(record->model_id, decision->model_id, sizeof record->model_id);
    record->position_before = context->position_before;
    record->working_buy_before = context->working_buy_before;
    record->working_sell_before = context->working_sell_before;
    record->reason = (uint16_t)decision->reason;
    record->verdict = (uint8_t)decision->verdict;
    record->marks = (uint8_t)((decision->warned ? DECISION_WARNED : 0) | (decision->stale ? DECISION_STALE : 0) |
                              (decision->has_numbers ? DECISION_HAS_NUMBERS : 0) |
                              (context->has_ledger ? DECISION_HAS_LEDGER : 0));
    set_text(record, context->order_text, context->order_text ? context->order_text_length : 0);
    decision_ring_publish(record);
    return true;
}

size_t decision_ring_read(struct decision_ring *ring, struct decision_record *out, size_t max)
{
    size_t count = 0;
    for (; count < max; count++) {
        struct decision_slot *slot = slot_of(ring, ring->cursor);
        if (atomic_load_explicit(&slot->turn, memory_order_acquire) != ring->cursor + 1)
            break;
        out[count] = slot->record;
        ring->cursor++;
    }
    return count;
}

bool decision_ring_release(struct decision_ring *ring, uint64_t count)
{
    struct decision_ring_header *header = ring->header;
    uint64_t head = atomic_load_explicit(&header->head, memory_order_relaxed);
    if (count > ring->cursor - head)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        /* Head first: a death in between leaves a released entry with an old turn, which `recover` knows. The other way
         * round a producer could fill the slot while the head still says that it holds an older entry. */
        atomic_store_explicit(&header->head, head + i + 1, memory_order_release);
        atomic_store_explicit(&slot_of(ring, head + i)->turn, head + i + ring->mask + 1, memory_order_release);
    }
    return true;
}

void decision_ring_rewind(struct decision_ring *ring)
{
    ring->cursor = atomic_load_explicit(&ring->header->head, memory_order_relaxed);
}

void decision_ring_set_wall_offset(struct decision_ring *ring, int64_t wall_offset_ns)
{
    atomic_store_explicit(&ring->header->wall_offset_ns, wall_offset_ns, memory_order_relaxed);
}

struct decision_ring_counters decision_ring_counters(const struct decision_ring *ring)
{
    const struct decision_ring_header *header = ring->header;
    /* Head before tail, so that what is pending is never negative. */
    uint64_t head = atomic_load_explicit(&header->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&header->tail, memory_order_acquire);
    return (struct decision_ring_counters){
        .numbered = atomic_load_explicit(&header->numbered, memory_order_relaxed),
        .pending = tail - head,
        .released = head,
        .lost = losses(header),
        .torn = atomic_load_explicit(&header->torn, memory_order_relaxed),
    };
}
