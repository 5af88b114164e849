"""Lines of a file that may be damaged, with their places."""

from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import IO

from feeds.blocks import READ_ERRORS, FeedError

Place = tuple[Path, int]
"""File, and line from 1."""


def lines_of(
    path: Path,
    opened_by: Callable[[Path], BufferedIOBase | IO[bytes]],
    bytes_max: int,
    *,
    read_errors: tuple[type[Exception], ...] = READ_ERRORS,
) -> Iterator[tuple[Place, bytes]]:
    """Yield the lines of a file.

    Args:
        path: File.
        opened_by: Opens it, for bytes.
        bytes_max: Longest line; a longer one is damage, and is not read whole.
        read_errors: What reading it may raise.

    Raises:
        FeedError: A line is too long, or the file cannot be read on.
    """
    number = 0
    try:
        with opened_by(path) as opened:
            while line := opened.readline(bytes_max + 1):
                number += 1
                if len(line) > bytes_max:
                    raise FeedError(path, number, f"a line of more than {bytes_max} bytes")
                yield (path, number), line
    except read_errors as error:
        raise FeedError(path, number + 1, f"cannot be read on ({error})") from error
