"""What a JPEG's markers say of its scans, before and while it is decoded: that they are few, and all there.

Decoders fill what is missing with grey, without a word, where somebody put an end mark after half a file; and
each scan of a progressive file passes over the whole picture, so that a small file of thousands holds a
processor for minutes. (Markers: ITU-T T.81, annex B; progressive scans: annex G.)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edit_rrm.errors import ImageError

MAX_SCANS = 64
"""Encoders make up to about a dozen, libjpeg's own scripts ten."""

_MAX_SEGMENTS = 4096  # 320 of the largest fill the 20 MiB that a file may have
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN, _END, _NUMBER_OF_LINES = 0xDA, 0xD9, 0xDC
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
# 0xFF begins a marker, but for a byte 0xFF of the data (a zero follows), restarts, and fill bytes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Bits that no code begins with: a decoder that looks ahead finds enough of them, one that still has blocks
# to read comes to their end.
_PAD = b"\xff\x00" * 16
_COEFFICIENTS = 64


@dataclass(frozen=True)
class _Segment:
    """A marker, and what it holds from `start` to `end`."""

    marker: int
    start: int
    end: int


def without_unseen_end(data: bytes) -> bytes:
    """The file as a decoder is to be given it that is content with half of one.

    The only scan of a file ends in the pad in place of its end mark: a decoder that has not read all of the
    picture by then asks for more, as of a file that was cut off. A file of several scans is what it was.

    Raises ImageError (broken_image) for more than MAX_SCANS scans (or thousands of segments), and for several
    scans of which the last are missing. What is no JPEG in another way the decoder will tell.
    """
    frame: _Segment | None = None
    scans: list[_Segment] = []
    end = -1
    for segment in _segments(data):
        if segment.marker in _FRAMES and frame is None:
            frame = segment
        elif segment.marker == _SCAN:
            scans.append(segment)
            if len(scans) > MAX_SCANS:
                raise ImageError("broken_image", f"the JPEG has more than {MAX_SCANS} scans")
            if _is_only(data, frame, segment):
                end = data.find(b"\xff\xd9", segment.end)
                break
        elif segment.marker == _NUMBER_OF_LINES:
            return data
    if frame is None or not scans:
        return data
    if end >= 0:
        return data[:end] + _PAD
    if len(scans) > 1 or frame.marker in _PROGRESSIVE:
        _check_complete(data, frame, scans)
    return data


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments up to the end mark or to what is none; those of the pictures within them are not seen.

    Raises ImageError for too many.
    """
    place, count = 2, 0
    while (found := _MARKER.search(data, place)) is not None:
        marker = data[found.end() - 1]
        if marker == _END:
            return
        if marker in _BARE:
            place = found.end()
            continue
        start = found.end() + 2
        length = int.from_bytes(data[found.end() : start], "big")
        end = found.end() + length
        if length < 2 or end > len(data):
            return
        count += 1
        if count > _MAX_SEGMENTS:
            raise ImageError("broken_image", f"the JPEG has more than {_MAX_SEGMENTS} segments")
        yield _Segment(marker, start, end)
        place = end


def _is_only(data: bytes, frame: _Segment | None, scan: _Segment) -> bool:
    """Whether the scan has all components of a frame that needs no other."""
    return (
        frame is not None and frame.marker not in _PROGRESSIVE and data[scan.start] == data[frame.start + 5]
    )


def _check_complete(data: bytes, frame: _Segment, scans: list[_Segment]) -> None:
    """Raises ImageError where a coefficient of a component comes in no scan, or not to its last bit."""
    progressive = frame.marker in _PROGRESSIVE
    components = [data[place] for place in range(frame.start + 6, frame.end, 3)]
    missing = {component: set(range(_COEFFICIENTS)) for component in components}
    for scan in scans:
        count = data[scan.start]
        first, last, bits = data[scan.start + 1 + 2 * count : scan.start + 4 + 2 * count].ljust(3, b"\0")
        if progressive and bits & 15:
            continue  # further bits of them come later
        told = range(first, last + 1) if progressive else range(_COEFFICIENTS)
        for place in range(count):
            missing.get(data[scan.start + 1 + 2 * place], set()).difference_update(told)
    if any(missing.values()):
        raise ImageError("broken_image", f"the JPEG is truncated: scans are missing after {len(scans)}")
