/* One instrument's order book, by order and by level at once.
 *
 * Invariants: a side is an array of levels, best last, without empty levels; a level's total is what the events said, and
 * never negative (a reduction below zero is clamped and counted). Orders live in a hash map and only say where a
 * reduction lands, so a feed by level, or one whose recording starts in mid-session, works in the same book: events of
 * unknown orders change the level that they name. A side keeps a copy of its best level, so that an event touches the
 * levels of its own side alone. Prices are 1e-9 currency, sizes lots.
 *
 * Rejected: a tree of levels (the best ten are read at each tick, and inserts fall near the best) and totals computed
 * from orders (a feed by level has none). Memory grows by doubling up to the bounds below; at a bound the event is
 * refused with BOOK_BOUND and the caller marks the instrument.
 */
#ifndef TIDEGATE_BOOK_H
#define TIDEGATE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOK_LEVELS_MAX (1u << 16)
#define BOOK_ORDERS_MAX (1u << 22)

#define LINE 64 /* bytes of a cache line */

struct level {
    int64_t price, qty;
};

struct side {
    struct level *levels; /* bids ascending, asks descending: the best is last */
    uint32_t count, capacity;
    struct level best; /* copy of the last level, all 0 when there is none */
};

struct resting {
    uint64_t order_id;
    int64_t price, qty;
    int8_t side; /* +1 bid, -1 ask, 0 = empty slot */
    uint8_t zero[7];
};

struct book {
    struct side sides[2]; /* 0 bid, 1 ask */
    struct resting *orders;
    uint32_t order_count, order_capacity; /* capacity is 0 or a power of two, at most 5/8 full */
};

struct book_counts {
    int64_t unknown_order, clamped_level, duplicate_order, bad_event;
};

enum book_result { BOOK_OK = 0, BOOK_BOUND = -1, BOOK_NO_MEMORY = -2 };

void book_init(struct book *book);
void book_free(struct book *book);

/* Forget every level and order; memory is kept. */
void book_clear(struct book *book);

int book_add(struct book *book, struct book_counts *counts, uint64_t order_id, int side, int64_t price, int64_t qty);

/* Take `qty` lots off an order, and for `whole` the order out; `side` and `price` are used for an unknown order. */
void book_take(struct book *book, struct book_counts *counts, const struct resting *event, bool whole);

int book_replace(struct book *book, struct book_counts *counts, const struct resting *event);

/* Set a level's total; 0 removes it. */
int book_set_level(struct book *book, int side, int64_t price, int64_t qty);

/* Ask for the memory that an event of this order at this side will touch. */
void book_prefetch(const struct book *book, uint64_t order_id, int side);

/* Where a price stands among those of its side (0 bid, 1 ask): the better, the greater, and no level at all, whose price is
 * 0, is worst. Without branches, for nobody can foresee which way a market goes. */
static inline uint64_t rank_of(int which, int64_t price)
{
    uint64_t flip = -(uint64_t)which;
    return ((uint64_t)price ^ flip) - flip;
}

/* Lots that a level, or nobody, gained from `before` to `after`: a better price is a new queue, a worse one is the loss of
 * what stood before it. */
static inline int64_t level_change(int which, const struct level *before, const struct level *after)
{
    uint64_t was = rank_of(which, before->price), is = rank_of(which, after->price);
    int64_t gained = after->qty & -(int64_t)(is >= was), lost = before->qty & -(int64_t)(is <= was);
    return gained - lost;
}

/* The best levels; qty 0: the side is empty. */
struct top {
    struct level bid, ask;
};

static inline struct top top_of(const struct book *book)
{
    return (struct top){book->sides[0].best, book->sides[1].best};
}

/* Take over the counts of restored content, and make room for it; false when there is no memory. */
bool book_reserve(struct book *book, uint32_t bids, uint32_t asks, uint32_t order_capacity);

/* Restored levels are in place: note the best. */
void book_restored(struct book *book);

#endif
