"""The format of saved states: what a model has learned, as bytes.

    4 bytes     "LNNC"
    uint32      version of the format, 1
    uint32      digest of the model
    float32 ... the states that hold what was learned, in their order
    uint32      CRC-32 of all bytes before, as in zlib and IEEE 802.3

All numbers are little-endian.
"""

from __future__ import annotations

import zlib

from export.c.code.interface import Interface
from export.text_templates import fill

HEADER_BYTES, CHECKSUM_BYTES = 12, 4


def saved_bytes(interface: Interface) -> int:
    """Return the number of bytes of a saved state."""
    numbers = sum(interface.states[name].size for name in interface.learned)
    return HEADER_BYTES + 4 * numbers + CHECKSUM_BYTES


def saving_functions(interface: Interface, digested: str) -> str:
    """Return the functions that save and restore; `digested` is a text that tells models apart."""
    learned = [interface.states[name] for name in interface.learned]
    return fill(
        "export.c",
        "saved_state.c",
        prefix=interface.prefix,
        upper=interface.prefix.upper(),
        digest=f"0x{zlib.crc32(digested.encode()):08x}",
        save="\n".join(f"  bytes = put_floats(bytes, state->{v.name}, {v.size});" for v in learned),
        restore="\n".join(
            f"  bytes = get_floats(bytes, state->{v.name}, {v.size});" for v in learned
        ),
    )
