"""FLAC in Ogg, which libsndfile neither reads nor writes."""

from __future__ import annotations

from pathlib import Path

from .container import ContainerWriter, SourceContainer, true_tags
from .covers import is_cover
from .formats import AudioFormat


class OggFlacWriter(ContainerWriter):
    """An .oga or .ogg file written in blocks of sound (:class:`deepnmf.audio.container.ContainerWriter`).

    Parameters
    ----------
    path : Path
        File to write.
    like : AudioFormat
        Encoding of the source.
    container : SourceContainer
        Its container, with FLAC in it; all its tags are copied.
    shown : Path
        Name to give in errors.
    """

    def __init__(self, path: Path, like: AudioFormat, container: SourceContainer, shown: Path) -> None:
        import av

        super().__init__(like, "flac", container.layout, 0.0, shown)
        with self._faults_named():
            source = container.open()
            stream = source.streams[container.track]
            self._output = av.open(str(path.absolute()), "w", format="ogg")
            self._sound = self._add_sound(0)
            self._sound.metadata.update(true_tags({**stream.metadata, **source.metadata}))
            if any(is_cover(picture) for picture in source.streams.video):
                self.notes.append(f"{shown}: not copied: the cover")
            self._output.start_encoding()
