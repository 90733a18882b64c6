#!/usr/bin/env bash
# peryx 2026.1010.0, a mirror: PEP 714 lets an index say `core-metadata: true` of a wheel, and its `.metadata` is there.
# peryx asks for it only where the page has the metadata's sha256. Without, it reads METADATA out of every wheel that the
# page lists, asked for or not: one HEAD and four ranges each, or the whole wheel from a server that sends no ETag.
# Seen on 2026-11-27:
#   true:   HEAD + 4 ranges of the wheel, no request for .metadata
#   sha256: 1 request for .metadata once a client asks, none for the wheel
# Exits with 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check peryx==2026.1010.0
timeout 120 python3 - "$folder" <<'PYTHON'
import hashlib, io, json, os, re, socket, subprocess, sys, threading, time, urllib.request, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

folder = Path(sys.argv[1])
NAME = "demo-1.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("demo.bin", os.urandom(300_000))
    archive.writestr("demo-1.0.dist-info/METADATA", METADATA)
    archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    archive.writestr("demo-1.0.dist-info/RECORD", "")
WHEEL = packed.getvalue()


class Index(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, kind, more = 200, "application/octet-stream", {}
        if self.path == "/simple/demo/":
            kind = "application/vnd.pypi.simple.v1+json"
            file = {"filename": NAME, "url": f"/files/{NAME}", "size": len(WHEEL), "core-metadata": self.server.said}
            file["hashes"] = {"sha256": hashlib.sha256(WHEEL).hexdigest()}
            body = json.dumps({"meta": {"api-version": "1.1"}, "name": "demo", "versions": ["1.0"], "files": [file]}).encode()
        elif self.path == f"/files/{NAME}.metadata":
            body = METADATA
            self.server.asked["metadata"] += 1
        elif self.path == f"/files/{NAME}":
            body, wanted = WHEEL, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            self.server.asked["head" if self.command == "HEAD" else "range" if wanted else "whole"] += 1
            more = {"Accept-Ranges": "bytes", "ETag": '"1"'}
            if wanted:
                first, last = int(wanted[1]), min(int(wanted[2]), len(WHEEL) - 1)
                status, body = 206, WHEEL[first : last + 1]
                more["Content-Range"] = f"bytes {first}-{last}/{len(WHEEL)}"
        else:
            kind, body = "application/vnd.pypi.simple.v1+json", b'{"meta":{"api-version":"1.1"},"projects":[{"name":"demo"}]}'
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


def run(label, said):
    index = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    index.said, index.asked = said, {"head": 0, "range": 0, "whole": 0, "metadata": 0}
    threading.Thread(target=index.serve_forever, daemon=True).start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = folder / label
    place.mkdir()
    (place / "peryx.toml").write_text(
        f'data_dir = "{place}/data"\n[[index]]\necosystem = "pypi"\nname = "mirror"\n[[index.upstream]]\n'
        f'name = "primary"\nurl = "http://127.0.0.1:{index.server_address[1]}/simple/"\n'
    )
    command = [folder / "venv/bin/peryx", "serve", "--config", place / "peryx.toml", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                time.sleep(0.2)
        accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
        ask = urllib.request.Request(f"http://127.0.0.1:{port}/mirror/simple/demo/", headers=accept)
        file = json.load(urllib.request.urlopen(ask, timeout=30))["files"][0]
        time.sleep(5)  # what it reads of its own accord
        url = f"http://127.0.0.1:{port}{file['url']}.metadata"
        assert urllib.request.urlopen(url, timeout=30).read() == METADATA
    finally:
        process.terminate()
        process.wait(20)
        index.shutdown()
    print(f"{label}: {index.asked}")
    return index.asked


seen = run("true", True), run("sha256", {"sha256": hashlib.sha256(METADATA).hexdigest()})
expected = {"head": 1, "range": 4, "whole": 0, "metadata": 0}, {"head": 0, "range": 0, "whole": 0, "metadata": 1}
sys.exit(seen != expected)
PYTHON
