/* Order threads on accounts of their own and on one that they share, by sessions that they share, reports, a writer of the table, marks and walks, for
 * ThreadSanitizer. No limit may be exceeded at any moment, and at the end the sums are those of the parts. Prints `fault=0`, and
 * a bit for each law that was broken. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"

#define SENDERS 3
#define INSTRUMENTS 8
#define PENDING 24
#define ORDERS 12000
#define PRICE INT64_C(50000000000)
#define TICK INT64_C(10000000)
#define OPEN_ORDERS 20
#define VALUE_OF_LOT INT64_C(50000000) /* 1e-6 currency */
#define GROSS_LOTS 400
#define FIRM_LOTS 1000
#define SHARED (SENDERS + 1)
#define SESSION UINT64_C(5000) /* of a rate that is written again and again */
#define SPENT (SESSION + 1)    /* of a burst, and no refill */
#define FREE (SESSION + 2)     /* of no rate */
#define BURST 1500

enum fault { OPEN_EXCEEDED = 1, GROSS_EXCEEDED = 2, FIRM_EXCEEDED = 4, LONG_EXCEEDED = 8, WORKING_SUM = 16, POSITION_SUM = 32,
             FIRM_SUM = 64, VALUE_SUM = 128, NOTHING_HAPPENED = 256, REPORT_LOST = 512, SUPPORT = 1024, SESSION_SUM = 2048 };

static struct limit_table table;
static struct gate gate;
static _Atomic int done, faults;
static _Atomic int64_t traded[SHARED + 1][INSTRUMENTS + 1], accepted, refused, spent, slowed;

static void require(bool held, enum fault fault)
{
    if (!held)
        atomic_fetch_or(&faults, (int)fault);
}

static void write_row(uint32_t instrument_id, int64_t tick_ns)
{
    struct limit_row row = {.instrument_id = instrument_id, .warn_permille = 1000, .pend_permille = 1000, .tick_ns = tick_ns};
    const int64_t limits[LIMIT_COUNT] = {10, LIMIT_UNLIMITED, 150, 150, 500, 100000, 1000, 0, 1000, 1000};
    for (int column = 0; column < LIMIT_COLUMNS; column++)
        memcpy(row.limits[column], limits, sizeof limits);
    row.ref_price = row.ref_low = row.ref_high = PRICE;
    row.ref_until_ns = row.valid_until_ns = INT64_MAX;
    row.tick_size = TICK;
    row.lot_nano = 1000000000;
    row.qty_min = row.qty_step = 1;
    require(limit_table_put(&table, &row), SUPPORT);
}

static void grant(uint64_t account, int64_t gross_lots)
{
    struct account_limits limits = {account, gross_lots * VALUE_OF_LOT, LIMIT_UNLIMITED, LIMIT_UNLIMITED, LIMIT_UNLIMITED,
                                    LIMIT_UNLIMITED, LIMIT_UNLIMITED, LIMIT_UNLIMITED, LIMIT_UNLIMITED, OPEN_ORDERS,
                                    1000000000, 1000000, 1000000, 1000000000, 0, 1};
    require(limit_table_put_account(&table, &limits), SUPPORT);
}

static void rate(uint64_t session, int64_t messages_per_s, int64_t message_burst)
{
    struct account_limits limits = {.account = session, .messages_per_s = messages_per_s, .message_burst = message_burst};
    require(limit_table_put_account(&table, &limits), SUPPORT);
}

struct sent {
    struct order order;
    int64_t open;
};

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13; /* xorshift64 */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % below;
}

/* The venue of one sender: fills and ends what it sent. */
static void report(struct sent *sent, uint64_t *state)
{
    struct order *order = &sent->order;
    if (draw(state, 2)) {
        int64_t qty = 1 + (int64_t)draw(state, (uint64_t)sent->open);
        require(gate_filled(&gate, order->account, order->order_id, qty, PRICE), REPORT_LOST);
        atomic_fetch_add(&traded[order->account][order->instrument_id], order->side == ORDER_BUY ? qty : -qty);
        sent->open -= qty;
    } else {
        require(gate_closed(&gate, order->account, order->order_id), REPORT_LOST);
        sent->open = 0;
    }
}

static void *send_all(void *argument)
{
    uint64_t number = (uint64_t)(uintptr_t)argument, state = number * UINT64_C(0x9E3779B97F4A7C15);
    struct sent pending[PENDING] = {0};
    for (uint64_t n = 1; n <= ORDERS; n++) {
        struct sent *sent = &pending[draw(&state, PENDING)];
        if (sent->open > 0) {
            report(sent, &state);
            continue;
        }
        bool buys = draw(&state, 2);
        sent->order = (struct order){.instrument_id = 1 + (int64_t)draw(&state, INSTRUMENTS), .order_id = n << 8 | number,
                                     .account = draw(&state, 2) ? number : SHARED, .strategy = 1 + draw(&state, 3),
                                     .qty = 1 + (int64_t)draw(&state, 10), .price = buys ? PRICE - TICK : PRICE + TICK,
                                     .side = buys ? ORDER_BUY : ORDER_SELL, .type = ORDER_LIMIT,
                                     .session = SESSION + draw(&state, 3)};
        if (draw(&state, 8) == 0)
            sent->order.session = 1 + draw(&state, SHARED); /* the name of an account: no two wait for each other */
        struct decision decision;
        if (draw(&state, 4) == 0)
            gate_check(&gate, &sent->order, (int64_t)n * 1000, &decision);
        gate_submit(&gate, &sent->order, (int64_t)n * 1000, &decision);
        sent->open = decision.reason == REASON_OK ? sent->order.qty : 0;
        atomic_fetch_add(decision.reason == REASON_OK ? &accepted : &refused, 1);
        atomic_fetch_add(&spent, decision.reason == REASON_OK && sent->order.session == SPENT);
        atomic_fetch_add(&slowed, decision.reason == REASON_SESSION_RATE);
    }
    for (int i = 0; i < PENDING; i++)
        if (pending[i].open > 0 && i % 2)
            report(&pending[i], &state);
    return NULL;
}

static void *write_all(void *unused)
{
    for (int64_t n = 1; !atomic_load(&done); n++) {
        write_row(1 + (uint32_t)(n % INSTRUMENTS), n);
        grant(1 + (uint64_t)n % SHARED, GROSS_LOTS);
        rate(SESSION, n % 3 ? 100000000 : LIMIT_UNLIMITED, 20);
        if (n % 64 == 0)
            limit_set_put(&table, LIMIT_SET_BLOCKED, 1000 + (uint64_t)n % 128, 0);
        if (n % 64 == 32)
            limit_set_drop(&table, LIMIT_SET_BLOCKED, 1000 + (uint64_t)(n - 32) % 128);
        limit_table_kill_firm(&table, n % 97 == 0);
        limit_table_heartbeat(&table, n, n);
    }
    return unused;
}

/* All accounts at one moment. */
static void look(void)
{
    struct ledger *ledger = gate.ledger;
    struct account *accounts = ledger_accounts(ledger), *held[SHARED];
    struct position *positions = ledger_positions(ledger);
    wide firm = 0;
    int count = 0;
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        if (atomic_load(&accounts[i].hash) != 0 && count < SHARED)
            account_lock(held[count++] = &accounts[i]);
    for (int i = 0; i < count; i++) {
        require(held[i]->open_orders <= OPEN_ORDERS, OPEN_EXCEEDED);
        require(held[i]->gross <= (wide)GROSS_LOTS * VALUE_OF_LOT * VALUE_PER_MICRO, GROSS_EXCEEDED);
        for (uint32_t k = 0; k < ledger->position_slots; k++) {
            struct position *position = &positions[k];
            if (atomic_load(&position->key) >> 32 != (uint64_t)(held[i] - accounts) + 1)
                continue;
            firm += position->firm_units;
            require(position->held + position->working_buy <= 150 && position->working_sell - position->held <= 150, LONG_EXCEEDED);
        }
    }
    require(firm <= (wide)FIRM_LOTS * VALUE_OF_LOT * VALUE_PER_MICRO >> FIRM_SHIFT, FIRM_EXCEEDED);
    for (int i = count; i-- > 0;)
        account_unlock(held[i]);
}

static void *walk_all(void *unused)
{
    while (!atomic_load(&done)) {
        struct gate_position position;
        struct gate_working working;
        uint32_t cursor = 0;
        look();
        while (gate_next_position(&gate, &cursor, &position))
            require(position.working_buy >= 0 && position.working_sell >= 0, WORKING_SUM);
        for (cursor = 0; gate_next_working(&gate, &cursor, &working);)
            require(working.open_qty >= 0, WORKING_SUM);
        gate_mark(&gate);
        (void)gate_session(&gate, 4000, atomic_load(&accepted) & 1);
        (void)gate_counters(&gate);
    }
    return unused;
}

/* Every sum is that of its parts. */
static void settle(void)
{
    struct ledger *ledger = gate.ledger;
    struct account *accounts = ledger_accounts(ledger);
    struct position *positions = ledger_positions(ledger);
    struct working *orders = ledger_orders(ledger);
    wide gross[SHARED + 1] = {0};
    int64_t units = 0;
    uint32_t working = 0;
    for (uint32_t i = 0; i < ledger->position_slots; i++) {
        uint64_t key = atomic_load(&positions[i].key);
        int64_t buys = 0, sells = 0;
        if (key == 0)
            continue;
        for (uint32_t k = 0; k < ledger->order_count; k++)
            if (orders[k].state == ORDER_WORKING && orders[k].position == i)
                *(orders[k].side == ORDER_BUY ? &buys : &sells) += orders[k].open;
        uint64_t account = atomic_load(&accounts[(key >> 32) - 1].hash);
        require(buys == positions[i].working_buy && sells == positions[i].working_sell, WORKING_SUM);
        require(atomic_load(&traded[account][key & UINT32_MAX]) == positions[i].held, POSITION_SUM);
        gross[account] += positions[i].gross;
        units += positions[i].firm_units;
    }
    for (uint32_t k = 0; k < ledger->order_count; k++)
        working += orders[k].state == ORDER_WORKING;
    require(units == atomic_load(&ledger->firm_units), FIRM_SUM);
    require(working == atomic_load(&ledger->working_count), WORKING_SUM);
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        if (atomic_load(&accounts[i].hash))
            require(accounts[i].gross == gross[atomic_load(&accounts[i].hash)], VALUE_SUM);
    require(atomic_load(&spent) == BURST && atomic_load(&slowed) > 0, SESSION_SUM);
    require(ledger_session_rate(ledger, SPENT)->tokens == 0, SESSION_SUM);
    require(atomic_load(&accepted) > ORDERS / 4 && atomic_load(&refused) > 0, NOTHING_HAPPENED);
}

int main(void)
{
    pthread_t senders[SENDERS], others[3];
    require(limit_table_private(&table, (struct limit_capacity){INSTRUMENTS, 16}) == LIMIT_OPEN_OK, SUPPORT);
    for (uint32_t id = 1; id <= INSTRUMENTS; id++)
        write_row(id, 0);
    for (uint64_t account = 1; account <= SHARED; account++)
        grant(account, GROSS_LOTS);
    grant(scope_hash("firm", 4), FIRM_LOTS);
    rate(SPENT, 0, BURST);
    require(gate_open_on(&gate, &table, NULL, (struct gate_sizes){16, 64, 256}) == GATE_OPEN_OK, SUPPORT);
    if (pthread_create(&others[0], NULL, write_all, NULL) || pthread_create(&others[1], NULL, walk_all, NULL) ||
        pthread_create(&others[2], NULL, walk_all, NULL))
        return 2;
    for (uintptr_t i = 0; i < SENDERS; i++)
        if (pthread_create(&senders[i], NULL, send_all, (void *)(i + 1)))
            return 2;
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    atomic_store(&done, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(others[i], NULL);
    settle();
    fprintf(stderr, "accepted %lld refused %lld\n", (long long)atomic_load(&accepted), (long long)atomic_load(&refused));
    gate_close(&gate);
    limit_table_close(&table);
    printf("fault=%d\n", atomic_load(&faults));
    return atomic_load(&faults) ? 3 : 0;
}
