"""Checks of HDF5 files of weights before a library reads them: arrays of numbers without links."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.readers.files import FileError, reason, require_file, shown

MAX_OBJECTS = 100_000
MAX_DEPTH = 64
# Above this size, a compressed array may unpack to at most a multiple of its stored size.
FREE_BYTES = 64 << 20
MAX_EXPANSION = 100
_NUMBERS = "biuf"
# gzip, shuffle and checksum; others are plugins: libraries that HDF5 would load.
_FILTERS = (1, 2, 3)
_OPTIMIZER = "/optimizer/"


def count_weights(path: str | Path) -> int:
    """Check a file of weights, and return how many numbers it holds, without those of optimizers.

    Raises:
        FileError: There is no such file, it is damaged, or holds something else than arrays of
            numbers: links, data in other files, virtual arrays, plugins, or arrays that unpack to
            far more than their stored size.
    """
    import h5py

    path = require_file(path)
    count = 0
    try:
        with h5py.File(path, "r") as file:
            for name, dataset in _datasets(file):
                fault = _fault(dataset)
                if fault:
                    raise FileError(f"{shown(path)}: array {name!r} {fault}.")
                if not name.startswith(_OPTIMIZER):
                    count += math.prod(dataset.shape)
    except FileError as error:
        raise _named(error, path) from error.__cause__
    # Damaged files raise errors of many types in h5py.
    except Exception as error:
        raise FileError(f"{shown(path)} is no intact HDF5 file: {reason(error)}.") from error
    return count


def _named(error: FileError, path: Path) -> FileError:
    name = shown(path)
    return error if name in str(error) else FileError(f"{name}: {error}")


def _datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of a file with their paths; each object may be reached in one way only."""
    import h5py

    addresses: Any = h5py.h5o  # pyright: ignore[reportAttributeAccessIssue] # no stub

    seen = {addresses.get_info(file.id).addr}
    stack = [("", file)]
    while stack:
        path, group = stack.pop()
        if path.count("/") > MAX_DEPTH:
            raise FileError(f"its groups are nested more than {MAX_DEPTH} levels deep.")
        for key in group:
            name = f"{path}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise FileError(f"{name[:80]!r} is a link, which is not allowed.")
            item = group[key]
            address = addresses.get_info(item.id).addr
            if address in seen:
                raise FileError(f"{name[:80]!r} is a second link to an object.")
            seen.add(address)
            if len(seen) > MAX_OBJECTS:
                raise FileError(f"it holds more than {MAX_OBJECTS:,} objects.")
            if isinstance(item, h5py.Group):
                stack.append((name, item))
            elif isinstance(item, h5py.Dataset):
                yield name, item
            else:
                raise FileError(f"{name[:80]!r} is neither a group nor an array.")


def _fault(dataset: Any) -> str | None:
    from h5py import h5d  # pyright: ignore[reportAttributeAccessIssue] # no stub

    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    if layout == h5d.VIRTUAL:
        return "is virtual: its values lie in other files"
    if properties.get_external_count():
        return "has its values in another file"
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if not set(filters) <= set(_FILTERS):
        return f"needs the HDF5 filters {filters}; allowed are gzip, shuffle and checksums"
    if dataset.shape is None or not _holds_numbers(dataset):
        return f"must hold numbers; its type is {dataset.dtype}"
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    most = max(FREE_BYTES, MAX_EXPANSION * stored) if layout == h5d.CHUNKED else stored
    if declared > most:
        return f"declares {declared:,} bytes, but the file stores {stored:,} of it"
    return None


def _holds_numbers(dataset: Any) -> bool:
    # Keras writes bfloat16 as two bytes without a type, and says so in an attribute.
    is_bfloat16 = dataset.dtype.kind == "V" and dataset.attrs.get("dtype") == "bfloat16"
    return dataset.dtype.kind in _NUMBERS or (is_bfloat16 and dataset.dtype.itemsize == 2)
