"""Questions about the stream of orders: sent twice, too many, again and again, too much in a period, basket or parent.

Invariant: what is counted here was accepted; a refused order takes no token and no value. The message bucket is counted in
1e-9 messages, so refilling divides nothing and loses nothing.
"""

from typing import Final

from gate.reference.case import Case, Refusal, above, value_above
from gate.reference.ledger import BASKET_SLOTS, REPEAT_SLOTS, SESSION_RATES, Basket, Bucket, Run
from gate.reference.orders import Order, Reason
from gate.rows import UNLIMITED, AccountRow

BUCKETS: Final = 8
TOKENS_MAX: Final = 2**62
TOKENS_PER_MESSAGE: Final = 10**9
TOKENS_PER_WEIGHT: Final = 10**6


def book(case: Case) -> None:
    """Count an accepted order."""
    _book_rate(case)
    _book_repeats(case)
    _book_period(case)
    _book_basket(case)


def judge_duplicate(case: Case) -> Refusal | None:
    """Refuse an id that was used, and a new order equal to one of a moment ago."""
    order, account = case.order, case.account
    used = order.order_id in account.working or order.order_id in account.ids
    window_ns = case.granted.duplicate_ns or 0
    again = (
        not order.is_replace
        and window_ns > 0
        and any(
            content(order) == content(sent) and case.now_ns - sent_ns < window_ns
            for sent, sent_ns in case.position.recent
        )
    )
    return Refusal(Reason.DUPLICATE_ORDER) if used or again else None


def content(order: Order) -> tuple[int, ...]:
    """Return what makes two orders of a position equal."""
    return (order.side, order.order_type, order.qty, order.price, order.strategy)


def judge_rate(case: Case) -> Refusal | None:
    """Refuse when the bucket does not hold what the order costs."""
    cost = message_cost(case)
    if case.granted.messages_per_s == UNLIMITED or tokens(case.account.messages, case.granted, case.now_ns) >= cost:
        return None
    return Refusal(Reason.MESSAGE_RATE, case.granted.messages_per_s, -(-cost // TOKENS_PER_MESSAGE))


def judge_session(case: Case) -> Refusal | None:
    """Refuse when the bucket of the session does not hold it either, where people gave the session a rate."""
    session, said = case.order.session, case.tables.accounts.get(case.order.session)
    if session == 0 or said is None:
        return None
    if said.messages_per_s is None or said.message_burst is None:
        return Refusal(Reason.LIMIT_UNSET)
    if said.messages_per_s == UNLIMITED:
        return None
    held = case.ledger.sessions.get(session)
    if held is None and len(case.ledger.sessions) >= SESSION_RATES:
        return Refusal(Reason.NO_ROOM)
    cost = message_cost(case)
    if tokens(held or Bucket(), said, case.now_ns) >= cost:
        return None
    return Refusal(Reason.SESSION_RATE, said.messages_per_s, -(-cost // TOKENS_PER_MESSAGE))


def tokens(bucket: Bucket, said: AccountRow, now_ns: int) -> int:
    """Return what a bucket holds now."""
    assert said.message_burst is not None
    assert said.messages_per_s is not None
    capacity = min(said.message_burst * TOKENS_PER_MESSAGE, TOKENS_MAX)
    if bucket.tokens is None:
        return capacity
    passed_ns = max(0, now_ns - bucket.at_ns)
    return min(capacity, bucket.tokens + passed_ns * said.messages_per_s)


def message_cost(case: Case) -> int:
    """Return what the order costs: riskier instruments weigh more."""
    assert case.limits.message_weight is not None
    return case.limits.message_weight * TOKENS_PER_WEIGHT


def judge_repeats(case: Case) -> Refusal | None:
    """Refuse what a strategy sends again and again, until a named person has looked."""
    most, strategy = case.granted.repeats_max, case.order.strategy
    assert most is not None
    if strategy == 0 or most == UNLIMITED:
        return None
    run = case.account.runs.get(strategy)
    if run is None and sum(not _is_over(case, other) for other in case.account.runs.values()) >= REPEAT_SLOTS:
        return Refusal(Reason.NO_ROOM)
    if is_tripped(case) or repeats(case) >= most:
        return Refusal(Reason.REPEATED_EXECUTION, most, most + 1)
    return None


def is_tripped(case: Case) -> bool:
    """Return whether the strategy's throttle waits for a person."""
    run = case.account.runs.get(case.order.strategy)
    return run is not None and run.tripped and case.tables.times_rearmed(case.order.strategy) <= run.rearmed_at_trip


def repeats(case: Case) -> int:
    """Return how often the strategy's present run had this order."""
    run = case.account.runs.get(case.order.strategy)
    in_run = run is not None and not run.tripped and run.what == what(case.order) and not _is_over(case, run)
    return run.count if run and in_run else 0


def what(order: Order) -> tuple[int, int, int]:
    """Return what is the same in each order of a run."""
    return (order.instrument_id, order.side, order.qty)


def _is_over(case: Case, run: Run) -> bool:
    assert case.granted.period_ns is not None
    return not run.tripped and case.now_ns - run.first_ns >= case.granted.period_ns


def _book_repeats(case: Case) -> None:
    """Count an accepted order into its run, or begin one."""
    strategy, runs = case.order.strategy, case.account.runs
    if strategy == 0 or case.granted.repeats_max == UNLIMITED:
        return
    for other in [key for key, run in runs.items() if key != strategy and _is_over(case, run)]:
        del runs[other]
    before = repeats(case)
    first_ns = runs[strategy].first_ns if before else case.now_ns
    runs[strategy] = Run(what(case.order), first_ns, before + 1)


def trip(case: Case) -> None:
    """Stop a strategy until its number of re-armings rises."""
    if not is_tripped(case):
        rearmed = case.tables.times_rearmed(case.order.strategy)
        case.account.runs[case.order.strategy] = Run(what(case.order), case.now_ns, 0, True, rearmed)


def judge_period(case: Case) -> Refusal | None:
    """Refuse when too much value was accepted in the last period."""
    accepted = sum(period_buckets(case).values())
    return value_above(Reason.PERIOD_VALUE, case.granted.period_value, accepted + case.value)


def period_buckets(case: Case) -> dict[int, int]:
    """Return the buckets that lie wholly or partly within the period."""
    newest, buckets = _newest_bucket(case), dict(case.account.buckets)
    if case.account.bucket_ns != bucket_width_ns(case):
        buckets = {newest: sum(buckets.values())}
    return {number: value for number, value in buckets.items() if number >= newest - BUCKETS}


def _book_period(case: Case) -> None:
    """Count an accepted order into the newest bucket."""
    newest, buckets = _newest_bucket(case), period_buckets(case)
    buckets[newest] = buckets.get(newest, 0) + case.value
    case.account.bucket_ns, case.account.buckets = bucket_width_ns(case), buckets


def bucket_width_ns(case: Case) -> int:
    """Return an eighth of the period, rounded up."""
    assert case.granted.period_ns is not None
    return -(-case.granted.period_ns // BUCKETS)


def _newest_bucket(case: Case) -> int:
    width_ns = bucket_width_ns(case)
    known = case.account.buckets if case.account.bucket_ns == width_ns else {}
    return max([case.now_ns // width_ns, *known])


def judge_basket(case: Case) -> Refusal | None:
    """Refuse when too much value was accepted under the order's basket."""
    basket, most = case.order.basket, case.granted.basket_value
    if basket == 0 or most == UNLIMITED:
        return None
    held = case.account.baskets.get(basket)
    if held is None and len(case.account.baskets) >= BASKET_SLOTS and _free_basket(case) is None:
        return Refusal(Reason.NO_ROOM)
    return value_above(Reason.BASKET_VALUE, most, (held.value if held else 0) + case.value)


def _free_basket(case: Case) -> int | None:
    """The basket unused longest, when that is a period ago."""
    assert case.granted.period_ns is not None
    oldest, held = min(case.account.baskets.items(), key=lambda item: item[1].last_ns)
    return oldest if case.now_ns - held.last_ns >= case.granted.period_ns else None


def judge_parent(case: Case) -> Refusal | None:
    """Refuse when the children would exceed their parent, or nobody declared it."""
    if case.parent == 0:
        return None
    parent = case.account.parents.get(case.parent)
    if parent is None:
        return Refusal(Reason.PARENT_QTY)
    same = case.target is not None and case.target.parent == case.parent
    more = case.increase if same else case.order.qty
    return above(Reason.PARENT_QTY, parent.declared, case.account.child_lots(case.parent) + more)


def _book_basket(case: Case) -> None:
    """Count an accepted order into its basket."""
    basket, baskets = case.order.basket, case.account.baskets
    if basket == 0 or case.granted.basket_value == UNLIMITED:
        return
    if basket not in baskets and len(baskets) >= BASKET_SLOTS and (free := _free_basket(case)) is not None:
        del baskets[free]
    held = baskets.setdefault(basket, Basket(0, case.now_ns))
    held.value += case.value
    held.last_ns = max(held.last_ns, case.now_ns)


def _book_rate(case: Case) -> None:
    """Take what an accepted order costs, of the account and of a session that has a rate."""
    if case.granted.messages_per_s != UNLIMITED:
        _spend(case, case.account.messages, case.granted)
    said = case.tables.accounts.get(case.order.session)
    if case.order.session and said is not None and said.messages_per_s != UNLIMITED:
        _spend(case, case.ledger.sessions.setdefault(case.order.session, Bucket()), said)


def _spend(case: Case, bucket: Bucket, said: AccountRow) -> None:
    bucket.tokens = tokens(bucket, said, case.now_ns) - message_cost(case)
    bucket.at_ns = max(bucket.at_ns, case.now_ns)
