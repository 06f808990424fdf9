"""A web server on loopback that publishes a preset, and the local copies of presets."""

import json
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from zoo.hub import download
from zoo.local_files import sha256


class Server:
    """Serves a folder; `faults` maps file names to the way in which a response goes wrong."""

    def __init__(self, folder):
        self.folder, self.faults, self.requests = folder, {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        # Polls for the end of the test.
        serve = partial(self.http.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()

    def ranges_of(self, path):
        """The Range headers of the requests for a file."""
        return [wanted for name, wanted in self.requests if name == path.name]

    def answer(self, request):
        path = self.folder / request.path.lstrip("/")
        wanted = request.headers.get("Range")
        self.requests.append((path.name, wanted))
        if not path.is_file():
            request.send_error(404)
            return
        content, fault = path.read_bytes(), self.faults.get(path.name)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        start = 0 if fault == "no ranges" else start
        request.send_response(206 if start else 200)
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            request.send_header("Content-Range", span)
        body = content[start:]
        if fault == "tampers":
            body, fault = bytes(len(body)), None
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if fault == "slow":
            for byte in range(0, len(body), 4096):
                request.wfile.write(body[byte : byte + 4096])
                time.sleep(0.02)
        elif fault == "always truncates" or (fault and len(self.ranges_of(path)) == 1):
            request.wfile.write(body[: len(body) // 2])
        else:
            request.wfile.write(body)


def manifest_of(server, **changes):
    """Write the manifest of the preset with its sizes."""
    folder = server.folder / "presets/mine"
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    entry = {"metadata.json": sha256(folder / "metadata.json"), "files": sizes, **changes}
    (server.folder / "manifest.json").write_text(json.dumps({"presets": {"mine": entry}}))
    return entry


def cached():
    """The presets in the cache, without the parts of interrupted downloads."""
    return [path for path in download.cache_folder().glob("*") if path.name[0] != "."]


def assert_same(model, loaded, random):
    x = random.standard_normal((2, 5, 3)).astype("float32")
    np.testing.assert_array_equal(model(x), loaded(x))
