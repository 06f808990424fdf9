"""Damage to zip archives, and .npy files that no program of ours writes."""

import io
import warnings
import zipfile
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.stress.trials import damaged_bytes

# Files of a preset or an archive by name, as they are before any damage.
Files = dict[str, bytes]


@st.composite
def damaged_archive(draw: st.DrawFn, content: bytes) -> bytes:
    """A zip archive with members renamed, removed, repeated, added, damaged or inflated."""
    members = _unpacked(content)
    name = draw(st.sampled_from(sorted(members)))
    part = members.pop(name)
    edit = draw(
        st.sampled_from(["remove", "rename", "twice", "add", "bytes", "inflate", "method", "array"])
    )
    pairs = list(members.items())
    if edit == "rename":
        pairs.append((draw(st.sampled_from(_NAMES)), part))
    elif edit == "twice":
        pairs += [(name, part), (name, part)]
    elif edit == "add":
        pairs += [(name, part), (draw(st.sampled_from(_NAMES)), draw(st.binary(max_size=64)))]
    elif edit == "bytes":
        pairs.append((name, draw(damaged_bytes(part))))
    elif edit == "inflate":
        pairs.append((name, part + bytes(draw(st.sampled_from([1, 1 << 10, 1 << 22])))))
    elif edit == "array":
        pairs.append((name, draw(st.sampled_from(ODD_ARRAYS))))
    packed = _packed(pairs, zipfile.ZIP_DEFLATED if edit == "inflate" else zipfile.ZIP_STORED)
    if edit == "method":
        packed = _packed([*pairs, (name, part)], zipfile.ZIP_STORED)
        # The compression method and the flags lie behind the signature of each header.
        at = packed.find(b"PK\x01\x02") + draw(st.integers(4, 45))
        packed = packed[:at] + bytes([draw(st.integers(0, 255))]) + packed[at + 1 :]
    return packed


def packed_files(files: Files) -> bytes:
    """Files as a zip archive without compression."""
    return _packed(list(files.items()), zipfile.ZIP_STORED)


def _packed(pairs: list[tuple[str, bytes]], method: int) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # names that are there twice
        for name, part in pairs:
            archive.writestr(zipfile.ZipInfo(name), part, method)
    return stream.getvalue()


def _unpacked(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _array(array: np.ndarray, **arguments: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **arguments)
    return stream.getvalue()


def with_header(text: str, size: int = 0) -> bytes:
    """An .npy file with any header, and a number of zero bytes."""
    header = text.encode("latin1").ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(size)


def _header(dtype: str, shape: str) -> str:
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}"


_NAMES = ["../up.json", "/etc/x", "a\\b", "x.npy", "assets/vocabulary.txt", "config.json", "é", ""]
ODD_ARRAYS = [
    b"",
    _array(np.array([{}, None], object), allow_pickle=True),
    _array(np.array(["a", "b"])),
    _array(np.zeros(3, [("a", "f4"), ("b", "i2")])),
    _array(np.array(["2020-01-01"], "datetime64[D]")),
    _array(np.zeros((0, 3), "float32")),
    _array(np.full((4, 3), np.nan)),
    _array(np.full((4, 3), 1e300)),
    _array(np.full((4, 3), 1 + 2j)),
    _array(np.zeros((4, 3), ">f8")),
    with_header(_header("'<f4'", f"({10**12},)"), 16),
    with_header(_header("'<f4'", f"({2**40}, {2**40})"), 16),
    with_header(_header("'<f4'", "(-1, -16)"), 64),
    with_header(_header("'<f4'", f"({'9' * 40},)"), 16),
    with_header(_header("'|O'", "(3,)"), 24),
    with_header(_header("'|V9999999999'", "(1,)"), 24),
    with_header("(" * 60, 24),
    with_header("__import__('os').system('true')", 24),
    with_header(_header("'<f4'", "(1,) * 80"), 4),
]
