"""Bytes, numbers and texts within a page."""

import base64
import gzip
import json
from typing import Any

import numpy as np


def packed(content: bytes) -> str:
    """Base64 of gzip, which `unpackBytes` of `page/unpack.js` decodes."""
    return base64.b64encode(compressed(content)).decode("ascii")


def compressed(content: bytes) -> bytes:
    """The content compressed by gzip; a content that is compressed already stays."""
    return content if content.startswith(b"\x1f\x8b") else gzip.compress(content, 9, mtime=0)


def packed_float32(content: bytes) -> str:
    """Bytes that are mostly float32 numbers, for `unpackFloat32Bytes` of `page/unpack.js`.

    The first bytes of all numbers come first, then the second bytes and so on: those with the
    exponents are alike, which gzip makes use of.
    """
    end = len(content) // 4 * 4
    return packed(b"".join(content[byte:end:4] for byte in range(4)) + content[end:])


def float32(values: Any) -> dict[str, str]:
    """An array for JSON, which `unpackArrays` of `page/unpack.js` turns into a Float32Array."""
    return {"float32": packed_float32(np.ascontiguousarray(values, "<f4").tobytes())}


def script_json(value: Any) -> str:
    """JSON that no text within it can end the script element of."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
