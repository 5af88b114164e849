/* What people granted the account: read from the table when it changed, and kept in the units of the judgement. */
#include "judge/judge.h"

static bool all_set(const struct account_limits *limits)
{
    /* The sign bit of any of them is the sign bit of their union. */
    int64_t any = limits->gross_value | limits->net_value | limits->instrument_value | limits->credit | limits->day_loss |
                  limits->drawdown | limits->period_value | limits->basket_value | limits->open_orders |
                  limits->messages_per_s | limits->message_burst | limits->repeats_max | limits->period_ns |
                  limits->duplicate_ns;
    return any >= 0 && limits->period_ns >= LIMIT_PERIOD_MIN_NS && limits->period_ns <= LIMIT_PERIOD_MAX_NS;
}

/* A limit in 1e-18 currency; what is unlimited is above every value and every sum of values. */
static wide most_of(int64_t limit)
{
    return limit == LIMIT_UNLIMITED ? UNLIMITED : (wide)limit * VALUE_PER_MICRO;
}

static void read_account(struct account_terms *terms, const struct limit_table *table, uint64_t account)
{
    struct account_limits *limits = &terms->limits;
    enum limit_read found = limit_table_see_account(table, account, limits, &terms->seen);
    terms->fault = found == LIMIT_FOUND ? REASON_OK : found == LIMIT_ABSENT ? REASON_UNKNOWN_ACCOUNT : REASON_TORN_READ;
    if (found != LIMIT_FOUND)
        return;
    if (!all_set(limits))
        terms->fault = REASON_LIMIT_UNSET;
    terms->gross = most_of(limits->gross_value);
    terms->net = most_of(limits->net_value);
    terms->instrument = most_of(limits->instrument_value);
    terms->credit = limits->credit == LIMIT_UNLIMITED ? UNLIMITED : most_of(limits->credit) * 1000;
    terms->day_loss = most_of(limits->day_loss);
    terms->drawdown = most_of(limits->drawdown);
    terms->period = most_of(limits->period_value);
    terms->basket = most_of(limits->basket_value);
}

static void read_firm(struct account_terms *terms, const struct limit_table *table, uint64_t firm)
{
    struct account_limits limits;
    enum limit_read found = limit_table_see_account(table, firm, &limits, &terms->firm_seen);
    bool is_judged = found == LIMIT_FOUND && limits.gross_value != LIMIT_UNLIMITED;
    terms->firm_fault = found == LIMIT_TORN ? REASON_TORN_READ
                        : is_judged && limits.gross_value < 0 ? REASON_LIMIT_UNSET
                                                              : REASON_OK;
    terms->firm_limit = is_judged ? limits.gross_value : LIMIT_UNLIMITED;
    terms->firm_most = is_judged ? (wide)limits.gross_value * VALUE_PER_MICRO >> FIRM_SHIFT : UNLIMITED;
}

static bool is_current(const struct account_terms *terms, const struct limit_table *table)
{
    return terms->is_read && limit_account_unchanged(table, terms->seen) && limit_account_unchanged(table, terms->firm_seen);
}

enum order_reason judge_account_limits(struct judgement *j)
{
    struct account_terms *terms = j->terms;
    if (!is_current(terms, &j->gate->table)) {
        if (j->account)
            j->account->has_room = 0;
        read_account(terms, &j->gate->table, j->order->account);
        read_firm(terms, &j->gate->table, j->gate->firm);
        terms->is_read = terms->fault != REASON_TORN_READ && terms->firm_fault != REASON_TORN_READ;
    }
    if (terms->fault != REASON_OK)
        return terms->fault;
    return terms->limits.class_mask >> class_of(j->words[W_FLAGS]) & 1 ? REASON_OK : REASON_NOT_PERMITTED;
}
