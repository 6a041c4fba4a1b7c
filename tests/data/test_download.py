"""Downloads resume, are checked, and extract nothing outside their folder; the server is on this machine."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deepnmf.cli import app
from deepnmf.data.corpora import unpack
from deepnmf.data.corpora.catalogue import CORPORA
from deepnmf.data.corpora.download import Archive, download
from deepnmf.data.corpora.unpack import extract
from deepnmf.data.manifest import read_manifest
from deepnmf.errors import DeepnmfError
from helpers import corpus_trees


@dataclass
class Server:
    """Files by path, and how each request for them was made."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    resumes: bool = True
    breaks_off_after: int | None = None


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            body = state.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.resumes else 0
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start:][: state.breaks_off_after])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield state
        http.shutdown()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, contents in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", "/")), contents)  # of 1980: the same bytes again
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return gzip.compress(buffer.getvalue(), mtime=0)


BODY = zipped(corpus__a=b"a" * 50_000, corpus__b=b"b")


def of(server: Server, name: str, body: bytes = BODY, **options: Any) -> Archive:
    server.files[f"/{name}"] = body
    return Archive(f"{server.url}/{name}", f"md5:{hashlib.md5(body).hexdigest()}", len(body), **options)


def test_a_corpus_is_fetched_and_prepared_by_one_command(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = []
    for part, tree in (("speech", corpus_trees.librispeech), ("noise", corpus_trees.demand)):
        files = tree(tmp_path / "trees" / part).rglob("*.*")
        body = tarred(*((str(path.relative_to(tmp_path / "trees" / part)), path.read_bytes()) for path in files))
        archives.append((of(server, f"{part}.tar.gz", body),))
    source = dataclasses.replace(CORPORA["librispeech_demand"], archives=tuple(archives))
    monkeypatch.setitem(CORPORA, "librispeech_demand", source)
    roots = ["--root", str(tmp_path / "s"), "--root", str(tmp_path / "n")]
    command = ["prepare", "--corpus", "librispeech_demand", *roots, "--download", "-o", str(tmp_path / "exp")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert {row.split for row in read_manifest(tmp_path / "exp/manifest.jsonl")} == {"train", "dev", "test"}
    assert (tmp_path / "n/NPARK/ch01.wav").exists()


def test_what_the_catalogue_fetches_is_well_formed() -> None:
    archives = {archive for source in CORPORA.values() for part in source.archives for archive in part}
    assert len({archive.file for archive in archives}) == len(archives)
    for archive in archives:
        assert archive.url.startswith("https://")
        assert re.fullmatch(r"(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})?", archive.digest)


def test_fetches_checks_and_extracts_once(server: Server, tmp_path: Path) -> None:
    archives = [of(server, "a.zip"), of(server, "b.tar.gz", tarred(("corpus/c", b"c")))]
    for _ in "twice":
        download(archives, tmp_path)
    assert {path.name for path in (tmp_path / "corpus").iterdir()} == {"a", "b", "c"}
    assert server.ranges == [None, None]
    assert not list(tmp_path.glob("*.part"))


def test_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    archive = of(server, "a.zip")
    server.breaks_off_after = 20_000
    with pytest.raises(DeepnmfError, match=r"broke off at 20,000 of [\d,]+ bytes\); run again to go on"):
        download([archive], tmp_path)
    assert not (tmp_path / "corpus").exists()
    server.breaks_off_after = None
    download([archive], tmp_path)
    assert server.ranges == [None, "bytes=19999-"]
    assert (tmp_path / "corpus/a").read_bytes() == b"a" * 50_000


def test_a_whole_file_that_was_not_renamed_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    archive = dataclasses.replace(of(server, "a.zip"), size=None)
    (tmp_path / "a.zip.part").write_bytes(BODY)
    download([archive], tmp_path)
    assert server.ranges == [f"bytes={len(BODY) - 1}-"]


@pytest.mark.parametrize("start", [b"x" * 100, BODY + b"more"])
def test_starts_anew_where_the_server_cannot_go_on(server: Server, tmp_path: Path, start: bytes) -> None:
    archive = of(server, "a.zip")
    server.resumes = len(start) > len(BODY)  # else the server sends the whole; beyond the end it refuses
    (tmp_path / "a.zip.part").write_bytes(start)
    download([archive], tmp_path)
    assert (tmp_path / "corpus/b").read_bytes() == b"b"


def test_a_damaged_file_is_deleted(server: Server, tmp_path: Path) -> None:
    archive = of(server, "a.zip")
    (tmp_path / "a.zip.part").write_bytes(b"x" * 100)  # the rest is appended, as the server has it
    with pytest.raises(DeepnmfError, match=r"damaged on the way \(md5 .+ and deleted; run again"):
        download([archive], tmp_path)
    download([archive], tmp_path)
    assert (tmp_path / "corpus/a").exists()


def test_offline_says_in_one_line_what_to_fetch_and_where_to_put_it(server: Server, tmp_path: Path) -> None:
    archives = [of(server, "a.zip"), of(server, "b.zip", zipped(corpus__d=b"d")), of(server, "c.zip")]
    del server.files["/b.zip"]
    with pytest.raises(DeepnmfError) as error:
        download(archives, tmp_path)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(f"put into {tmp_path} by hand: {archives[1].url} {archives[2].url}")
    (tmp_path / "b.zip").write_bytes(zipped(corpus__d=b"d"))
    download(archives, tmp_path)
    assert (tmp_path / "corpus/d").exists()


def test_unreachable(tmp_path: Path) -> None:
    with pytest.raises(DeepnmfError, match="cannot be fetched"):
        download([Archive("http://127.0.0.1:9/a.zip")], tmp_path)


def test_a_wrong_file_put_there_by_hand_is_kept_and_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"an error page")
    with pytest.raises(DeepnmfError, match="not the published file"):
        download([of(server, "a.zip")], tmp_path)
    assert (tmp_path / "a.zip").exists()


def test_only_a_part_is_extracted(server: Server, tmp_path: Path) -> None:
    body = tarred(("./musan/noise/a", b"a"), ("./musan/music/b", b"b"))
    download([of(server, "musan.tar.gz", body, only="musan/noise/")], tmp_path)
    assert [path.name for path in tmp_path.rglob("musan/*/*")] == ["a"]


def test_links_are_skipped(tmp_path: Path) -> None:
    link = tarfile.TarInfo("corpus/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    (tmp_path / "a.tar").write_bytes(tarred(link, ("corpus/a", b"a")))
    extract(tmp_path / "a.tar", tmp_path)
    assert [path.name for path in (tmp_path / "corpus").iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "..\\out", "C:\\out", "\\out"])
def test_nothing_leaves_the_folder(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    archives = {"a.tar": tarred(("fine", b""), (name, b"")), "a.zip": zipped(fine=b"", **{name: b""})}
    for file, body in archives.items():
        (root / file).write_bytes(body)
        with pytest.raises(DeepnmfError, match="outside the folder"):
            extract(root / file, root)
    assert {path.name for path in root.iterdir()} == set(archives)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


@pytest.mark.parametrize("body", [b"not an archive", BODY[:-2000], tarred(("corpus/a", bytes(99999)))[:-60]])
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(body)
    with pytest.raises(DeepnmfError, match="damaged"):
        extract(tmp_path / "a.zip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def flagged(body: bytes, offset: int, value: int) -> bytes:
    """Return a zip with 16 bits of the headers of its members changed; `offset` is that in the local header."""
    changed = bytearray(body)
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        at = -1
        while (at := body.find(signature, at + 1)) >= 0:
            changed[at + offset + shift : at + offset + shift + 2] = value.to_bytes(2, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (flagged(BODY, 6, 1), "encrypted.*password"),
        (flagged(BODY, 8, 99), "cannot be unpacked"),
        (flagged(BODY, 8, 14), "damaged"),
        (tarred(("a\0b", b"a"))[:40], "damaged"),
    ],
)
def test_what_cannot_be_unpacked_is_one_line(tmp_path: Path, body: bytes, words: str) -> None:
    (tmp_path / "a.zip").write_bytes(body)
    with pytest.raises(DeepnmfError, match=rf"a\.zip.*{words}"):
        unpack.extract(tmp_path / "a.zip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def packed_zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return buffer.getvalue()


def claiming(size: int) -> tarfile.TarInfo:
    """Return a tar member that claims a size and has nothing in it: its header alone."""
    info = tarfile.TarInfo("huge")
    info.size = size
    return info


def lying_zip() -> bytes:
    """Return a zip of zeros whose headers claim one byte."""
    body = bytearray(packed_zip(a=bytes(10_000_000)))
    central = body.find(b"PK\x01\x02")
    body[22:26] = body[central + 24 : central + 28] = (1).to_bytes(4, "little")
    return bytes(body)


@pytest.mark.parametrize(
    "body",
    [
        packed_zip(a=bytes(10_000_000)),
        packed_zip(**{f"f{n}": bytes(2_000_000) for n in range(5)}),
        tarred(("a", bytes(10_000_000))),
        tarred(("music/a", bytes(10_000_000)), ("a", b"a")),
        tarred(claiming(2**50)),
        lying_zip(),
    ],
)
def test_what_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(unpack, "ALLOWANCE_BYTES", 1_000_000)
    (tmp_path / "bomb").write_bytes(body)
    with pytest.raises(DeepnmfError, match=r"bomb.*(more than|damaged)"):
        unpack.extract(tmp_path / "bomb", tmp_path, only="a")
    assert [path.name for path in tmp_path.iterdir()] == ["bomb"]


def test_more_files_than_any_corpus_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MEMBERS_LIMIT", 3)
    (tmp_path / "many").write_bytes(tarred(*((f"{n}", b"") for n in range(4))))
    with pytest.raises(DeepnmfError, match="more than"):
        unpack.extract(tmp_path / "many", tmp_path)


def test_an_archive_without_a_published_hash_is_compared_with_the_first_copy(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = dataclasses.replace(of(server, "a.zip"), digest="", size=None)
    download([archive], tmp_path)
    assert hashlib.sha256(BODY).hexdigest() in (tmp_path / "a.zip.sha256").read_text()
    assert "unchecked" in capsys.readouterr().err
    (tmp_path / "a.zip").unlink()
    (tmp_path / ".a.zip.extracted").unlink()
    server.files["/a.zip"] = zipped(corpus__a=b"another")
    with pytest.raises(DeepnmfError, match="sha256"):
        download([archive], tmp_path)
    assert (tmp_path / "corpus/a").read_bytes() == b"a" * 50_000
