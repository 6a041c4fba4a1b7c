"""Speed of learning dictionaries: shares of the float32 GEMM peak that NMF programs reach in the same run.

    python benchmarks/nmf.py [--frames 2048] [--repeats 5] [--beta 1] [-o benchmarks/nmf.md]
    python benchmarks/nmf.py --convergence RECORDING... [--beta 1] [--atoms 100] [--sparsity 3]

Ten iterations with the tolerance off, one thread, processor time. A share counts what the arithmetic needs (4 F R N
operations for an update of the activations, 8 with the dictionary, whatever a program does) against a large matrix
product timed before and after each measurement. The median of the repeats is printed, with their range.

`--convergence` fits a dictionary to recordings instead, with plain and with extrapolated updates from the same start,
and prints the objective, relative to the last one of the plain updates, against processor time.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

ITERATIONS = 10
SIZES = ((2313, 200), (257, 200))
Run = Callable[[], object]


def plain_numpy(X: np.ndarray, C: np.ndarray, learn: bool, beta: float) -> Run:
    """Run the textbook updates, on the transposed problem V ≈ W H."""
    V, floor = np.ascontiguousarray(X.T), np.float32(1e-7)

    def run() -> None:
        W, H = np.ascontiguousarray(C.T), np.ones((len(C), len(X)), np.float32)
        for _ in range(ITERATIONS):
            model = W @ H + floor
            H *= (W.T @ (V * model ** (beta - 2))) / (W.T @ model ** (beta - 1))
            if learn:
                model = W @ H + floor
                W *= ((V * model ** (beta - 2)) @ H.T) / (model ** (beta - 1) @ H.T)
                W /= np.sqrt((W * W).sum(0))

    def run_kl() -> None:
        W, H = np.ascontiguousarray(C.T), np.ones((len(C), len(X)), np.float32)
        for _ in range(ITERATIONS):
            H *= (W.T @ (V / (W @ H + floor))) / W.sum(0)[:, None]
            if learn:
                W *= ((V / (W @ H + floor)) @ H.T) / H.sum(1)
                W /= np.sqrt((W * W).sum(0))

    return run_kl if beta == 1 else run


def deepnmf(X: np.ndarray, C: np.ndarray, learn: bool, beta: float) -> Run:
    """Fit, or transform, by `deepnmf.nmf.sparse_nmf.SparseNMF`."""
    from deepnmf.nmf.sparse_nmf import SparseNMF

    snmf = SparseNMF(len(C), beta=beta, max_iter=ITERATIONS, tol=0, random_state=0)
    if learn:
        return lambda: snmf.fit(X)
    snmf.set_params(max_iter=1).fit(X[:10])
    snmf.set_params(max_iter=ITERATIONS)
    return lambda: snmf.transform(X)


def torchnmf(X: np.ndarray, C: np.ndarray, learn: bool, beta: float) -> Run:
    """Fit by torchnmf; with `learn` off, its dictionary does not change."""
    import torch
    from torchnmf.nmf import NMF

    torch.set_num_threads(1)
    V = torch.from_numpy(X)
    H = torch.ones(len(X), len(C))
    W = torch.from_numpy(np.ascontiguousarray(C.T))
    return lambda: NMF(W=W.clone(), H=H.clone(), trainable_W=learn).fit(V, beta, tol=-1e9, max_iter=ITERATIONS)


def scikit_learn(X: np.ndarray, C: np.ndarray, learn: bool, beta: float) -> Run:
    """Fit, or transform, by multiplicative updates of scikit-learn."""
    from sklearn.decomposition import NMF

    nmf = NMF(len(C), init="custom", solver="mu", beta_loss=beta, max_iter=ITERATIONS, tol=0)
    H = np.ones((len(X), len(C)), np.float32)
    if learn:
        return lambda: nmf.fit_transform(X, W=H.copy(), H=C.copy())
    nmf.set_params(init="random", random_state=0).fit(X[:300])
    return lambda: nmf.transform(X)


SYSTEMS = {"plain NumPy": plain_numpy, "deepnmf": deepnmf, "torchnmf": torchnmf, "scikit-learn": scikit_learn}
PACKAGES = {"torchnmf": "torchnmf", "scikit-learn": "sklearn"}


def peak(size: int = 1024, repeats: int = 4) -> float:
    """Return the floating-point operations per second of a large float32 matrix product, the best of a few."""
    a = np.random.default_rng(0).random((size, size), np.float32)
    out = np.empty_like(a)
    return 2 * size**3 / min(processor_seconds(lambda: np.matmul(a, a, out=out)) for _ in range(repeats))


def processor_seconds(run: Run) -> float:
    """Return the processor time of a call, in all threads."""
    started = time.process_time()
    run()
    return time.process_time() - started


def share(run: Run, operations: float) -> float:
    """Return the share of the peak that a call reaches."""
    before = peak()
    seconds = processor_seconds(run)
    return operations / seconds / ((before + peak()) / 2)


def measure(features: int, atoms: int, frames: int, learn: bool, beta: float, repeats: int) -> dict[str, list[float]]:
    """Return the shares of every installed system, its repeats alternating with those of the others."""
    rng = np.random.default_rng(0)
    C = rng.random((atoms, features), np.float32)
    C /= np.linalg.norm(C, axis=1, keepdims=True)
    X = rng.random((frames, atoms), np.float32) ** 8 @ C + np.float32(1e-3)
    names = [name for name in SYSTEMS if name not in PACKAGES or importlib.util.find_spec(PACKAGES[name])]
    runs = {name: SYSTEMS[name](X, C, learn, beta) for name in names}
    operations = ITERATIONS * (8 if learn else 4) * features * atoms * frames
    shares: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            shares[name].append(share(run, operations))
    return shares


def table(frames: int, beta: float, repeats: int) -> str:
    """Return the table as Markdown."""
    lines = []
    for features, atoms in SIZES:
        count = frames * max(1, SIZES[0][0] // features)  # as much work in each row
        for learn in (False, True):
            found = measure(features, atoms, count, learn, beta, repeats)
            cells = [f"{100 * np.median(x):.0f} % ({100 * min(x):.0f}–{100 * max(x):.0f})" for x in found.values()]
            what = "W and H" if learn else "H alone"
            lines.append(f"| F = {features}, R = {atoms}, N = {count}: {what} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    head = f"| β = {beta:g} | {' | '.join(found)} |\n|{'---|' * (len(found) + 1)}\n"
    load = os.getloadavg()[0]
    return (
        head
        + "\n".join(lines)
        + f"\n\nPeak {peak() / 1e9:.0f} GFLOP/s; load {load:.1f} on {os.cpu_count()} processors.\n"
    )


def convergence(X: np.ndarray, atoms: int, beta: float, sparsity: float, updates: int = 121) -> str:
    """Return objective against time of plain and of extrapolated updates, as Markdown."""
    from deepnmf.nmf.sparse_nmf import SparseNMF

    objectives, seconds = [], []
    for extrapolate in (False, True):
        snmf = SparseNMF(
            atoms, beta=beta, sparsity=sparsity, max_iter=updates, tol=0, random_state=0, extrapolate=extrapolate
        )
        seconds.append(processor_seconds(functools.partial(snmf.fit, X)))
        objectives.append(np.array(snmf.objective_))
    head = f"| updates | {' | '.join(f'{kind}: s | objective' for kind in ('plain', 'extrapolated'))} |\n|{'---|' * 5}"
    lines = [head]
    for index in range(1, len(objectives[0])):
        count = min(10 * index, updates)
        cells = [
            f"{s * count / updates:.2f} | {o[index] / objectives[0][-1]:.3f}"
            for s, o in zip(seconds, objectives, strict=True)
        ]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join([f"{X.shape[0]} frames, beta {beta:g}, sparsity {sparsity:g}\n", *lines])


def magnitudes(paths: list[Path]) -> np.ndarray:
    """Return the magnitudes of recordings at 16 kHz ``(N, F)``, their mean one."""
    from deepnmf.audio.files import read_mono
    from deepnmf.config import StftSpec
    from deepnmf.dsp.stft import stft

    spec = StftSpec()
    frames = np.concatenate([np.abs(stft(read_mono(path, spec.rate_hz)[None], spec)[0]).T for path in paths])
    return frames / frames.mean()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2048, help="frames of the largest problem")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument("--convergence", nargs="+", type=Path, metavar="RECORDING")
    parser.add_argument("--atoms", type=int, default=100)
    parser.add_argument("--sparsity", type=float, default=3.0)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.convergence:
        print(convergence(magnitudes(options.convergence), options.atoms, options.beta, options.sparsity))
        return
    text = table(options.frames, options.beta, options.repeats)
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
