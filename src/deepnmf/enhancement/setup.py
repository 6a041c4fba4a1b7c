"""The model of a run: loaded, adapted to profiles, put on a device."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import DeepnmfError, InputError
from ..model import ADAPTABLE_MODEL, DEFAULT_MODEL, PROFILE_MODEL, Model, load_model
from ..networks.unfolded.profile_input import NOISE, VOICE
from .profile import Profile, parse_span
from .record import file_digest


class ModelSetup(NamedTuple):
    """A prepared model, and the adaptation left for each recording.

    Attributes
    ----------
    model : Model
        Loaded; adapted to the profiles that are files.
    profile : Profile or None
        Noise to take from each recording.
    label : str
        Identifies the changes to the loaded model; equal labels mean equal models.
    warnings : tuple of str
        Why another model than the one named is used, and doubts about profiles; one line each.
    """

    model: Model
    profile: Profile | None = None
    label: str = ""
    warnings: tuple[str, ...] = ()


def parse_profile(noise_profile: str | None, adapt: bool, replace: bool, salvage: bool = False) -> Profile | None:
    """Return the profile selected by the options: a file, ``START:END`` in seconds, or each recording itself.

    Raises
    ------
    DeepnmfError
        If both a profile and adaptation are given, or the profile is neither a file nor a span.

    Examples
    --------
    >>> parse_profile("0:0.5", adapt=False, replace=True)
    Profile(source=(0.0, 0.5), replace=True, salvage=False, kind='noise')
    """
    if noise_profile is None:
        return Profile(None, replace, salvage) if adapt else None
    if adapt:
        raise DeepnmfError("adaptation and a noise profile exclude each other; give one")
    span = parse_span(noise_profile)
    if span is None and ":" in noise_profile and not Path(noise_profile).exists():
        raise InputError(f"{noise_profile}: no such file, and no span START:END in seconds, such as 0:0.5")
    return Profile(span or Path(noise_profile), replace, salvage)


def set_up_model(
    name: str | None = None, profile: Profile | None = None, device: str = "cpu", voice: Path | None = None
) -> ModelSetup:
    """Load a model and adapt it as far as possible before the first recording.

    Parameters
    ----------
    name : str, optional
        As for :func:`deepnmf.load_model`; the package's default model if none is given. If that has no input for the
        profiles, that of the package which has is used, or its sparse NMF to replace noise atoms.
    profile : Profile, optional
        Profile of the noise.
    device : str
        Where masks are computed.
    voice : Path, optional
        Profile of the wanted voice.

    Raises
    ------
    DeepnmfError
        If there is no such model or device, or the model or device cannot be adapted to a profile.
    """
    model, warnings = _for_profiles(name, profile, voice)
    label = device
    for given in (Profile(voice, kind=VOICE) if voice else None, profile):
        if given is not None and isinstance(given.source, Path):
            label = f"{label} {given.kind} {file_digest(given.source)} {given.replace}"
            model, doubts = given.model_for(model, None)
            warnings += doubts
    if profile is not None and isinstance(profile.source, Path):
        profile = None
    if device != "cpu":
        from .device import on_device

        if profile is not None:
            raise DeepnmfError("a profile taken from each recording is for the CPU; leave the device out")
        model = on_device(model, device)
    return ModelSetup(model, profile, label, tuple(warnings))


def _for_profiles(name: str | None, noise: Profile | None, voice: Path | None) -> tuple[Model, list[str]]:
    """Return the model for these profiles, and why it is another than the one named."""
    model = load_model(DEFAULT_MODEL if name is None else name)
    wanted = {kind for kind, given in ((NOISE, noise), (VOICE, voice)) if given is not None}
    replaced = noise is not None and noise.replace and voice is None
    if name not in {None, DEFAULT_MODEL} or (wanted <= model.network.profile_inputs() and not replaced):
        return model, []
    if replaced:
        other, reason = ADAPTABLE_MODEL, "no noise atoms that can be replaced"
    else:
        other, reason = PROFILE_MODEL, "no input for profiles of a voice"
    return load_model(other), [f"`{name}` has {reason}; `{other}` is used"] if name else []
