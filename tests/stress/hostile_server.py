"""A web server on loopback that answers byte by byte as a scenario says, also against HTTP."""

import contextlib
import gzip
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

# The end of each answer that has none: the client closes the connection before.
_ENDLESS = 1 << 22


class Request:
    """A request, and the connection on which it is answered."""

    def __init__(self, connection: socket.socket, path: str, start: int | None, first: bool):
        self.connection, self.path, self.start, self.first = connection, path, start, first

    def send(self, *parts: bytes) -> None:
        """Send bytes."""
        self.connection.sendall(b"".join(parts))

    def wait(self) -> None:
        """Send nothing until the client closes the connection."""
        with contextlib.suppress(OSError):
            while self.connection.recv(1024):
                pass

    def drip(self, part: bytes, seconds: float = 0.05) -> None:
        """Send a part again and again, slowly, until the client closes the connection."""
        for _ in range(2_000):
            self.send(part)
            time.sleep(seconds)

    def flood(self, part: bytes) -> None:
        """Send a part without end, until the client closes the connection."""
        block = part * max(1, 4096 // len(part))
        for _ in range(_ENDLESS // 64):
            self.send(block)


Answer = Callable[[Request, bytes], None]


class HostileServer:
    """Serves `files`; a path in `answers` is answered by that function instead."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.requested: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop to answer."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        # A client that closes the connection ends the answer.
        with contextlib.suppress(OSError, ValueError, IndexError), connection:
            connection.settimeout(30)
            head = b""
            while b"\r\n\r\n" not in head and (data := connection.recv(4096)):
                head += data
            lines = head.decode("latin-1").split("\r\n")
            path = lines[0].split(" ")[1].lstrip("/")
            wanted = [line for line in lines if line.lower().startswith("range: bytes=")]
            start = int(wanted[0][13:].rstrip("-")) if wanted else None
            first = path not in self.requested
            self.requested.append(path)
            answer = self.answers.get(path, right)
            content = self.files.get(path)
            if content is None and path not in self.answers:
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            else:
                answer(Request(connection, path, start, first), content or b"")


def head(status: str, *headers: str) -> bytes:
    """The lines before the content."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]).encode(
        "latin-1"
    )


def right(request: Request, content: bytes) -> None:
    """Answer as HTTP says, also to a range."""
    start = request.start or 0
    if request.start is not None and start >= len(content):
        request.send(head("416 Range Not Satisfiable", f"Content-Range: bytes */{len(content)}"))
        return
    lines = [f"Content-Length: {len(content) - start}"]
    if request.start is not None:
        lines.append(f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}")
    request.send(head("206 Partial Content" if request.start is not None else "200 OK", *lines))
    request.send(content[start:])


def with_header(line: str, status: str = "200 OK") -> Answer:
    """Answer with a header line and all of the content."""
    return lambda request, content: request.send(head(status, line), content)


def redirect(target: str, status: str = "302 Found") -> Answer:
    """Redirect to an address."""
    return with_header(f"Location: {target}", status)


def once(answer: Answer) -> Answer:
    """Answer wrongly to the first request only."""
    return lambda request, content: (answer if request.first else right)(request, content)


def chunked(*chunks: bytes) -> Answer:
    """Answer with the bytes of a chunked content."""
    line = "Transfer-Encoding: chunked"
    return lambda request, content: request.send(head("200 OK", line), *chunks)


def well_chunked(request: Request, content: bytes) -> None:
    """Answer with the right content in chunks, with an extension."""
    request.send(head("200 OK", "Transfer-Encoding: chunked"))
    for start in range(0, len(content), 1000):
        chunk = content[start : start + 1000]
        request.send(b"%x;name=value\r\n" % len(chunk), chunk, b"\r\n")
    request.send(b"0\r\n\r\n")


def flood_after(part: bytes, *start: bytes) -> Answer:
    """Send a start, and a part without end."""

    def answer(request: Request, content: bytes) -> None:
        request.send(*start)
        request.flood(part)

    return answer


def drip_after(part: bytes, *start: bytes) -> Answer:
    """Send a start, and a part again and again, slowly."""

    def answer(request: Request, content: bytes) -> None:
        request.send(*start)
        request.drip(part)

    return answer


def reset(request: Request, content: bytes) -> None:
    """Break the connection in the middle of the content."""
    request.send(head("200 OK", f"Content-Length: {len(content)}"), content[: len(content) // 2])
    linger = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def truncate(request: Request, content: bytes) -> None:
    """End after half of the content that was asked for."""
    start = request.start or 0
    rest = content[start:]
    span = f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}"
    status = ("206 Partial Content", span) if start else ("200 OK",)
    request.send(head(*status, f"Content-Length: {len(rest)}"), rest[: len(rest) // 2])


def tamper(request: Request, content: bytes) -> None:
    """Change a bit in the middle."""
    changed = bytearray(content)
    if changed:
        changed[len(changed) // 2] ^= 1
    right(request, bytes(changed))


def compressed(request: Request, content: bytes) -> None:
    """Compress, although the client asked for the plain content."""
    packed = gzip.compress(content)
    lines = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}")
    request.send(head("200 OK", *lines), packed)


def other_range(request: Request, content: bytes) -> None:
    """Answer to a range with another one; break the first answer."""
    if request.start is None:
        truncate(request, content)
    else:
        part = content[: len(content) - request.start]
        lines = (f"Content-Range: bytes 0-{len(part) - 1}/{len(content)}",)
        request.send(head("206 Partial Content", *lines, f"Content-Length: {len(part)}"), part)


def no_range(request: Request, content: bytes) -> None:
    """Refuse ranges with status 416; break the first answer."""
    if request.start is None:
        truncate(request, content)
    else:
        request.send(head("416 Range Not Satisfiable", "Content-Length: 0"))


OK = head("200 OK")
_CHUNKED = head("200 OK", "Transfer-Encoding: chunked")
ANSWERS: dict[str, Answer] = {
    "right": right,
    "chunks": well_chunked,
    "length too long": with_header("Content-Length: 10000000"),
    "length far too long": with_header("Content-Length: 99999999999999999999999"),
    "length too short": with_header("Content-Length: 3"),
    "length 0": with_header("Content-Length: 0"),
    "length below 0": with_header("Content-Length: -5"),
    "length in words": with_header("Content-Length: many"),
    "length in other digits": with_header("Content-Length: \xb2"),
    "two lengths": with_header("Content-Length: 3\r\nContent-Length: 5"),
    "endless content": flood_after(b"x", OK),
    "endless chunks": flood_after(b"1\r\nx\r\n", _CHUNKED),
    "endless header": flood_after(b"x", b"HTTP/1.1 200 OK\r\nX: "),
    "endless headers": flood_after(b"X-Header: value\r\n", b"HTTP/1.1 200 OK\r\n"),
    "endless status": flood_after(b"1", b"HTTP/1.1 "),
    "endless continue": flood_after(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless chunk size": flood_after(b"0", _CHUNKED),
    "endless chunk extension": flood_after(b"x", _CHUNKED, b"1;"),
    "endless trailer": flood_after(b"X: y\r\n", _CHUNKED, b"0\r\n"),
    "slow status": drip_after(b"H", b""),
    "slow headers": drip_after(b"X: y\r\n", b"HTTP/1.1 200 OK\r\n"),
    "slow content": drip_after(b"x", OK),
    "slow chunks": drip_after(b"1\r\nx\r\n", _CHUNKED),
    "slow continue": drip_after(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": lambda request, content: request.wait(),
    "silence after the head": lambda request, content: (request.send(OK), request.wait())[0],
    "nothing": lambda request, content: None,
    "reset": reset,
    "reset once": once(reset),
    "half": truncate,
    "half once": once(truncate),
    "tampered": tamper,
    "tampered once": once(tamper),
    "chunk size in words": chunked(b"size\r\nxxxx\r\n"),
    "chunk size below 0": chunked(b"-1\r\nxxxx\r\n"),
    "chunk size far too long": chunked(b"FFFFFFFFFFFFFFFFFFFF\r\nxxxx\r\n"),
    "chunk without end": chunked(b"10\r\nxxxx"),
    "compressed": compressed,
    "compressed, it says": with_header("Content-Encoding: gzip"),
    "brotli, it says": with_header("Content-Encoding: br"),
    "compression bomb": lambda request, content: request.send(
        head("200 OK", "Content-Encoding: gzip"), gzip.compress(bytes(1 << 24))
    ),
    "part without asking": with_header("Content-Range: bytes 5-9/10", "206 Partial Content"),
    "another part": other_range,
    "no parts": no_range,
    "redirect to itself": lambda request, content: redirect(f"/{request.path}")(request, content),
    "redirect to a file": redirect("file:///etc/passwd"),
    "redirect without encryption": redirect("http://example.com/file"),
    "redirect to a user name": redirect("https://user:word@example.com/"),
    "redirect with a backslash": redirect("http://example.com\\@127.0.0.1/"),
    "redirect to another alphabet": redirect("https://ex\xe4mple.com/"),
    "redirect to a bad port": redirect("https://example.com:99999/"),
    "redirect to no host": redirect("https:///x"),
    "redirect to nothing": redirect(""),
    "redirect with escapes": redirect("http://example.com/\x1b[31m\x07"),
    "redirect to data": redirect("data:text/plain,x"),
    "redirect to long": redirect("/" + "x" * 9000),
    "redirect without a target": with_header("X: y", "301 Moved Permanently"),
    "status 204": with_header("X: y", "204 No Content"),
    "status 304": with_header("X: y", "304 Not Modified"),
    "status 401": with_header("WWW-Authenticate: Basic", "401 Unauthorized"),
    "status 403": with_header("X: y", "403 Forbidden"),
    "status 429": with_header("Retry-After: 99999", "429 Too Many Requests"),
    "status 500": with_header("X: y", "500 Error"),
    "status 503 once": once(with_header("X: y", "503 Busy")),
    "status 999": with_header("X: y", "999 Strange"),
    "status in words": with_header("X: y", "fine"),
    "no HTTP": lambda request, content: request.send(b"\x16\x03\x01\x02" * 50),
    "content without a head": lambda request, content: request.send(content),
    "header without a colon": with_header("this is no header"),
    "header with escapes": with_header("X: \x1b[31m\x00\x07"),
}


@contextlib.contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """A server for the time of a block."""
    server = HostileServer()
    try:
        yield server
    finally:
        server.close()


def chosen_answers(draw: random.Random, paths: list[str]) -> dict[str, str]:
    """Names of answers for one or two paths."""
    return {path: draw.choice(list(ANSWERS)) for path in draw.sample(paths, draw.choice([1, 1, 2]))}
