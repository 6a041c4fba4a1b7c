"""The model of a run: loaded, adapted to a noise profile, put on a device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeepnmfError
from ..model import ADAPTABLE_MODEL, DEFAULT_MODEL, Model, load_model
from .adapt import Profile
from .record import file_digest


@dataclass(frozen=True)
class ModelSetup:
    """A prepared model, and the adaptation left for each recording.

    Attributes
    ----------
    model : Model
        Loaded; adapted to a noise profile from a file.
    profile : Profile or None
        Noise to learn from each recording.
    label : str
        Identifies the changes to the loaded model; equal labels mean equal models.
    """

    model: Model
    profile: Profile | None = None
    label: str = ""


def parse_profile(noise_profile: str | None, adapt: bool, replace: bool, salvage: bool = False) -> Profile | None:
    """Return the profile selected by the options: a file, ``START:END`` in seconds, or each recording itself.

    Raises
    ------
    DeepnmfError
        If both a profile and adaptation are given.

    Examples
    --------
    >>> parse_profile("0:0.5", adapt=False, replace=True)
    Profile(source=(0.0, 0.5), replace=True, salvage=False)
    """
    if noise_profile is None:
        return Profile(None, replace, salvage) if adapt else None
    if adapt:
        raise DeepnmfError("--adapt and --noise-profile exclude each other; give one")
    if span := re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", noise_profile):
        return Profile((float(span[1]), float(span[2])), replace, salvage)
    return Profile(Path(noise_profile), replace, salvage)


def set_up_model(name: str | None = None, profile: Profile | None = None, device: str = "cpu") -> ModelSetup:
    """Load a model and adapt it as far as possible before the first recording.

    Parameters
    ----------
    name : str, optional
        As for :func:`deepnmf.load_model`; by default the package's default model, or with a profile the one that has
        noise atoms.
    profile : Profile, optional
        Noise to learn.
    device : str
        Where masks are computed.

    Raises
    ------
    DeepnmfError
        If there is no such model or device, or the model or device cannot learn noise.
    """
    model = load_model(name or (DEFAULT_MODEL if profile is None else ADAPTABLE_MODEL))
    label = device
    if profile is not None and isinstance(profile.source, Path):
        label = f"{device} {file_digest(profile.source)} {profile.replace}"
        model, profile = profile.model_for(model, None), None
    if device != "cpu":
        from .device import on_device

        if profile is not None:
            raise DeepnmfError("learning from each recording runs on the CPU; leave --device out")
        model = on_device(model, device)
    return ModelSetup(model, profile, label)
