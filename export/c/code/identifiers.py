"""Names in C code."""

import re

_KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while asm alignas alignof and bool catch class const_cast delete
    explicit export false friend mutable namespace new not nullptr operator or private protected
    public static_cast template this throw true try typename using virtual wchar_t xor
    i j k s u row column state in out pair factors weights indices offsets
    sigmoid_table tanh_table""".split()
)

# Files NAME.h that would hide those of the C library, of the replay or of the start-up code.
RESERVED = frozenset(
    """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal
    stdarg stdbool stddef stdint stdio stdlib string tgmath time wchar wctype
    arduino lnn_primitives replay replay_main board cortex_m memory riscv semihosting start
    main""".split()
)


def identifier(name: str) -> str:
    """Return a name with the characters of a C identifier, which is no keyword."""
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "value"
    if text[0].isdigit():
        text = f"n{text}"
    return f"{text}_" if text.lower() in _KEYWORDS else text


def default_prefix(name: str) -> str:
    """Return a prefix for the files and functions of a model of that name."""
    prefix = identifier(name).lower()
    return f"{prefix.rstrip('_')}_model" if prefix in RESERVED or prefix[-1] == "_" else prefix


def require_prefix(prefix: str) -> str:
    """Return a prefix; raise a ValueError if it is no C identifier, or is reserved."""
    if prefix.lower() in RESERVED:
        raise ValueError(
            f"`prefix` must not be {prefix!r}, the name of another header or source file; take "
            f"another one, such as '{prefix}_model'."
        )
    if not re.fullmatch(r"[A-Za-z]\w*", prefix, flags=re.ASCII) or prefix != identifier(prefix):
        raise ValueError(
            f"`prefix` must be a C identifier that is no keyword, such as 'arm_model'; received "
            f"{prefix!r}."
        )
    return prefix


class Names:
    """Hands out identifiers that differ."""

    def __init__(self, taken: frozenset[str] = frozenset()):
        self._taken = set(taken)

    def unique(self, name: str) -> str:
        """Return an identifier like `name` that was not handed out before."""
        base = identifier(name).lower()
        candidate, number = base, 1
        while candidate in self._taken:
            number += 1
            candidate = f"{base}_{number}"
        self._taken.add(candidate)
        return candidate
