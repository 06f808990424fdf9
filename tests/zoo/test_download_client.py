"""The HTTP client: encryption, redirects, size limits, and the folders that it fills."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zoo import addresses, downloads, local_files
from zoo.data.dataset import DataError, Dataset
from zoo.downloads import DownloadError

CONTENT = b'{"a": 1}'
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def address():
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
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "http://127.0.0.1.example.com/x", "ftp://127.0.0.1/x"]
)
def test_addresses_must_be_encrypted(url):
    with pytest.raises(ValueError, match="is not encrypted; use https://"):
        addresses.require_accepted(url)


def test_own_machine_and_https_are_accepted():
    for url in ("https://example.com/x", "http://127.0.0.1:80/x", "http://localhost/x"):
        assert addresses.require_accepted(f"{url}/") == url


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
    with pytest.raises(DownloadError, match="LNN_OFFLINE forbids"):
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
    with pytest.raises(DataError, match=r"LNN_OFFLINE forbids.*Set LNN_DATA_DIR"):
        dataset.fetch()
