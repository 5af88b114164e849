/* The message rate of a session: one bucket for all accounts that send by it, beside the bucket of each account.
 *
 * A session has a rate where people set one (a row of the limit table under the session's hash) and none otherwise: unlike an
 * account, which nobody may use before it was granted something, a session is bounded already by the accounts that send by it.
 * A row whose rate or burst is unset says that it should be bounded and not by what, and refuses.
 *
 * Invariant: of accounts that send at once no two spend the same message: a judgement looks, booking looks again and takes. The
 * bucket has a lock of its own, taken after the account's, and nothing is locked after it. Rejected: the bucket in the place of
 * an account (two orders that name each other's account as their session would wait for each other for ever). */
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

/* What people said of the session: as it was read for the account's last order by it, or anew. */
static enum order_reason read_rate(struct judgement *j)
{
    struct session_terms local = {0}, *terms = j->account ? &j->account->session : &local;
    const struct limit_table *table = &j->gate->table;
    struct account_limits limits;
    if (terms->session != j->order->session || !limit_account_unchanged(table, terms->seen)) {
        terms->session = 0;
        enum limit_read found = limit_table_see_account(table, j->order->session, &limits, &terms->seen);
        if (found == LIMIT_TORN)
            return REASON_TORN_READ;
        if (found == LIMIT_FOUND && (limits.messages_per_s < 0 || limits.message_burst < 0))
            return REASON_LIMIT_UNSET;
        terms->session = j->order->session;
        terms->rate = found == LIMIT_FOUND ? (struct message_rate){limits.messages_per_s, limits.message_burst}
                                           : (struct message_rate){LIMIT_UNLIMITED, LIMIT_UNLIMITED};
    }
    j->session_rate = terms->rate;
    j->session_is_rated = terms->rate.messages_per_s != LIMIT_UNLIMITED;
    return REASON_OK;
}

/* Whether a bucket holds what the order weighs: as it stands, which costs no lock, or else with what it gained since. */
static bool is_enough(const struct judgement *j, struct session_rate *bucket)
{
    struct message_rate rate = j->session_rate;
    if (atomic_load_explicit(&bucket->tokens, memory_order_relaxed) >= j->weight && bucket_size(rate.message_burst) >= j->weight)
        return true;
    int64_t tokens = 0, tokens_ns = 0;
    if (atomic_load_explicit(&bucket->session, memory_order_acquire) == j->order->session) {
        spin_lock(&bucket->lock);
        tokens = atomic_load_explicit(&bucket->tokens, memory_order_relaxed);
        tokens_ns = bucket->tokens_ns;
        spin_unlock(&bucket->lock);
    }
    return tokens_filled(rate, tokens, tokens_ns, j->now_ns) >= j->weight;
}

enum order_reason judge_rated_session(struct judgement *j)
{
    j->session_is_rated = false;
    j->weight = j->in_force[LIMIT_MESSAGE_WEIGHT] * MESSAGE_PERMILLE;
    enum order_reason reason = read_rate(j);
    if (reason != REASON_OK || !j->session_is_rated)
        return reason;
    struct session_rate *bucket = ledger_session_rate(j->gate->ledger, j->order->session);
    if (!bucket)
        return REASON_NO_ROOM;
    return is_enough(j, bucket) ? REASON_OK : refuse_session(j);
}

enum order_reason session_spend(struct judgement *j)
{
    struct session_rate *bucket = bucket_of(j->gate->ledger, j->order->session);
    if (!bucket)
        return REASON_NO_ROOM;
    spin_lock(&bucket->lock);
    int64_t held = atomic_load_explicit(&bucket->tokens, memory_order_relaxed);
    int64_t tokens = tokens_filled(j->session_rate, held, bucket->tokens_ns, j->now_ns);
    bool is_spent = tokens >= j->weight;
    if (is_spent) {
        bucket->tokens_ns = j->now_ns > bucket->tokens_ns ? j->now_ns : bucket->tokens_ns;
        atomic_signal_fence(memory_order_seq_cst); /* a crash between the two forgets a refill and never counts one twice */
        atomic_store_explicit(&bucket->tokens, tokens - j->weight, memory_order_relaxed);
    }
    spin_unlock(&bucket->lock);
    return is_spent ? REASON_OK : refuse_session(j);
}

void session_return(struct judgement *j)
{
    struct session_rate *bucket = bucket_of(j->gate->ledger, j->order->session); /* it is there: it was spent from */
    spin_lock(&bucket->lock);
    int64_t held = atomic_load_explicit(&bucket->tokens, memory_order_relaxed) + j->weight, at_ns = bucket->tokens_ns;
    atomic_store_explicit(&bucket->tokens, tokens_filled(j->session_rate, held, at_ns, at_ns), memory_order_relaxed);
    spin_unlock(&bucket->lock);
}
