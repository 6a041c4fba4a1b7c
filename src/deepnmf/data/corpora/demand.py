"""DEMAND (Thiemann et al. 2013): eighteen environments recorded with sixteen microphones, of which one is used."""

from __future__ import annotations

from pathlib import Path

from ..folders import split_by_group
from ..manifest import Split
from ..scan import Clip, read_clips
from .download import Archive
from .layout import PrepareOptions, locate

LICENCE = "CC-BY-SA-3.0"
SPLITTING = "noise: a tenth of the environments to dev and to test, by seed"
CHANNEL = "ch01.wav"
PUBLISHED = 18

_ZENODO = "https://zenodo.org/records/1227121/files"
_MD5 = {
    "DKITCHEN_16k": "7ffbf52d7f4699f96927846103dc8788",
    "DLIVING_16k": "46741384d9e434a0bd8b3ec1830b6052",
    "DWASHING_16k": "7e5ee9437ce9409c5f9a779b6212a240",
    "NFIELD_16k": "a740046c6f4e174e16f5d568aaec5024",
    "NPARK_16k": "80f1385a34d7f1705758926b57f138ce",
    "NRIVER_16k": "54264db61d3fe073fb81f2e40e0d19b5",
    "OHALLWAY_16k": "fe918bbb0e63e73d09ba7f4843ef33f1",
    "OMEETING_16k": "62f7cfe7fe6d30b7d8a215fe37c2dfd2",
    "OOFFICE_16k": "7b61cc2d182d5a654cb9c3101ddd4041",
    "PCAFETER_16k": "99927d148128254141a9417d051510bb",
    "PRESTO_16k": "b98d2e6854eeebb397f29a8ad7457092",
    "PSTATION_16k": "d7448009f6c2aeb6ba570375df1750a3",
    "SPSQUARE_16k": "205d0e7b8fe74504a2f8d252fc414b9e",
    "STRAFFIC_16k": "2efa87262f272bbf9ba578088e81939c",
    "TBUS_16k": "706b11b0d8504f9f3b3f3211e91b3863",
    "TCAR_16k": "4d930012796bd298932245a26189f973",
    "TMETRO_16k": "95daf4df678e13b120e14211e6d89571",
    "SCAFE_48k": "",  # there is no 16 kHz version of it, and no published hash
}
ARCHIVES = tuple(Archive(f"{_ZENODO}/{name}.zip", f"md5:{md5}" if md5 else "") for name, md5 in _MD5.items())


def noise(root: Path, options: PrepareOptions) -> dict[Split, list[Clip]]:
    """Return the first channel of each environment: the others are the same noise a few centimetres away."""
    root = locate(root, f"*/{CHANNEL}", "DEMAND", "demand")
    clips = read_clips(sorted(root.glob(f"*/{CHANNEL}")), root, options.report, lambda path: path.parent.name)
    options.report.count("DEMAND", len(clips), PUBLISHED)
    return split_by_group(clips, options.seed)
