"""Events of a scene: actors that enter, leave or fall, and bags that are left behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from codecsight.world.labels.ground_truth import BARELY_VISIBLE, ground_truth
from codecsight.world.scene.actor import ActorKind
from codecsight.world.scene.scene import Scene


class SceneEventKind(StrEnum):
    """Kind of an event."""

    ENTER = "enter"
    LEAVE = "leave"
    LEFT_BEHIND = "left-behind"
    FALL = "fall"


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """An event at `time` that concerns one actor."""

    time: float
    kind: SceneEventKind
    identity: int
    actor_kind: ActorKind


def scene_events(
    scene: Scene, start: float, end: float, step: float = 0.1
) -> tuple[SceneEvent, ...]:
    """The events within (start, end], in order of time, with a resolution of `step` seconds.

    An actor enters when it changes from practically invisible to clearly visible, and leaves when
    it changes back. A bag is left behind when its bearer sets it down. A fall is instantaneous.
    """
    found: list[SceneEvent] = []
    inside: dict[int, bool] = {}
    for index in range(round((end - start) / step) + 1):
        t = start + index * step
        for actor in ground_truth(scene, t).actors:
            visible = actor.visible_fraction >= BARELY_VISIBLE
            was = inside.get(actor.identity, index == 0 and visible)
            now = actor.clearly_visible or (was and visible)
            if now != was and index:
                kind = SceneEventKind.ENTER if now else SceneEventKind.LEAVE
                found.append(SceneEvent(t, kind, actor.identity, actor.kind))
            inside[actor.identity] = now
        found += [event for event in _scripted(scene, t) if index and t - step < event.time]
    return tuple(found)


def _scripted(scene: Scene, t: float) -> Iterator[SceneEvent]:
    """Falls and dropped bags, up to `t`, of the actors that exist at `t`."""
    for actor in scene.actors_at(t):
        fall = actor.lying_span[0] if actor.lying_span else None
        times = (SceneEventKind.LEFT_BEHIND, actor.drop_time), (SceneEventKind.FALL, fall)
        for kind, time in times:
            if time is not None and time <= t:
                yield SceneEvent(time, kind, actor.identity, actor.kind)
