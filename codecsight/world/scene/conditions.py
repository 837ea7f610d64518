"""Conditions that are hard on whoever looks for change, each with exact truth.

A condition is a scene laid out from a family and a seed like any other, but with its own people on
their own ways (for two minutes), or with the place's own life drawn otherwise, and with its own
light, noise, view and effects. Its ground is as rough as real ground is: over flat paint an encoder
finds nothing to hold on to, and codes noise anew.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codecsight.core.errors import CodecSightError
from codecsight.world.scene.actor import COLOURS, Actor, ActorKind, Waypoint
from codecsight.world.scene.backdrop import Grain
from codecsight.world.scene.effects import Lamp, Smoke
from codecsight.world.scene.families import get_family
from codecsight.world.scene.scene import Light, Scene, Style
from codecsight.world.scene.view import PtzPosition, View

UNTIL = 120.0
Floor = tuple[float, float]


def condition_scene(name: str, seed: int, family: str = "yard", aspect: float = 4 / 3) -> Scene:
    """The scene of that condition; a CodecSightError lists the names there are."""
    if name not in CONDITIONS:
        raise CodecSightError(f"there is no condition {name!r}; there are: {', '.join(CONDITIONS)}")
    place = Scene.random(seed, family, aspect)
    place = replace(
        place,
        backdrop=(*place.backdrop, *_rough(seed)),
        actors=(),
        traffic=0.0,
        light=Light(0.9),
        noise=2.0,
        per_frame_noise=True,
        effects=(),
        incidents=0.0,
    )
    return CONDITIONS[name](place, np.random.default_rng([seed, *name.encode()]))


def _rough(seed: int) -> tuple[Grain, ...]:
    """Texture at all scales, finer ones fainter."""
    return tuple(
        Grain(seed + cells, cells, amount)
        for cells, amount in ((12, 7.0), (25, 7.0), (50, 6.0), (100, 6.0), (200, 5.0))
    )


def _calm(scene: Scene, rng: np.random.Generator) -> Scene:
    """Two people on their ways, one car."""
    return replace(scene, actors=_people(scene, rng, 2) + _cars(scene, rng, 1))


def _exposure(scene: Scene, rng: np.random.Generator) -> Scene:
    """The light goes down and up by a quarter."""
    return replace(_calm(scene, rng), light=Light(0.9, drift=0.25, period=24.0))


def _night(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(_calm(scene, rng), light=Light(0.45), noise=8.0)


def _rain(scene: Scene, rng: np.random.Generator) -> Scene:
    """Drops streak through the light, and the light itself flickers."""
    return replace(_calm(scene, rng), rain=60, light=Light(0.75, drift=0.04, period=0.37))


def _tiny(scene: Scene, rng: np.random.Generator) -> Scene:
    """Far away: people of some 30 pixels in 480, slower by as much."""
    return replace(
        scene,
        actors=tuple(
            _wanderer(rng, number, kind, height, (0.02, 0.05), get_family(scene.family).floor)
            for number, (kind, height) in enumerate(
                ((ActorKind.PERSON, 0.065), (ActorKind.PERSON, 0.075), (ActorKind.VEHICLE, 0.05)), 1
            )
        ),
    )


def _shake(scene: Scene, rng: np.random.Generator) -> Scene:
    """The pole sways by some 4 pixels in 640."""
    view = View((PtzPosition(0.0, zoom=1.2),), shake=0.006)
    return replace(_calm(scene, rng), view=view)


def _pan(scene: Scene, rng: np.random.Generator) -> Scene:
    """A steady turn, 5% of the picture's width a second."""
    y = rng.uniform(0.55, 0.65)
    ends = (
        PtzPosition(0.0, 0.28, y, 1.8),
        PtzPosition(16.0, 0.72, y, 1.8),
        PtzPosition(32.0, 0.28, y, 1.8),
    )
    return replace(_smaller(_calm(scene, rng), 1.5), view=View(ends))


def _ptz(scene: Scene, rng: np.random.Generator) -> Scene:
    """Turns and zooms for three seconds, then stands."""
    x, y = rng.uniform(0.35, 0.65, 2)
    path = (PtzPosition(6.0, 0.5, 0.55, 1.3), PtzPosition(9.0, x, y, 1.8))
    return replace(_smaller(_calm(scene, rng), 1.3), view=View(path))


def _crowd(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, actors=_people(scene, rng, 14) + _cars(scene, rng, 1))


def _drift(scene: Scene, rng: np.random.Generator) -> Scene:
    """Three things creep along at 0.3 pixels a frame (of 640, 10 frames a second)."""
    floor, creeping = get_family(scene.family).floor, []
    for number, kind in enumerate((ActorKind.VEHICLE, ActorKind.BAG, ActorKind.BAG), 1):
        x, y = rng.uniform(0.1, 0.4), rng.uniform(*floor)
        path = (Waypoint(0.0, x, y), Waypoint(UNTIL, x + UNTIL * 3 / 640, y))
        height = 0.18 if kind is ActorKind.VEHICLE else 0.1
        creeping.append(Actor(number, kind, _colour(rng), height, path))
    return replace(scene, actors=tuple(creeping))


def _visitor(scene: Scene, rng: np.random.Generator) -> Scene:
    """Every two seconds somebody dashes from hiding to hiding within 0.3 s, between the halves of
    a second at which others look.
    """
    floor, darting = get_family(scene.family).floor, []
    for number in range(int(UNTIL / 2)):
        x, y = rng.uniform(0.1, 0.7), rng.uniform(*floor)
        start = 1.1 + 2 * number + rng.choice([0.0, 0.5])
        path = (Waypoint(start, x, y), Waypoint(start + 0.3, x + rng.uniform(0.08, 0.14), y))
        darting.append(Actor(number + 1, ActorKind.PERSON, _colour(rng), 0.27, path))
    return replace(scene, actors=tuple(darting))


def _state(scene: Scene, rng: np.random.Generator) -> Scene:
    """A lamp is switched on and off, and smoke rises; nobody moves."""
    lamp, start = rng.uniform(0.15, 0.4), rng.uniform(3, 5)
    effects = (
        Lamp(lamp, rng.uniform(0.3, 0.5), 0.1, start, start + 6),
        Smoke(lamp + rng.uniform(0.3, 0.45), rng.uniform(0.6, 0.8), 0.09, start + 2),
    )
    return replace(scene, effects=effects)


def _unfamiliar(scene: Scene, rng: np.random.Generator) -> Scene:
    """The place's own life, drawn as no training draws it: people, vans and cases in another
    style, rough ground, a low sun from one side that clouds pass over, a noisier sensor. Tests look
    at it in families that training has nothing of.
    """
    own = Scene.random(scene.seed, scene.family, scene.aspect)
    return replace(
        own,
        backdrop=scene.backdrop,
        style=Style.ALTERNATIVE,
        light=Light(0.9, drift=0.12, period=9.0, slope=float(rng.choice([-0.5, 0.5]))),
        noise=8.0,
        per_frame_noise=True,
        incidents=0.8,
    )


def _people(scene: Scene, rng: np.random.Generator, count: int) -> tuple[Actor, ...]:
    floor = get_family(scene.family).floor
    return tuple(
        _wanderer(rng, number, ActorKind.PERSON, rng.uniform(0.2, 0.32), (0.06, 0.18), floor)
        for number in range(1, count + 1)
    )


def _cars(scene: Scene, rng: np.random.Generator, count: int) -> tuple[Actor, ...]:
    floor = get_family(scene.family).floor
    return tuple(
        _wanderer(rng, 100 + number, ActorKind.VEHICLE, rng.uniform(0.14, 0.2), (0.1, 0.25), floor)
        for number in range(count)
    )


def _wanderer(
    rng: np.random.Generator,
    identity: int,
    kind: ActorKind,
    height: float,
    speed: tuple[float, float],
    floor: Floor,
) -> Actor:
    """Somebody who goes somewhere, stands for some seconds, and goes on, out of sight at times."""
    time, x, y = -rng.uniform(0, 4), rng.uniform(-0.1, 1.1), rng.uniform(*floor)
    path = [Waypoint(time, x, y)]
    while time < UNTIL:
        there = rng.uniform(-0.15, 1.15)
        time += max(abs(there - x) / rng.uniform(*speed), 0.2)
        x, y = there, (y if kind is ActorKind.VEHICLE else rng.uniform(*floor))
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


CONDITIONS: dict[str, Callable[[Scene, np.random.Generator], Scene]] = {
    "calm": _calm,
    "exposure": _exposure,
    "night": _night,
    "rain": _rain,
    "shake": _shake,
    "pan": _pan,
    "ptz": _ptz,
    "crowd": _crowd,
    "tiny": _tiny,
    "drift": _drift,
    "visitor": _visitor,
    "state": _state,
    "unfamiliar": _unfamiliar,
}
