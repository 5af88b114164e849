/* Questions about what the account has lately sent: duplicates, rates, repeats, and sums over a while. */
#include "judge/judge.h"

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash ^= word;
    hash *= UINT64_C(0xFF51AFD7ED558CCD); /* finaliser of MurmurHash3 */
    return hash ^ hash >> 33;
}

uint64_t order_content(const struct order *order)
{
    uint64_t hash = mix(UINT64_C(0x9E3779B97F4A7C15), (uint64_t)order->side << 8 | order->type);
    return mix(mix(mix(hash, (uint64_t)order->qty), (uint64_t)order->price), order->strategy);
}

bool was_sent(const struct judgement *j)
{
    const struct position *position = j->as_position;
    if (j->order->action == ORDER_REPLACE || j->terms->limits.duplicate_ns == 0)
        return false;
    uint64_t content = order_content(j->order);
    for (int i = 0; i < RECENT_EQUAL; i++) {
        const struct equal_order *sent = &position->equal[i];
        if (sent->ts_ns > 0 && sent->content == content && j->now_ns - sent->ts_ns < j->terms->limits.duplicate_ns)
            return true;
    }
    return false;
}

int64_t tokens_held(const struct account *account, const struct account_limits *limits)
{
    int64_t room = bucket_size(limits->message_burst);
    if (limits->messages_per_s == LIMIT_UNLIMITED)
        return INT64_MAX;
    return account->tokens_ns == 0 || account->tokens > room ? room : account->tokens;
}

/* Filled up to now: thousand-millionths of a message, so that nothing is rounded. */
int64_t tokens_filled(struct message_rate rate, int64_t tokens, int64_t tokens_ns, int64_t now_ns)
{
    int64_t room = bucket_size(rate.message_burst), elapsed_ns = now_ns - tokens_ns;
    wide filled = tokens_ns == 0 ? room : tokens;
    if (tokens_ns != 0 && elapsed_ns > 0)
        filled += (wide)elapsed_ns * rate.messages_per_s;
    return filled < room ? (int64_t)filled : room;
}

enum order_reason judge_rate(struct judgement *j)
{
    j->weight = j->in_force[LIMIT_MESSAGE_WEIGHT] * MESSAGE_PERMILLE;
    const struct account *account = j->as_account;
    struct message_rate rate = {j->terms->limits.messages_per_s, j->terms->limits.message_burst};
    if (rate.messages_per_s == LIMIT_UNLIMITED)
        return REASON_OK;
    j->tokens = tokens_filled(rate, account->tokens, account->tokens_ns, j->now_ns);
    j->tokens_ns = j->now_ns > account->tokens_ns ? j->now_ns : account->tokens_ns;
    if (j->tokens < j->weight)
        return refuse(j, REASON_MESSAGE_RATE, rate.messages_per_s, shown(j->weight, MESSAGE));
    return REASON_OK;
}

static bool is_free_strategy(const struct strategy_slot *slot, const struct account_limits *limits, int64_t now_ns)
{
    return slot->strategy == 0 || (!slot->tripped && now_ns - slot->run_start_ns >= limits->period_ns);
}

uint32_t strategy_place(const struct account *account, uint64_t strategy, const struct account_limits *limits, int64_t now_ns)
{
    uint32_t found = NONE;
    for (uint32_t i = 0; i < STRATEGY_SLOTS; i++) {
        uint32_t at = (uint32_t)(strategy + i) % STRATEGY_SLOTS;
        if (account->strategies[at].strategy == strategy)
            return at;
        if (found == NONE && is_free_strategy(&account->strategies[at], limits, now_ns))
            found = at;
        if (account->strategies[at].strategy == 0 && found != NONE)
            break; /* never used: nothing was ever placed beyond it */
    }
    return found;
}

uint32_t basket_place(const struct account *account, uint64_t basket, const struct account_limits *limits, int64_t now_ns)
{
    uint32_t found = NONE;
    for (uint32_t i = 0; i < BASKET_SLOTS; i++) {
        uint32_t at = (uint32_t)(basket + i) % BASKET_SLOTS;
        const struct basket_slot *slot = &account->baskets[at];
        if (slot->basket == basket)
            return at;
        if (found == NONE && (slot->basket == 0 || now_ns - slot->last_ns >= limits->period_ns))
            found = at;
        if (slot->basket == 0)
            break;
    }
    return found;
}

uint32_t parent_place(const struct account *account, uint64_t parent)
{
    for (uint32_t i = 0; i < PARENT_SLOTS; i++) {
        uint32_t at = (uint32_t)(parent + i) % PARENT_SLOTS;
        if (account->parents[at].parent == parent || account->parents[at].parent == 0)
            return at;
    }
    return NONE;
}

/* Whether the strategy does the same again and again. Its runs count accepted orders. */
enum order_reason judge_strategy(struct judgement *j)
{
    const struct order *order = j->order;
    int64_t most = j->terms->limits.repeats_max, rearmed = 0;
    j->strategy_at = NONE;
    if (order->strategy == 0 || most == LIMIT_UNLIMITED)
        return REASON_OK;
    j->strategy_at = strategy_place(j->as_account, order->strategy, &j->terms->limits, j->now_ns);
    if (j->strategy_at == NONE)
        return REASON_NO_ROOM;
    const struct strategy_slot *slot = &j->as_account->strategies[j->strategy_at];
    bool known = slot->strategy == order->strategy;
    if (known && slot->tripped) {
        if (!limit_set_find(&j->gate->table, LIMIT_SET_REARMED, order->strategy, &rearmed) || rearmed <= slot->rearmed_seen)
            return refuse(j, REASON_REPEATED_EXECUTION, most, most + 1);
    }
    bool again = known && !slot->tripped && slot->instrument_id == order->instrument_id && slot->side == order->side &&
                 slot->qty == order->qty && j->now_ns - slot->run_start_ns < j->terms->limits.period_ns;
    int64_t count = again ? slot->count + 1 : 1;
    if (count <= most)
        return REASON_OK;
    j->trips = true;
    return refuse(j, REASON_REPEATED_EXECUTION, most, most + 1);
}

enum order_reason judge_repeats(struct judgement *j)
{
    if (j->account && account_may_know(j->account, j->order->order_id) &&
        ledger_order(j->gate->ledger, j->order->account, j->order->order_id))
        return REASON_DUPLICATE_ORDER;
    if (was_sent(j))
        return REASON_DUPLICATE_ORDER;
    enum order_reason reason;
    if ((reason = judge_rate(j)) || (reason = judge_session(j)))
        return reason;
    return judge_strategy(j);
}

int64_t period_width(const struct account_limits *limits)
{
    return (limits->period_ns + PERIOD_PARTS - 1) / PERIOD_PARTS;
}

bool period_is_kept(const struct account *account, const struct account_limits *limits)
{
    int64_t width_ns = account->period_width_ns;
    return (width_ns - 1) * PERIOD_PARTS < limits->period_ns && limits->period_ns <= width_ns * PERIOD_PARTS;
}

/* Whether now is still in the newest part, whose total is known; also when the clock went back. */
bool period_runs(const struct account *account, const struct account_limits *limits, int64_t now_ns)
{
    return period_is_kept(account, limits) && now_ns - account->period_start_ns < account->period_width_ns;
}

/* The eight parts of the period behind now, and the part that now is in: never less than the period. */
wide period_sum(const struct account *account, const struct account_limits *limits, int64_t now_ns, int64_t *index)
{
    wide sum = 0;
    bool is_same = period_is_kept(account, limits); /* if not, the limit was changed: forget nothing */
    *index = period_runs(account, limits, now_ns) ? account->period_newest
             : now_ns / (is_same ? account->period_width_ns : period_width(limits));
    for (int i = 0; i < PERIOD_BUCKETS; i++)
        if (!is_same || account->period_index[i] >= *index - PERIOD_PARTS)
            sum += account->period_values[i];
    return value_cap(sum);
}

/* A child counts with what is open and what was filled; a replaced child of the same parent with its increase. */
static enum order_reason judge_parent(struct judgement *j)
{
    uint64_t parent = j->order->parent;
    j->parent_at = NONE;
    if (parent == 0 && j->target)
        parent = j->target->parent;
    j->parent = parent;
    if (parent == 0)
        return REASON_OK;
    bool sibling = j->target && j->target->parent == parent;
    j->parent_added = sibling ? j->added : j->order->qty;
    uint32_t at = parent_place(j->as_account, parent);
    if (at == NONE || j->as_account->parents[at].parent != parent)
        return REASON_PARENT_QTY;
    const struct parent_slot *slot = &j->as_account->parents[at];
    wide used = (wide)slot->used + j->parent_added;
    if (used > slot->declared)
        return refuse(j, REASON_PARENT_QTY, slot->declared, lots_cap(used));
    j->parent_at = at;
    return REASON_OK;
}

enum order_reason judge_sums(struct judgement *j)
{
    const struct account *account = j->as_account;
    const struct order *order = j->order;
    int64_t index;
    wide sum = value_cap(period_sum(account, &j->terms->limits, j->now_ns, &index) + j->value);
    if (sum > j->terms->period)
        return refuse(j, REASON_PERIOD_VALUE, j->terms->limits.period_value, shown(sum, VALUE_PER_MICRO));
    j->basket_at = NONE;
    if (order->basket && j->terms->limits.basket_value != LIMIT_UNLIMITED) {
        j->basket_at = basket_place(account, order->basket, &j->terms->limits, j->now_ns);
        if (j->basket_at == NONE)
            return REASON_NO_ROOM;
        const struct basket_slot *slot = &account->baskets[j->basket_at];
        sum = value_cap((slot->basket == order->basket ? slot->value : 0) + j->value);
        if (sum > j->terms->basket)
            return refuse(j, REASON_BASKET_VALUE, j->terms->limits.basket_value, shown(sum, VALUE_PER_MICRO));
    }
    return judge_parent(j);
}
