"""What administrators set for one instrument or account, and how a loosening ends. Pure; times are arguments.

Invariants: what is in force is never looser than any administrator allows; it loosens by a command of two people alone,
never by time; when a loosening ends, what was in force before it caps everything again. A loosening outlasts the ends of
those that it replaces, and a later tightening stays tight across any end. Rejected: going back to the policy of before
(it would undo a tightening that came since).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Generic

from gate.policy.administrators import Policy, capped, combined, fields_of, flat, is_fact, loosens, policy_of, withdraws
from gate.policy.commands import require_expiry, require_maker, require_two
from gate.policy.tightness import is_looser
from schemas.records import RiskCommand


@dataclass(frozen=True, slots=True)
class Cap(Generic[Policy]):
    """What nothing may exceed after the end of a loosening.

    Attributes:
        policy: What was in force before it.
        ends_ns: When it ends, on the clock of commands.
        is_over: It has, on the clock of orders; the book says when.
    """

    policy: Policy
    ends_ns: int
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Grants(Generic[Policy]):
    """The policies of one instrument or account.

    Attributes:
        nothing: The policy that says nothing.
        remembered: Every field as it was last set, also where it is unset now.
        said: What each administrator said last.
        caps: One per loosening that has an end.
    """

    nothing: Policy
    remembered: Policy
    said: dict[str, Policy] = field(default_factory=dict)
    caps: tuple[Cap[Policy], ...] = ()

    def in_force(self) -> Policy:
        """Return what orders must respect now."""
        return _under(self, [cap.policy for cap in self.caps if cap.is_over])

    def ends_with(self, command: RiskCommand) -> bool:
        """Return whether what ``command`` loosened has not been replaced."""
        return any(cap.ends_ns == command.expires_ns for cap in self.caps)

    def ended(self, command: RiskCommand) -> "Grants[Policy]":
        """Return the grants after the end of what ``command`` loosened."""
        ends_ns = command.expires_ns
        return replace(self, caps=tuple(replace(c, is_over=c.is_over or c.ends_ns == ends_ns) for c in self.caps))

    def changed(self, command: RiskCommand, policy: Policy, at_ns: int) -> "Grants[Policy]":
        """Return the grants after ``command`` sets ``policy``.

        Args:
            command: Its administrator, people, reason and expiry count.
            policy: What the administrator says from now on.
            at_ns: When the command is judged, on its own clock: a topic that is read again is judged as it was.

        Raises:
            CommandRefusedError: ``no_maker``, ``same_person``; for a loosening ``no_checker``, ``no_reason``, ``no_expiry``.
        """
        require_maker(command)
        before: Policy = _at(self, at_ns)
        given_up: list[str] = withdraws(self.said.get(command.administrator, self.nothing), policy)
        caps = tuple(replace(cap, is_over=cap.is_over or at_ns >= cap.ends_ns) for cap in self.caps)
        new = replace(self, said={**self.said, command.administrator: policy}, caps=caps)
        if command.checker or not loosens(before, _under(new, ())):
            new = replace(new, caps=tuple(cap for cap in caps if at_ns < cap.ends_ns))  # people decided anew
        after: Policy = _at(new, at_ns)
        opened: list[str] = loosens(before, after)
        if opened or given_up:
            what = _what([*opened, *given_up])
            require_two(command, what)
            raised = [*self._raised(opened, before, after), *(name for name in given_up if not is_fact(after, name))]
            if raised or command.expires_ns is not None:
                new = _ending(new, require_expiry(command, what), before)
                opened = [name for name in opened if is_fact(after, name)]
            new = _with_lasting(new, opened, after)
        return replace(new, remembered=_with_fields(self.remembered, after, _set_fields(after)))

    def _raised(self, opened: list[str], before: Policy, after: Policy) -> list[str]:
        """Return the opened fields that are looser than a value that was set, now or before it was unset."""
        kinds, was, known, will = fields_of(after), flat(before), flat(self.remembered), flat(after)
        return [
            name
            for name in opened
            if not is_fact(after, name)
            and (was[name] is not None or (known[name] is not None and is_looser(kinds[name], known[name], will[name])))
        ]


def _under(grants: Grants[Policy], caps: Iterable[Policy]) -> Policy:
    return reduce(capped, caps, combined(grants.said.values(), grants.nothing))


def _at(grants: Grants[Policy], at_ns: int) -> Policy:
    """Return what is in force at a time on the clock of commands."""
    return _under(grants, [cap.policy for cap in grants.caps if at_ns >= cap.ends_ns])


def _ending(grants: Grants[Policy], ends_ns: int, before: Policy) -> Grants[Policy]:
    """Return the grants with a loosening until ``ends_ns``, which outlasts those that end before it."""
    replaced = [cap.policy for cap in grants.caps if cap.ends_ns <= ends_ns]
    caps = [cap for cap in grants.caps if cap.ends_ns > ends_ns]
    caps.append(Cap(reduce(capped, replaced, before), ends_ns))
    return replace(grants, caps=tuple(caps))


def _with_lasting(grants: Grants[Policy], names: list[str], after: Policy) -> Grants[Policy]:
    """Return the grants in which no end takes these fields back: set for good, or facts of now."""
    return replace(grants, caps=tuple(replace(c, policy=_with_fields(c.policy, after, names)) for c in grants.caps))


def _with_fields(policy: Policy, source: Policy, names: Iterable[str]) -> Policy:
    values = flat(source)
    return policy_of(policy, {**flat(policy), **{name: values[name] for name in names}})


def _set_fields(policy: Policy) -> list[str]:
    return [name for name, value in flat(policy).items() if value is not None]


def _what(names: list[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - 3} more" if len(distinct) > 3 else ""
    return f"loosening {', '.join(distinct[:3])}{more}"
