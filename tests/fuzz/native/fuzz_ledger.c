#include "fuzz_ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRICE INT64_C(1200000)
#define IDS 400

static uint64_t state;

void seed(uint64_t from)
{
    state = from * UINT64_C(0x9E3779B97F4A7C15) | 1;
}

uint64_t draw(uint64_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

int64_t number(uint64_t below)
{
    static const int64_t extremes[] = {0, -1, 1, 2, INT64_MIN, INT64_MAX, INT64_MIN + 1, INT64_MAX - 1, INT64_C(1) << 62};
    return draw(16) ? (int64_t)draw(below) : extremes[draw(sizeof extremes / sizeof *extremes)];
}

void require(bool held, const char *law)
{
    if (held)
        return;
    fprintf(stderr, "broken: %s\n", law);
    exit(1);
}

/* Sensible three times of four: else nothing would ever be accepted. */
static int64_t limit(int64_t usual)
{
    return draw(4) ? usual * (1 + (int64_t)draw(4)) : draw(3) ? LIMIT_UNLIMITED : number((uint64_t)usual + 2);
}

static struct limit_row random_row(uint32_t instrument_id)
{
    struct limit_row row = {.instrument_id = instrument_id, .tier = (uint8_t)draw(5), .class_id = (uint8_t)(draw(30) ? draw(2) : draw(256))};
    static const int64_t usual[LIMIT_COUNT] = {100, 200000000, 400, 400, 300, 30000, 500, 20, 1000, 500};
    row.halted = !draw(40), row.killed = !draw(60), row.stale = !draw(30), row.restricted = !draw(60), row.needs_locate = !draw(30);
    row.warn_permille = (uint16_t)(draw(6) ? 1000 : draw(1100)), row.pend_permille = (uint16_t)(draw(6) ? 1000 : draw(1100));
    bool wild = !draw(6);
    for (int column = 0; column < LIMIT_COLUMNS; column++)
        for (int k = 0; k < LIMIT_COUNT; k++)
            row.limits[column][k] = wild ? limit(usual[k]) : usual[k] * (1 + (int64_t)draw(3));
    if (!wild)
        row.limits[LIMIT_DYNAMIC][LIMIT_QUOTE_OFFSET_BPS] = 0;
    row.ref_price = wild ? number(2 * PRICE) : PRICE + (int64_t)draw(2000) - 1000;
    row.ref_low = wild ? number(2 * PRICE) : PRICE - 1500, row.ref_high = wild ? number(2 * PRICE) : PRICE + 1500;
    row.ref_until_ns = draw(20) ? INT64_MAX : number(100000), row.valid_until_ns = draw(20) ? INT64_MAX : number(100000);
    row.tick_size = wild ? number(100) : draw(2) ? 1 : draw(2) ? 10 : 24;
    row.lot_nano = wild ? number(1000000000) : 1000000000000;
    row.qty_min = wild ? number(5) : 1, row.qty_step = wild ? number(4) : draw(10) ? 1 : 3;
    row.epoch = number(9), row.tick_ns = number(9), row.written_ns = number(9);
    row.score = (double)draw(100) / 7;
    for (int i = 0; i < LIMIT_MODEL_ID_BYTES; i++)
        row.model_id[i] = (char)draw(128);
    return row;
}

static void put_account(struct limit_table *table, uint64_t account)
{
    bool wild = !draw(5);
    int64_t usual[] = {2000000000, 2000000000, 500000000, 1500000000, 200000000, 200000000, 40000000000, 900000000, 40, 10000000, 1000, 20};
    struct account_limits limits = {.account = account, .class_mask = draw(30) ? 3 : draw(UINT64_MAX)};
    int64_t *fields = &limits.gross_value;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        fields[i] = wild ? limit(usual[i]) : draw(6) ? usual[i] * (1 + (int64_t)draw(3)) : LIMIT_UNLIMITED;
    limits.period_ns = wild ? number(5000000) : 1000000 + (int64_t)draw(5000000);
    limits.duplicate_ns = wild ? number(2000) : (int64_t)draw(800);
    (void)limit_table_put_account(table, &limits);
}

void fill_table(struct limit_table *table)
{
    for (uint32_t id = 1; id <= FUZZ_INSTRUMENTS; id++) {
        struct limit_row row = random_row(id);
        (void)limit_table_put(table, &row);
    }
    for (uint64_t account = 1; account <= FUZZ_ACCOUNTS - 1; account++)
        put_account(table, account);
    if (draw(2))
        put_account(table, scope_hash("firm", 4));
}

void change_table(struct limit_table *table, int64_t now_ns)
{
    if (!draw(50)) {
        struct limit_row row = random_row(1 + (uint32_t)draw(FUZZ_INSTRUMENTS));
        (void)limit_table_put(table, &row);
    }
    if (!draw(80))
        put_account(table, 1 + draw(FUZZ_ACCOUNTS));
    if (!draw(300))
        put_account(table, scope_hash("firm", 4));
    if (!draw(60))
        limit_table_kill_firm(table, !draw(20));
    if (!draw(100))
        limit_table_set_ttl(table, draw(3) ? 0 : number(5000));
    limit_table_heartbeat(table, draw(200) ? now_ns : number(4000), 1);
    if (!draw(20)) {
        enum limit_set_kind kind = (enum limit_set_kind)draw(LIMIT_SETS);
        uint64_t hash = kind == LIMIT_SET_LOCATED ? pair_hash(1 + draw(FUZZ_ACCOUNTS), 1 + (int64_t)draw(FUZZ_INSTRUMENTS))
                        : kind == LIMIT_SET_APPROVED ? 1 + draw(IDS)
                                                     : 1 + draw(40);
        if (draw(4) && kind != LIMIT_SET_BLOCKED)
            (void)limit_set_put(table, kind, hash, number(1000));
        else if (!draw(20))
            (void)limit_set_put(table, kind, draw(20) ? hash : 0, number(1000)); /* 0 overflows the set */
        else
            for (limit_set_fit(table, kind), hash = 1; hash <= 40; hash++)
                limit_set_drop(table, kind, hash);
    }
}

static uint64_t scope(uint64_t of)
{
    return draw(3) ? of : draw(3) ? 0 : 1 + draw(40);
}

struct order random_order(void)
{
    bool odd = !draw(20);
    struct order order = {
        .instrument_id = draw(60) ? 1 + (int64_t)draw(FUZZ_INSTRUMENTS) : number(INT64_MAX),
        .order_id = draw(60) ? 1 + draw(IDS) : draw(UINT64_MAX),
        .target_id = 1 + draw(IDS),
        .account = draw(60) ? 1 + draw(3) : draw(FUZZ_ACCOUNTS + 3),
        .trader = scope(50), .desk = scope(51), .strategy = draw(4) ? 20 + draw(3) : draw(60), .venue = scope(53), .session = scope(54),
        .parent = draw(12) ? 0 : 1 + draw(8), .basket = draw(12) ? 0 : 1 + draw(80),
        .qty = odd ? number(1000) : 1 + (int64_t)draw(60) * (draw(2) ? 3 : 1),
        .price = odd ? number(3 * PRICE) : PRICE + ((int64_t)draw(50) - 25) * 120,
        .action = (uint8_t)(draw(10) ? ORDER_NEW : draw(50) ? draw(3) : draw(256)),
        .side = (uint8_t)(draw(60) ? 1 + draw(2) : draw(256)),
        .type = (uint8_t)(draw(12) ? ORDER_LIMIT : draw(20) ? ORDER_MARKET : draw(256)),
        .flags = (uint8_t)(draw(5) ? 0 : draw(30) ? draw(4) : draw(256)),
    };
    if (order.type == ORDER_MARKET && draw(3))
        order.price = 0;
    return order;
}

void report_something(struct gate *gate)
{
    uint64_t account = draw(60) ? 1 + draw(3) : draw(UINT64_MAX), order_id = 1 + draw(IDS);
    int64_t instrument_id = draw(60) ? 1 + (int64_t)draw(FUZZ_INSTRUMENTS) : number(INT64_MAX), was;
    int64_t qty = draw(40) ? 1 + (int64_t)draw(60) : number(100), price = draw(60) ? PRICE : number(2 * PRICE);
    switch (draw(12)) {
    case 0: case 1: case 2: (void)gate_filled(gate, account, order_id, qty, price); break;
    case 3: case 4: case 5: (void)gate_closed(gate, account, order_id); break;
    case 6: (void)gate_replaced(gate, account, order_id); break;
    case 7: if (!draw(4)) (void)gate_executed(gate, account, instrument_id, (int)draw(4), qty, price); break;
    case 8: (void)gate_parent(gate, account, 1 + draw(300), number(500)); break;
    case 9: if (!draw(30)) (void)gate_session(gate, draw(60), draw(12)); break;
    case 10: if (!draw(8)) (void)gate_reconcile(gate, account, instrument_id, number(300), draw(4), &was); break;
    default:
        if (!draw(20))
            gate_mark(gate);
        if (!draw(100))
            gate_new_day(gate);
    }
}

static void require_position(struct ledger *ledger, uint32_t at)
{
    struct position *position = &ledger_positions(ledger)[at];
    struct working *orders = ledger_orders(ledger);
    const uint32_t heads[2] = {position->buys, position->sells};
    const int64_t sums[2] = {position->working_buy, position->working_sell}, bests[2] = {position->best_buy, position->best_sell};
    for (int side = 0; side < 2; side++) {
        int64_t sum = 0, best = 0;
        uint32_t steps = 0;
        for (uint32_t k = heads[side]; k != NONE; k = orders[k].next) {
            require(k < ledger->order_count && steps++ < ledger->order_count, "a list of orders ends");
            require(orders[k].position == at && orders[k].side == side + 1 && orders[k].state >= ORDER_WORKING, "it holds its orders");
            sum += orders[k].open;
            best = best == 0 || (side == 0 ? orders[k].price > best : orders[k].price < best) ? orders[k].price : best;
        }
        require(sum == sums[side] && best == bests[side], "a side is the sum of its orders");
    }
}

void require_sums(struct gate *gate)
{
    struct ledger *ledger = gate->ledger;
    struct account *accounts = ledger_accounts(ledger);
    struct position *positions = ledger_positions(ledger);
    struct working *orders = ledger_orders(ledger);
    int64_t units = 0;
    uint32_t working = 0;
    for (uint32_t i = 0; i < ledger->account_slots; i++) {
        wide gross = 0, up = 0, margin = 0;
        uint32_t open = 0;
        if (atomic_load(&accounts[i].hash) == 0)
            continue;
        for (uint32_t k = 0; k < ledger->position_slots; k++)
            if (atomic_load(&positions[k].key) >> 32 == i + 1u)
                gross += positions[k].gross, up += positions[k].up, margin += positions[k].margin;
        for (uint32_t k = 0; k < ledger->order_count; k++)
            open += orders[k].state >= ORDER_WORKING && orders[k].account == i;
        require(accounts[i].gross == gross && accounts[i].up == up && accounts[i].margin == margin, "an account is the sum of its positions");
        require(accounts[i].open_orders == open, "open orders are counted");
    }
    for (uint32_t k = 0; k < ledger->position_slots; k++)
        if (atomic_load(&positions[k].key)) {
            units += positions[k].firm_units;
            require_position(ledger, k);
        }
    for (uint32_t k = 0; k < ledger->order_count; k++)
        working += orders[k].state >= ORDER_WORKING;
    require(units == atomic_load(&ledger->firm_units), "the firm is the sum of its positions");
    require(working == atomic_load(&ledger->working_count), "working orders are counted");
}

void require_closed(struct gate *gate)
{
    struct account *accounts = ledger_accounts(gate->ledger);
    for (uint32_t i = 0; i < gate->ledger->account_slots; i++) {
        struct decision decision;
        struct order order = random_order();
        order.account = atomic_load(&accounts[i].hash);
        order.action = ORDER_NEW;
        require(accounts[i].changing % 2 == 0 && accounts[i].lock == 0, "no change is left open");
        if (order.account == 0 || accounts[i].reconciled)
            continue;
        gate_check(gate, &order, 1000, &decision);
        require(decision.reason != REASON_OK, "an account that is not reconciled refuses");
    }
}

uint8_t *bytes_of(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    require(file && fseek(file, 0, SEEK_END) == 0, "the file is there");
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    require(bytes && fread(bytes, 1, *size, file) == *size, "the file can be read");
    fclose(file);
    return bytes;
}

/* Bits flipped, words made extreme, ends cut off: anywhere, or where the head is. */
void write_damaged(const char *path, const uint8_t *whole, size_t size)
{
    size_t cut = draw(12) ? size : draw(size + 1);
    FILE *file = fopen(path, "wb");
    require(file && fwrite(whole, 1, cut, file) == cut, "a damaged file is written");
    for (uint64_t flips = draw(40); flips && cut > 8; flips--) {
        size_t at = draw(8) ? draw(cut - 8) : draw(cut < 192 ? cut - 8 : 184);
        int64_t word = number(1000);
        size_t length = draw(2) ? 8 : 1;
        uint8_t byte = (uint8_t)(whole[at] ^ (1u << draw(8)));
        require(fseek(file, (long)at, SEEK_SET) == 0 && fwrite(length == 8 ? (void *)&word : (void *)&byte, 1, length, file) == length,
                "a damaged file is written");
    }
    fclose(file);
}
