"""What the gate's keeping side raises."""


class TableFullError(RuntimeError):
    """The limit table has no room for another instrument or account; its orders are refused as unknown.

    Attributes:
        what: What has no row, for example ``instrument 7``.
        capacity: How many of its kind the table holds.
    """

    def __init__(self, what: str, capacity: int) -> None:
        super().__init__(f"no room for {what}: the limit table holds {capacity}")
        self.what = what
        self.capacity = capacity


class FactRefusedError(ValueError):
    """A fact that a trading process must not take: nobody stands behind it, or it says what cannot be.

    Attributes:
        cause: ``no_maker``, ``same_person``, ``no_checker``, ``no_reason`` or ``bad_record``.
        detail: What was wrong, for a person.
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
