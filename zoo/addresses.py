"""Web addresses: which are accepted, given by the user or as the target of a redirect."""

import re
from dataclasses import dataclass

# One strict grammar, so that no two parsers read different hosts in an address: no user names, no
# backslashes, no control characters, no other alphabets in the host (xn--... is possible).
_GRAMMAR = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s\\?#]*)?(?P<query>\?[^\s\\#]*)?",
    re.ASCII | re.IGNORECASE,
)
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[::1\]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.ASCII | re.IGNORECASE)
_MAX_LENGTH, _SHOWN = 4096, 200


@dataclass(frozen=True)
class Address:
    """The parts of an address that decide whether it is accepted."""

    scheme: str
    host: str
    has_query: bool

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        return _LOOPBACK.fullmatch(self.host) is not None


def parse(text: str) -> Address:
    """The parts of an address.

    Raises:
        ValueError: It is malformed. The message does not repeat the address.
    """
    match = _GRAMMAR.fullmatch(text) if len(text) <= _MAX_LENGTH and text.isprintable() else None
    scheme = _SCHEME.match(text)
    if match is None and scheme and scheme[1].lower() not in ("http", "https"):
        raise ValueError("which is not encrypted; use https://")
    port = int(match["port"] or 443) if match else 0
    if match is None or not 0 < port < 1 << 16 or ".." in match["host"]:
        raise ValueError(
            "which is not a valid address: it must be https://HOST/PATH in ASCII, with an optional "
            "port, and without a user name, backslashes, spaces or control characters"
        )
    return Address(match["scheme"].lower(), match["host"].lower(), match["query"] is not None)


def require_accepted(url: str) -> str:
    """Return the address of a folder without a trailing slash.

    Raises:
        ValueError: It is malformed, or neither https:// nor an address of this machine.
    """
    try:
        address = parse(url)
    except ValueError as error:
        raise ValueError(f"{shown(url)} {str(error).removeprefix('which ')}.") from None
    if not address.is_encrypted and not address.is_loopback:
        raise ValueError(f"{shown(url)} is not encrypted; use https://.")
    if address.has_query:
        raise ValueError(f"{shown(url)} must be the address of a folder, without '?'.")
    return url.rstrip("/")


def require_accepted_redirect(previous: str, target: str) -> None:
    """Check a redirect.

    Raises:
        ValueError: Its target is malformed, not encrypted, or on this machine although the server
            is not. The message does not repeat the addresses.
    """
    address, on_loopback = parse(target), parse(previous).is_loopback
    if address.is_loopback and not on_loopback:
        raise ValueError("which is on this machine")
    if not address.is_encrypted and not address.is_loopback:
        raise ValueError("which is not encrypted")


def shown(text: str) -> str:
    """A text from elsewhere in one short line that a terminal can print."""
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escaped if len(escaped) <= _SHOWN else f"{escaped[:_SHOWN]}..."
