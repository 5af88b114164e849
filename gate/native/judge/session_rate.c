/* The message rate of a session: one bucket for all accounts that send by it, beside the bucket of each account.
 *
 * A session has a rate where people set one (a row of the limit table under the session's hash) and none otherwise: unlike an
 * account, which nobody may use before it was granted something, a session is bounded already by the accounts that send by it.
 * A row whose rate or burst is unset says that it should be bounded and not by what, and refuses.
 *
 * Invariant: of accounts that send at once no two spend the same message: a judgement looks, booking looks again and takes, both
 * under the bucket's own lock. It is taken after the account's, and nothing is locked after it. Rejected: the bucket in the
 * place of an account (two orders that name each other's account as session would wait for each other for ever). */
#include "judge/judge.h"

struct session_rate *ledger_session_rate(struct ledger *ledger, uint64_t session)
{
    struct session_rate *rates = ledger_session_rates(ledger);
    for (uint32_t step = 0; step < SESSION_RATES; step++) {
        struct session_rate *rate = &rates[((uint32_t)(session >> 32) + step) % SESSION_RATES];
        uint64_t found = atomic_load_explicit(&rate->session, memory_order_acquire);
        if (found == session || found == 0)
            return rate;
    }
    return NULL;
}

/* The session's bucket, made when there is none; NULL = no room. */
static struct session_rate *bucket_of(struct ledger *ledger, uint64_t session)
{
    struct session_rate *rate;
    while ((rate = ledger_session_rate(ledger, session))) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong_explicit(&rate->session, &found, session, memory_order_acq_rel,
                                                    memory_order_acquire) ||
            found == session)
            break;
    } /* another session took the place: look again */
    return rate;
}

static enum order_reason refuse_session(struct judgement *j)
{
    return refuse(j, REASON_SESSION_RATE, j->session_rate.messages_per_s, shown(j->weight, MESSAGE));
}

/* Read what people said of the session; without a rate it is remembered as free. */
static enum order_reason read_rate(struct judgement *j)
{
    struct account_limits limits;
    struct limit_account_seen seen;
    enum limit_read found = limit_table_see_account(&j->gate->table, j->order->session, &limits, &seen);
    if (found == LIMIT_TORN)
        return REASON_TORN_READ;
    if (found == LIMIT_FOUND && (limits.messages_per_s < 0 || limits.message_burst < 0))
        return REASON_LIMIT_UNSET;
    j->session_is_rated = found == LIMIT_FOUND && limits.messages_per_s != LIMIT_UNLIMITED;
    if (j->session_is_rated) {
        j->session_rate = (struct message_rate){limits.messages_per_s, limits.message_burst};
    } else {
        j->terms->free_session = j->order->session;
        j->terms->free_seen = seen;
    }
    return REASON_OK;
}

enum order_reason judge_rated_session(struct judgement *j)
{
    j->session_is_rated = false;
    enum order_reason reason = read_rate(j);
    if (reason != REASON_OK || !j->session_is_rated)
        return reason;
    int64_t tokens = 0, tokens_ns = 0;
    struct session_rate *rate = ledger_session_rate(j->gate->ledger, j->order->session);
    if (!rate)
        return REASON_NO_ROOM;
    if (atomic_load_explicit(&rate->session, memory_order_acquire) == j->order->session) {
        spin_lock(&rate->lock);
        tokens = rate->tokens;
        tokens_ns = rate->tokens_ns;
        spin_unlock(&rate->lock);
    }
    return tokens_filled(j->session_rate, tokens, tokens_ns, j->now_ns) < j->weight ? refuse_session(j) : REASON_OK;
}

enum order_reason session_spend(struct judgement *j)
{
    struct session_rate *rate = bucket_of(j->gate->ledger, j->order->session);
    if (!rate)
        return REASON_NO_ROOM;
    spin_lock(&rate->lock);
    int64_t tokens = tokens_filled(j->session_rate, rate->tokens, rate->tokens_ns, j->now_ns);
    bool is_enough = tokens >= j->weight;
    if (is_enough) {
        rate->tokens_ns = j->now_ns > rate->tokens_ns ? j->now_ns : rate->tokens_ns;
        atomic_signal_fence(memory_order_seq_cst); /* a crash between the two forgets a refill and never counts one twice */
        rate->tokens = tokens - j->weight;
    }
    spin_unlock(&rate->lock);
    return is_enough ? REASON_OK : refuse_session(j);
}

void session_return(struct judgement *j)
{
    struct session_rate *rate = bucket_of(j->gate->ledger, j->order->session); /* it is there: it was spent from */
    spin_lock(&rate->lock);
    rate->tokens = tokens_filled(j->session_rate, rate->tokens + j->weight, rate->tokens_ns, rate->tokens_ns);
    spin_unlock(&rate->lock);
}
