/* The sets of the limit table: linear probing under a sequence lock of the set.
 *
 * Invariants: between a member and its home slot no slot is free, so a search ends at the first free one. A reader answers from
 * what it saw only when the set stood still meanwhile; but the filter, which has the bit of every member at every moment, may say
 * "not here" at any time.
 *
 * Rejected: tombstones (a set whose members come and go all day fills with them), and a list (a scan of every member by
 * every order).
 */
#include "table/limit_table.h"

#define SLOT_MASK (LIMIT_SET_SLOTS - 1u)
#define HOME_SHIFT (64 - 11)
#define TRIES_MAX 64
_Static_assert(LIMIT_SET_SLOTS == 1u << (64 - HOME_SHIFT), "the home slot takes the upper bits of the product");
_Static_assert(LIMIT_SET_CAPACITY < LIMIT_SET_SLOTS, "a free slot ends every search");

static uint32_t home_of(uint64_t hash)
{
    return (uint32_t)(hash * UINT64_C(0x9E3779B97F4A7C15) >> HOME_SHIFT); /* Fibonacci hashing: ids need not be hashes */
}

static uint64_t filter_bit(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63);
}

static uint64_t hash_at(const struct limit_set *set, uint32_t at)
{
    return atomic_load_explicit(&set->hashes[at & SLOT_MASK], memory_order_acquire);
}

static int64_t number_at(const struct limit_set *set, uint32_t at)
{
    return atomic_load_explicit(&set->numbers[at & SLOT_MASK], memory_order_acquire);
}

static void fill(struct limit_set *set, uint32_t at, uint64_t hash, int64_t number)
{
    atomic_store_explicit(&set->numbers[at & SLOT_MASK], number, memory_order_release);
    atomic_store_explicit(&set->hashes[at & SLOT_MASK], hash, memory_order_release);
}

static void clear(struct limit_set *set, uint32_t at)
{
    atomic_store_explicit(&set->hashes[at & SLOT_MASK], 0, memory_order_release);
}

/* Return the slot of the hash, or the free slot that ends its search. Bounded also where a torn view shows no free slot. */
static uint32_t search(const struct limit_set *set, uint64_t hash)
{
    uint32_t at = home_of(hash);
    for (uint32_t step = 0; step < LIMIT_SET_SLOTS; step++, at++) {
        uint64_t held = hash_at(set, at);
        if (held == hash || held == 0)
            break;
    }
    return at & SLOT_MASK;
}

static uint32_t begin_change(struct limit_set *set)
{
    /* Odd already when the last writer died inside a change. */
    uint32_t changing = atomic_load_explicit(&set->sequence, memory_order_relaxed) | 1u;
    atomic_store_explicit(&set->sequence, changing, memory_order_relaxed);
    return changing;
}

static void end_change(struct limit_set *set, uint32_t changing)
{
    atomic_store_explicit(&set->sequence, changing + 1, memory_order_release);
}

/* Count members and rebuild the filter from them. */
static void take_stock(struct limit_set *set)
{
    uint64_t filter = 0;
    uint32_t members = 0;
    for (uint32_t at = 0; at < LIMIT_SET_SLOTS; at++) {
        uint64_t hash = hash_at(set, at);
        filter |= hash ? filter_bit(hash) : 0;
        members += hash != 0;
    }
    atomic_store_explicit(&set->members, members, memory_order_release);
    atomic_store_explicit(&set->filter, filter, memory_order_release);
}

bool limit_set_put(struct limit_table *table, enum limit_set_kind kind, uint64_t hash, int64_t number)
{
    struct limit_set *set = &table->header->sets[kind];
    uint32_t at = search(set, hash);
    uint32_t members = atomic_load_explicit(&set->members, memory_order_relaxed);
    bool is_new = hash_at(set, at) == 0;
    if (hash == 0 || (is_new && members >= LIMIT_SET_CAPACITY)) {
        atomic_store_explicit(&set->overflowed, 1, memory_order_release);
        return false;
    }
    uint32_t changing = begin_change(set);
    if (is_new) {
        uint64_t filter = atomic_load_explicit(&set->filter, memory_order_relaxed);
        atomic_store_explicit(&set->filter, filter | filter_bit(hash), memory_order_release);
        atomic_store_explicit(&set->members, members + 1, memory_order_release);
    }
    fill(set, at, hash, number);
    end_change(set, changing);
    return true;
}

void limit_set_drop(struct limit_table *table, enum limit_set_kind kind, uint64_t hash)
{
    struct limit_set *set = &table->header->sets[kind];
    uint32_t hole = search(set, hash);
    if (hash == 0 || hash_at(set, hole) != hash)
        return;
    uint32_t changing = begin_change(set);
    clear(set, hole);
    /* Draw forward whatever would be cut off from its home by the hole: copied before it is cleared, so that a writer that dies
     * here leaves a member twice and never not at all. */
    for (uint32_t at = hole + 1; hash_at(set, at) != 0; at++) {
        uint64_t held = hash_at(set, at);
        if (((at - home_of(held)) & SLOT_MASK) < ((at - hole) & SLOT_MASK))
            continue; /* its home lies behind the hole */
        fill(set, hole, held, number_at(set, at));
        clear(set, at);
        hole = at;
    }
    end_change(set, changing);
    take_stock(set);
}

void limit_set_fit(struct limit_table *table, enum limit_set_kind kind)
{
    atomic_store_explicit(&table->header->sets[kind].overflowed, 0, memory_order_release);
}

void limit_set_mend(struct limit_table *table, enum limit_set_kind kind)
{
    struct limit_set *set = &table->header->sets[kind];
    if ((atomic_load_explicit(&set->sequence, memory_order_relaxed) & 1u) == 0) {
        take_stock(set); /* the last writer may have died just before it did */
        return;
    }
    uint64_t hashes[LIMIT_SET_SLOTS];
    int64_t numbers[LIMIT_SET_SLOTS];
    uint32_t changing = begin_change(set);
    for (uint32_t at = 0; at < LIMIT_SET_SLOTS; at++) {
        hashes[at] = hash_at(set, at);
        numbers[at] = number_at(set, at);
        clear(set, at);
    }
    for (uint32_t at = 0; at < LIMIT_SET_SLOTS; at++)
        if (hashes[at] != 0)
            fill(set, search(set, hashes[at]), hashes[at], numbers[at]);
    take_stock(set);
    end_change(set, changing);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* What the filter could not answer. */
static bool find_slowly(const struct limit_set *set, enum limit_set_kind kind, uint64_t hash, int64_t *number)
{
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        uint32_t before = atomic_load_explicit(&set->sequence, memory_order_acquire);
        uint32_t at = search(set, hash);
        bool found = hash != 0 && hash_at(set, at) == hash;
        int64_t held = found ? number_at(set, at) : 0;
        if ((before & 1u) == 0 && atomic_load_explicit(&set->sequence, memory_order_relaxed) == before) {
            if (number)
                *number = held;
            return found;
        }
        pause_briefly();
    }
    return kind == LIMIT_SET_BLOCKED;
}

bool limit_set_find(const struct limit_table *table, enum limit_set_kind kind, uint64_t hash, int64_t *number)
{
    const struct limit_set *set = &table->header->sets[kind];
    if (number)
        *number = 0;
    if (atomic_load_explicit(&set->overflowed, memory_order_acquire))
        return kind == LIMIT_SET_BLOCKED;
    if ((atomic_load_explicit(&set->filter, memory_order_acquire) & filter_bit(hash)) == 0)
        return false;
    return find_slowly(set, kind, hash, number);
}

int limit_set_list(const struct limit_table *table, enum limit_set_kind kind,
                   struct limit_member members[LIMIT_SET_CAPACITY])
{
    const struct limit_set *set = &table->header->sets[kind];
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        uint32_t before = atomic_load_explicit(&set->sequence, memory_order_acquire);
        int count = 0;
        for (uint32_t at = 0; at < LIMIT_SET_SLOTS && count < LIMIT_SET_CAPACITY; at++) {
            uint64_t hash = hash_at(set, at);
            if (hash != 0)
                members[count++] = (struct limit_member){hash, number_at(set, at)};
        }
        if ((before & 1u) == 0 && atomic_load_explicit(&set->sequence, memory_order_relaxed) == before)
            return count;
        pause_briefly();
    }
    return -1;
}
