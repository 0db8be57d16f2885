"""A server on this machine, for tests of fetching files."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        answer = self.server.files.get(self.path)
        if answer is None:
            self.send_error(404)
        elif callable(answer):
            answer(self)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_):
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    # Where a test is over while an answer goes on: the test does not wait for it.
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_):
        """Stay silent: clients of these tests do hang up."""


class FileServer:
    """Serves `files`, path -> bytes or a function of the handler; notes the paths in `requests`."""

    def __init__(self, server):
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        server.files, server.requests = {}, []
        self.files, self.requests = server.files, server.requests


@contextmanager
def serving():
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield FileServer(server)
        finally:
            server.shutdown()
            thread.join()
