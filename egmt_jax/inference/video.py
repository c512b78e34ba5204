"""Videos: frames are decoded, fused and encoded side by side, and what is global changes slowly."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence

import cv2
import jax
import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.inference import tiles
from egmt_jax.inference.files import Job, Settings, prepare, resample
from egmt_jax.inference.fuser import Fused, Fuser
from egmt_jax.io import images
from egmt_jax.io.thermal import InfraredRange, infrared_to_unit
from egmt_jax.io.videos import Video, check_suffix, writing
from egmt_jax.models.egmt import Visual

MEMORY = {
    "into_visible": 0.5,
    "into_infrared": 0.5,
    "entity_logits": 0.5,
    "tone": 0.5,
    # What has a place moves on with the things in it.
    "tokens": 0.2,
}
"""Field of `Visual` -> time constant in seconds of its exponential average over the frames."""

CUT = 0.1
"""Mean difference, of 1, of two frames reduced to `THUMBNAIL` pixels a side that makes a cut.

Pictures moved sideways by a thirtieth of their width, as a fast pan does, differ by .055 at most;
of neighbours in RoadScene and TNO, which show other scenes, 95 of 100 differ by more than this. A
cut that is not seen is followed within the time constants.
"""

THUMBNAIL = 16

RATES = 0.002
"""Share by which the frame rates of a pair may differ: 30 and 29.97 go together."""

AHEAD = 4
"""Frames that are decoded and fused before the one that is being encoded, at most."""


class VideoFuser:
    """Fuses the frames of one video in turn, without flicker.

    Tone, channel matrices, tokens and logits are averaged over the frames since the last cut, older
    ones less (`MEMORY`). Detail is each frame's own.

    Args:
      fuser: of a model.
      rate: frames a second.
      entities: as for `Fuser`, of every frame.
      infrared_range: (low, high) of the frames' 8-bit values, one for the whole video.
      black_hot: warm is dark in infrared.

    Raises:
      UserError: entities that cannot guide, or a range in percentiles: those differ per frame.
    """

    def __init__(
        self,
        fuser: Fuser,
        rate: float,
        entities: Sequence[str] | None = None,
        *,
        infrared_range: InfraredRange | None = None,
        black_hot: bool = False,
    ):
        if infrared_range is not None and InfraredRange(*infrared_range).percent:
            raise UserError(
                "infrared range in percentiles: they would differ from frame to frame and flicker; "
                "give values of the frames, 0 to 255, such as 20,200"
            )
        self._fuser, self._range, self._black_hot = fuser, infrared_range, black_hot
        self._names, self._given = (None, None) if entities is None else fuser.guides(entities)
        self._shares = {name: 1.0 - math.exp(-1.0 / (rate * s)) for name, s in MEMORY.items()}
        self._average: Visual | None = None
        self._thumbnails: np.ndarray | None = None

    def __call__(self, visible: np.ndarray, infrared: np.ndarray) -> Fused:
        """Fuses the next frame.

        Args:
          visible: uint8 [H, W, 1] or RGB [H, W, 3], 16 pixels or more each way, all of one size.
          infrared: likewise, the same size; of colour only the luma counts.
        """
        luma = images.to_grey(visible)
        heat = infrared_to_unit(images.to_grey(infrared), self._range, self._black_hot)
        visual = self._fuser.visual([luma], [heat])
        thumbnails = np.stack([_thumbnail(image) for image in (luma, heat)])
        if self._average is not None and not is_cut(self._thumbnails, thumbnails):
            visual = _blend(self._average, visual, self._shares)
        self._average, self._thumbnails = visual, thumbnails
        context = self._fuser.guide(visual, self._given)
        fused = self._fuser.render([luma], [heat], context)
        return self._fuser.results([visible], fused, context, self._names)[0]


def is_cut(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether another scene begins in either source: thumbnails float32 [2, n, n] in [0, 1]."""
    return float(np.max(np.mean(np.abs(now - before), axis=(1, 2)))) > CUT


def _thumbnail(image: np.ndarray) -> np.ndarray:
    reduced = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return tiles.unit(reduced)


@jax.jit
def _blend(before: Visual, now: Visual, shares: dict[str, float]) -> Visual:
    """Goes a share of the way from what was to what is, field by field."""
    old, new = vars(before), vars(now)
    return dataclasses.replace(
        now, **{name: old[name] + (new[name] - old[name]) * share for name, share in shares.items()}
    )


def fuse_video(fuser: Fuser, job: Job, settings: Settings) -> list[str]:
    """Fuses two videos into one of the visible one's frame rate, without sound.

    Args:
      fuser: of a model.
      job: names the files; see `egmt_jax.io.videos` for the suffixes of the output.
      settings: as for pictures; the overlay is left out.

    Returns:
      What is suspicious, a line each.

    Raises:
      UserError: a file cannot be read or written, or the two do not fit; nothing is written then.
    """
    check_suffix(job.out)
    with (
        contextlib.closing(Video(job.visible)) as visible,
        contextlib.closing(Video(job.infrared)) as infrared,
    ):
        if abs(visible.rate / infrared.rate - 1.0) > RATES:
            raise UserError(
                f"{job.visible} has {visible.rate:.6g} frames a second, {job.infrared} "
                f"{infrared.rate:.6g}: bring both to one rate first, such as by ffmpeg -i "
                f"{job.infrared.name} -r {visible.rate:.6g} OUT{job.infrared.suffix}"
            )
        pair = prepare(job, visible.first, infrared.first, settings.size)
        warnings, size = list(pair.warnings), pair.visible.shape[:2]
        if size[0] % 2 or size[1] % 2:
            warnings.append(
                f"{job.out}: {size[1]} x {size[0]} pixels, but videos have even sides: the last "
                "column or row is left out"
            )
        steady = VideoFuser(
            fuser,
            visible.rate,
            settings.entities,
            infrared_range=settings.infrared_range,
            black_hot=settings.black_hot,
        )

        def fuse(*frames: concurrent.futures.Future) -> Fused | None:
            read = [frame.result() for frame in frames]
            if any(frame is None for frame in read):
                return None
            return steady(*(x if x.shape[:2] == size else resample(x, size) for x in read))

        total = min((video.count for video in (visible, infrared) if video.count), default=None)
        with (
            writing(job.out, visible.rate, size) as write,
            # Whatever happens, the threads end before the videos are closed.
            contextlib.closing(_ahead(visible, infrared, fuse)) as ahead,
        ):
            for fused in tqdm(ahead, "Fusing", total, unit="frame", disable=None):
                write(images.to_uint8(fused.fused) if settings.grey else fused.image)
        if visible.taken != infrared.taken:
            shorter, longer = sorted((visible, infrared), key=lambda video: video.taken)
            warnings.append(
                f"{shorter.path}: ends after {shorter.taken} frames, before {longer.path}: the "
                "rest of that is left out"
            )
    return warnings


def _ahead(visible: Video, infrared: Video, fuse) -> Iterator[Fused]:
    """Fused frames in order, of which some are in work already; one thread per stage."""
    with contextlib.ExitStack() as stack:
        decoders, network = (
            [stack.enter_context(concurrent.futures.ThreadPoolExecutor(1)) for _ in range(count)]
            for count in (2, 1)
        )
        waiting: collections.deque = collections.deque()
        while True:
            while len(waiting) < AHEAD:
                frames = [
                    decoder.submit(video.read)
                    for decoder, video in zip(decoders, (visible, infrared), strict=True)
                ]
                waiting.append(network[0].submit(fuse, *frames))
            fused = waiting.popleft().result()
            if fused is None:
                return
            yield fused
