"""Several processes joined by torch.distributed: NCCL between GPUs, Gloo for everything else."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import NoReturn, TypeVar

import numpy as np
import torch
import torch.distributed as dist

# Imported once there is a group, as by torch's optimisers, it would keep the group in default arguments, and Gloo's
# threads with it: one that drops a tensor while Python shuts down aborts the process.
import torch.distributed.nn.functional  # noqa: F401
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ..errors import DeepnmfError, InputError, printable
from ..progress import note
from .processes import Processes
from .watch import Watch, accept, connect, listen, reachable_address

T = TypeVar("T")

JOIN_TIMEOUT = timedelta(minutes=10)
NAMED_SECONDS = 15.0
"""Time after which a process that waits to join names what it waits for; on a busy machine, torch loads for seconds."""
WAIT_TIMEOUT = timedelta(days=30)
"""Of a collective: process 0 may prepare features for days, and the loss of a process is noticed by the watch."""
REPORT_SECONDS = 10.0
"""Time that another process leaves to process 0 for the report of a failure."""
EXCHANGED = ("cpu", "cuda")
"""Types of devices that Gloo or NCCL take arrays of."""
REMEDY = "run the same command again to resume"


class ConnectionLost(DeepnmfError):  # noqa: N818 - what has happened, not an error of the program
    """A collective that failed, since another process has ended."""


class Group(Processes):
    """The processes of a run, joined by :func:`group_of`."""

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of an array over the processes."""
        total = torch.tensor(array)
        with _collective():
            dist.all_reduce(total)
        return total.numpy()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes: in place, all on their way at once."""
        sent = [tensor if tensor.device.type in EXCHANGED else tensor.cpu() for tensor in tensors]
        with _collective():
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in sent]:
                work.wait()
        for tensor, total in zip(tensors, sent, strict=True):
            if total is not tensor:
                tensor.copy_(total)

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.sum(np.zeros(1))

    def first_alone(self, function: Callable[[], T]) -> T:
        """Return what `function` returns in each process: process 0, which may write files, calls it before others."""
        own = [function()] if self.rank == 0 else []
        self.wait()
        return own[0] if own else function()

    def from_first(self, function: Callable[[], T]) -> T:
        """Return what `function` returns in process 0, which alone calls it; the others wait."""
        result: list[T | None] = [function() if self.rank == 0 else None]
        with _collective():
            dist.broadcast_object_list(result, src=0, device=torch.device("cpu"))
        return result[0]  # type: ignore[return-value]


@contextlib.contextmanager
def _collective() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of Gloo and NCCL: one line or many
        raise ConnectionLost(f"the connection between the processes was lost; {REMEDY}") from error


@contextlib.contextmanager
def group_of(rank: int, size: int, device: str) -> Iterator[Group]:
    """Join the group of processes that torchrun has started, until the context ends.

    Raises
    ------
    InputError
        If the device cannot be used by several processes, or the others cannot be reached.
    """
    with _ended_by_signals(), _waiting_named(rank, size):
        store, watch = _connected(rank, size)
    watch.start()
    if rank:
        with contextlib.suppress(ValueError):  # outside the main thread
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it writes no files, and may be waiting in a collective
    with _silent() if rank else contextlib.nullcontext():
        try:
            own = device_of(device, int(os.environ.get("LOCAL_RANK", rank)))
            dist.init_process_group(backend_of(own), store=store, rank=rank, world_size=size, timeout=WAIT_TIMEOUT)
            group = Group(rank, size, own)
            yield group
            group.wait()
            watch.send(done=True)
            watch.wait(REPORT_SECONDS)
        except BaseException as error:
            _fail(error, rank, watch)
        finally:
            with contextlib.suppress(RuntimeError, AssertionError, ValueError):
                dist.destroy_process_group()


def device_of(device: str, local_rank: int) -> str:
    """Return the device of a process: for ``"cuda"`` the GPU with its local number.

    Raises
    ------
    InputError
        If the machine has fewer GPUs than processes, or all processes would share the one given.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return device
    if number:
        raise InputError(f"device {device}: several processes cannot share a GPU; give cuda, without a number")
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise InputError(
            f"device cuda: process {local_rank} of this machine has no GPU of its own, there are {count}; start "
            "torchrun with --nproc-per-node gpu"
        )
    torch.cuda.set_device(local_rank)
    return f"cuda:{local_rank}"


def backend_of(device: str) -> str:
    """Return the backend of torch.distributed: NCCL for what is on a GPU, Gloo for what is not."""
    return "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"


def _connected(rank: int, size: int) -> tuple[Store, Watch]:
    try:
        store, *_ = next(iter(rendezvous("env://", timeout=JOIN_TIMEOUT)))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun may keep the store between them
        store = PrefixStore(f"deepnmf {attempt}", store)
        return store, _watch(rank, size, store)
    except (OSError, RuntimeError, ValueError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = str(error).splitlines()[0]
        raise InputError(f"process {rank} cannot reach the others at {place} ({reason})") from None


def _watch(rank: int, size: int, store: Store) -> Watch:
    """Return the watch of this process, connected but not yet started."""
    if rank == 0:
        address, token = reachable_address(os.environ), secrets.token_hex(16)
        server = listen(size - 1, address)
        store.set("watch", f"{address} {server.getsockname()[1]} {token}")
        return Watch(accept(server, size - 1, token), True, REMEDY)
    address, port, token = store.get("watch").decode().split()
    host = socket.gethostname()
    connection = connect(address, int(port), token, f"rank {rank} (process {os.getpid()} on {host})")
    prints = rank == 1 or os.environ.get("LOCAL_RANK") == "0"  # of the loss of process 0: once on each machine
    return Watch({connection: f"rank 0 ({address})"}, prints, REMEDY)


@contextlib.contextmanager
def _waiting_named(rank: int, size: int) -> Iterator[None]:
    """Print a line if the others are not there after some seconds: once on each machine."""
    place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    line = (
        f"process {rank} of {size} is still waiting for the others at {place}: check that all have been started, that "
        "MASTER_ADDR and MASTER_PORT are those of process 0, and that no firewall is between; it gives up after "
        f"{JOIN_TIMEOUT.total_seconds() / 60:.0f} minutes"
    )
    timer = threading.Timer(NAMED_SECONDS, note, [printable(line)])
    timer.daemon = True
    if os.environ.get("LOCAL_RANK", "0") == "0" or "LOCAL_WORLD_SIZE" not in os.environ:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process at once: a handler in Python would not run while torch waits."""
    before = {}
    with contextlib.suppress(ValueError):  # outside the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Discard what Python prints; what libraries of other languages print about a crash stays visible."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123 - os.devnull is not a path of a file
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _fail(error: BaseException, rank: int, watch: Watch) -> NoReturn:
    """Let the failure of this process end all of them, with one line."""
    if isinstance(error, ConnectionLost):
        watch.reported.wait(REPORT_SECONDS)  # the watch prints which process it was, on a busy machine some time later
    elif rank == 0 and isinstance(error, SystemExit):
        watch.reported.wait(1.0)  # which the watch may have caused
    if rank == 0:
        if not watch.claim():
            raise SystemExit(1) from None
        watch.send(reported=True)
        raise error
    if watch.claim():
        expected = isinstance(error, DeepnmfError | OSError)
        watch.send(error=str(error) if expected else f"unexpected {type(error).__name__} ({error})")
    watch.wait(REPORT_SECONDS)
    raise SystemExit(1) from None
