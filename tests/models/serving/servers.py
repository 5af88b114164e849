"""A server of the protocol on this machine that misbehaves on command; Triton itself is in the integration tests."""

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from models.detectors.views import WINDOW
from models.serving.network import WindowNetwork
from models.serving.protocol_v2 import HEAD_LENGTH
from tests.models.serving.conftest import COUNT, by_hand

FINE, SLOW, DRIPPING, SILENT, REFUSING, GARBLED, OTHER_ID, HANGING_UP, GOODBYE, LONG = (
    "fine", "slow", "dripping", "silent", "refusing", "garbled", "other_id", "hanging_up", "goodbye", "long",
)  # fmt: skip
SLOW_S = 0.08


class Server:
    """What it does with the next inferences, and how many it was asked."""

    def __init__(self, network: WindowNetwork, context: ssl.SSLContext | None = None) -> None:
        self.network = network
        self.context = context
        self.mood = FINE
        self.probed_in_mood = False  # probes are answered well unless the mood is for them too
        self.asked = 0
        self.port = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self, port: int = 0) -> Iterator[None]:
        server = self

        class Handler(_Handler):
            served = server

        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as http:
            http.daemon_threads = True
            if self.context:
                http.socket = self.context.wrap_socket(http.socket, server_side=True)
            http.block_on_close = False
            self.port = http.server_address[1]
            thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            try:
                yield
            finally:
                self.over.set()
                http.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        tensors = [("z", "FP32", [-1, WINDOW, COUNT]), ("instrument", "INT64", [-1, 1])]
        described = [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in tensors]
        output = {"name": "contributions", "datatype": "FP32", "shape": [-1, COUNT]}
        plain = {"name": self.served.network.served_name, "inputs": described, "outputs": [output]}
        found = self.path == f"/v2/models/{self.served.network.served_name}"
        self._send(200 if found else 404, json.dumps(plain if found else {"error": "unknown model"}).encode(), {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        length = int(self.headers[HEAD_LENGTH])
        head = json.loads(body[:length])
        mood = self.served.mood if head["id"] != "probe" or self.served.probed_in_mood else FINE
        if head["id"] != "probe":
            self.served.asked += 1
        if mood == SLOW:
            self.served.over.wait(SLOW_S)
        if mood == SILENT:
            self.served.over.wait(5)
        if mood == HANGING_UP:
            self.close_connection = True
            return
        if mood == GARBLED:
            self.wfile.write(b"this is no HTTP\r\n\r\n")
            return
        if mood == REFUSING:
            self._send(500, b'{"error":"out of memory"}', {})
            return
        said, tensor = self._answer(head, body[length:], "another" if mood == OTHER_ID else head["id"])
        if mood == LONG:
            tensor += bytes(200_000)
        extra = {HEAD_LENGTH: str(len(said))} | ({"Connection": "close"} if mood == GOODBYE else {})
        self._send(200, said + tensor, extra, drip=mood == DRIPPING)

    def _answer(self, head: dict[str, Any], tensors: bytes, request_id: str) -> tuple[bytes, bytes]:
        rows = head["inputs"][0]["shape"][0]
        size = rows * WINDOW * COUNT * 4
        windows = np.frombuffer(tensors[:size], "<f4").reshape(rows, WINDOW, COUNT)
        numbers = np.frombuffer(tensors[size:], "<i8")
        parts = by_hand(windows, np.zeros(rows, dtype=np.uint32)) + numbers[:, None].astype(np.float32)
        raw = parts.astype("<f4").tobytes()
        parameters = {"binary_data_size": len(raw)}
        output = {"name": "contributions", "datatype": "FP32", "shape": [rows, COUNT], "parameters": parameters}
        said = {"model_name": self.served.network.served_name, "id": request_id, "outputs": [output]}
        return json.dumps(said).encode(), raw

    def _send(self, status: int, body: bytes, extra: dict[str, str], *, drip: bool = False) -> None:
        self.send_response(status)
        for name, value in (extra | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked may have hung up
            for at in range(0, len(body), 1 if drip else len(body) or 1):
                self.wfile.write(body[at : at + 1] if drip else body)
                if drip:
                    self.served.over.wait(0.005)
