"""Tensor names as C++ identifiers."""

import re
from collections.abc import Iterable
from itertools import chain, count

# C++17 keywords, macros of the included headers, and types of lnn_model.h.
RESERVED = frozenset(
    "EOF INFINITY NAN NULL Number State Tensor "
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t "
    "class compl const const_cast constexpr continue decltype default delete do double "
    "dynamic_cast else enum explicit export extern false float for friend goto if inline int long "
    "mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public "
    "register reinterpret_cast return short signed sizeof static static_assert static_cast struct "
    "switch template this thread_local throw true try typedef typeid typename union unsigned "
    "using virtual void volatile wchar_t while xor xor_eq".split()
)


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Return a unique C++ identifier for each name; collisions are numbered."""
    identifier_of = {}
    for name in names:
        # Two underscores in a row are reserved in C++.
        base = re.sub(r"[\W_]+", "_", name, flags=re.ASCII).strip("_")
        if not base or base[0].isdigit() or base in RESERVED:
            base = f"t_{base}".rstrip("_")
        candidates = chain([base], (f"{base}_{number}" for number in count(2)))
        identifier_of[name] = next(c for c in candidates if c not in identifier_of.values())
    return identifier_of
