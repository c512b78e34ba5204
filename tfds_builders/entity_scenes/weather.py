"""Time of day and weather: light, air and how much the sun has heated surfaces."""

import dataclasses
import functools

import numpy as np

TIMES = ("day", "dusk", "night")
_SHARES = (0.46, 0.18, 0.36)


@dataclasses.dataclass(frozen=True)
class Weather:
    """What one scene shares; light is linear RGB, float32 [3].

    Attributes:
      time: "day", "dusk" or "night".
      air: degrees Celsius.
      sunny: 0 to 1, how much direct sun has heated surfaces (some is left at dusk).
      clear: 0 to 1, how clear the sky is; a clear sky is the coldest thing there is.
      sun: unit vector towards the sun (x right, y up, z forward).
      sunlight: direct light of the sun.
      skylight: light from the whole sky.
      sky_top: the sky overhead.
      sky_low: the sky at the horizon.
      haze: share of light lost per metre.
    """

    time: str
    air: float
    sunny: float
    clear: float
    sun: tuple[float, float, float]
    sunlight: np.ndarray
    skylight: np.ndarray
    sky_top: np.ndarray
    sky_low: np.ndarray
    haze: float

    @property
    def dark(self) -> bool:
        """Whether lamps are lit."""
        return self.time != "day"

    def facing(self, normal) -> float:
        """Cosine between a surface's unit normal and the sun, at least 0."""
        x, y, z = self.sun
        return max(float(normal[0] * x + normal[1] * y + normal[2] * z), 0.0)

    def brightness(self, normal) -> float:
        """How bright a face with this unit normal looks, relative to flat ground."""
        ambient = 0.8 + 0.2 * abs(float(normal[1]))
        return ambient + self._direct * (0.25 + 0.95 * self.facing(normal) - ambient)

    @functools.cached_property
    def _direct(self) -> float:
        """Share of the light that comes from the sun itself."""
        return float(self.sunlight.sum() / (self.sunlight + self.skylight).sum())


def draw_weather(rng: np.random.Generator, time: str | None = None) -> Weather:
    """Draws the weather of one scene; `time` fixes the time of day."""
    time = time or str(rng.choice(TIMES, p=_SHARES))
    clear = rng.uniform(0.0, 0.35) if rng.random() < 0.5 else rng.uniform(0.6, 1.0)
    azimuth = rng.uniform(-np.pi, np.pi)
    height = np.deg2rad(rng.uniform(25, 65) if time == "day" else rng.uniform(4, 12))
    across = np.cos(height)
    sun = (
        float(across * np.sin(azimuth)),
        float(np.sin(height)),
        float(across * np.cos(azimuth)),
    )
    if time == "day":
        air, sunny = rng.uniform(6, 28), clear * rng.uniform(0.6, 1.0)
        sunlight = np.array([0.85, 0.8, 0.7]) * clear
        skylight = np.array([0.32, 0.36, 0.42]) * (1.5 - 0.9 * clear)
        blue = np.array([0.18, 0.38, 0.78]) * rng.uniform(0.8, 1.15)
        grey = np.array([0.8, 0.85, 0.92]) * rng.uniform(0.45, 0.8)
        sky_top = clear * blue + (1 - clear) * grey
        sky_low = 0.35 * sky_top + np.array([0.53, 0.57, 0.62]) * (0.7 + 0.3 * clear)
        haze = rng.choice([0.0008, 0.002, 0.006], p=[0.5, 0.35, 0.15])
    elif time == "dusk":
        air, sunny = rng.uniform(3, 22), 0.4 * clear * rng.uniform(0.4, 1.0)
        sunlight = np.array([0.10, 0.055, 0.03]) * clear
        skylight = np.array([0.085, 0.085, 0.115]) * rng.uniform(0.7, 1.5)
        sky_top = np.array([0.05, 0.08, 0.19]) * rng.uniform(0.7, 1.6)
        glow = np.array([0.55, 0.27, 0.13]) * clear + np.array([0.2, 0.22, 0.27]) * (1 - clear)
        sky_low = glow * rng.uniform(0.5, 1.1)
        haze = rng.choice([0.001, 0.003, 0.008])
    else:
        air, sunny, sunlight = rng.uniform(-3, 18), 0.0, np.zeros(3)
        city = rng.choice([0.7, 1.5, 3.5], p=[0.25, 0.45, 0.3])
        skylight = np.array([0.0055, 0.0055, 0.006]) * city
        sky_top = np.array([0.0022, 0.0024, 0.004]) * city
        sky_low = np.array([0.006, 0.005, 0.006]) * city
        haze = rng.choice([0.0008, 0.002])
    light = (a.astype(np.float32) for a in (sunlight, skylight, sky_top, sky_low))
    heat = float(air), float(sunny), float(clear)
    return Weather(time, *heat, sun, *light, haze=float(haze))  # type: ignore[misc, arg-type]
