/* A ledger as bytes, and back: only the places that are taken, each with its number, so that every index stays what it was.
 *
 * Invariant: loading what was written gives a ledger that judges as the one that was written, and writes the same bytes. What
 * follows from other parts (free list, chains, what was read of the table) is not written but built again. Damage is found
 * by a checksum, and no index leads outside whatever the bytes say. Rejected: the file of a ledger as it is (it is as large
 * as its room, some ten megabytes, and holds locks). */
#include "ledger/ledger.h"

#include <string.h>

#define SNAPSHOT_MAGIC UINT64_C(0x50414e5345444954) /* "TIDESNAP", little-endian */
#define SNAPSHOT_VERSION 2u

struct snapshot_header {
    uint64_t magic, checksum; /* of all that follows */
    uint32_t version, account_bytes, position_bytes, working_bytes, session_rate_bytes, session_rates;
    struct gate_sizes sizes;
    uint32_t accounts, positions, orders, sessions;
    uint64_t accepted, refused, pended, unknown_reports, overfills, torn_accounts;
    uint64_t sessions_down[SESSION_SLOTS];
};

#define CHECKED_FROM offsetof(struct snapshot_header, version)

struct place {
    uint64_t index;
};

static uint64_t checksum_of(const unsigned char *bytes, size_t length)
{
    uint64_t sum = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i + 8 <= length; i += 8) { /* all that is written is a multiple of 8 bytes */
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        sum ^= sum >> 29;
    }
    return sum;
}

_Static_assert(sizeof(struct snapshot_header) % 8 == 0 && sizeof(struct account) % 8 == 0 && sizeof(struct position) % 8 == 0 &&
                   sizeof(struct working) % 8 == 0,
               "the checksum takes words");

static struct snapshot_header header_of(struct ledger *ledger)
{
    struct snapshot_header header;
    memset(&header, 0, sizeof header);
    header.magic = SNAPSHOT_MAGIC;
    header.version = SNAPSHOT_VERSION;
    header.account_bytes = sizeof(struct account);
    header.position_bytes = sizeof(struct position);
    header.working_bytes = sizeof(struct working);
    header.session_rate_bytes = sizeof(struct session_rate);
    header.sizes = ledger->sizes;
    header.accepted = atomic_load_explicit(&ledger->accepted, memory_order_relaxed);
    header.refused = atomic_load_explicit(&ledger->refused, memory_order_relaxed);
    header.pended = atomic_load_explicit(&ledger->pended, memory_order_relaxed);
    header.unknown_reports = atomic_load_explicit(&ledger->unknown_reports, memory_order_relaxed);
    header.overfills = atomic_load_explicit(&ledger->overfills, memory_order_relaxed);
    header.torn_accounts = atomic_load_explicit(&ledger->torn_accounts, memory_order_relaxed);
    header.sessions = atomic_load_explicit(&ledger->session_count, memory_order_relaxed);
    for (int i = 0; i < SESSION_SLOTS; i++)
        header.sessions_down[i] = atomic_load_explicit(&ledger->sessions_down[i], memory_order_relaxed);
    for (uint32_t i = 0; i < SESSION_RATES; i++)
        header.session_rates += atomic_load_explicit(&ledger_session_rates(ledger)[i].session, memory_order_relaxed) != 0;
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        header.accounts += atomic_load_explicit(&ledger_accounts(ledger)[i].hash, memory_order_relaxed) != 0;
    for (uint32_t i = 0; i < ledger->position_slots; i++)
        header.positions += atomic_load_explicit(&ledger_positions(ledger)[i].key, memory_order_relaxed) != 0;
    for (uint32_t i = 0; i < ledger->order_count; i++)
        header.orders += ledger_orders(ledger)[i].state != ORDER_FREE;
    return header;
}

static size_t bytes_of(const struct snapshot_header *header)
{
    return sizeof *header + header->session_rates * (sizeof(struct place) + sizeof(struct session_rate)) +
           header->accounts * (sizeof(struct place) + sizeof(struct account)) +
           header->positions * (sizeof(struct place) + sizeof(struct position)) +
           header->orders * (sizeof(struct place) + sizeof(struct working));
}

size_t gate_snapshot_bytes(const struct gate *gate)
{
    struct snapshot_header header = header_of(gate->ledger);
    return bytes_of(&header);
}

/* Append a place's number and its content; return where the content was put. */
static unsigned char *append(unsigned char **out, uint32_t index, const void *content, size_t bytes)
{
    struct place place = {index};
    memcpy(*out, &place, sizeof place);
    memcpy(*out + sizeof place, content, bytes);
    unsigned char *put = *out + sizeof place;
    *out += sizeof place + bytes;
    return put;
}

static void append_session_rates(struct ledger *ledger, unsigned char **out)
{
    for (uint32_t i = 0; i < SESSION_RATES; i++) {
        struct session_rate *rate = &ledger_session_rates(ledger)[i];
        if (atomic_load_explicit(&rate->session, memory_order_relaxed) == 0)
            continue;
        unsigned char *put = append(out, i, rate, sizeof *rate);
        memset(put + offsetof(struct session_rate, lock), 0, sizeof rate->lock);
    }
}

void gate_snapshot(const struct gate *gate, void *memory)
{
    struct ledger *ledger = gate->ledger;
    struct snapshot_header header = header_of(ledger);
    unsigned char *out = (unsigned char *)memory + sizeof header;
    append_session_rates(ledger, &out);
    for (uint32_t i = 0; i < ledger->account_slots; i++) {
        struct account *account = &ledger_accounts(ledger)[i];
        if (atomic_load_explicit(&account->hash, memory_order_relaxed) == 0)
            continue;
        unsigned char *put = append(&out, i, account, sizeof *account);
        memset(put + offsetof(struct account, lock), 0, sizeof account->lock + sizeof account->changing);
        memset(put + offsetof(struct account, terms), 0, sizeof account->terms);
        memset(put + offsetof(struct account, positions), 0, sizeof account->positions);
        memset(put + offsetof(struct account, has_room), 0, sizeof account->has_room);
        memset(put + offsetof(struct account, room), 0, sizeof account->room);
        memset(put + offsetof(struct account, session), 0, sizeof account->session);
        memset(put + offsetof(struct account, known), 0, sizeof account->known);
    }
    for (uint32_t i = 0; i < ledger->position_slots; i++) {
        struct position *position = &ledger_positions(ledger)[i];
        if (atomic_load_explicit(&position->key, memory_order_relaxed) == 0)
            continue;
        unsigned char *put = append(&out, i, position, sizeof *position);
        memset(put + offsetof(struct position, next_of_account), 0, sizeof position->next_of_account);
        memset(put + offsetof(struct position, buys), 0xFF, sizeof position->buys); /* NONE */
        memset(put + offsetof(struct position, sells), 0xFF, sizeof position->sells);
    }
    for (uint32_t i = 0; i < ledger->order_count; i++) {
        struct working *order = &ledger_orders(ledger)[i];
        if (order->state == ORDER_FREE)
            continue;
        unsigned char *put = append(&out, i, order, sizeof *order);
        memset(put + offsetof(struct working, chain), 0, sizeof order->chain);
        memset(put + offsetof(struct working, next), 0xFF, sizeof order->next);
        memset(put + offsetof(struct working, previous), 0xFF, sizeof order->previous);
    }
    memcpy(memory, &header, sizeof header);
    header.checksum = checksum_of((unsigned char *)memory + CHECKED_FROM, bytes_of(&header) - CHECKED_FROM);
    memcpy(memory, &header, CHECKED_FROM);
}

static bool is_order(const struct ledger *ledger, struct ledger *whole, uint32_t index)
{
    return index == NONE || (index < ledger->order_count && ledger_orders(whole)[index].state != ORDER_FREE);
}

/* Whether every index leads to a place that is taken. */
static bool holds_together(struct ledger *ledger)
{
    struct account *accounts = ledger_accounts(ledger);
    struct position *positions = ledger_positions(ledger);
    struct working *orders = ledger_orders(ledger);
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        for (int k = 0; k < RECENT_ORDERS; k++)
            if (!is_order(ledger, ledger, accounts[i].recent[k]))
                return false;
    for (uint32_t i = 0; i < ledger->position_slots; i++) {
        uint64_t key = atomic_load_explicit(&positions[i].key, memory_order_relaxed), owner = key >> 32;
        if (key == 0)
            continue;
        if (owner == 0 || owner > ledger->account_slots || accounts[owner - 1].hash == 0 ||
            !is_order(ledger, ledger, positions[i].buys) || !is_order(ledger, ledger, positions[i].sells))
            return false;
    }
    for (uint32_t i = 0; i < ledger->order_count; i++) {
        const struct working *order = &orders[i];
        if (order->state == ORDER_FREE)
            continue;
        bool places = order->account < ledger->account_slots && accounts[order->account].hash != 0 &&
                      order->position < ledger->position_slots && positions[order->position].key != 0;
        if (!places || order->state > ORDER_PENDING_REPLACE || !is_order(ledger, ledger, order->next) ||
            !is_order(ledger, ledger, order->previous) || !is_order(ledger, ledger, order->partner))
            return false;
    }
    return true;
}

/* Copy records to their places; false when a number is out of range or stands twice. */
static bool place_all(const unsigned char **from, uint32_t count, unsigned char *table, size_t bytes, uint32_t slots)
{
    int64_t before = -1;
    for (uint32_t i = 0; i < count; i++) {
        struct place place;
        memcpy(&place, *from, sizeof place);
        if (place.index >= slots || (int64_t)place.index <= before)
            return false;
        before = (int64_t)place.index;
        memcpy(table + place.index * bytes, *from + sizeof place, bytes);
        *from += sizeof place + bytes;
    }
    return true;
}

static void take_counts(struct ledger *ledger, const struct snapshot_header *header)
{
    ledger->accepted = header->accepted;
    ledger->refused = header->refused;
    ledger->pended = header->pended;
    ledger->unknown_reports = header->unknown_reports;
    ledger->overfills = header->overfills;
    ledger->torn_accounts = header->torn_accounts;
    ledger->session_count = header->sessions;
    for (int i = 0; i < SESSION_SLOTS; i++)
        ledger->sessions_down[i] = header->sessions_down[i];
    ledger->account_count = header->accounts;
    ledger->position_count = header->positions;
}

bool gate_restore(struct gate *gate, const void *memory, size_t bytes)
{
    struct ledger *ledger = gate->ledger;
    struct snapshot_header header;
    if (bytes < sizeof header)
        return false;
    memcpy(&header, memory, sizeof header);
    bool fits = header.magic == SNAPSHOT_MAGIC && header.version == SNAPSHOT_VERSION &&
                header.account_bytes == sizeof(struct account) && header.position_bytes == sizeof(struct position) &&
                header.working_bytes == sizeof(struct working) && header.session_rate_bytes == sizeof(struct session_rate) &&
                header.session_rates <= SESSION_RATES &&
                memcmp(&header.sizes, &ledger->sizes, sizeof header.sizes) == 0 && header.accounts <= ledger->sizes.accounts &&
                header.positions <= ledger->sizes.positions && header.orders <= ledger->order_count &&
                header.sessions <= SESSION_SLOTS + 1 && bytes == bytes_of(&header);
    const unsigned char *from = (const unsigned char *)memory + sizeof header;
    if (!fits || header.checksum != checksum_of((const unsigned char *)memory + CHECKED_FROM, bytes - CHECKED_FROM))
        return false;
    bool placed =
        place_all(&from, header.session_rates, (unsigned char *)ledger_session_rates(ledger), sizeof(struct session_rate),
                  SESSION_RATES) &&
        place_all(&from, header.accounts, (unsigned char *)ledger_accounts(ledger), sizeof(struct account), ledger->account_slots) &&
        place_all(&from, header.positions, (unsigned char *)ledger_positions(ledger), sizeof(struct position),
                  ledger->position_slots) &&
        place_all(&from, header.orders, (unsigned char *)ledger_orders(ledger), sizeof(struct working), ledger->order_count);
    if (!placed || !holds_together(ledger))
        return false;
    take_counts(ledger, &header);
    return ledger_adopt(ledger);
}
