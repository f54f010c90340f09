"""A server in front of a Milvus server: it encrypts, knows no HNSW, or keeps an answer back."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from pymilvus.grpc_gen import common_pb2

_LARGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass
class Proxy:
    """`held` names the calls that get no answer until they are taken out of it."""

    url: str = ""
    knows_hnsw: bool = True
    held: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Certificate:
    """A certificate for this machine that has signed itself, and its key."""

    file: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    made = Certificate(folder / "server.pem", folder / "server.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", made.file]
        + ["-keyout", made.key, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True,
        capture_output=True,
    )
    return made


@contextmanager
def running_proxy(
    milvus: str,
    *,
    port: int = 0,
    certificate: Certificate | None = None,
    knows_hnsw: bool = True,
) -> Iterator[Proxy]:
    proxy, over = Proxy(knows_hnsw=knows_hnsw), threading.Event()
    with grpc.insecure_channel(urlsplit(milvus).netloc, options=_LARGE) as channel:
        server = grpc.server(
            ThreadPoolExecutor(8), handlers=(_Handler(channel, proxy, over),), options=_LARGE
        )
        if certificate is None:
            port = server.add_insecure_port(f"127.0.0.1:{port}")
            proxy.url = f"http://127.0.0.1:{port}"
        else:
            pair = (certificate.key.read_bytes(), certificate.file.read_bytes())
            credentials = grpc.ssl_server_credentials([pair])
            port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
            proxy.url = f"https://127.0.0.1:{port}"
        server.start()
        try:
            yield proxy
        finally:
            over.set()
            server.stop(None).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, channel: grpc.Channel, proxy: Proxy, over: threading.Event) -> None:
        self._channel = channel
        self._proxy = proxy
        self._over = over

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method
        pass_on = self._channel.unary_unary(method)
        name = method.rpartition("/")[2]

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            while name in self._proxy.held and not self._over.wait(0.05):
                pass
            if name == "CreateIndex" and b"HNSW" in request and not self._proxy.knows_hnsw:
                refusal = common_pb2.Status(
                    error_code=common_pb2.UnexpectedError,
                    code=1100,
                    reason="invalid parameter: only AUTOINDEX is supported",
                )
                return bytes(refusal.SerializeToString())
            metadata = [pair for pair in context.invocation_metadata() if pair[0] != "user-agent"]
            return bytes(pass_on(request, metadata=metadata, timeout=60))

        return grpc.unary_unary_rpc_method_handler(answer)
