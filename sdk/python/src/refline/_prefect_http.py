"""A small HTTP and WebSocket server on the loopback interface. Its address holds a
random part, without which nothing is answered."""

import base64
import hashlib
import hmac
import json
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

MOST_BODY = 16 << 20  # bytes of a request and of a message
MOST_CONNECTIONS = 1000
IDLE = 600  # seconds

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
CONTINUED, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10


class Server(ThreadingHTTPServer):
    """Passes requests to api.answer(method, path, body, agent), which gives a status and
    a value, and messages of WebSockets to api.message(value)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api):
        self.api = api
        self.token = base64.urlsafe_b64encode(os.urandom(24)).decode().rstrip("=")
        self.places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/api/%s" % (self.server_address[1], self.token)
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True, name="refline-prefect-api").start()

    def server_bind(self):
        TCPServer.server_bind(self)  # without a look-up of the host's name
        self.server_name, self.server_port = self.server_address

    def process_request(self, request, address):
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, address)
        except BaseException:
            self.places.release()
            raise

    def process_request_thread(self, request, address):
        try:
            super().process_request_thread(request, address)
        finally:
            self.places.release()

    def handle_error(self, request, address):
        pass  # a client that went away

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        prefix = "/api/%s" % self.server.token
        if not hmac.compare_digest(path[: len(prefix)].encode("utf-8", "replace"), prefix.encode()):
            self.close_connection = True
            self.reply(403, {"detail": "this address is for the flow of the job only"})
            return
        path = path[len(prefix) :]
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.close_connection = True
            self.web_socket(path)
            return
        body, wrong = self.body()
        if wrong:
            self.close_connection = True
            self.reply(*wrong)
            return
        query = self.path.partition("?")[2]
        self.reply(*self.server.api.answer(self.command, path, body, query, self.headers.get("User-Agent", "")))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def body(self):
        """The request's JSON, None without one; or what is wrong with it."""
        if self.headers.get("Transfer-Encoding"):
            return None, (411, {"detail": "a request needs a Content-Length"})
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit():
            return None, (400, {"detail": "Content-Length is not a number"})
        if int(length) > MOST_BODY:
            return None, (413, {"detail": "%s bytes are too many (at most %d)" % (length, MOST_BODY)})
        data = self.rfile.read(int(length))
        if not data:
            return None, None
        try:
            return json.loads(data), None
        except (ValueError, RecursionError) as e:
            return None, (422, {"detail": "the body is not JSON: %s" % e})

    def reply(self, status, value=None):
        data = b"" if status == 204 else json.dumps(value).encode()
        self.send_response_only(status)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self._headers_buffer += [b"\r\n", data]  # one packet
        self.flush_headers()

    # WebSockets

    def web_socket(self, path):
        if path != "/events/in":
            self.reply(404, {"detail": "there is no stream %s here" % path})
            return
        key = self.headers.get("Sec-WebSocket-Key", "").encode()
        self.send_response_only(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode())
        if "prefect" in self.headers.get("Sec-WebSocket-Protocol", ""):
            self.send_header("Sec-WebSocket-Protocol", "prefect")
        self.end_headers()
        message = b""
        while True:
            last, kind, data = self.frame()
            if kind == PING:
                self.send_frame(PONG, data)
            elif kind == CLOSE or kind is None:
                if kind == CLOSE:
                    self.send_frame(CLOSE, data[:2])
                return
            elif kind in (TEXT, CONTINUED):
                message += data
                if len(message) > MOST_BODY:
                    return
                if last:
                    self.message(message)
                    message = b""

    def message(self, data):
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict) and value.get("type") == "auth":
            self.send_frame(TEXT, b'{"type":"auth_success"}')
            return
        self.server.api.message(value)

    def frame(self):
        head = self.rfile.read(2)
        if len(head) < 2:
            return True, None, b""
        length = head[1] & 127
        if length == 126:
            length = struct.unpack(">H", self.rfile.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.rfile.read(8))[0]
        if length > MOST_BODY:
            return True, None, b""
        mask = self.rfile.read(4) if head[1] & 128 else b""
        data = self.rfile.read(length)
        if len(data) < length:
            return True, None, b""
        if mask and length:
            whole = (mask * (length // 4 + 1))[:length]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
        return bool(head[0] & 128), head[0] & 15, data

    def send_frame(self, kind, data):
        head = bytes([128 | kind, len(data)]) if len(data) < 126 else struct.pack(">BBH", 128 | kind, 126, len(data))
        self.wfile.write(head + data)
