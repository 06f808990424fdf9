"""The HTTP client: encryption, redirects, size limits, and the folders that it fills."""

import hashlib
import shutil
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.stress import crowds, kills, servers
from tests.stress.hostile_server import ANSWERS, hostile_server
from zoo import downloads, local_files
from zoo.data.dataset import DataError, Dataset
from zoo.downloads import DownloadError

CONTENT = b'{"a": 1}'
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def requested():
    """The Range headers of the requests for /file."""
    return []


@pytest.fixture
def address(requested):
    """A server on loopback: /file is a file, /to/URL redirects to /URL, or to URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/to/"):
                self.send_response(302)
                target = self.path.removeprefix("/to")
                self.send_header(
                    "Location", target.removeprefix("/") if "://" in target else target
                )
                self.end_headers()
                return
            wanted = self.headers.get("Range")
            requested.append(wanted)
            start = int(wanted[len("bytes=") : -1]) if wanted else 0
            self.send_response(416 if start >= len(CONTENT) else 206 if start else 200)
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.send_header("Content-Length", str(max(len(CONTENT) - start, 0)))
            self.end_headers()
            self.wfile.write(CONTENT[start:])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def test_redirects_must_be_encrypted(address):
    assert downloads.fetch_json(f"{address}/to/file") == {"a": 1}
    with pytest.raises(DownloadError, match=r"redirects to http://example\.com/x, which is not"):
        downloads.fetch_json(f"{address}/to/http://example.com/x")


def test_endless_redirects_end(address):
    url = f"{address}{'/to' * 9}/file"
    with pytest.raises(DownloadError, match="redirects more than 5 times"):
        downloads.fetch_json(url)


def test_size_limit(address, tmp_path):
    with pytest.raises(DownloadError, match="exceeds the size limit"):
        downloads.fetch_files(address, tmp_path / "out", {"file": DIGEST}, max_bytes=7)
    assert list((tmp_path / "out").glob("*")) == []


def test_offline(address, tmp_path, monkeypatch):
    monkeypatch.setenv("LNN_OFFLINE", "1")
    with pytest.raises(DownloadError, match="LNN_OFFLINE is set and forbids to download http"):
        downloads.fetch_files(address, tmp_path, {"file": DIGEST})


@pytest.fixture
def dataset(address, tmp_path, monkeypatch):
    monkeypatch.delenv("LNN_DATA_DIR", raising=False)
    monkeypatch.setenv("LNN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dataset = Dataset("small", "A small dataset", address, "CC0-1.0")
    dataset.__dict__["digests"] = {"file": DIGEST}
    return dataset


def test_datasets_lie_in_lnn_home(dataset, tmp_path):
    assert dataset.fetch() == {"file": tmp_path / "home/data/small/file"}
    assert dataset.fetch()["file"].read_bytes() == CONTENT


@pytest.mark.parametrize("earlier", ["home/small", "cache/lnn-keras/small"])
def test_earlier_folders_are_used(dataset, tmp_path, monkeypatch, earlier):
    folder = tmp_path / earlier
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(CONTENT)
    monkeypatch.setenv("LNN_OFFLINE", "1")
    assert dataset.fetch() == {"file": folder / "file"}
    assert local_files.dataset_folder("other") == tmp_path / "home/data/other"


def test_offline_datasets_say_what_to_do(dataset, monkeypatch):
    monkeypatch.setenv("LNN_OFFLINE", "1")
    with pytest.raises(DataError, match=r"LNN_OFFLINE is set.*Set LNN_DATA_DIR"):
        dataset.fetch()


def test_bad_servers():
    """A part of `python -m tests.stress "bad servers"`."""
    assert servers.run(8, 1).failures == []


def test_malformed_headers_log_nothing(tmp_path, caplog):
    """urllib3 logs a traceback for them, which programs with a root handler print."""
    with hostile_server() as server, servers.limits():
        server.files = {"file": CONTENT}
        server.answers["file"] = ANSWERS["header without a colon"]
        downloads.fetch_files(server.url, tmp_path, {"file": DIGEST})
    assert caplog.text == ""


# Answers that once hung, filled the memory, or were an error of another library.
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("endless continue", "headers are too long"),
        ("endless headers", "does not answer as HTTP requires"),
        ("endless chunk extension", "broke off"),
        ("slow headers", "too slow"),
        ("slow content", "too slow"),
        ("silence", "sends nothing|too slow"),
        ("length in words", "Content-Length is not a number"),
        ("two lengths", "the response is invalid"),
        ("compression bomb", "is compressed"),
        ("part without asking", "status 206"),
        ("redirect to itself", "redirects more than 5 times"),
        ("redirect with a backslash", "is not a valid address"),
        ("redirect to another alphabet", "the response is invalid"),
        ("no HTTP", "does not answer as HTTP requires"),
    ],
)
def test_hostile_answers(answer, message, tmp_path):
    with hostile_server() as server, servers.limits():
        server.answers["file"] = ANSWERS[answer]
        with pytest.raises(DownloadError, match=rf"^Cannot fetch {server.url}/file: .*{message}"):
            downloads.fetch_files(server.url, tmp_path, {"file": DIGEST})
        server.answers, server.files = {}, {"file": CONTENT}
        downloads.fetch_files(server.url, tmp_path, {"file": DIGEST})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a": 1, "a": 2}', b"\xff", b"9" * 10_000, b"[]"]
)
def test_bad_json(text):
    with hostile_server() as server:
        server.files["file"] = text
        with pytest.raises(DownloadError, match=rf"The response of {server.url}/file .*JSON"):
            downloads.fetch_json(f"{server.url}/file")


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        (CONTENT[:3], "bytes=3-"),
        (b"wrong", "bytes=5-"),
        (CONTENT, None),
        (CONTENT + b"too long", "bytes=16-"),
    ],
)
def test_a_killed_download_resumes(part, asked, address, tmp_path, requested):
    """The part that was received may be right, wrong, complete or too long."""
    (tmp_path / f".file.{DIGEST[:16]}.part").write_bytes(part)
    (tmp_path / f".file.{'0' * 16}.part").write_bytes(b"of another publication")
    path = downloads.fetch_files(address, tmp_path, {"file": DIGEST})["file"]
    assert path.read_bytes() == CONTENT
    assert [name.name for name in tmp_path.iterdir()] == ["file"]
    assert requested[:1] == ([asked] if asked else [])


def test_crowds():
    """A part of `python -m tests.stress "crowds ..."`, by processes and by threads."""
    assert crowds.run(3, 1).failures == []


def test_kills():
    """A part of the kills of `zoo.load`, which the other commands share."""
    assert kills.run("load", 5, 1).failures == []


def test_one_download_for_a_crowd(address, tmp_path, requested):
    def fetch(_):
        return downloads.fetch_files(address, tmp_path, {"file": DIGEST})["file"].read_bytes()

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(fetch, range(32))) == [CONTENT] * 32
    assert len(requested) == 1


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate")
def test_certificates_are_verified(tmp_path):
    certificate = tmp_path / "certificate.pem"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 "
        f"-subj /CN=localhost -keyout {certificate} -out {tmp_path / 'public.pem'}".split(),
        check=True,
        capture_output=True,
    )
    certificate.write_text(certificate.read_text() + (tmp_path / "public.pem").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        http.handle_error = lambda *_: None
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        url = f"https://localhost:{http.server_address[1]}/file"
        with pytest.raises(DownloadError, match=rf"^Cannot fetch {url}: the certificate of the se"):
            downloads.fetch_json(url)
        http.shutdown()


def test_https_to_a_server_without_encryption(address):
    url = address.replace("http://", "https://")
    with pytest.raises(DownloadError, match=rf"^Cannot fetch {url}/x: no encrypted connection"):
        downloads.fetch_json(f"{url}/x")


@pytest.mark.parametrize("folder", ["file", "file/below", "x" * 300, "/proc/self/new"])
def test_folders_that_cannot_be_written(folder, address, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DownloadError, match=r"^Cannot write to .*: [A-Z][\w -]+\.$"):
        downloads.fetch_files(address, tmp_path / folder, {"file": DIGEST})
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk(address, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads.os, "fsync", full)
    with pytest.raises(DownloadError, match=r"^Cannot write to .*: No space left on device\.$"):
        downloads.fetch_files(address, tmp_path, {"file": DIGEST})
    assert list(tmp_path.iterdir()) == []
