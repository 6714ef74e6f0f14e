"""A small web application: it says which version answers, and that it is healthy."""

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "{version}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        {health}
        self.answer(200, f"hello from {VERSION} on {socket.gethostname()}\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        if self.path != "/health":
            super().log_message(format, *args)


def main():
    {start}
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler)
    # The first process of a container gets no default handlers: without this, every stop takes the whole grace period.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"{VERSION} listens on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
