"""ONNX Runtime for browsers: of one version, from npm, checked against its hashes and kept in the user's cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from http.client import HTTPException
from pathlib import Path

from ..artifacts import atomic_path
from ..data.corpora.download import Archive, fetch
from ..enhancement.record import file_digest
from ..errors import DeepnmfError, require

VERSION = "1.30.0"
SCRIPT, LOADER, BINARY = "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
DIGESTS = {
    SCRIPT: "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    LOADER: "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""SHA-256 of the files of this version that the page needs."""
PACKAGE = f"onnxruntime-web@{VERSION}"
DELIVERY = f"https://cdn.jsdelivr.net/npm/{PACKAGE}/dist"
"""Where single files of npm packages are, for machines without npm."""


def user_cache() -> Path:
    """Return the folder of the user's cache for this package.

    Raises
    ------
    MissingExtra
        If platformdirs is missing.
    """
    require("the page", "platformdirs")
    import platformdirs

    return Path(platformdirs.user_cache_dir("deepnmf"))


def runtime_folder(cache: Path | None = None) -> Path:
    """Return a folder with the files of `DIGESTS`; those that are missing or damaged are fetched.

    Parameters
    ----------
    cache : Path, optional
        Where to keep them; the user's cache by default.

    Raises
    ------
    DeepnmfError
        If they cannot be fetched; the message gives the remedy.
    """
    folder = (user_cache() if cache is None else cache) / f"onnxruntime-web-{VERSION}"
    if _missing(folder):
        print(f"deepnmf: fetching {PACKAGE}, once", file=sys.stderr)
        reasons = [reason for source in (_from_npm, _from_delivery) if _missing(folder) and (reason := source(folder))]
        if missing := _missing(folder):
            raise DeepnmfError(
                f"{folder}: {', '.join(missing)} cannot be fetched ({'; '.join(reasons)}); connect to the network, or "
                f"put them there from `npm pack {PACKAGE}`"
            )
    return folder


def _missing(folder: Path) -> list[str]:
    return [name for name, digest in DIGESTS.items() if file_digest(folder / name) != digest]


def _from_npm(folder: Path) -> str:
    """Extract the files from the package; return why not, if it fails."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", PACKAGE, "--pack-destination", temporary, "--silent"]
        result = subprocess.run(command, capture_output=True, text=True, cwd=temporary)
        archive = Path(temporary) / f"{PACKAGE.replace('@', '-')}.tgz"
        if result.returncode or not archive.is_file():
            return f"npm: {(result.stderr.strip().splitlines() or ['failed'])[0]}"
        with tarfile.open(archive) as package:
            for name in DIGESTS:
                member = package.extractfile(f"package/dist/{name}")
                assert member is not None
                with atomic_path(folder / name) as path:
                    path.write_bytes(member.read())
    return ""


def _from_delivery(folder: Path) -> str:
    """Fetch the files one by one; return why not, if it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name in _missing(folder):
            fetch(Archive(f"{DELIVERY}/{name}", f"sha256:{DIGESTS[name]}"), folder / name)
    except (OSError, HTTPException, DeepnmfError) as error:
        return f"{DELIVERY}: {getattr(error, 'reason', error)}"
    return ""
