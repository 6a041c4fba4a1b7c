"""A narrow corpus, one voice and two noises, as links to recordings of the open corpus, split by files.

    python recipes/fine_tuning/corpus.py DATA -o exp/fine_tuning

DATA is the folder of the open recordings (data/README.md), with its second part in DATA/more. Writes
``speech/<split>/<speaker>`` and ``noise/<split>/<type>``: of each, every seventh file is for dev and every seventh for
test.
"""

from __future__ import annotations

import argparse
from pathlib import Path

SPEECH = ("kerstin_de/kerstin",)
NOISE = ("keyboard_typing", "berlin_street")
SOURCES = {"keyboard_typing": "mechvibes"}
"""Of a type of noise that several sources have, the one to take."""
EVERY = 7


def main() -> None:
    """Link the recordings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    for kind, groups in (("speech", SPEECH), ("noise", NOISE)):
        for group in groups:
            link(sorted((options.data / "more" / kind / "train" / group).iterdir()), options.output / kind, group)


def link(files: list[Path], folder: Path, group: str) -> None:
    """Link files below ``folder/<split>``, in a folder of the group's name."""
    wanted = SOURCES.get(group)
    chosen = [path for path in files if wanted is None or path.name.startswith(wanted)]
    for number, path in enumerate(chosen):
        split = {EVERY - 2: "dev", EVERY - 1: "test"}.get(number % EVERY, "train")
        target = folder / split / Path(group).name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(path.resolve())


if __name__ == "__main__":
    main()
