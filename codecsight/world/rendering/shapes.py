"""What people, vehicles and bags are made of, in either style."""

import math
from dataclasses import dataclass
from typing import Literal

from codecsight.world.scene.actor import COLOURS, Actor, ActorKind
from codecsight.world.scene.scene import Style

Paint = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle or ellipse within the unit square of an actor's box, in one colour."""

    form: Literal["rectangle", "ellipse"]
    left: float
    top: float
    right: float
    bottom: float
    paint: Paint


def parts_of(actor: Actor, style: Style, t: float) -> tuple[Part, ...]:
    """The parts of `actor` at `t`, those in front last; it heads right."""
    paint, other = COLOURS[actor.colour], style is Style.ALTERNATIVE
    match actor.kind:
        case ActorKind.PERSON if other:
            return _coated(actor, t, paint)
        case ActorKind.PERSON:
            return _runner(actor, t, paint) if actor.is_running(t) else _person(actor, t, paint)
        case ActorKind.VEHICLE:
            return _van(paint) if other else _car(paint)
        case ActorKind.BAG:
            return _case(paint) if other else _bag(paint)


def _person(actor: Actor, t: float, paint: Paint) -> tuple[Part, ...]:
    x, _ = actor.position(t)
    moving = actor.velocity(t) != (0.0, 0.0)
    swing = 0.14 * math.sin(x * 60) if moving else 0.04
    skin, trousers = _complexion(actor)
    return (
        Part("rectangle", 0.30 + swing, 0.56, 0.49 + swing, 1.0, trousers),
        Part("rectangle", 0.51 - swing, 0.56, 0.70 - swing, 1.0, trousers),
        Part("ellipse", 0.06, 0.19, 0.94, 0.42, paint),
        Part("rectangle", 0.16, 0.26, 0.84, 0.62, paint),
        Part("ellipse", 0.29, 0.0, 0.71, 0.21, skin),
        Part("ellipse", 0.27, 0.0, 0.66, 0.09, (52, 40, 32)),
    )


def _runner(actor: Actor, t: float, paint: Paint) -> tuple[Part, ...]:
    """Leaning forward, arms out, with long strides."""
    swing = 0.2 * math.sin(actor.position(t)[0] * 40)
    skin, trousers = _complexion(actor)
    return (
        Part("rectangle", 0.26 + swing, 0.56, 0.46 + swing, 0.97 - abs(swing), trousers),
        Part("rectangle", 0.46 - swing, 0.56, 0.66 - swing, 1.0, trousers),
        Part("rectangle", 0.62, 0.30, 1.0, 0.37, skin),
        Part("rectangle", 0.0, 0.38, 0.40, 0.45, skin),
        Part("ellipse", 0.20, 0.17, 0.92, 0.46, paint),
        Part("rectangle", 0.20, 0.30, 0.74, 0.60, paint),
        Part("ellipse", 0.52, 0.0, 0.94, 0.21, skin),
        Part("ellipse", 0.50, 0.0, 0.88, 0.09, (52, 40, 32)),
    )


def _coated(actor: Actor, t: float, paint: Paint) -> tuple[Part, ...]:
    """In a long coat and a hat, with something on the back; who runs lifts the coat."""
    runs, moving = actor.is_running(t), actor.velocity(t) != (0.0, 0.0)
    stride = (0.16 if runs else 0.1) * math.sin(actor.position(t)[0] * 50) if moving else 0.03
    hem = 0.6 if runs else 0.78
    skin, trousers = _complexion(actor)
    hat = (96, 78, 50)
    return (
        Part("rectangle", 0.34 + stride, hem, 0.48 + stride, 1.0, trousers),
        Part("rectangle", 0.52 - stride, hem, 0.66 - stride, 1.0, trousers),
        Part("rectangle", 0.0, 0.27, 0.24, 0.52, (88, 96, 80)),
        Part("ellipse", 0.06, 0.42, 0.94, hem + 0.12, paint),
        Part("rectangle", 0.20, 0.20, 0.80, hem, paint),
        Part("rectangle", 0.48, 0.22, 0.52, hem, trousers),
        Part("ellipse", 0.32, 0.04, 0.68, 0.23, skin),
        Part("ellipse", 0.12, 0.04, 0.88, 0.11, hat),
        Part("rectangle", 0.30, 0.0, 0.70, 0.08, hat),
    )


def _complexion(actor: Actor) -> tuple[Paint, Paint]:
    """Colours of skin and trousers."""
    skin = (224, 180, 145) if actor.identity % 3 else (120, 82, 60)
    return skin, ((50, 52, 66), (92, 84, 72), (38, 40, 44))[actor.identity % 3]


def _car(paint: Paint) -> tuple[Part, ...]:
    glass, tyre = (96, 122, 140), (24, 24, 26)
    roof = (int(paint[0] * 0.85), int(paint[1] * 0.85), int(paint[2] * 0.85))
    return (
        Part("ellipse", 0.12, 0.0, 0.80, 0.95, roof),
        Part("rectangle", 0.0, 0.40, 1.0, 0.84, paint),
        Part("rectangle", 0.23, 0.13, 0.44, 0.40, glass),
        Part("rectangle", 0.48, 0.13, 0.69, 0.40, glass),
        Part("ellipse", 0.11, 0.62, 0.30, 1.0, tyre),
        Part("ellipse", 0.70, 0.62, 0.89, 1.0, tyre),
        Part("rectangle", 0.95, 0.48, 1.0, 0.60, (250, 240, 190)),
    )


def _bag(paint: Paint) -> tuple[Part, ...]:
    strap = (74, 56, 42)
    return (
        Part("ellipse", 0.22, 0.0, 0.78, 0.7, strap),
        Part("rectangle", 0.03, 0.34, 0.97, 1.0, paint),
        Part("rectangle", 0.03, 0.50, 0.97, 0.62, strap),
    )


def _van(paint: Paint) -> tuple[Part, ...]:
    """As high behind as in front, with a stripe along its side."""
    glass, tyre, stripe = (58, 70, 86), (34, 32, 32), (150, 150, 152)
    return (
        Part("rectangle", 0.0, 0.0, 0.78, 0.86, paint),
        Part("ellipse", 0.56, 0.04, 1.0, 1.3, paint),
        Part("rectangle", 0.66, 0.14, 0.86, 0.40, glass),
        Part("rectangle", 0.0, 0.52, 0.78, 0.60, stripe),
        Part("rectangle", 0.0, 0.14, 0.03, 0.34, (190, 40, 30)),
        Part("ellipse", 0.08, 0.70, 0.22, 1.0, tyre),
        Part("ellipse", 0.24, 0.70, 0.38, 1.0, tyre),
        Part("ellipse", 0.74, 0.70, 0.88, 1.0, tyre),
    )


def _case(paint: Paint) -> tuple[Part, ...]:
    """On wheels, with a handle pulled out."""
    metal = (160, 162, 166)
    return (
        Part("rectangle", 0.34, 0.0, 0.40, 0.36, metal),
        Part("rectangle", 0.60, 0.0, 0.66, 0.36, metal),
        Part("rectangle", 0.34, 0.0, 0.66, 0.07, metal),
        Part("rectangle", 0.14, 0.30, 0.86, 0.92, paint),
        Part("rectangle", 0.30, 0.34, 0.34, 0.88, metal),
        Part("rectangle", 0.66, 0.34, 0.70, 0.88, metal),
        Part("ellipse", 0.16, 0.86, 0.32, 1.0, (30, 30, 32)),
        Part("ellipse", 0.68, 0.86, 0.84, 1.0, (30, 30, 32)),
    )
