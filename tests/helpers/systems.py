"""Systems to score, in a module that the processes of an evaluation can import."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepnmf.evaluation import System, evaluate
from deepnmf.evaluation.items import Item
from deepnmf.evaluation.partial_scores import Score

RATE = 16000


def smooth(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Enhance a little: drop the treble."""
    assert rate_hz == RATE
    return np.convolve(samples, np.ones(4, np.float32) / 4, "same")


@dataclass
class Endless:
    """A system that does not come to the end of its fourth mixture, after one to warm up."""

    left: int = 1 + 3

    def __call__(self, samples: np.ndarray, rate_hz: int) -> np.ndarray:
        """Enhance a little, or for ever."""
        self.left -= 1
        if self.left < 0:
            time.sleep(10**6)
        return smooth(samples, rate_hz)


def fussy(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Fail on the loudest mixtures in a way of its own."""
    if np.abs(samples).max() > 0.4:
        raise ValueError("too loud")
    return smooth(samples, rate_hz)


SMOOTH = System("smooth", RATE, smooth)


def run_endless(manifest: Path, output: Path) -> None:
    evaluate(manifest, output, model=System("slow", RATE, Endless()))


def score_or_fail(item: Item, _: None) -> Score:
    """Score an item, or fail as no code foresaw if its name is odd."""
    return Score({"id": item.id}, 1 / (not item.id.startswith("odd")))


def do_nothing(_: None) -> None:
    """Warm nothing up."""
