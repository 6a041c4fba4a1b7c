"""Train the rows of systems.tsv on a GPU in a given time, in the folder that pack.py wrote. Needs torch and NumPy.

    python3 go.py OUT SECONDS [--device cuda] [--jobs 4] [--only REGEX] [--set KEY=VALUE ...]

Stages are the package's own: features in parallel, dictionaries, then rows in their order, some at a time. Prints a
line for each row, and writes into OUT the log, the results and zip files of models with 16 bits per weight.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TextIO

HERE = Path(__file__).resolve().parent
SAVING_SECONDS = 8
"""Left for models at the end."""
ZIP_BYTES, ZIP_FILES = 10_000_000, 5
HALVE = """
import sys
from deepnmf.model import load_model, save_model
for path in sys.argv[1:]:
    save_model(path.replace("best.", "half."), load_model(path), half=True)
"""


class Run:
    """The processes of a run and where they work."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.end = time.monotonic() + options.seconds
        self.options, self.work = options, Path(tempfile.mkdtemp())
        self.features = self.work / "features"
        for wheel in HERE.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(self.work / "site")
        text = (HERE / "manifest.jsonl").read_text()
        packed = json.loads(text.partition("\n")[0])["speech"].split("/audio/")[0]
        self.manifest = self.work / "manifest.jsonl"
        self.manifest.write_text(text.replace(f"{packed}/audio/", f"{HERE}/audio/"))
        self.log = (options.output / "log.txt").open("w")
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def log_line(self, line: str) -> None:
        """Print a line with the seconds since the start."""
        line = f"{self.options.seconds - self.left:6.1f} s  {line}"
        print(line, flush=True)
        print(line, file=self.log, flush=True)

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.end - time.monotonic()

    def deepnmf(self, name: str, threads: int, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start the command line with its output in the log."""
        return self.python(name, threads, "-m", "deepnmf", *words)

    def python(self, name: str, threads: int, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start Python."""
        path = os.pathsep.join([str(HERE / "deepnmf.zip"), str(self.work / "site"), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        log: TextIO = (self.work / f"{name}.log").open("w")
        return subprocess.Popen([sys.executable, *map(str, words)], env=env, stdout=log, stderr=log)

    def make_features(self) -> None:
        """Compute the features in as many processes as there are cores."""
        cores = os.cpu_count() or 1
        words = ("features", self.manifest, "-o", self.features, "--set", "network.kind=deep-nmf")
        parts = [
            self.deepnmf(f"features-{i}", 1, *words, "--shard", f"{i}/{cores}")
            if cores > 1
            else self.deepnmf("f", 1, *words)
            for i in range(1, cores + 1)
        ]
        for part in parts:
            part.wait()
        if not (self.features / "features.json").exists():
            raise SystemExit("\n".join(path.read_text()[-2000:] for path in self.work.glob("f*.log")))

    def train(self, rows: list[list[str]]) -> None:
        """Pretrain the dictionaries, and train each row once its dictionary is there, until the time is over."""
        dictionaries = {row[1]: row[2] for row in rows if row[1] != "-"}
        for name, settings in dictionaries.items():
            chosen = self.settings(f"network.kind=deep-nmf {settings}")
            words: list[str | Path] = ["pretrain", self.features, "-o", self.path(name), *chosen]
            self.running[name] = self.deepnmf(name, max(1, (os.cpu_count() or 1) // len(dictionaries)), *words)
        waiting = list(rows)
        while self.left > SAVING_SECONDS and (waiting or self.running):
            for name in [name for name, process in self.running.items() if process.poll() is not None]:
                code = self.running.pop(name).returncode
                self.log_line(f"{name}: done" if not code else f"{name}: exit {code}: {self.tail(name)}")
            ready = [
                row for row in waiting if row[1] == "-" or (self.path(row[1]).exists() and row[1] not in self.running)
            ]
            if ready and sum(name not in dictionaries for name in self.running) < self.options.jobs:
                waiting.remove(ready[0])
                self.start(ready[0])
            time.sleep(0.05)
        for process in self.running.values():
            process.kill()
            process.wait()
        for name in [*self.running, *(row[0] for row in waiting)]:
            self.log_line(f"{name}: the time was over")

    def start(self, row: list[str]) -> None:
        """Start the training of a row."""
        name, dictionary, _, settings = row
        source: list[str | Path] = [] if dictionary == "-" else ["--dictionary", self.path(dictionary)]
        settings = settings if "network.kind" in settings else f"network.kind=deep-nmf {settings}"
        words = ["train", "--features", self.features, *source, "-o", self.work / name, "--device", self.options.device]
        self.running[name] = self.deepnmf(name, 1, *words, *self.settings(f"train.epochs=6 {settings}"))

    def settings(self, text: str) -> list[str]:
        """Return settings as words of the command line."""
        return [word for item in [*text.split(), *self.options.set] for word in ("--set", item)]

    def path(self, dictionary: str) -> Path:
        """Return the file of a dictionary."""
        return self.work / f"dictionary-{dictionary}.safetensors"

    def tail(self, name: str) -> str:
        """Return the last line of a log."""
        return (self.work / f"{name}.log").read_text().strip().rpartition("\n")[2]

    def report(self, rows: list[list[str]]) -> None:
        """Print dev scores and throughput of each row and write them and the models."""
        names = [row[0] for row in rows if (self.work / row[0] / "best.safetensors").exists()]
        self.python("halve", 4, "-c", HALVE, *(self.work / name / "best.safetensors" for name in names)).wait()
        results = {name: list(csv.DictReader((self.work / name / "curves.csv").open())) for name in names}
        for name, epochs in results.items():
            scores = " ".join(f"{float(epoch['dev_si_sdr_db']):.2f}" for epoch in epochs)
            speeds = [float(epoch["frames_per_second"]) for epoch in epochs if epoch["frames_per_second"]]
            self.log_line(f"{name}: dev {scores} dB; {max(speeds, default=0):,.0f} frames per second")
        (self.options.output / "results.json").write_text(json.dumps(results, indent=1))
        self.save({name: self.work / name / "half.safetensors" for name in names})

    def save(self, models: dict[str, Path]) -> None:
        """Write the models into zip files of bounded size, in the order of the rows."""
        groups: list[tuple[int, list[str]]] = []
        for name in (name for name, path in models.items() if path.exists()):
            size = models[name].stat().st_size
            if not groups or groups[-1][0] + size > ZIP_BYTES:
                groups.append((0, []))
            groups[-1] = groups[-1][0] + size, [*groups[-1][1], name]
        for number, (_, names) in enumerate(groups[:ZIP_FILES], 1):
            with zipfile.ZipFile(self.options.output / f"models-{number}.zip", "w") as archive:
                for name in names:
                    archive.write(models[name], f"{name}.safetensors")


def main() -> None:
    """Train what the time allows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", default=".")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    lines = csv.reader((HERE / "systems.tsv").open(), delimiter="\t")
    rows = [row for row in lines if not row[0].startswith("#") and re.search(options.only, row[0])]
    run = Run(options)
    run.make_features()
    run.log_line("features: done")
    run.train(rows)
    run.report(rows)


if __name__ == "__main__":
    main()
