#!/usr/bin/env bash
# httpx 0.28.1 takes the first member of a gzip body for the whole body, and reports no error.
#
# RFC 1952 (2.2): "A gzip file consists of a series of members". RFC 9110 (8.4.1.3) takes its gzip coding from there. A
# body of two members, 10 bytes each, arrives as 10 bytes at httpx 0.28.1, and as 20 at requests 2.34.2 (urllib3 2.8.0).
# Seen under Python 3.11, November 2026.
#
# Ends with 0 as long as that is so.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 requests==2.34.2 urllib3==2.8.0

cat > "$folder/members.py" <<'PYTHON'
import gzip
import http.server
import threading

import httpx
import requests

BODY = gzip.compress(b"a" * 10) + gzip.compress(b"b" * 10)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
found = {"httpx": len(httpx.get(url, trust_env=False).content)}
session = requests.Session()
session.trust_env = False
found["requests"] = len(session.get(url, timeout=10).content)
print(found)
raise SystemExit(0 if found == {"httpx": 10, "requests": 20} else 1)
PYTHON
timeout 60 "$folder/venv/bin/python" "$folder/members.py"
