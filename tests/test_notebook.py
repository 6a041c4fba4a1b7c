"""The notebook runs from its first cell to its last."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow
nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
for package in ("ipykernel", "matplotlib"):
    pytest.importorskip(package)


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("clean.wav", "noisy.wav"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=PATIENCE_SECONDS, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds  # the atoms, and players
    text = "".join(output.get("text", "") for output in outputs)
    assert "dB SI-SDR" in text
    assert "Traceback" not in text
