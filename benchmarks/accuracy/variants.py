"""Which pairs of change policy and KV policy are measured where."""

from dataclasses import dataclass, replace

from benchmarks.accuracy.policies import ANCHOR_INTERVALS, FREQUENT_ANCHORS
from benchmarks.accuracy.streams import Setting
from codecsight.engine import EngineConfig, EvictionPolicy, QueryView

DEFAULT_CHANGE = "tracked"


@dataclass(frozen=True, slots=True)
class Variant:
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


def engine_variant(change: str, setting: Setting, **settings: object) -> Variant:
    """The engine at its defaults, but for `settings`."""
    shipped = EngineConfig(window=setting.window, stride=setting.stride)
    config = replace(shipped, **settings)  # type: ignore[arg-type]
    return Variant(change, kv_name(config), config, change == DEFAULT_CHANGE and config == shipped)


def kv_name(config: EngineConfig) -> str:
    """What is computed again, where questions stand, what the ViT sees around, what is given up."""
    sight = "cached" if config.vision_kv_cache else f"radius {config.neighbour_radius}"
    name = f"{config.refresh}/{config.query_view.value}/{sight}"
    name = (
        f"{name}/anchors re-encoded"
        if config.vision_kv_cache and not config.static_threshold
        else name
    )
    return name if config.eviction is EvictionPolicy.AGE else f"{name}/{config.eviction.value}"


BLIND: dict[str, object] = {"vision_kv_cache": False, "neighbour_radius": 0}
"""The ViT sees what is kept of a slot, and nothing else."""


def dense_variant(setting: Setting) -> Variant:
    """The dense model: whole slots, whole windows, each computed anew."""
    return engine_variant(
        "everything", setting, refresh="all", query_view=QueryView.LAST_SLOT, **BLIND
    )


PUBLISHED_KV = {"refresh": "anchors", "query_view": QueryView.LAST_SLOT, **BLIND}
"""What the published system does: whole I frames are computed again, and what was pruned is not at
the present.
"""


def all_variants(setting: Setting) -> list[Variant]:
    """All change policies under the default KV policy, all KV policies under ours, and pairs that
    stand for known systems.
    """
    changes = ["tracked", *ANCHOR_INTERVALS, "pixels", "random", "everything"]
    changes += ["published-0.25", "published-0.5"]
    arms = [engine_variant(change, setting) for change in changes]
    arms += [engine_variant("tracked", setting, **settings) for settings in KV]
    arms += [engine_variant(change, setting, **PUBLISHED_KV) for change in _published(setting)]
    arms.append(engine_variant("everything", setting, **PUBLISHED_KV))
    arms.append(replace(dense_variant(setting), change="everything-raw"))
    return list(
        dict.fromkeys(
            [
                *arms,
                *cacheblend_variants(),
                *simple_baselines(),
                *fixed_slot_baselines(),
                *trivial_baselines(),
            ]
        )
    )


def stress_variants(setting: Setting) -> list[Variant]:
    """What is measured in every condition."""
    changes = ("tracked", FREQUENT_ANCHORS, "pixels", "random", "everything")
    arms = [engine_variant(change, setting) for change in changes]
    arms += [engine_variant("tracked", setting, **settings) for settings in UNDER_STRESS]
    arms += [engine_variant(change, setting, **PUBLISHED_KV) for change in _published(setting)]
    return [*arms, cacheblend_variants()[0], *simple_baselines(), *trivial_baselines()]


def full_length_variants(setting: Setting) -> list[Variant]:
    """Ours and the published system."""
    arms = [engine_variant("tracked", setting), engine_variant("everything", setting)]
    arms.append(
        engine_variant("tracked", setting, refresh="all", query_view=QueryView.LATEST_FEATURES)
    )
    arms.append(engine_variant("published-0.5", setting, **PUBLISHED_KV))
    return [*arms, *simple_baselines(), *trivial_baselines()]


def quick_variants(setting: Setting) -> list[Variant]:
    """One of each sort."""
    published = engine_variant("published-0.5", setting, **PUBLISHED_KV)
    ours = [engine_variant(change, setting) for change in ("tracked", "random")]
    return [*ours, published, *simple_baselines()[:2], *trivial_baselines()]


def description_variants(setting: Setting) -> list[Variant]:
    """Those that are asked for words of their own."""
    arms = [engine_variant("tracked", setting), engine_variant("random", setting)]
    return [*arms, engine_variant("published-0.5", setting, **PUBLISHED_KV)]


def simple_baselines() -> list[Variant]:
    """The simple baselines; how much they get is settled by what ours took."""
    return [Variant(change, "all") for change in ("evs", "last-frames", "low-rate")]


def fixed_slot_baselines() -> list[Variant]:
    """Those that choose whole slots, with more of them than ours could pay for."""
    names = [(change, count) for count in (2, 4) for change in ("last-frames", "low-rate")]
    return [Variant(change, f"{count} slots", slots=count) for change, count in names]


def trivial_baselines() -> list[Variant]:
    """Answers without looking."""
    return [Variant(change, "no model") for change in ("repeat", "constant")]


def cacheblend_variants() -> list[Variant]:
    """Tokens refreshed instead of slots: the published share, and as many as ours pay for."""
    return [
        Variant("tracked", "cacheblend"),
        Variant("tracked", "cacheblend at the cost of anchors", like="anchors"),
        Variant("tracked", "top keys at the cost of drift:2", like="drift:2", search_free=True),
    ]


KV: tuple[dict[str, object], ...] = (
    {"refresh": "all"},
    {"refresh": "none"},
    {"refresh": "first:1"},
    {"refresh": "anchors"},
    {"refresh": "drift:2"},
    {"query_view": QueryView.LAST_SLOT},
    {"query_view": QueryView.LATEST_FEATURES},
    {"query_view": QueryView.REROTATED},
    {"refresh": "anchors", "query_view": QueryView.LATEST_FEATURES},
    {"refresh": "none", "query_view": QueryView.REROTATED},
    {"refresh": "all", "query_view": QueryView.LATEST_FEATURES},
    {"eviction": EvictionPolicy.SUPERSEDED},
    {"static_threshold": 0.0},
    BLIND,
    {**BLIND, "neighbour_radius": 1},
    {**BLIND, "neighbour_radius": 2},
    {**BLIND, "neighbour_radius": 9},
)


UNDER_STRESS: tuple[dict[str, object], ...] = (
    {"refresh": "all", "query_view": QueryView.LATEST_FEATURES},
    {"refresh": "anchors"},
    {"refresh": "first:1"},
    {"query_view": QueryView.LATEST_FEATURES},
    {"query_view": QueryView.LAST_SLOT},
    {"static_threshold": 0.0},
)


def _published(setting: Setting) -> list[str]:
    """Where all frames are sampled, there are none to be passed over."""
    names = ["published-0.25", "published-0.25-sampled", "published-0.5", "published-0.5-sampled"]
    return names[::2] if setting.reencoded else names
