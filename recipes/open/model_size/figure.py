"""Draw the comparison of networks: score against size, from the table in RESULTS.md. Needs the `plot` extra.

python recipes/open/model_size/figure.py recipes/open/RESULTS.md recipes/open/model_size/pareto.svg
"""

import sys
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from results import HEAD, METRICS, SIZES, Point, front

LONG = "-long"
"""End of the names of systems that are trained for four times as many frames."""


def main(results: Path, figure: Path) -> None:
    """Draw the table of `results`."""
    with rc_context({"svg.hashsalt": "pareto"}):  # the same names of elements in each run
        draw(read_table(results.read_text(encoding="utf-8")), figure)


def read_table(text: str) -> list[Point]:
    """Return the networks of the table that results.py printed into this text."""
    _, _, *lines = (HEAD + text.partition(HEAD)[2].partition("\n\n")[0]).splitlines()
    if not lines:
        raise SystemExit("no table of results.py")
    return [point_of(*line.strip("| ").split(" | ")) for line in lines]


def point_of(name: str, parameters: str, macs: str, frames: str, si_sdr: str, sdr: str, *_: str) -> Point:
    """Return the network of a row."""
    means = [float(score.partition(" ± ")[0]) for score in (si_sdr, sdr)]
    scores = {metric: [mean] for metric, mean in zip(METRICS, means, strict=True)}
    return Point(name, int(parameters.replace(",", "")), millions(macs), round(millions(frames)), scores)


def millions(cell: str) -> float:
    """Return a number of a cell such as ``46.3 M``."""
    return float(cell.removesuffix(" M")) * 1e6


def draw(points: list[Point], figure: Path) -> None:
    """Draw each score against each size, with the Pareto front."""
    image = Figure(figsize=(11, 8), layout="constrained")
    panels = image.subplots(len(METRICS), len(SIZES), sharey="row", sharex="col")
    families = sorted({point.family for point in points})
    for axes_row, (metric, label) in zip(panels, METRICS.items(), strict=True):
        for axes, (size, size_label) in zip(axes_row, SIZES.items(), strict=True):
            for number, family in enumerate(families):
                members = [point for point in points if point.family == family]
                places = [(getattr(point, size), point.mean(metric)) for point in members]
                faces = ["none" if point.name.endswith(LONG) else f"C{number}" for point in members]
                marks = {"label": family, "edgecolors": f"C{number}", "facecolors": faces, "s": 36, "zorder": 3}
                axes.scatter(*zip(*places, strict=True), **marks)
            best = front(points, size, metric)
            corners = [getattr(point, size) for point in best], [point.mean(metric) for point in best]
            axes.plot(*corners, color="0.6", linewidth=1, drawstyle="steps-post", zorder=1)
            axes.set(xscale="log", xlabel=size_label, ylabel=label)
            axes.grid(alpha=0.3)
    handles, labels = panels[0][0].get_legend_handles_labels()
    image.legend(handles, labels, loc="outside lower center", ncols=5, title="hollow: four times the training")
    image.savefig(figure, metadata={"Date": None})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
