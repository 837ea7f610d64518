"""Which pairs of change policy and KV policy are measured where."""

from dataclasses import dataclass, replace

from benchmarks.accuracy.policies import OFTENER, RHYTHMS
from benchmarks.accuracy.streams import Setting
from codecsight.engine import EngineConfig, Evict, Present

DEFAULT_CHANGE = "tracked"


@dataclass(frozen=True, slots=True)
class Arm:
    """A change policy under a KV policy. `config` is the engine's; None where something else runs
    the windows (`kv` says what). A baseline that takes whole slots takes as many as ours could pay
    for, or so many `slots`; a blend refreshes its published share, or what the operations of our
    refresh policy `like` pay for, its search with `search_free` not counted.
    """

    change: str
    kv: str
    config: EngineConfig | None = None
    default: bool = False
    slots: int | None = None
    like: str | None = None
    search_free: bool = False


def engine_arm(change: str, setting: Setting, **settings: object) -> Arm:
    """The engine at its defaults, but for `settings`."""
    shipped = EngineConfig(window=setting.window, stride=setting.stride)
    config = replace(shipped, **settings)  # type: ignore[arg-type]
    return Arm(change, kv_name(config), config, change == DEFAULT_CHANGE and config == shipped)


def kv_name(config: EngineConfig) -> str:
    """What is computed again, where questions stand, what the ViT sees around, what is given up."""
    sight = "remembered" if config.remember else f"ring {config.ring}"
    name = f"{config.refresh}/{config.present.value}/{sight}"
    name = f"{name}/anchors seen anew" if config.remember and not config.still else name
    return name if config.evict is Evict.AGE else f"{name}/{config.evict.value}"


BLIND: dict[str, object] = {"remember": False, "ring": 0}
"""The ViT sees what is kept of a slot, and nothing else."""


def reference(setting: Setting) -> Arm:
    """The dense model: whole slots, whole windows, each computed anew."""
    return engine_arm("everything", setting, refresh="all", present=Present.LAST_SLOT, **BLIND)


PUBLISHED_KV = {"refresh": "anchors", "present": Present.LAST_SLOT, **BLIND}
"""What the published system does: whole I frames are computed again, and what was pruned is not at
the present.
"""


def every_arm(setting: Setting) -> list[Arm]:
    """All change policies under the default KV policy, all KV policies under ours, and pairs that
    stand for known systems.
    """
    changes = ["tracked", *RHYTHMS, "pixels", "random", "everything"]
    changes += ["published-0.25", "published-0.5"]
    arms = [engine_arm(change, setting) for change in changes]
    arms += [engine_arm("tracked", setting, **settings) for settings in KV]
    arms += [engine_arm(change, setting, **PUBLISHED_KV) for change in _published(setting)]
    arms.append(engine_arm("everything", setting, **PUBLISHED_KV))
    arms.append(replace(reference(setting), change="everything-raw"))
    return list(dict.fromkeys([*arms, *blends(), *controls(), *fixed(), *guesses()]))


def stress_arms(setting: Setting) -> list[Arm]:
    """What is measured in every condition."""
    changes = ("tracked", OFTENER, "pixels", "random", "everything")
    arms = [engine_arm(change, setting) for change in changes]
    arms += [engine_arm("tracked", setting, **settings) for settings in UNDER_STRESS]
    arms += [engine_arm(change, setting, **PUBLISHED_KV) for change in _published(setting)]
    return [*arms, blends()[0], *controls(), *guesses()]


def few_arms(setting: Setting) -> list[Arm]:
    """Ours and the published system."""
    arms = [engine_arm("tracked", setting), engine_arm("everything", setting)]
    arms.append(engine_arm("tracked", setting, refresh="all", present=Present.CANVAS))
    arms.append(engine_arm("published-0.5", setting, **PUBLISHED_KV))
    return [*arms, *controls(), *guesses()]


def quick_arms(setting: Setting) -> list[Arm]:
    """One of each sort."""
    published = engine_arm("published-0.5", setting, **PUBLISHED_KV)
    ours = [engine_arm(change, setting) for change in ("tracked", "random")]
    return [*ours, published, *controls()[:2], *guesses()]


def text_arms(setting: Setting) -> list[Arm]:
    """Those that are asked for words of their own."""
    arms = [engine_arm("tracked", setting), engine_arm("random", setting)]
    return [*arms, engine_arm("published-0.5", setting, **PUBLISHED_KV)]


def controls() -> list[Arm]:
    """The simple baselines; how much they get is settled by what ours took."""
    return [Arm(change, "all") for change in ("evs", "last-frames", "low-rate")]


def fixed() -> list[Arm]:
    """Those that choose whole slots, with more of them than ours could pay for."""
    names = [(change, count) for count in (2, 4) for change in ("last-frames", "low-rate")]
    return [Arm(change, f"{count} slots", slots=count) for change, count in names]


def guesses() -> list[Arm]:
    """Answers without looking."""
    return [Arm(change, "no model") for change in ("repeat", "constant")]


def blends() -> list[Arm]:
    """Tokens refreshed instead of slots: the published share, and as many as ours pay for."""
    return [
        Arm("tracked", "cacheblend"),
        Arm("tracked", "cacheblend at the cost of anchors", like="anchors"),
        Arm("tracked", "top keys at the cost of drift:2", like="drift:2", search_free=True),
    ]


KV: tuple[dict[str, object], ...] = (
    {"refresh": "all"},
    {"refresh": "none"},
    {"refresh": "first:1"},
    {"refresh": "anchors"},
    {"refresh": "drift:2"},
    {"present": Present.LAST_SLOT},
    {"present": Present.CANVAS},
    {"present": Present.RETIMED},
    {"refresh": "anchors", "present": Present.CANVAS},
    {"refresh": "none", "present": Present.RETIMED},
    {"refresh": "all", "present": Present.CANVAS},
    {"evict": Evict.SUPERSEDED},
    {"still": 0.0},
    BLIND,
    {**BLIND, "ring": 1},
    {**BLIND, "ring": 2},
    {**BLIND, "ring": 9},
)


UNDER_STRESS: tuple[dict[str, object], ...] = (
    {"refresh": "all", "present": Present.CANVAS},
    {"refresh": "anchors"},
    {"refresh": "first:1"},
    {"present": Present.CANVAS},
    {"present": Present.LAST_SLOT},
    {"still": 0.0},
)


def _published(setting: Setting) -> list[str]:
    """Where all frames are sampled, there are none to be passed over."""
    names = ["published-0.25", "published-0.25-sampled", "published-0.5", "published-0.5-sampled"]
    return names[::2] if setting.recoded else names
