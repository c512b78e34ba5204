"""Time of day, weather, and the temperature that every surface takes from them."""

import dataclasses

import numpy as np

TIMES = ("day", "dusk", "night")

# Degrees above the air: (in full sun, on a clear night). Heavy, dark things store the sun; thin
# metal and leaves that face a clear sky fall below the air.
_ABOVE_AIR = {
    "road": (15.0, 3.5),
    "sidewalk": (12.0, 2.2),
    "curb": (13.0, 2.4),
    "path": (10.0, 0.5),
    "grass": (4.0, -4.5),
    "bush": (3.0, -1.8),
    "tree": (2.0, 0.3),
    "palm tree": (4.0, 0.8),
    "hill": (4.0, -1.0),
    "building": (8.0, 5.0),
    "house": (7.0, 3.5),
    "window": (-3.0, 1.0),
    "roof": (16.0, -6.0),
    "wall": (10.0, 3.5),
    "fence": (4.0, -3.0),
    "gate": (5.0, -3.5),
    "pole": (4.0, -1.0),
    "street lamp": (4.0, -2.0),
    "traffic sign": (2.5, -4.5),
    "traffic light": (5.0, -0.5),
    "traffic cone": (4.0, -3.0),
    "bollard": (7.0, -0.5),
    "trash can": (6.0, -2.0),
    "bench": (5.0, -2.5),
    "power line": (3.0, -1.0),
    "bicycle": (3.0, -3.0),
    "vehicle": (9.0, -3.5),
    "glass": (0.0, -7.0),
    "tyre": (8.0, -1.0),
    "umbrella": (5.0, -2.0),
}


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What one scene shares.

    Attributes:
      time: "day", "dusk" or "night".
      air: air temperature in degrees Celsius.
      sunny: 0-1, how much direct sun has heated surfaces (some is left at dusk).
      clear: 0-1, how clear the sky is; a clear sky is the coldest thing there is.
      sun: unit vector towards the sun (x right, y up, z forward).
      sunlight: linear RGB of the direct sun.
      skylight: linear RGB of the light from the whole sky.
      sky_top: linear RGB of the sky overhead.
      sky_low: linear RGB of the sky at the horizon.
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

    def temperature(self, surface: str, facing: float = 0.6) -> float:
        """Degrees Celsius of a surface; `facing` is the cosine between its normal and the sun."""
        sunlit, night = _ABOVE_AIR[surface]
        load = self.sunny * (0.45 + 0.9 * max(facing, 0.0))
        cooling = (1.0 - self.sunny) * (0.35 + 0.65 * self.clear if night < 0 else 1.0)
        return self.air + sunlit * load + night * cooling

    def shade(self, normal) -> float:
        """How bright a face with this normal looks, relative to flat ground."""
        if self.time == "night":
            return 0.85 + 0.15 * abs(float(normal[1]))
        facing = max(float(np.dot(normal, self.sun)), 0.0)
        direct = float(self.sunlight.mean() / (self.sunlight.mean() + self.skylight.mean()))
        return (1.0 - direct) * (0.8 + 0.2 * abs(float(normal[1]))) + direct * (
            0.25 + 0.95 * facing
        )


def draw_conditions(rng: np.random.Generator, time: str | None = None) -> Conditions:
    """Draws the conditions of one scene; `time` fixes the time of day."""
    chosen = TIMES[int(rng.choice(3, p=(0.46, 0.18, 0.36)))]
    time = time or chosen
    clear = float(rng.choice([rng.uniform(0.0, 0.35), rng.uniform(0.6, 1.0)]))
    azimuth = rng.uniform(-np.pi, np.pi)
    height = np.deg2rad(rng.uniform(25, 65) if time == "day" else rng.uniform(4, 12))
    sun = (
        float(np.cos(height) * np.sin(azimuth)),
        float(np.sin(height)),
        float(np.cos(height) * np.cos(azimuth)),
    )
    grey = rng.uniform(0.45, 0.8)
    if time == "day":
        air = rng.uniform(6, 30)
        sunny = clear * rng.uniform(0.6, 1.0)
        sunlight = np.array([1.0, 0.94, 0.82]) * 0.85 * clear
        skylight = np.array([0.32, 0.36, 0.42]) * (0.6 + 0.9 * (1 - clear))
        blue = np.array([0.18, 0.38, 0.78]) * rng.uniform(0.8, 1.15)
        sky_top = clear * blue + (1 - clear) * grey * np.array([0.8, 0.85, 0.92])
        sky_low = 0.35 * sky_top + 0.65 * np.array([0.82, 0.88, 0.95]) * (0.7 + 0.3 * clear)
        haze = rng.choice([0.0008, 0.002, 0.006], p=[0.5, 0.35, 0.15])
    elif time == "dusk":
        air = rng.uniform(3, 25)
        sunny = 0.4 * clear * rng.uniform(0.4, 1.0)
        sunlight = np.array([0.10, 0.055, 0.03]) * clear
        skylight = np.array([0.085, 0.085, 0.115]) * rng.uniform(0.7, 1.5)
        sky_top = np.array([0.05, 0.08, 0.19]) * rng.uniform(0.7, 1.6)
        glow = np.array([0.55, 0.27, 0.13]) * clear + np.array([0.2, 0.22, 0.27]) * (1 - clear)
        sky_low = glow * rng.uniform(0.5, 1.1)
        haze = rng.choice([0.001, 0.003, 0.008])
    else:
        air = rng.uniform(-3, 20)
        sunny = 0.12 * clear * rng.uniform(0.0, 1.0)
        sunlight = np.zeros(3)
        city = rng.choice([0.25, 1.0, 2.2], p=[0.3, 0.45, 0.25])
        skylight = np.array([0.0055, 0.0055, 0.006]) * city
        sky_top = np.array([0.0022, 0.0024, 0.004]) * city
        sky_low = np.array([0.006, 0.005, 0.006]) * city
        haze = rng.choice([0.0008, 0.002])
    return Conditions(
        time=time,
        air=float(air),
        sunny=float(sunny),
        clear=clear,
        sun=sun,
        sunlight=sunlight.astype(np.float32),
        skylight=skylight.astype(np.float32),
        sky_top=sky_top.astype(np.float32),
        sky_low=sky_low.astype(np.float32),
        haze=float(haze),
    )
