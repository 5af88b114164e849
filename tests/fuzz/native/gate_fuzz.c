/* Feeds the gate's core random rows, orders, kill switches and damaged table files; built with sanitizers.
 *
 * A slow second opinion stands beside each decision: what is accepted is within the envelope, and only cancels pass a kill.
 * Prints `checks=... accepted=... attached=...`; exits 1 where a decision breaks a law. Usage: gate_fuzz SEED CHECKS FILE */
#include "order_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY 48
#define INSTRUMENTS 64 /* more than fit: puts are refused */
#define ROUND_CHECKS 20000

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static const int64_t EXTREMES[] = {0, -1, 1, 2, INT64_MIN, INT64_MAX, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX / 10000 + 1};
#define EXTREMES_COUNT (sizeof EXTREMES / sizeof *EXTREMES)

static int64_t number(uint64_t below)
{
    return draw(12) ? (int64_t)draw(below) : EXTREMES[draw(EXTREMES_COUNT)];
}

static void require(bool held, const char *law)
{
    if (held)
        return;
    fprintf(stderr, "broken: %s\n", law);
    exit(1);
}

static struct limit_row random_row(uint32_t instrument_id)
{
    struct limit_row row = {.instrument_id = instrument_id, .tier = (uint8_t)draw(256)};
    row.halted = !draw(8), row.killed = !draw(12), row.stale = !draw(5);
    for (int column = 0; column < LIMIT_COLUMNS; column++) {
        row.qty[column] = number(1000);
        row.band_bps[column] = number(3000);
    }
    row.ref_price = number(1000000), row.valid_until_ns = number(2000);
    row.epoch = number(9), row.tick_ns = number(9), row.written_ns = number(9);
    row.score = (double)number(100) / 7;
    for (int i = 0; i < LIMIT_MODEL_ID_BYTES; i++)
        row.model_id[i] = (char)draw(128);
    return row;
}

static bool same_limits(const struct limit_row *a, const struct limit_row *b)
{
    bool same = a->killed == b->killed && a->halted == b->halted && a->stale == b->stale && a->ref_price == b->ref_price &&
                a->valid_until_ns == b->valid_until_ns && a->tier == (b->tier & 3);
    for (int column = 0; column < LIMIT_COLUMNS; column++) {
        int64_t qty = b->qty[column] < 0 ? LIMIT_UNSET : b->qty[column];
        int64_t band = b->band_bps[column] < 0               ? LIMIT_UNSET
                       : b->band_bps[column] > LIMIT_BAND_MAX ? LIMIT_BAND_MAX
                                                              : b->band_bps[column];
        same = same && a->qty[column] == qty && a->band_bps[column] == band;
    }
    return same && memcmp(a->model_id, b->model_id, LIMIT_MODEL_ID_BYTES) == 0;
}

/* What any accepted order must hold, said without the check's own arithmetic. */
static void judge(const struct order *order, const struct decision *seen, bool firm_killed)
{
    require(order_reason_word((int)seen->reason) != NULL, "a reason has a word");
    if (order->action == ORDER_CANCEL) {
        require(seen->reason == REASON_OK, "a cancel always passes");
        return;
    }
    require(!firm_killed || seen->reason == REASON_KILLED || seen->reason == REASON_INVALID_ORDER, "a kill blocks");
    if (seen->reason != REASON_OK)
        return;
    const struct limit_row *row = &seen->row;
    require(seen->has_row && !row->killed && !row->halted, "accepted on a row that is open");
    require(order->qty > 0 && order->qty <= row->qty[LIMIT_ENVELOPE], "accepted within the envelope");
    require(seen->stale || order->qty <= row->qty[LIMIT_DYNAMIC], "accepted within the dynamic limit");
    require(!seen->stale || order->qty <= row->qty[LIMIT_STALE], "accepted within the stale limit");
    if (order->type != ORDER_LIMIT)
        return;
    long double moved = (long double)order->price - row->ref_price; /* 64 bits of mantissa: exact for positive prices */
    long double aggressive = order->side == ORDER_BUY ? moved : -moved;
    long double most = (long double)row->ref_price * row->band_bps[LIMIT_ENVELOPE] / 10000;
    require(row->ref_price > 0 && aggressive <= most * (1 + 1e-15L), "accepted within the envelope's band");
}

static struct order random_order(void)
{
    return (struct order){
        .instrument_id = draw(30) ? (int64_t)draw(INSTRUMENTS + 2) : number(INT64_MAX),
        .account_hash = draw(20) ? draw(400) + 1 : draw(UINT64_MAX),
        .qty = number(1000),
        .price = number(1000000),
        .action = (int32_t)draw(draw(30) ? 3 : 256) - (draw(40) ? 0 : 2),
        .side = (int32_t)draw(draw(30) ? 2 : 256) + 1,
        .type = (int32_t)draw(draw(30) ? 2 : 256) + 1,
    };
}

static int64_t run_round(int64_t *accepted)
{
    struct limit_table table;
    struct limit_row wanted[INSTRUMENTS + 1] = {{0}};
    bool known[INSTRUMENTS + 1] = {false}, firm_killed = false;
    require(limit_table_private(&table, CAPACITY) == LIMIT_OPEN_OK, "a private table opens");
    for (int i = 0; i < ROUND_CHECKS; i++) {
        if (!draw(3)) {
            uint32_t id = 1 + (uint32_t)draw(INSTRUMENTS);
            struct limit_row row = random_row(id), back;
            bool put = limit_table_put(&table, &row);
            require(put || !known[id], "a row that is there can be written again");
            known[id] = known[id] || put;
            if (put)
                wanted[id] = row;
            require((limit_table_read(&table, id, &back) == LIMIT_FOUND) == known[id], "what was put is found");
            require(!known[id] || same_limits(&back, &wanted[id]), "what is read was put");
        }
        if (!draw(50))
            limit_table_kill_firm(&table, firm_killed = !draw(6));
        if (!draw(40))
            (void)limit_table_kill_account(&table, draw(400) + 1);
        if (!draw(40))
            limit_table_rearm_account(&table, draw(400) + 1);
        if (!draw(2000))
            limit_table_accounts_fit(&table);
        struct order order = random_order();
        struct decision decision;
        order_check(&table, &order, number(2000), &decision);
        judge(&order, &decision, firm_killed);
        *accepted += decision.reason == REASON_OK;
    }
    limit_table_close(&table);
    limit_table_close(&table);
    return ROUND_CHECKS;
}

static uint8_t *bytes_of(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    require(file && fseek(file, 0, SEEK_END) == 0, "the table's file is there");
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    require(bytes && fread(bytes, 1, *size, file) == *size, "the table's file can be read");
    fclose(file);
    return bytes;
}

/* Damaged files: whatever opens must answer every question without leaving its bytes. */
static int64_t attach_damaged(const char *path)
{
    struct limit_table writer, reader;
    int64_t attached = 0;
    require(limit_table_create(&writer, path, CAPACITY) == LIMIT_OPEN_OK, "a table is made");
    for (uint32_t id = 1; id <= CAPACITY / 2; id++) {
        struct limit_row row = random_row(id);
        (void)limit_table_put(&writer, &row);
    }
    limit_table_close(&writer);
    size_t size;
    uint8_t *whole = bytes_of(path, &size);
    for (int i = 0; i < 60; i++) {
        size_t cut = draw(2) ? size : draw(size + 1);
        FILE *file = fopen(path, "wb");
        require(file && fwrite(whole, 1, cut, file) == cut, "a damaged file is written");
        for (uint64_t flips = draw(6); flips && cut; flips--) {
            size_t at = draw(2) ? draw(cut) : draw(cut < 192 ? cut : 192);
            uint8_t byte = draw(3) ? (uint8_t)(whole[at] ^ (1u << draw(8))) : (uint8_t)draw(256);
            require(fseek(file, (long)at, SEEK_SET) == 0 && fwrite(&byte, 1, 1, file) == 1, "a damaged file is written");
        }
        fclose(file);
        uint64_t found = 0;
        if (limit_table_attach(&reader, path, &found) != LIMIT_OPEN_OK)
            continue;
        attached++;
        for (int check = 0; check < 200; check++) {
            struct order order = random_order();
            struct decision decision;
            order_check(&reader, &order, number(2000), &decision);
            judge(&order, &decision, false);
        }
        limit_table_close(&reader);
    }
    free(whole);
    remove(path);
    return attached;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    state = strtoull(argv[1], NULL, 10) * UINT64_C(0x9E3779B97F4A7C15) | 1;
    int64_t wanted = strtoll(argv[2], NULL, 10), checks = 0, accepted = 0, attached = 0;
    while (checks < wanted) {
        checks += run_round(&accepted);
        attached += attach_damaged(argv[3]);
    }
    printf("checks=%lld accepted=%lld attached=%lld\n", (long long)checks, (long long)accepted, (long long)attached);
    return 0;
}
