/* Feeds the gate's core random rows, accounts, sets, orders and reports, damaged files of tables and ledgers, and ledgers whose
 * process was killed at work; built with sanitizers.
 *
 * Laws: what was kept of the last order answers as the full judgement does; a check answers as the submit that follows; what is
 * accepted is within the envelope; a cancel passes, a kill blocks; sums are those of their parts; what opens can be
 * used, and an account that died while it was changed waits until it is reconciled.
 * Prints counts; exits 1 where a law is broken. Usage: gate_fuzz SEED CHECKS FILE */
#define _GNU_SOURCE
#include "fuzz_ledger.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUND_CHECKS 6000
#define CRASHES 6
#define DAMAGES 40

static struct fuzz_counts counts;

static bool same_decision(const struct decision *a, const struct decision *b)
{
    return a->reason == b->reason && a->verdict == b->verdict && a->warned == b->warned && a->has_numbers == b->has_numbers &&
           a->has_row == b->has_row && a->stale == b->stale && a->limit == b->limit && a->observed == b->observed &&
           a->worst_price == b->worst_price && a->ref_price == b->ref_price && a->epoch == b->epoch && a->tick_ns == b->tick_ns &&
           memcmp(&a->score, &b->score, sizeof a->score) == 0 && memcmp(a->model_id, b->model_id, sizeof a->model_id) == 0 &&
           a->tier == b->tier && a->has_ledger == b->has_ledger && a->position_before == b->position_before &&
           a->working_buy_before == b->working_buy_before && a->working_sell_before == b->working_sell_before;
}

/* The same order by the full judgement: in a gate that keeps nothing. */
static struct decision check_in_full(const struct gate *gate, const struct order *order, int64_t now_ns)
{
    static struct quick nothing[FUZZ_POSITION_SLOTS_MAX];
    struct gate forgetful = *gate;
    struct decision decision;
    require(gate->position_mask < FUZZ_POSITION_SLOTS_MAX, "the fuzz is sized for its gate");
    forgetful.quicks = nothing;
    gate_check(&forgetful, order, now_ns, &decision);
    return decision;
}

static void judge_order(struct gate *gate, const struct order *order, int64_t now_ns)
{
    struct decision kept, checked = {0}, submitted = {0};
    gate_check(gate, order, now_ns, &checked);
    kept = checked;
    struct decision full = check_in_full(gate, order, now_ns);
    require(same_decision(&kept, &full), "the quick judgement is the full one");
    gate_submit(gate, order, now_ns, &submitted);
    require(same_decision(&checked, &submitted), "a check answers as the submit");
    require(order_reason_word((int)submitted.reason) != NULL, "a reason has a word");
    require(order->action != ORDER_CANCEL || submitted.reason == REASON_OK, "a cancel passes");
    counts.checks++;
    counts.accepted += submitted.reason == REASON_OK && order->action != ORDER_CANCEL;
    if (submitted.reason != REASON_OK || order->action == ORDER_CANCEL)
        return;
    struct limit_row row;
    require(limit_table_read(&gate->table, order->instrument_id, &row) == LIMIT_FOUND && !row.killed && !row.restricted,
            "accepted on a row that is open");
    require(order->qty > 0 && order->qty <= row.limits[LIMIT_ENVELOPE][LIMIT_ORDER_QTY], "accepted within the envelope");
    require(atomic_load(&gate->table.header->firm_killed) == 0, "a kill blocks");
}

static void run_round(void)
{
    struct limit_table table;
    struct gate gate;
    require(limit_table_private(&table, (struct limit_capacity){FUZZ_INSTRUMENTS, FUZZ_ACCOUNTS}) == LIMIT_OPEN_OK, "a table opens");
    struct gate_sizes sizes = draw(6) ? FUZZ_SIZES : (struct gate_sizes){2, 5, 12};
    require(gate_open_on(&gate, &table, NULL, sizes) == GATE_OPEN_OK, "a gate opens");
    fill_table(&table);
    int64_t now_ns = 1000;
    for (int i = 0; i < ROUND_CHECKS; i++) {
        struct order order = random_order();
        now_ns += draw(60) ? (int64_t)draw(400) : (int64_t)draw(2000000);
        judge_order(&gate, &order, draw(200) ? now_ns : number(4000));
        change_table(&table, now_ns);
        for (int k = 0; k < 4; k++)
            report_something(&gate);
        if (!draw(500))
            require_sums(&gate);
    }
    require_sums(&gate);
    gate_close(&gate);
    gate_close(&gate);
    limit_table_close(&table);
}

/* Work on the ledger until somebody ends the process. */
static void work_for_ever(struct gate *gate, struct limit_table *table)
{
    for (int64_t now_ns = 1000;; now_ns += (int64_t)draw(400)) {
        struct order order = random_order();
        struct decision decision;
        gate_submit(gate, &order, now_ns, &decision);
        report_something(gate);
        if (!draw(40))
            change_table(table, now_ns);
    }
}

static void reconcile_all(struct gate *gate)
{
    struct account *accounts = ledger_accounts(gate->ledger);
    for (uint32_t i = 0; i < gate->ledger->account_slots; i++) {
        int64_t was;
        uint64_t hash = atomic_load(&accounts[i].hash);
        if (hash)
            (void)gate_reconcile(gate, hash, 1, 0, true, &was); /* holding nothing needs no place */
        require(hash == 0 || accounts[i].reconciled, "a reconciliation mends");
    }
}

/* Open what was left, use it, mend it. */
static bool use_ledger(struct limit_table *table, const char *path, bool must_open)
{
    struct gate gate;
    enum gate_open opened = gate_open_on(&gate, table, path, FUZZ_SIZES);
    require(opened == GATE_OPEN_OK || (!must_open && opened == GATE_OPEN_LEDGER_SHAPE), "what was left is opened, or refused");
    if (opened != GATE_OPEN_OK)
        return false;
    require_sums(&gate);
    require_closed(&gate);
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 200; i++) {
            struct order order = random_order();
            judge_order(&gate, &order, 2000000000 + i);
            report_something(&gate);
        }
        require_sums(&gate);
        reconcile_all(&gate);
        require_sums(&gate);
        gate_mark(&gate);
        gate_new_day(&gate);
    }
    gate_close(&gate);
    return true;
}

/* Kill a process while it submits; its successor adopts the ledger. */
static void crash(struct limit_table *table, const char *path)
{
    struct gate gate;
    remove(path);
    for (int i = 0; i < CRASHES; i++) {
        uint64_t child_state = draw(UINT64_MAX);
        struct timespec pause = {0, (long)draw(3000000)};
        pid_t child = fork();
        if (child == 0) {
            seed(child_state);
            if (gate_open_on(&gate, table, path, FUZZ_SIZES) != GATE_OPEN_OK)
                _exit(3);
            work_for_ever(&gate, table);
        }
        require(child > 0, "a process starts");
        nanosleep(&pause, NULL);
        int status;
        require(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child, "a process is ended");
        require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it worked until it was killed");
        (void)use_ledger(table, path, true);
        counts.crashed++;
    }
}

/* Flip bytes of a ledger: what opens must be usable, whatever it says. */
static void damage_ledgers(struct limit_table *table, const char *path)
{
    size_t size;
    uint8_t *whole = bytes_of(path, &size);
    for (int i = 0; i < DAMAGES; i++) {
        write_damaged(path, whole, size);
        if (use_ledger(table, path, false))
            counts.adopted++;
    }
    free(whole);
    remove(path);
}

/* Damaged tables: whatever opens must answer every question without leaving its bytes. */
static void damage_tables(const char *path)
{
    struct limit_table writer, reader;
    require(limit_table_create(&writer, path, (struct limit_capacity){FUZZ_INSTRUMENTS, FUZZ_ACCOUNTS}) == LIMIT_OPEN_OK, "a table is made");
    fill_table(&writer);
    limit_table_close(&writer);
    size_t size;
    uint8_t *whole = bytes_of(path, &size);
    for (int i = 0; i < DAMAGES; i++) {
        uint64_t found = 0;
        struct gate gate;
        write_damaged(path, whole, size);
        if (limit_table_attach(&reader, path, &found) != LIMIT_OPEN_OK)
            continue;
        counts.attached++;
        require(gate_open_on(&gate, &reader, NULL, FUZZ_SIZES) == GATE_OPEN_OK, "a gate opens");
        for (int check = 0; check < 200; check++) {
            struct order order = random_order();
            struct decision decision;
            gate_submit(&gate, &order, number(4000), &decision);
            report_something(&gate);
        }
        gate_close(&gate);
        limit_table_close(&reader);
    }
    free(whole);
    remove(path);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    seed(strtoull(argv[1], NULL, 10));
    int64_t wanted = strtoll(argv[2], NULL, 10);
    char ledger_path[4096];
    snprintf(ledger_path, sizeof ledger_path, "%s.ledger", argv[3]);
    while (counts.checks < wanted) {
        struct limit_table table;
        for (int i = 0; i < 6; i++)
            run_round();
        require(limit_table_private(&table, (struct limit_capacity){FUZZ_INSTRUMENTS, FUZZ_ACCOUNTS}) == LIMIT_OPEN_OK, "a table opens");
        fill_table(&table);
        crash(&table, ledger_path);
        damage_ledgers(&table, ledger_path);
        limit_table_close(&table);
        damage_tables(argv[3]);
    }
    printf("checks=%lld accepted=%lld attached=%lld adopted=%lld crashed=%lld\n", (long long)counts.checks,
           (long long)counts.accepted, (long long)counts.attached, (long long)counts.adopted, (long long)counts.crashed);
    return 0;
}
