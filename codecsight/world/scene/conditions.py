"""Scenes that are difficult for change detection, each with exact ground truth.

A condition starts from a family and a seed like any other scene. It then gets actors on scripted
paths for two minutes (or keeps the usual visitors in another drawing style), and its own light,
noise, camera view and effects. The background is textured at all scales, as real ground is: on
flat colour an encoder's motion search finds no features, and it codes noise again in every frame.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codecsight.core.errors import CodecSightError
from codecsight.world.scene.actor import COLOURS, Actor, ActorKind, Waypoint
from codecsight.world.scene.backdrop import Texture
from codecsight.world.scene.effects import Lamp, Smoke
from codecsight.world.scene.families import get_family
from codecsight.world.scene.scene import Light, Scene, Style
from codecsight.world.scene.view import PtzPosition, View

DURATION_S = 120.0
FloorRange = tuple[float, float]


def condition_scene(name: str, seed: int, family: str = "yard", aspect: float = 4 / 3) -> Scene:
    """The scene of a named condition. Raises CodecSightError for an unknown name."""
    if name not in CONDITIONS:
        raise CodecSightError(f"no condition {name!r}; known: {', '.join(CONDITIONS)}")
    place = Scene.random(seed, family, aspect)
    place = replace(
        place,
        backdrop=(*place.backdrop, *_textures(seed)),
        actors=(),
        traffic=0.0,
        light=Light(0.9),
        noise=2.0,
        per_frame_noise=True,
        effects=(),
        incident_rate=0.0,
    )
    return CONDITIONS[name](place, np.random.default_rng([seed, *name.encode()]))


def _textures(seed: int) -> tuple[Texture, ...]:
    """Texture at five scales, the finest one the weakest."""
    return tuple(
        Texture(seed + cells, cells, amplitude)
        for cells, amplitude in ((12, 7.0), (25, 7.0), (50, 6.0), (100, 6.0), (200, 5.0))
    )


def _calm(scene: Scene, rng: np.random.Generator) -> Scene:
    """Two people and one car."""
    return replace(scene, actors=_people(scene, rng, 2) + _cars(scene, rng, 1))


def _exposure(scene: Scene, rng: np.random.Generator) -> Scene:
    """Brightness varies by 25% up and down."""
    return replace(_calm(scene, rng), light=Light(0.9, drift=0.25, period=24.0))


def _exposure_swing(scene: Scene, rng: np.random.Generator) -> Scene:
    """Exposure falls to half and returns, every ten seconds."""
    return replace(_calm(scene, rng), light=Light(0.75, drift=1 / 3, period=10.0))


def _insects(scene: Scene, rng: np.random.Generator) -> Scene:
    """A camera at night whose infrared lamp lights up insects, three a second."""
    return replace(_calm(scene, rng), light=Light(0.5), noise=5.0, insects=3.0)


def _clock(scene: Scene, rng: np.random.Generator) -> Scene:
    """The camera writes the time into the picture."""
    return replace(_calm(scene, rng), clock=True)


def _night(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(_calm(scene, rng), light=Light(0.45), noise=8.0)


def _rain(scene: Scene, rng: np.random.Generator) -> Scene:
    """Bright streaks of rain, and light that flickers by 4%."""
    return replace(_calm(scene, rng), rain=60, light=Light(0.75, drift=0.04, period=0.37))


def _tiny(scene: Scene, rng: np.random.Generator) -> Scene:
    """Distant actors: people about 30 pixels high in 480, and proportionally slower."""
    return replace(
        scene,
        actors=tuple(
            _wandering_actor(
                rng, number, kind, height, (0.02, 0.05), get_family(scene.family).floor
            )
            for number, (kind, height) in enumerate(
                ((ActorKind.PERSON, 0.065), (ActorKind.PERSON, 0.075), (ActorKind.VEHICLE, 0.05)), 1
            )
        ),
    )


def _shake(scene: Scene, rng: np.random.Generator) -> Scene:
    """The camera sways by about 4 pixels in 640."""
    view = View((PtzPosition(0.0, zoom=1.2),), shake=0.006)
    return replace(_calm(scene, rng), view=view)


def _pan(scene: Scene, rng: np.random.Generator) -> Scene:
    """The camera pans steadily, 5% of the picture's width per second."""
    y = rng.uniform(0.55, 0.65)
    ends = (
        PtzPosition(0.0, 0.28, y, 1.8),
        PtzPosition(16.0, 0.72, y, 1.8),
        PtzPosition(32.0, 0.28, y, 1.8),
    )
    return replace(_smaller(_calm(scene, rng), 1.5), view=View(ends))


def _camera_drift(scene: Scene, rng: np.random.Generator) -> Scene:
    """The camera sinks on its mount by 0.2 to 0.6 pixels of 640 a second: no vector shows it."""
    speed, angle, zoom = rng.uniform(0.2, 0.6), rng.uniform(0, 2 * np.pi), 1.2
    shift = speed / 640 / zoom * DURATION_S / 2
    x, y = shift * np.cos(angle), shift * np.sin(angle)
    ends = (
        PtzPosition(0.0, 0.5 - x, 0.5 - y, zoom),
        PtzPosition(DURATION_S, 0.5 + x, 0.5 + y, zoom),
    )
    return replace(_calm(scene, rng), view=View(ends))


def _ptz(scene: Scene, rng: np.random.Generator) -> Scene:
    """The camera pans and zooms for three seconds, then stays fixed."""
    x, y = rng.uniform(0.35, 0.65, 2)
    path = (PtzPosition(6.0, 0.5, 0.55, 1.3), PtzPosition(9.0, x, y, 1.8))
    return replace(_smaller(_calm(scene, rng), 1.3), view=View(path))


def _crowd(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, actors=_people(scene, rng, 14) + _cars(scene, rng, 1))


def _drift(scene: Scene, rng: np.random.Generator) -> Scene:
    """Three objects move at 0.3 pixels a frame (at 640 pixels and 10 frames a second)."""
    floor, actors = get_family(scene.family).floor, []
    for number, kind in enumerate((ActorKind.VEHICLE, ActorKind.BAG, ActorKind.BAG), 1):
        x, y = rng.uniform(0.1, 0.4), rng.uniform(*floor)
        path = (Waypoint(0.0, x, y), Waypoint(DURATION_S, x + DURATION_S * 3 / 640, y))
        height = 0.18 if kind is ActorKind.VEHICLE else 0.1
        actors.append(Actor(number, kind, _colour(rng), height, path))
    return replace(scene, actors=tuple(actors))


def _visitor(scene: Scene, rng: np.random.Generator) -> Scene:
    """Every two seconds a person appears for 0.3 s, always between the half-second samples.

    Detectors that look only at the sampled frames (two a second) miss these people.
    """
    floor, actors = get_family(scene.family).floor, []
    for number in range(int(DURATION_S / 2)):
        x, y = rng.uniform(0.1, 0.7), rng.uniform(*floor)
        start = 1.1 + 2 * number + rng.choice([0.0, 0.5])
        path = (Waypoint(start, x, y), Waypoint(start + 0.3, x + rng.uniform(0.08, 0.14), y))
        actors.append(Actor(number + 1, ActorKind.PERSON, _colour(rng), 0.27, path))
    return replace(scene, actors=tuple(actors))


def _state(scene: Scene, rng: np.random.Generator) -> Scene:
    """A lamp is switched on and off, and smoke rises; no actors."""
    lamp, start = rng.uniform(0.15, 0.4), rng.uniform(3, 5)
    effects = (
        Lamp(lamp, rng.uniform(0.3, 0.5), 0.1, start, start + 6),
        Smoke(lamp + rng.uniform(0.3, 0.45), rng.uniform(0.6, 0.8), 0.09, start + 2),
    )
    return replace(scene, effects=effects)


def _unfamiliar(scene: Scene, rng: np.random.Generator) -> Scene:
    """The usual visitors, drawn in a style, light and noise that the training data does not have.

    People in coats, vans and suitcases; textured ground; a light gradient from one side that
    drifts; a noisier sensor. Tests use it with families that are held out of training.
    """
    usual = Scene.random(scene.seed, scene.family, scene.aspect)
    return replace(
        usual,
        backdrop=scene.backdrop,
        style=Style.ALTERNATIVE,
        light=Light(0.9, drift=0.12, period=9.0, slope=float(rng.choice([-0.5, 0.5]))),
        noise=8.0,
        per_frame_noise=True,
        incident_rate=0.8,
    )


def _people(scene: Scene, rng: np.random.Generator, count: int) -> tuple[Actor, ...]:
    floor = get_family(scene.family).floor
    return tuple(
        _wandering_actor(rng, number, ActorKind.PERSON, rng.uniform(0.2, 0.32), (0.06, 0.18), floor)
        for number in range(1, count + 1)
    )


def _cars(scene: Scene, rng: np.random.Generator, count: int) -> tuple[Actor, ...]:
    floor = get_family(scene.family).floor
    return tuple(
        _wandering_actor(
            rng, 100 + number, ActorKind.VEHICLE, rng.uniform(0.14, 0.2), (0.1, 0.25), floor
        )
        for number in range(count)
    )


def _wandering_actor(
    rng: np.random.Generator,
    identity: int,
    kind: ActorKind,
    height: float,
    speed: tuple[float, float],
    floor: FloorRange,
) -> Actor:
    """An actor that alternates between moving to a random place and standing still.

    Places reach a little beyond the picture, so the actor is out of view at times.
    """
    time, x, y = -rng.uniform(0, 4), rng.uniform(-0.1, 1.1), rng.uniform(*floor)
    path = [Waypoint(time, x, y)]
    while time < DURATION_S:
        target = rng.uniform(-0.15, 1.15)
        time += max(abs(target - x) / rng.uniform(*speed), 0.2)
        x, y = target, (y if kind is ActorKind.VEHICLE else rng.uniform(*floor))
        path.append(Waypoint(time, x, y))
        time += rng.uniform(1, 6)
        path.append(Waypoint(time, x, y))
    return Actor(identity, kind, _colour(rng), height, tuple(path))


def _smaller(scene: Scene, by: float) -> Scene:
    return replace(
        scene, actors=tuple(replace(actor, height=actor.height / by) for actor in scene.actors)
    )


def _colour(rng: np.random.Generator) -> str:
    return str(rng.choice(list(COLOURS)))


# The names are part of the random seeds: another name draws another scene.
CONDITIONS: dict[str, Callable[[Scene, np.random.Generator], Scene]] = {
    "calm": _calm,
    "exposure": _exposure,
    "exposure-swing": _exposure_swing,
    "night": _night,
    "insects": _insects,
    "rain": _rain,
    "shake": _shake,
    "pan": _pan,
    "camera-drift": _camera_drift,
    "ptz": _ptz,
    "crowd": _crowd,
    "tiny": _tiny,
    "drift": _drift,
    "visitor": _visitor,
    "state": _state,
    "clock": _clock,
    "unfamiliar": _unfamiliar,
}
