"""A server for the page on this machine alone: files of one folder, read-only, for browsers that run there."""

from __future__ import annotations

import contextlib
import errno
import functools
import tempfile
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..errors import DeepnmfError
from ..model import DEFAULT_MODEL, Model
from .build import build_page

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""No origin but this one: recordings dropped on the page cannot leave the machine."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",  # with the next one, browsers allow threads
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def serve(
    port: int = 8765,
    models: dict[str, Model] | None = None,
    default: str = DEFAULT_MODEL,
    opened: Callable[[str], object] = webbrowser.open,
) -> None:
    """Serve the page until interrupted by Ctrl-C.

    Parameters
    ----------
    port : int
        On 127.0.0.1; 0 takes any that is free.
    models : dict of str to Model, optional
        Models to choose from; by default those of the package that can be exported.
    default : str
        Name of the one that is chosen at first.
    opened : callable
        Called with the page's address when it can be opened.

    Raises
    ------
    DeepnmfError
        If the port is taken, or the page cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="deepnmf-") as temporary:
        folder = Path(temporary)
        with page_server(folder, port) as server:
            build_page(folder, models, default=default)
            opened(address(server))
            with contextlib.suppress(KeyboardInterrupt):  # the usual end
                server.serve_forever()


def page_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder, which listens already.

    Raises
    ------
    DeepnmfError
        If the port is taken.
    """
    try:
        return ThreadingHTTPServer((HOST, port), functools.partial(PageHandler, directory=str(folder)))
    except OverflowError:
        raise DeepnmfError(f"port {port} does not exist; choose one from 0 to 65535") from None
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise DeepnmfError(f"port {port} is taken or reserved; choose another, 0 for any that is free") from None


def address(server: ThreadingHTTPServer) -> str:
    """Return the address of the page."""
    return f"http://{HOST}:{server.server_address[1]}/"


class PageHandler(SimpleHTTPRequestHandler):
    """Files of the folder by GET and HEAD; no listing, no other method, no name of another host."""

    extensions_map = {  # noqa: RUF012 - as in the base class; the system's table may have other types
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".json": "application/json",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
        ".svg": "image/svg+xml",
        ".wav": "audio/wav",
    }

    def send_head(self) -> Any:
        """Refuse other host names: a foreign site could point its own name here."""
        name = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if name not in (HOST, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:  # noqa: ARG002
        """Show no listing."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Add the headers of every response."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing: the browser shows errors."""
