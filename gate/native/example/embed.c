/* A trading process in C that embeds the gate: no Python, no network, no thread of its own.
 *
 *     embed TABLE [LEDGER]
 *
 * It opens the limit table that the gate's sidecar writes, sends a few orders through the gate, tells the gate what the venue
 * answered, and prints every decision. The venue is played by this file. Exit status: 0, or 1 when the gate cannot be opened.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tidegate_gate.h"

#define CURRENCY INT64_C(1000000000) /* prices are 1e-9 currency */

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* the sidecar's clock: its limits expire by it */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t hash(const char *scope)
{
    return scope_hash(scope, strlen(scope));
}

static bool send_order(struct gate *gate, const char *name, const struct order *order)
{
    static const char *const verdicts[] = {"ACCEPT", "REJECT", "PEND"};
    struct decision decision;
    gate_submit(gate, order, monotonic_ns(), &decision);
    printf("%s: %s %s %s", name, verdicts[decision.verdict], order_reason_word(decision.reason),
           order_reason_rule(decision.reason));
    if (decision.has_numbers)
        printf(" limit %" PRId64 " observed %" PRId64, decision.limit, decision.observed);
    if (decision.worst_price > 0)
        printf(" worst price %" PRId64, decision.worst_price);
    printf("%s\n", decision.warned ? " (warned)" : "");
    return decision.verdict == VERDICT_ACCEPT;
}

static void show_positions(const struct gate *gate)
{
    struct gate_position found;
    for (uint32_t cursor = 0; gate_next_position(gate, &cursor, &found);)
        printf("position: instrument %" PRId64 " holds %" PRId64 ", working %" PRId64 " to buy and %" PRId64 " to sell\n",
               found.instrument_id, found.position, found.working_buy, found.working_sell);
}

static void trade(struct gate *gate)
{
    /* Who sends is hashed once; each order fills in the rest. */
    const struct order sender = {.instrument_id = 1, .account = hash("account:A1"), .trader = hash("trader:T1"),
                                 .strategy = hash("strategy:S1"), .session = hash("session:FIX1")};

    struct order bid = sender;
    bid.order_id = hash("order:bid-1");
    bid.action = ORDER_NEW, bid.side = ORDER_BUY, bid.type = ORDER_LIMIT;
    bid.qty = 100, bid.price = 50 * CURRENCY;
    if (send_order(gate, "bid-1", &bid)) /* from here on it counts against every limit */
        gate_filled(gate, bid.account, bid.order_id, 40, bid.price); /* the venue says: 40 of it were bought */
    show_positions(gate);

    struct order too_large = bid;
    too_large.order_id = hash("order:bid-2");
    too_large.qty = 1000000;
    send_order(gate, "bid-2", &too_large);

    struct order own = bid; /* would meet bid-1, of which 60 still work */
    own.order_id = hash("order:ask-1");
    own.side = ORDER_SELL;
    send_order(gate, "ask-1", &own);

    struct order replace = bid; /* 20 shall be open instead of 60, a little lower */
    replace.order_id = hash("order:bid-3");
    replace.action = ORDER_REPLACE;
    replace.target_id = bid.order_id;
    replace.qty = 20, replace.price = 49 * CURRENCY;
    if (send_order(gate, "bid-3", &replace))
        gate_replaced(gate, replace.account, replace.order_id); /* the venue took it; bid-1 is gone */
    show_positions(gate);

    struct order cancel = bid; /* a cancel always passes, also when all is killed */
    cancel.order_id = hash("order:cancel-1");
    cancel.action = ORDER_CANCEL;
    cancel.target_id = replace.order_id;
    if (send_order(gate, "cancel-1", &cancel))
        gate_closed(gate, cancel.account, cancel.target_id); /* the venue confirmed */

    struct order leave = bid; /* sell what we hold at the market; the price it prints is what must go to the venue as limit */
    leave.order_id = hash("order:exit-1");
    leave.side = ORDER_SELL, leave.type = ORDER_MARKET, leave.flags = ORDER_REDUCE_ONLY;
    leave.qty = 40, leave.price = 0;
    if (send_order(gate, "exit-1", &leave))
        gate_filled(gate, leave.account, leave.order_id, 40, 50 * CURRENCY);
    show_positions(gate);
}

int main(int count, char **arguments)
{
    if (count < 2 || count > 3) {
        fprintf(stderr, "usage: %s TABLE [LEDGER]\n", arguments[0]);
        return 1;
    }
    struct gate gate;
    struct gate_found found;
    const struct gate_sizes sizes = {.accounts = 16, .positions = 64, .orders = 1024};
    enum gate_open opened = gate_open(&gate, arguments[1], count == 3 ? arguments[2] : NULL, sizes, &found);
    if (opened != GATE_OPEN_OK) {
        fprintf(stderr, "%s: the gate cannot be opened: %d, table %d\n", arguments[1], (int)opened, (int)found.table);
        return 1;
    }
    trade(&gate);
    struct gate_counters counters = gate_counters(&gate);
    printf("accepted %" PRIu64 ", refused %" PRIu64 "\n", counters.accepted, counters.refused);
    gate_close(&gate);
    return 0;
}
