"""The arena of TensorFlow Lite Micro: bytes to reserve, from the bytes that stay in use on a host.

`arena_used_bytes()` is too little to allocate with: the plan of the memory lies in the arena too
while it is made. Measured on exported models, allocation needs 1.2 to 1.7 times the bytes that stay
in use; a 32-bit device, with pointers of 4 bytes, uses 56 to 73 % of the bytes of a host.
"""

# The largest measured factor, and a little more.
_ALLOCATION = 1.75
# 1.7 times 73 %, and a little more.
_ON_32_BITS = 1.25
ALIGNMENT = 16
# The order of a file's constants changes the bytes in use by a few.
_ROUNDED = 64


def rounded_use(used: int) -> int:
    """Round the bytes that stay in use on a host up, so that equal models give equal sources."""
    return _up(used, _ROUNDED)


def bytes_to_reserve(used: int) -> int:
    """Return the size of an arena that is enough on hosts and on devices.

    Args:
        used: Bytes that stay in use on a host with pointers of 8 bytes.
    """
    return _up(_ALLOCATION * rounded_use(used), ALIGNMENT)


def bytes_to_reserve_on_32_bits(used: int) -> int:
    """Return the size of an arena that is enough on devices with pointers of 4 bytes.

    Args:
        used: Bytes that stay in use on a host with pointers of 8 bytes.
    """
    return _up(_ON_32_BITS * rounded_use(used), ALIGNMENT)


def bytes_of_unknown_file(size: int) -> int:
    """Return the size of an arena that was enough for all files, from the size of the file."""
    return _up(10 * size + 65536, ALIGNMENT)


def _up(count: float, unit: int) -> int:
    return int(-(-count // unit) * unit)
