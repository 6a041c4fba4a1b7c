"""Write the attributions required by the licences of the training recordings.

    python recipes/open/package_models/attribution.py >src/deepnmf/models/ATTRIBUTION.md

Reads ``sources.csv.gz`` beside this script. Recordings under licences that require no attribution are not listed.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import textwrap
from pathlib import Path

SOURCES = Path(__file__).parent / "sources.csv.gz"
NEEDS_AUTHOR = re.compile(r"^CC[- ]BY([- ]\d\.\d)?")
AUTHOR = re.compile(r"\(((?:[^()]|\([^()]*\))*)\)")
NOT_A_NAME = re.compile(r",?\s*(https?://\S+|freesound\.org/\S+|Audio was recorded by.*|\[.*)")
KNOWN = {
    "librispeech": "V. Panayotov, G. Chen, D. Povey, S. Khudanpur; readers of LibriVox",
    "speech_commands": "P. Warden, Google",
    "esc10": "K. J. Piczak; users of freesound.org named in ESC-10",
    "shawnhymel_keywords": "S. Hymel and contributors",
    "antum_minetest": "others named in sources.md of its repository",
    "blanket": "Luftrum (waves), gezortenplotz (city), alex36917 (rain), Digifish music (storm), and others",
}
"""Authors of sources whose list has none for a file."""
HEAD = """# Attributions

The models `default`, `small`, `profile` and `framewise` were trained on excerpts, mixed and partly at other speeds and
filtered, of recordings by these authors under Creative Commons Attribution licences; `snmf` on a part of them, which
its card names. No recording is in the models. Addresses, and every file with its licence:
`recipes/open/package_models/README.md` and `sources.csv.gz`.
"""


def main() -> None:
    """Print the page."""
    rows = csv.DictReader(io.StringIO(gzip.decompress(SOURCES.read_bytes()).decode()))
    authors: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if found := NEEDS_AUTHOR.match(row["licence"]):
            licence = found.group().replace(" ", "-")
            authors.setdefault((row["source"], licence), set()).add(author(row))
    print(HEAD)
    for (source, licence), names in sorted(authors.items()):
        text = f"- {source}, {licence}: {', '.join(sorted(names, key=str.casefold))}"
        print(textwrap.fill(text, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def author(row: dict[str, str]) -> str:
    """Return the author of a recording."""
    named = AUTHOR.search(row["licence"])
    if named is None:
        return KNOWN[row["source"]]
    return NOT_A_NAME.sub("", named.group(1)).strip(" ,") or KNOWN[row["source"]]


if __name__ == "__main__":
    main()
