#include "judge/judge.h"

#include <string.h>

enum gate_open gate_open_on(struct gate *gate, const struct limit_table *table, const char *ledger_path,
                            struct gate_sizes sizes)
{
    memset(gate, 0, sizeof *gate);
    gate->table = *table;
    gate->table.lock_fd = -1;
    gate->firm = scope_hash("firm", 4);
    return ledger_open(gate, ledger_path, sizes);
}

enum gate_open gate_open(struct gate *gate, const char *table_path, const char *ledger_path, struct gate_sizes sizes,
                         struct gate_found *found)
{
    struct limit_table table;
    memset(gate, 0, sizeof *gate);
    gate->ledger_fd = -1;
    found->table = limit_table_attach(&table, table_path, &found->value);
    if (found->table != LIMIT_OPEN_OK)
        return GATE_OPEN_TABLE;
    enum gate_open result = gate_open_on(gate, &table, ledger_path, sizes);
    if (result != GATE_OPEN_OK)
        limit_table_close(&table);
    gate->owns_table = result == GATE_OPEN_OK;
    return result;
}

void gate_close(struct gate *gate)
{
    ledger_close(gate);
    if (gate->owns_table)
        limit_table_close(&gate->table);
    gate->owns_table = false;
}

/* Ask what the order and the table answer. */
static enum order_reason judge_row(struct judgement *j)
{
    enum order_reason reason = judge_form(j->order);
    return reason == REASON_OK ? judge_scopes(j) : reason;
}

/* Ask everything; under the account's lock, where it is in the ledger. */
static enum order_reason judge(struct judgement *j)
{
    enum order_reason reason;
    j->found = limit_table_words(&j->gate->table, j->order->instrument_id, j->words, &j->seen);
    if ((reason = judge_row(j)))
        return reason;
    if ((reason = judge_account_limits(j)) || (reason = judge_standing(j)) || (reason = judge_limits_set(j)) ||
        (reason = judge_terms(j)) || (reason = judge_price(j)))
        return reason;
    keep_terms(j);
    if ((reason = judge_repeats(j)) || (reason = judge_sums(j)) || (reason = judge_lots(j)) || (reason = judge_values(j)))
        return reason;
    return judge_soft(j);
}

/* What the order costs of the account's rates and sums. */
static void book_flow(struct judgement *j, struct account *account, struct position *position)
{
    const struct order *order = j->order;
    int64_t index, width_ns = period_width(&j->terms->limits);
    wide sum = period_sum(account, &j->terms->limits, j->now_ns, &index);
    if (j->terms->limits.messages_per_s != LIMIT_UNLIMITED) {
        account->tokens = j->tokens - j->weight;
        account->tokens_ns = j->tokens_ns;
    }
    if (order->action == ORDER_NEW) {
        struct equal_order sent = {order_content(order), j->now_ns};
        position->equal[position->equal_at++ % RECENT_EQUAL] = sent;
    }
    if (account->period_width_ns != width_ns) { /* what was summed in other parts is kept as if it were of now */
        memset(account->period_values, 0, sizeof account->period_values);
        account->period_width_ns = width_ns;
        account->period_values[index % PERIOD_BUCKETS] = sum;
        account->period_index[index % PERIOD_BUCKETS] = index;
    }
    wide *bucket = &account->period_values[index % PERIOD_BUCKETS];
    if (account->period_index[index % PERIOD_BUCKETS] != index)
        *bucket = 0;
    account->period_index[index % PERIOD_BUCKETS] = account->period_newest = index;
    account->period_start_ns = index * width_ns;
    *bucket = value_cap(*bucket + j->value);
    account->period_total = value_cap(sum + j->value);
    if (j->basket_at != NONE) {
        struct basket_slot *slot = &account->baskets[j->basket_at];
        wide held = slot->basket == order->basket ? slot->value : 0;
        *slot = (struct basket_slot){value_cap(held + j->value), order->basket, j->now_ns};
    }
    if (j->parent_at != NONE) {
        account->parents[j->parent_at].used += j->parent_added;
        account->parents[j->parent_at].open += j->parent_added;
    }
}

static void book_strategy(const struct judgement *j, struct account *account, int64_t rearmed)
{
    const struct order *order = j->order;
    if (j->strategy_at == NONE)
        return;
    struct strategy_slot *slot = &account->strategies[j->strategy_at];
    bool again = slot->strategy == order->strategy && !slot->tripped && slot->instrument_id == order->instrument_id &&
                 slot->side == order->side && slot->qty == order->qty && j->now_ns - slot->run_start_ns < j->terms->limits.period_ns;
    if (again && !j->trips) {
        slot->count++;
        return;
    }
    slot->strategy = order->strategy;
    slot->instrument_id = order->instrument_id;
    slot->side = order->side;
    slot->qty = order->qty;
    slot->run_start_ns = again ? slot->run_start_ns : j->now_ns;
    slot->count = again ? slot->count : 1;
    slot->tripped = j->trips;
    slot->rearmed_seen = rearmed;
}

static int64_t rearmed_of(const struct judgement *j)
{
    int64_t rearmed = 0;
    if (!limit_set_find(&j->gate->table, LIMIT_SET_REARMED, j->order->strategy, &rearmed))
        rearmed = 0;
    return rearmed;
}

static void book_order(struct judgement *j, struct account *account, struct position *position, struct working *working)
{
    struct ledger *ledger = j->gate->ledger;
    const struct order *order = j->order;
    working->instrument_id = order->instrument_id;
    working->trader = order->trader;
    working->desk = order->desk;
    working->strategy = order->strategy;
    working->venue = order->venue;
    working->session = order->session;
    working->parent = j->parent;
    working->in_parent = j->parent_at == NONE ? 0 : j->parent_added;
    working->price = j->price;
    working->side = order->side;
    working->account = (uint32_t)(account - ledger_accounts(ledger));
    working->position = (uint32_t)(position - ledger_positions(ledger));
    working->open = j->added;
    working->asked = order->qty;
    working->replaced = 0;
    order_become(working, j->target ? ORDER_PENDING_REPLACE : ORDER_WORKING);
    if (j->target) {
        working->partner = order_index(ledger, j->target);
        j->target->partner = order_index(ledger, working);
    }
    position_link(ledger, position, working);
    if (order->side == ORDER_BUY)
        position->working_buy += j->added;
    else
        position->working_sell += j->added;
    account->open_orders++;
    atomic_fetch_add_explicit(&ledger->working_count, 1, memory_order_relaxed);
    account_remember(ledger, account, working);
}

/* Take the firm's share ahead of booking: another account may have taken it since it was judged. */
static bool reserve_firm(struct judgement *j, const struct position *position)
{
    struct ledger *ledger = j->gate->ledger;
    int64_t more = j->firm_units - position->firm_units;
    int64_t before = atomic_fetch_add_explicit(&ledger->firm_units, more, memory_order_relaxed);
    if (j->exit || more <= 0 || (wide)before + more <= j->terms->firm_most)
        return true;
    atomic_fetch_sub_explicit(&ledger->firm_units, more, memory_order_relaxed);
    return false;
}

/* Take ahead of booking what accounts share: the last of it goes to one of them. */
static enum order_reason reserve(struct judgement *j, const struct position *position)
{
    enum order_reason reason = j->session_is_rated ? session_spend(j) : REASON_OK;
    if (reason != REASON_OK || reserve_firm(j, position))
        return reason;
    if (j->session_is_rated)
        session_return(j);
    return refuse(j, REASON_FIRM_VALUE, j->terms->firm_limit, j->terms->firm_limit);
}

static enum order_reason book(struct judgement *j)
{
    struct ledger *ledger = j->gate->ledger;
    struct account *account = j->account;
    struct position *position = ledger_position(ledger, account, j->order->instrument_id, true);
    struct working *working = position ? ledger_take(ledger, account, j->order->order_id) : NULL;
    if (!working)
        return REASON_NO_ROOM;
    enum order_reason reason = reserve(j, position);
    if (reason != REASON_OK) {
        ledger_give(ledger, account, working);
        return reason;
    }
    int64_t rearmed = rearmed_of(j);
    account_begin(account);
    position->firm_units = j->firm_units;
    book_order(j, account, position, working);
    book_flow(j, account, position);
    book_strategy(j, account, rearmed);
    position_mark(account, position, word(j, W_REF), word(j, W_LOT));
    position->margin_weight = j->in_force[LIMIT_MARGIN];
    position_weigh(ledger, account, position);
    account_peak(account);
    account_end(account);
    return REASON_OK;
}

/* Write down the risk state that was in force. */
static void testify(struct judgement *j)
{
    struct decision *out = j->out;
    out->has_row = j->found == LIMIT_FOUND;
    if (!out->has_row) {
        out->ref_price = out->epoch = out->tick_ns = 0;
        out->score = 0.0;
        out->tier = 0;
        memset(out->model_id, 0, sizeof out->model_id);
        return;
    }
    out->ref_price = word(j, W_REF);
    out->epoch = word(j, W_EPOCH);
    out->tick_ns = word(j, W_TICK);
    memcpy(&out->score, &j->words[W_SCORE], sizeof out->score);
    memcpy(out->model_id, &j->words[W_MODEL], sizeof out->model_id);
    out->tier = (uint8_t)(j->words[W_FLAGS] & TIER_MAX);
}

static void settle_verdict(struct judgement *j, enum order_reason reason)
{
    struct decision *out = j->out;
    out->reason = reason;
    out->verdict = reason == REASON_OK ? VERDICT_ACCEPT : reason == REASON_NEEDS_APPROVAL ? VERDICT_PEND : VERDICT_REJECT;
    out->warned = out->warned && reason == REASON_OK;
    if (reason == REASON_OK)
        out->worst_price = j->order->type == ORDER_MARKET && j->order->action != ORDER_CANCEL ? j->price : 0;
}

static void conclude(struct judgement *j, enum order_reason reason)
{
    settle_verdict(j, reason);
    testify(j);
}

static void prepare(struct judgement *j, const struct gate *gate, const struct order *order, struct decision *out)
{
    j->gate = gate;
    j->order = order;
    j->out = out;
    j->target = NULL;
    j->exit = j->trips = j->session_is_rated = false;
    j->parent = 0;
    j->strategy_at = j->basket_at = j->parent_at = NONE;
    j->found = LIMIT_ABSENT;
    out->warned = out->has_numbers = out->stale = out->has_ledger = false;
    out->position_before = out->working_buy_before = out->working_sell_before = 0;
    out->limit = out->observed = out->worst_price = 0;
}

/* Judge as an account that the ledger does not know: it holds nothing. */
static enum order_reason judge_stranger(struct judgement *j, struct account_terms *terms)
{
    terms->is_read = false;
    j->terms = terms;
    judge_find(j, NULL);
    return judge(j);
}

/* A cancel is no question: only what was in force is put down. */
static void pass(struct judgement *j)
{
    j->found = limit_table_words(&j->gate->table, j->order->instrument_id, j->words, &j->seen);
    conclude(j, REASON_OK);
}

/* The account of the order, in most cases found where its search begins. */
static inline struct account *account_of(const struct gate *gate, uint64_t hash)
{
    struct account *account = &gate->accounts[(uint32_t)(hash >> 32) & gate->account_mask];
    if (atomic_load_explicit(&account->hash, memory_order_acquire) == hash && hash != 0)
        return account;
    return ledger_account(gate->ledger, hash, false);
}

/* What was kept of the order's position, and its memory asked for; NULL when nothing was, or not close to where the search begins. */
static inline struct quick *quick_of(const struct gate *gate, const struct account *account, int64_t instrument_id)
{
    uint64_t key = ((uint64_t)(account - gate->accounts) + 1) << 32 | (uint64_t)instrument_id;
    uint32_t at = position_hash(key);
    if (instrument_id < 1 || instrument_id > UINT32_MAX)
        return NULL;
    const char *home = (const char *)&gate->quicks[at & gate->position_mask];
    __builtin_prefetch(home + 64);
    __builtin_prefetch(home + 128);
    for (uint32_t step = 0; step < 4; step++) {
        struct quick *quick = &gate->quicks[(at + step) & gate->position_mask];
        if (atomic_load_explicit(&quick->key, memory_order_relaxed) == key)
            return quick;
    }
    return NULL;
}

static void conclude_quickly(struct decision *out)
{
    out->reason = REASON_OK;
    out->verdict = VERDICT_ACCEPT;
}

void gate_check(const struct gate *gate, const struct order *order, int64_t now_ns, struct decision *decision)
{
    struct judgement j;
    struct account_terms terms;
    limit_table_prefetch(&gate->table, order->instrument_id);
    struct account *account = account_of(gate, order->account);
    struct quick *quick = account ? quick_of(gate, account, order->instrument_id) : NULL;
    prepare(&j, gate, order, decision);
    j.now_ns = now_ns;
    if (order->action == ORDER_CANCEL) {
        pass(&j);
    } else if (account) {
        j.account = account;
        account_lock(account);
        if (quick && judge_quickly(&j, quick)) {
            account_unlock(account);
            conclude_quickly(decision);
            return;
        }
        limit_table_prefetch_all(&gate->table, order->instrument_id);
        j.terms = &account->terms;
        judge_find(&j, account);
        enum order_reason reason = judge(&j);
        account_unlock(account);
        conclude(&j, reason);
    } else {
        conclude(&j, judge_stranger(&j, &terms));
    }
}

/* What booking needs of an order that was judged quickly. */
static void complete(struct judgement *j, const struct quick *quick)
{
    j->position = ledger_position_of(j->gate->ledger, quick);
    j->as_position = j->position;
    j->price = j->order->price;
    j->added = j->order->qty;
    j->words[W_REF] = (uint64_t)quick->ref_price;
    j->words[W_LOT] = (uint64_t)quick->lot_nano;
    j->in_force[LIMIT_MARGIN] = quick->margin;
    (void)judge_rate(j);
    judge_weight(j);
}

/* Judge under the account's lock and book what follows. */
static enum order_reason submit_locked(struct judgement *j, struct account *account)
{
    limit_table_prefetch_all(&j->gate->table, j->order->instrument_id);
    j->terms = &account->terms;
    judge_find(j, account);
    enum order_reason reason = judge(j);
    if (reason == REASON_OK) {
        reason = book(j);
    } else if (j->trips) {
        int64_t rearmed = rearmed_of(j);
        account_begin(account);
        book_strategy(j, account, rearmed);
        account_end(account);
    }
    return reason;
}

static void count(struct ledger *ledger, enum order_verdict verdict)
{
    _Atomic uint64_t *counter = verdict == VERDICT_ACCEPT ? &ledger->accepted
                                : verdict == VERDICT_PEND ? &ledger->pended
                                                          : &ledger->refused;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* The account of an order that would be accepted, or trips a throttle; else, a refused order must not take a place of the
 * ledger, NULL and the reason. */
static struct account *make_account(struct judgement *j, enum order_reason *reason)
{
    struct account_terms terms;
    *reason = judge_stranger(j, &terms);
    if (*reason != REASON_OK && !j->trips)
        return NULL;
    *reason = REASON_NO_ROOM;
    prepare(j, j->gate, j->order, j->out);
    return ledger_account(j->gate->ledger, j->order->account, true);
}

/* Judge and book an order of an account that the ledger has; write the decision. */
static void submit_known(struct judgement *j, struct account *account, struct quick *quick)
{
    j->account = account;
    account_lock(account);
    bool is_quick = quick && judge_quickly(j, quick);
    enum order_reason reason;
    if (is_quick) {
        complete(j, quick);
        reason = book(j);
    } else {
        reason = submit_locked(j, account);
    }
    account_unlock(account);
    if (is_quick) /* the evidence is written already */
        settle_verdict(j, reason);
    else
        conclude(j, reason);
}

void gate_submit(struct gate *gate, const struct order *order, int64_t now_ns, struct decision *decision)
{
    struct judgement j;
    enum order_reason reason = REASON_OK;
    limit_table_prefetch(&gate->table, order->instrument_id);
    struct account *account = account_of(gate, order->account);
    struct quick *quick = account ? quick_of(gate, account, order->instrument_id) : NULL;
    prepare(&j, gate, order, decision);
    j.now_ns = now_ns;
    if (order->action == ORDER_CANCEL) {
        pass(&j);
        return;
    }
    if (account)
        ledger_prefetch(gate->ledger, account, order->instrument_id, order->order_id);
    else
        account = make_account(&j, &reason);
    if (account)
        submit_known(&j, account, quick);
    else
        conclude(&j, reason);
    count(gate->ledger, decision->verdict);
}

struct gate_counters gate_counters(const struct gate *gate)
{
    struct ledger *ledger = gate->ledger;
    struct gate_counters counters = {
        .accepted = atomic_load_explicit(&ledger->accepted, memory_order_relaxed),
        .refused = atomic_load_explicit(&ledger->refused, memory_order_relaxed),
        .pended = atomic_load_explicit(&ledger->pended, memory_order_relaxed),
        .unknown_reports = atomic_load_explicit(&ledger->unknown_reports, memory_order_relaxed),
        .overfills = atomic_load_explicit(&ledger->overfills, memory_order_relaxed),
        .torn_accounts = atomic_load_explicit(&ledger->torn_accounts, memory_order_relaxed),
    };
    return counters;
}
