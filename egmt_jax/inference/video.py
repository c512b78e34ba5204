"""Fuses videos: frames are decoded, fused and encoded in parallel, without flicker."""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import jax
import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.inference.files import Job, Settings, prepare
from egmt_jax.inference.fuser import Fused, Fuser, fill_border
from egmt_jax.inference.tiles import to_unit_range
from egmt_jax.io import images
from egmt_jax.io.lookahead import map_ahead
from egmt_jax.io.thermal import InfraredRange, infrared_to_unit
from egmt_jax.io.videos import Video, writing
from egmt_jax.models import PREDICTED, Guidance, Visual

# Field of `Visual` -> time constant in seconds of its average. Tokens must follow moving things.
MEMORY = dict(into_visible=0.5, into_infrared=0.5, entity_logits=0.5, tone=0.5, tokens=0.2)

# Mean difference in [0, 1] of two reduced frames that is a cut. Fast pans differ by at most 0.055;
# 95 of 100 consecutive pairs of RoadScene and TNO, which show other scenes, by more than this.
CUT = 0.1

THUMBNAIL = (16, 16)  # pixels of the reduced frames
RATES = 0.002  # relative difference of rates up to which videos go together, as 30 and 29.97
LOOKS = 12.5  # times per second that global features are computed, at least
AHEAD = 4  # frames that are decoded and fused ahead of the one that is being encoded, at most


class VideoFuser:
    """Fuses the frames of one video in turn, without flicker.

    Global features are computed for every nth frame (`LOOKS`), and are exponential moving averages
    since the last cut in either source (`MEMORY`); detail comes from each frame. `rate` is in
    frames per second; the options are those of `Fuser.__call__`.

    Raises:
      UserError: entities that cannot guide, or a range in percentiles, which differ per frame.
    """

    def __init__(
        self,
        fuser: Fuser,
        rate: float,
        guidance: Guidance = PREDICTED,
        *,
        infrared_range: InfraredRange | tuple[float, float] | None = None,
        black_hot: bool = False,
    ):
        if infrared_range is not None and InfraredRange(*infrared_range).percent:
            cure = "give values of the frames, 0 to 255, such as 20,200"
            raise UserError(f"infrared range in percentiles: they differ per frame; {cure}")
        self._fuser, self._range, self._black_hot = fuser, infrared_range, black_hot
        self._guidance = fuser.resolve(guidance)
        self._every = max(1, int(rate / LOOKS))
        looks = rate / self._every
        self._rates = {name: 1.0 - math.exp(-1.0 / (looks * s)) for name, s in MEMORY.items()}
        self._average: Visual | None = None
        self._age = 0  # frames since the last look
        self._thumbnails: list[np.ndarray] = []  # of the frame before, in [0, 1]

    def __call__(self, visible: np.ndarray, infrared: np.ndarray) -> Fused:
        """Fuses the next frame: uint8 [H, W, 1] or RGB [H, W, 3], of one size throughout."""
        luma, values = images.to_grey(visible), images.to_grey(infrared)
        is_first = not self._thumbnails
        unit = infrared_to_unit(values, self._range, self._black_hot, check=is_first)
        unit, valid = fill_border(values, unit)
        reduced = (cv2.resize(x, THUMBNAIL, interpolation=cv2.INTER_AREA) for x in (luma, unit))
        now = [to_unit_range(image) for image in reduced]
        before, self._thumbnails = self._thumbnails, now
        if any(np.mean(np.abs(a - b)) > CUT for a, b in zip(before, now, strict=False)):
            self._average = None
        self._age += 1
        if self._average is None or self._age >= self._every:
            visual = self._fuser.see(visible, luma, unit, valid)
            self._average = _average(self._average or visual, visual, self._rates)
            self._age = 0
        return self._fuser.fuse_luma(visible, luma, unit, self._average, self._guidance)


@jax.jit
def _average(before: Visual, now: Visual, rates: dict[str, Any]) -> Visual:
    old, new = vars(before), vars(now)
    averages = {name: old[name] + (new[name] - old[name]) * rates[name] for name in rates}
    return dataclasses.replace(now, **averages)


def fuse_video(fuser: Fuser, job: Job, settings: Settings) -> list[str]:
    """Fuses two videos into one, without sound; draws no overlay.

    Returns:
      Warnings, a line each.

    Raises:
      UserError: a file cannot be read or written, or the two do not match; then nothing is written.
    """
    with contextlib.ExitStack() as stack:
        videos = [stack.enter_context(contextlib.closing(Video(path))) for path in job.pair[1:3]]
        visible, infrared = videos
        if abs(visible.rate / infrared.rate - 1.0) > RATES:
            rate, other = f"{visible.rate:.6g}", f"{infrared.path} {infrared.rate:.6g}"
            command = f"ffmpeg -i {infrared.path.name} -r {rate} OUT{infrared.path.suffix}"
            fix = f"bring both to one rate first, such as by {command}"
            raise UserError(f"{visible.path} has {rate} frames per second, {other}: {fix}")
        first, warnings = prepare(job.pair, visible.first, infrared.first, settings.size)
        size = first.visible.shape[:2]
        if size[0] % 2 or size[1] % 2:
            reason = "videos have even sides: the last column or row is left out"
            warnings.append(f"{job.out}: {size[1]} x {size[0]} pixels, but {reason}")
        options: Any = dict(infrared_range=settings.infrared_range, black_hot=settings.black_hot)
        steady = VideoFuser(fuser.for_size(size), visible.rate, settings.guidance, **options)

        def fuse(frames: tuple[np.ndarray, np.ndarray]) -> Fused:
            return steady(*(images.resample(frame, size) for frame in frames))

        total = min((video.count for video in videos if video.count), default=None)
        write = stack.enter_context(writing(job.out, visible.rate, size))

        def ahead(function: Callable, items: Iterable, count: int) -> Iterator:
            """Computed by a thread, which ends before the videos are closed."""
            return stack.enter_context(contextlib.closing(map_ahead(function, items, 1, count)))

        streams = [ahead(Video.read, itertools.repeat(video), 1) for video in videos]
        pairs = zip(*streams, strict=True)
        frames = itertools.takewhile(lambda pair: all(x is not None for x in pair), pairs)
        fusions = ahead(fuse, frames, AHEAD)
        for fused in tqdm(fusions, "Fusing", total, unit="frame", disable=None):
            write(images.to_uint8(fused.luma) if settings.grey else fused.image)
        if visible.taken != infrared.taken:
            shorter, longer = sorted(videos, key=lambda video: video.taken)
            reason = f"before {longer.path}: the rest of that is left out"
            warnings.append(f"{shorter.path}: ends after {shorter.taken} frames, {reason}")
    return warnings
