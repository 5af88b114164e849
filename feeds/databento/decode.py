"""DBN bytes → records of the vendor's library, with what that library leaves open on damaged input. Pure, streaming.

The library decodes every version (1 to 3, upgraded to 3), but a zstd stream that was cut short ends without a word, a damaged
metadata length is allocated as it stands, and a record shorter than its type panics through ``except Exception``.
So the stream is unpacked and its header checked here, and a panic becomes an error with its place.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import databento_dbn as dbn
import zstandard

from feeds.blocks import FeedError

if TYPE_CHECKING:
    from databento_dbn import DBNRecord

METADATA_BYTES_MAX: Final = 1 << 26
"""Some 900,000 symbols; a longer header is damage."""

VERSIONS: Final = (1, 2, 3)
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PROLOGUE: Final = 8


def records(chunks: Iterable[bytes], name: str) -> "Iterator[dbn.Metadata | DBNRecord]":
    """Yield the metadata, then every record.

    Args:
        chunks: The file's bytes, plain or zstd; small ones, since one is unpacked at a time.
        name: File name for errors; their line is the number of the record, 0 in the metadata.

    Raises:
        FeedError: Not DBN, of a version that is not known, damaged, or cut short.
    """
    decoder = dbn.DBNDecoder()
    count = -1
    for chunk in _headed(_unpacked(chunks, name), name):
        for record in _decoded(decoder, chunk, (name, max(count, 0))):
            count += 1
            yield record
    if count < 0 or decoder.buffer():
        raise FeedError(name, max(count, 0), "cut short")


def _decoded(decoder: dbn.DBNDecoder, chunk: bytes, place: tuple[str, int]) -> "list[dbn.Metadata | DBNRecord]":
    try:
        return list(decoder.write_and_decode(chunk))
    except (dbn.DBNError, RuntimeError, ValueError, OverflowError) as error:
        raise FeedError(*place, f"cannot be decoded (a record after this one): {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the library's own type is not exported
            raise
        raise FeedError(*place, f"cannot be decoded (a record after this one): {error}") from error


def _headed(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield the bytes on, once their first eight are those of a DBN file."""
    head, checked = b"", False
    for chunk in chunks:
        if checked:
            yield chunk
            continue
        head += chunk
        if len(head) < _PROLOGUE:
            continue
        version, size = head[3], int.from_bytes(head[4:_PROLOGUE], "little")
        if head[:3] != b"DBN" or version not in VERSIONS:
            raise FeedError(name, 0, f"not a DBN file of version 1 to 3, it starts with {head[:4]!r}")
        if size > METADATA_BYTES_MAX:
            raise FeedError(name, 0, f"its header would have {size} bytes")
        checked = True
        yield head
    if not checked:
        raise FeedError(name, 0, f"not a DBN file, it has {len(head)} bytes")


def _unpacked(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield the plain bytes of a file, all frames of it when it is zstd."""
    packed: bool | None = None
    head = b""
    frame: zstandard.ZstdDecompressionObj | None = None
    for chunk in chunks:
        data = head + chunk
        if packed is None and len(data) < len(_ZSTD):
            head = data
            continue
        head = b""
        packed = data.startswith(_ZSTD) if packed is None else packed
        if not packed:
            yield data
            continue
        while data:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                yield frame.decompress(data)
            except zstandard.ZstdError as error:
                raise FeedError(name, 0, f"zstd: {error}") from error
            data = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if head:
        yield head
    if frame is not None:
        raise FeedError(name, 0, "cut short inside a zstd frame")
