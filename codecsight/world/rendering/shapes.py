"""Drawing primitives of people, vehicles and bags, in each style."""

import math
from dataclasses import dataclass
from typing import Literal

from codecsight.world.scene.actor import COLOURS, Actor, ActorKind
from codecsight.world.scene.scene import Style

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Primitive:
    """A rectangle or ellipse in one colour, in coordinates of the actor's box (unit square)."""

    form: Literal["rectangle", "ellipse"]
    left: float
    top: float
    right: float
    bottom: float
    colour: Rgb


def primitives_of(actor: Actor, style: Style, t: float) -> tuple[Primitive, ...]:
    """Primitives of `actor` at `t`, back to front, facing right."""
    colour, alternative = COLOURS[actor.colour], style is Style.ALTERNATIVE
    match actor.kind:
        case ActorKind.PERSON if alternative:
            return _coated(actor, t, colour)
        case ActorKind.PERSON:
            return _runner(actor, t, colour) if actor.is_running(t) else _person(actor, t, colour)
        case ActorKind.VEHICLE:
            return _van(colour) if alternative else _car(colour)
        case ActorKind.BAG:
            return _suitcase(colour) if alternative else _bag(colour)


def _person(actor: Actor, t: float, colour: Rgb) -> tuple[Primitive, ...]:
    x, _ = actor.position(t)
    moving = actor.velocity(t) != (0.0, 0.0)
    swing = 0.14 * math.sin(x * 60) if moving else 0.04
    skin, trousers = _complexion(actor)
    return (
        Primitive("rectangle", 0.30 + swing, 0.56, 0.49 + swing, 1.0, trousers),
        Primitive("rectangle", 0.51 - swing, 0.56, 0.70 - swing, 1.0, trousers),
        Primitive("ellipse", 0.06, 0.19, 0.94, 0.42, colour),
        Primitive("rectangle", 0.16, 0.26, 0.84, 0.62, colour),
        Primitive("ellipse", 0.29, 0.0, 0.71, 0.21, skin),
        Primitive("ellipse", 0.27, 0.0, 0.66, 0.09, (52, 40, 32)),
    )


def _runner(actor: Actor, t: float, colour: Rgb) -> tuple[Primitive, ...]:
    """A running person: leans forward, arms out, long strides."""
    swing = 0.2 * math.sin(actor.position(t)[0] * 40)
    skin, trousers = _complexion(actor)
    return (
        Primitive("rectangle", 0.26 + swing, 0.56, 0.46 + swing, 0.97 - abs(swing), trousers),
        Primitive("rectangle", 0.46 - swing, 0.56, 0.66 - swing, 1.0, trousers),
        Primitive("rectangle", 0.62, 0.30, 1.0, 0.37, skin),
        Primitive("rectangle", 0.0, 0.38, 0.40, 0.45, skin),
        Primitive("ellipse", 0.20, 0.17, 0.92, 0.46, colour),
        Primitive("rectangle", 0.20, 0.30, 0.74, 0.60, colour),
        Primitive("ellipse", 0.52, 0.0, 0.94, 0.21, skin),
        Primitive("ellipse", 0.50, 0.0, 0.88, 0.09, (52, 40, 32)),
    )


def _coated(actor: Actor, t: float, colour: Rgb) -> tuple[Primitive, ...]:
    """A person in a long coat and a hat, with a backpack. The coat is shorter while running."""
    runs, moving = actor.is_running(t), actor.velocity(t) != (0.0, 0.0)
    stride = (0.16 if runs else 0.1) * math.sin(actor.position(t)[0] * 50) if moving else 0.03
    hem = 0.6 if runs else 0.78
    skin, trousers = _complexion(actor)
    hat = (96, 78, 50)
    return (
        Primitive("rectangle", 0.34 + stride, hem, 0.48 + stride, 1.0, trousers),
        Primitive("rectangle", 0.52 - stride, hem, 0.66 - stride, 1.0, trousers),
        Primitive("rectangle", 0.0, 0.27, 0.24, 0.52, (88, 96, 80)),
        Primitive("ellipse", 0.06, 0.42, 0.94, hem + 0.12, colour),
        Primitive("rectangle", 0.20, 0.20, 0.80, hem, colour),
        Primitive("rectangle", 0.48, 0.22, 0.52, hem, trousers),
        Primitive("ellipse", 0.32, 0.04, 0.68, 0.23, skin),
        Primitive("ellipse", 0.12, 0.04, 0.88, 0.11, hat),
        Primitive("rectangle", 0.30, 0.0, 0.70, 0.08, hat),
    )


def _complexion(actor: Actor) -> tuple[Rgb, Rgb]:
    """Colours of skin and trousers, by identity."""
    skin = (224, 180, 145) if actor.identity % 3 else (120, 82, 60)
    return skin, ((50, 52, 66), (92, 84, 72), (38, 40, 44))[actor.identity % 3]


def _car(colour: Rgb) -> tuple[Primitive, ...]:
    glass, tyre = (96, 122, 140), (24, 24, 26)
    roof = (int(colour[0] * 0.85), int(colour[1] * 0.85), int(colour[2] * 0.85))
    return (
        Primitive("ellipse", 0.12, 0.0, 0.80, 0.95, roof),
        Primitive("rectangle", 0.0, 0.40, 1.0, 0.84, colour),
        Primitive("rectangle", 0.23, 0.13, 0.44, 0.40, glass),
        Primitive("rectangle", 0.48, 0.13, 0.69, 0.40, glass),
        Primitive("ellipse", 0.11, 0.62, 0.30, 1.0, tyre),
        Primitive("ellipse", 0.70, 0.62, 0.89, 1.0, tyre),
        Primitive("rectangle", 0.95, 0.48, 1.0, 0.60, (250, 240, 190)),
    )


def _bag(colour: Rgb) -> tuple[Primitive, ...]:
    strap = (74, 56, 42)
    return (
        Primitive("ellipse", 0.22, 0.0, 0.78, 0.7, strap),
        Primitive("rectangle", 0.03, 0.34, 0.97, 1.0, colour),
        Primitive("rectangle", 0.03, 0.50, 0.97, 0.62, strap),
    )


def _van(colour: Rgb) -> tuple[Primitive, ...]:
    """A van: a box shape with a stripe along its side."""
    glass, tyre, stripe = (58, 70, 86), (34, 32, 32), (150, 150, 152)
    return (
        Primitive("rectangle", 0.0, 0.0, 0.78, 0.86, colour),
        Primitive("ellipse", 0.56, 0.04, 1.0, 1.3, colour),
        Primitive("rectangle", 0.66, 0.14, 0.86, 0.40, glass),
        Primitive("rectangle", 0.0, 0.52, 0.78, 0.60, stripe),
        Primitive("rectangle", 0.0, 0.14, 0.03, 0.34, (190, 40, 30)),
        Primitive("ellipse", 0.08, 0.70, 0.22, 1.0, tyre),
        Primitive("ellipse", 0.24, 0.70, 0.38, 1.0, tyre),
        Primitive("ellipse", 0.74, 0.70, 0.88, 1.0, tyre),
    )


def _suitcase(colour: Rgb) -> tuple[Primitive, ...]:
    """A suitcase on wheels, with its handle pulled out."""
    metal = (160, 162, 166)
    return (
        Primitive("rectangle", 0.34, 0.0, 0.40, 0.36, metal),
        Primitive("rectangle", 0.60, 0.0, 0.66, 0.36, metal),
        Primitive("rectangle", 0.34, 0.0, 0.66, 0.07, metal),
        Primitive("rectangle", 0.14, 0.30, 0.86, 0.92, colour),
        Primitive("rectangle", 0.30, 0.34, 0.34, 0.88, metal),
        Primitive("rectangle", 0.66, 0.34, 0.70, 0.88, metal),
        Primitive("ellipse", 0.16, 0.86, 0.32, 1.0, (30, 30, 32)),
        Primitive("ellipse", 0.68, 0.86, 0.84, 1.0, (30, 30, 32)),
    )
