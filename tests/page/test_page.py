"""The page's files and its server."""

from __future__ import annotations

import http.client
import io
import json
import re
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deepnmf.enhancement.record import file_digest
from deepnmf.errors import DeepnmfError
from deepnmf.page import runtime
from deepnmf.page.server import HOST, page_server
from helpers.waiting import PATIENCE_SECONDS


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """Return a running server of a folder with one file of each type."""
    for name in ("index.html", "app.js", "runtime/x.mjs", "runtime/x.wasm", "graphs/x.onnx"):
        path = tmp_path / "page" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    with page_server(tmp_path / "page", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def request(server: Any, path: str, method: str = "GET", host: str = "") -> http.client.HTTPResponse:
    port = server.server_address[1]
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_SECONDS)
    connection.request(method, path, headers={"Host": host or f"{HOST}:{port}"})
    response = connection.getresponse()
    response.read()
    return response


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html"),
        ("/app.js", "text/javascript"),
        ("/runtime/x.mjs", "text/javascript"),
        ("/runtime/x.wasm", "application/wasm"),
        ("/graphs/x.onnx", "application/octet-stream"),
    ],
)
def test_every_type_of_file_has_what_browsers_expect(server: Any, path: str, content_type: str) -> None:
    response = request(server, path)
    assert response.status == 200
    assert response.headers["Content-Type"].partition(";")[0] == content_type
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    ("path", "method", "host", "status"),
    [
        ("/graphs/", "GET", "", 404),
        ("/../secret", "GET", "", 404),
        ("/%2e%2e/secret", "GET", "", 404),
        ("/", "POST", "", 501),
        ("/upload", "PUT", "", 501),
        ("/", "GET", "example.org", 403),
        ("/", "GET", "localhost:1", 200),
    ],
)
def test_only_files_of_the_folder_are_read_and_only_from_here(
    server: Any, path: str, method: str, host: str, status: int
) -> None:
    assert request(server, path, method, host).status == status


def test_it_listens_on_this_machine_alone_and_a_taken_port_is_named(server: Any, tmp_path: Path) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(DeepnmfError, match=f"port {server.server_address[1]} is taken"):
        page_server(tmp_path, server.server_address[1])
    with pytest.raises(DeepnmfError, match="does not exist"):
        page_server(tmp_path, 70000)


@pytest.fixture
def made_up_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """Replace the files of the runtime by small ones."""
    files = {name: name.encode() for name in runtime.DIGESTS}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(runtime, "DIGESTS", {name: file_digest(tmp_path / name) for name in files})
    return files


def fake_npm(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> list[list[str]]:
    """Let npm pack these files; return its commands."""
    commands: list[list[str]] = []

    def run(command: list[str], cwd: str, **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if not files:
            return subprocess.CompletedProcess(command, 1, "", "npm error network\nmore")
        with tarfile.open(Path(cwd) / f"onnxruntime-web-{runtime.VERSION}.tgz", "w:gz") as package:
            for name, content in files.items():
                member = tarfile.TarInfo(f"package/dist/{name}")
                member.size = len(content)
                package.addfile(member, io.BytesIO(content))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(runtime.shutil, "which", lambda _: "npm")
    monkeypatch.setattr(runtime.subprocess, "run", run)
    monkeypatch.setattr(runtime, "DELIVERY", "http://127.0.0.1:9")
    return commands


def test_the_runtime_is_fetched_once_and_again_when_damaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_up_runtime: dict[str, bytes]
) -> None:
    commands = fake_npm(monkeypatch, made_up_runtime)
    folder = runtime.runtime_folder(tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made_up_runtime
    assert runtime.runtime_folder(tmp_path / "cache") == folder
    assert len(commands) == 1
    (folder / runtime.BINARY).write_bytes(b"damaged")
    runtime.runtime_folder(tmp_path / "cache")
    assert (folder / runtime.BINARY).read_bytes() == made_up_runtime[runtime.BINARY]


@pytest.mark.parametrize("packed", ["nothing", "another version"])
def test_without_the_true_files_one_line_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_up_runtime: dict[str, bytes], packed: str
) -> None:
    fake_npm(monkeypatch, {} if packed == "nothing" else dict.fromkeys(made_up_runtime, b"other"))
    with pytest.raises(DeepnmfError, match=r"cannot be fetched .*npm pack") as error:
        runtime.runtime_folder(tmp_path / "cache")
    assert len(str(error.value).splitlines()) == 1


def test_the_runtime_is_also_fetched_file_by_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_up_runtime: dict[str, bytes]
) -> None:
    (tmp_path / "delivery").mkdir()
    for name, content in made_up_runtime.items():
        (tmp_path / "delivery" / name).write_bytes(content)
    monkeypatch.setattr(runtime.shutil, "which", lambda _: None)
    with page_server(tmp_path / "delivery", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(runtime, "DELIVERY", f"http://{HOST}:{server.server_address[1]}")
        folder = runtime.runtime_folder(tmp_path / "cache")
        server.shutdown()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made_up_runtime


def test_the_page_describes_its_models_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_up_runtime: dict[str, bytes]
) -> None:
    for package in ("onnxruntime", "platformdirs"):
        pytest.importorskip(package)
    from deepnmf.page.build import build_page, exportable_models
    from helpers.enhance_models import small_model

    assert next(iter(exportable_models())) == "default"
    fake_npm(monkeypatch, made_up_runtime)
    build_page(tmp_path / "page", {"a #? name": small_model()}, default="a #? name", cache=tmp_path / "cache")
    description = json.loads((tmp_path / "page/page.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in description["models"]] == ["a #? name"]
    files = [*description["runtime"].values(), *(model["graph"] for model in description["models"])]
    assert [file_digest(tmp_path / "page" / file["url"]) for file in files] == [file["sha256"] for file in files]
    html = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert "'unsafe-inline'" not in html
    assert "//" not in html.replace("<!doctype html>", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_serve_prints_its_address_and_serves_until_terminated() -> None:
    for package in ("onnxruntime", "platformdirs"):
        pytest.importorskip(package)
    try:
        runtime.runtime_folder()
    except DeepnmfError as error:
        pytest.skip(str(error))
    command = [sys.executable, "-m", "deepnmf", "serve", "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + process.communicate()[1]
        connection = http.client.HTTPConnection(HOST, int(found[1]), timeout=PATIENCE_SECONDS)
        connection.request("GET", "/page.json")
        assert next(model["name"] for model in json.load(connection.getresponse())["models"]) == "default"
        process.terminate()
        assert process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM
