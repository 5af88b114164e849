#include "book.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS_FIRST 16u
#define ORDERS_FIRST 64u
#define BLOCK 8u /* levels that are compared without a branch */

static struct side *side_of(struct book *book, int side)
{
    return &book->sides[side > 0 ? 0 : 1];
}

void book_init(struct book *book)
{
    memset(book, 0, sizeof *book);
}

void book_free(struct book *book)
{
    free(book->sides[0].levels);
    free(book->sides[1].levels);
    free(book->orders);
    book_init(book);
}

static void *lines_alloc(size_t size)
{
    return aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
}

/* After every change of a side's levels. */
static void note_best(struct side *levels)
{
    levels->best = levels->count ? levels->levels[levels->count - 1] : (struct level){0, 0};
}

void book_clear(struct book *book)
{
    for (int which = 0; which < 2; which++) {
        book->sides[which].count = 0;
        note_best(&book->sides[which]);
    }
    if (book->orders)
        memset(book->orders, 0, book->order_capacity * sizeof *book->orders);
    book->order_count = 0;
}

/* Return the first index below `high` whose level is not worse than `price`. */
static uint32_t halve(const struct side *levels, int which, int64_t price, uint32_t high)
{
    uint64_t rank = rank_of(which, price);
    uint32_t low = 0;
    for (uint32_t half; high > 0; high -= half) { /* `high` levels from `low` on are left */
        half = (high + 1) / 2;
        low += rank_of(which, levels->levels[low + half - 1].price) < rank ? half : 0;
    }
    return low;
}

/* Return the first index whose level is not worse than `price`: the level itself, or where it would stand. Events fall
 * near the best, but nobody can foresee how near: count among the last levels, and halve only behind those. */
static uint32_t find_level(const struct side *levels, int which, int64_t price)
{
    uint64_t rank = rank_of(which, price);
    uint32_t at = levels->count;
    for (int block = 0; block < 2 && at >= BLOCK; block++) {
        const struct level *last = &levels->levels[at - BLOCK];
        uint32_t passed = 0;
        for (uint32_t i = 0; i < BLOCK; i++)
            passed += rank_of(which, last[i].price) >= rank;
        at -= passed;
        if (passed < BLOCK)
            return at;
    }
    return halve(levels, which, price, at);
}

static int grow_levels(struct side *levels, uint32_t wanted)
{
    uint32_t capacity = levels->capacity ? levels->capacity : LEVELS_FIRST;
    while (capacity < wanted)
        capacity *= 2;
    if (capacity > BOOK_LEVELS_MAX)
        return BOOK_BOUND;
    struct level *grown = lines_alloc(capacity * sizeof *grown);
    if (!grown)
        return BOOK_NO_MEMORY;
    if (levels->count)
        memcpy(grown, levels->levels, levels->count * sizeof *grown);
    free(levels->levels);
    levels->levels = grown;
    levels->capacity = capacity;
    return BOOK_OK;
}

static void remove_level(struct side *levels, uint32_t at)
{
    levels->count--;
    if (at < levels->count)
        memmove(&levels->levels[at], &levels->levels[at + 1], (levels->count - at) * sizeof *levels->levels);
    note_best(levels);
}

static int insert_level(struct side *levels, uint32_t at, int64_t price, int64_t qty)
{
    if (levels->count == levels->capacity) {
        int result = grow_levels(levels, levels->count + 1);
        if (result != BOOK_OK)
            return result;
    }
    if (at < levels->count)
        memmove(&levels->levels[at + 1], &levels->levels[at], (levels->count - at) * sizeof *levels->levels);
    levels->levels[at] = (struct level){price, qty};
    levels->count++;
    note_best(levels);
    return BOOK_OK;
}

static int level_add(struct book *book, int side, int64_t price, int64_t qty)
{
    struct side *levels = side_of(book, side);
    uint32_t at = find_level(levels, side > 0 ? 0 : 1, price);
    if (at < levels->count && levels->levels[at].price == price) {
        if (__builtin_add_overflow(levels->levels[at].qty, qty, &levels->levels[at].qty))
            levels->levels[at].qty = INT64_MAX;
        note_best(levels);
        return BOOK_OK;
    }
    return insert_level(levels, at, price, qty);
}

static void level_take(struct book *book, struct book_counts *counts, int side, const struct level *taken)
{
    struct side *levels = side_of(book, side);
    uint32_t at = find_level(levels, side > 0 ? 0 : 1, taken->price);
    if (at >= levels->count || levels->levels[at].price != taken->price) {
        counts->clamped_level++;
        return;
    }
    if (levels->levels[at].qty < taken->qty)
        counts->clamped_level++;
    if (levels->levels[at].qty <= taken->qty)
        remove_level(levels, at);
    else {
        levels->levels[at].qty -= taken->qty;
        note_best(levels);
    }
}

static uint32_t slot_of(const struct book *book, uint64_t order_id)
{
    uint64_t mixed = (order_id ^ order_id >> 32) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(mixed >> 32) & (book->order_capacity - 1);
}

static struct resting *find_order(const struct book *book, uint64_t order_id)
{
    if (!book->order_count)
        return NULL;
    for (uint32_t at = slot_of(book, order_id);; at = (at + 1) & (book->order_capacity - 1)) {
        struct resting *slot = &book->orders[at];
        if (slot->side == 0)
            return NULL;
        if (slot->order_id == order_id)
            return slot;
    }
}

static void put_order(struct book *book, const struct resting *order)
{
    uint32_t at = slot_of(book, order->order_id);
    while (book->orders[at].side != 0)
        at = (at + 1) & (book->order_capacity - 1);
    book->orders[at] = *order;
    book->order_count++;
}

/* Close the gap that a removed order leaves, so that searches need no tombstones. */
static void remove_order(struct book *book, struct resting *order)
{
    uint32_t mask = book->order_capacity - 1, hole = (uint32_t)(order - book->orders);
    for (uint32_t at = (hole + 1) & mask; book->orders[at].side != 0; at = (at + 1) & mask) {
        uint32_t home = slot_of(book, book->orders[at].order_id);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            book->orders[hole] = book->orders[at];
            hole = at;
        }
    }
    memset(&book->orders[hole], 0, sizeof book->orders[hole]);
    book->order_count--;
}

static int grow_orders(struct book *book)
{
    uint32_t before = book->order_capacity, capacity = before ? before * 2 : ORDERS_FIRST;
    if (capacity > BOOK_ORDERS_MAX)
        return BOOK_BOUND;
    struct resting *old = book->orders, *grown = lines_alloc(capacity * sizeof *grown);
    if (!grown)
        return BOOK_NO_MEMORY;
    memset(grown, 0, capacity * sizeof *grown);
    book->orders = grown;
    book->order_capacity = capacity;
    book->order_count = 0;
    for (uint32_t at = 0; at < before; at++)
        if (old[at].side != 0)
            put_order(book, &old[at]);
    free(old);
    return BOOK_OK;
}

int book_add(struct book *book, struct book_counts *counts, uint64_t order_id, int side, int64_t price, int64_t qty)
{
    struct resting order = {.order_id = order_id, .price = price, .qty = qty, .side = (int8_t)side};
    const struct resting *before = find_order(book, order_id);
    if (before) {
        counts->duplicate_order++;
        book_take(book, counts, &(struct resting){order_id, before->price, before->qty, before->side, {0}}, true);
    }
    if (book->order_count >= book->order_capacity / 8 * 5) {
        int result = grow_orders(book);
        if (result != BOOK_OK)
            return result;
    }
    int result = level_add(book, side, price, qty);
    if (result == BOOK_OK)
        put_order(book, &order);
    return result;
}

void book_take(struct book *book, struct book_counts *counts, const struct resting *event, bool whole)
{
    struct resting *order = find_order(book, event->order_id);
    if (!order) {
        counts->unknown_order++;
        level_take(book, counts, event->side, &(struct level){event->price, event->qty});
        return;
    }
    /* A deletion takes what the venue says was left: a recording of the best levels may have missed reductions. */
    int64_t taken = whole || event->qty <= order->qty ? event->qty : order->qty;
    level_take(book, counts, order->side, &(struct level){order->price, taken});
    order->qty -= taken;
    if (whole || order->qty == 0)
        remove_order(book, order);
}

int book_replace(struct book *book, struct book_counts *counts, const struct resting *event)
{
    const struct resting *order = find_order(book, event->order_id);
    int side = order ? order->side : event->side;
    if (order)
        book_take(book, counts, &(struct resting){order->order_id, order->price, order->qty, order->side, {0}}, true);
    else
        counts->unknown_order++;
    return book_add(book, counts, event->order_id, side, event->price, event->qty);
}

int book_set_level(struct book *book, int side, int64_t price, int64_t qty)
{
    struct side *levels = side_of(book, side);
    uint32_t at = find_level(levels, side > 0 ? 0 : 1, price);
    bool found = at < levels->count && levels->levels[at].price == price;
    if (qty > 0 && !found)
        return insert_level(levels, at, price, qty);
    if (qty > 0) {
        levels->levels[at].qty = qty;
        note_best(levels);
    } else if (found)
        remove_level(levels, at);
    return BOOK_OK;
}

void book_prefetch(const struct book *book, uint64_t order_id, int side)
{
    if (book->order_capacity)
        __builtin_prefetch(&book->orders[slot_of(book, order_id)], 1);
    const struct side *levels = &book->sides[side > 0 ? 0 : 1];
    for (uint32_t back = 1; back <= 9 && back <= levels->count; back += 4) /* four levels to a line */
        __builtin_prefetch(&levels->levels[levels->count - back], 1);
}

bool book_reserve(struct book *book, uint32_t bids, uint32_t asks, uint32_t order_capacity)
{
    bool sound = bids <= BOOK_LEVELS_MAX && asks <= BOOK_LEVELS_MAX && order_capacity <= BOOK_ORDERS_MAX &&
                 (order_capacity & (order_capacity - 1)) == 0;
    if (!sound || grow_levels(&book->sides[0], bids) != BOOK_OK || grow_levels(&book->sides[1], asks) != BOOK_OK)
        return false;
    book->sides[0].count = bids;
    book->sides[1].count = asks;
    book->order_capacity = order_capacity;
    book->orders = order_capacity ? lines_alloc(order_capacity * sizeof *book->orders) : NULL;
    return !order_capacity || book->orders;
}

void book_restored(struct book *book)
{
    note_best(&book->sides[0]);
    note_best(&book->sides[1]);
}
