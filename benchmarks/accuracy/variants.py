"""Variants (pairs of change policy and KV policy), and which of them are measured where."""

from dataclasses import dataclass, replace

from benchmarks.accuracy.policies import ANCHOR_INTERVALS, FREQUENT_ANCHORS
from benchmarks.accuracy.streams import Setting
from codecsight.engine import EngineConfig, EvictionPolicy, QueryView

DEFAULT_CHANGE = "tracked"


@dataclass(frozen=True, slots=True)
class Variant:
    """A change policy with a KV policy.

    `config`: engine settings, or None for baselines that run without the engine (`kv` names them).
    `slots`: number of whole slots a baseline chooses; None for as many as the default's cost buys.
    `like`: refresh policy whose operations set the share that CacheBlend refreshes; None for the
    published share. `search_free`: do not charge CacheBlend's search.
    """

    change: str
    kv: str
    config: EngineConfig | None = None
    default: bool = False
    slots: int | None = None
    like: str | None = None
    search_free: bool = False


def engine_variant(change: str, setting: Setting, **settings: object) -> Variant:
    """The engine at its defaults, except for `settings`."""
    default = EngineConfig(window=setting.window, stride=setting.stride)
    config = replace(default, **settings)  # type: ignore[arg-type]
    return Variant(change, kv_name(config), config, change == DEFAULT_CHANGE and config == default)


def kv_name(config: EngineConfig) -> str:
    """Name a KV policy: `refresh/query view/ViT context`, and what else is not the default."""
    vit_context = "cached" if config.vision_kv_cache else f"radius {config.neighbour_radius}"
    name = f"{config.refresh}/{config.query_view.value}/{vit_context}"
    if config.vision_kv_cache and not config.static_threshold:
        name += "/anchors re-encoded"
    return name if config.eviction is EvictionPolicy.AGE else f"{name}/{config.eviction.value}"


NO_VIT_CONTEXT: dict[str, object] = {"vision_kv_cache": False, "neighbour_radius": 0}
"""The ViT encodes the kept cells of a slot without any other cells."""


def dense_variant(setting: Setting) -> Variant:
    """The dense model: no pruning, every window encoded and prefilled again."""
    return engine_variant(
        "everything", setting, refresh="all", query_view=QueryView.LAST_SLOT, **NO_VIT_CONTEXT
    )


PUBLISHED_KV = {"refresh": "anchors", "query_view": QueryView.LAST_SLOT, **NO_VIT_CONTEXT}
"""KV policy of the published system: anchors (its I frames) are refreshed, and questions attend to
the newest slot without its pruned cells.
"""


def all_variants(setting: Setting) -> list[Variant]:
    """All change policies with the default KV policy, all KV policies with the default change
    policy, known systems and baselines.
    """
    changes = ["tracked", *ANCHOR_INTERVALS, "pixels", "random", "everything"]
    changes += ["published-0.25", "published-0.5"]
    variants = [engine_variant(change, setting) for change in changes]
    variants += [engine_variant("tracked", setting, **settings) for settings in KV_POLICIES]
    variants += [engine_variant(change, setting, **PUBLISHED_KV) for change in _published(setting)]
    variants.append(engine_variant("everything", setting, **PUBLISHED_KV))
    variants.append(replace(dense_variant(setting), change="everything-raw"))
    baselines = [*simple_baselines(), *fixed_slot_baselines(), *trivial_baselines()]
    return list(dict.fromkeys([*variants, *cacheblend_variants(), *baselines]))


def stress_variants(setting: Setting) -> list[Variant]:
    """Variants measured in every stress condition."""
    changes = ("tracked", FREQUENT_ANCHORS, "pixels", "random", "everything")
    variants = [engine_variant(change, setting) for change in changes]
    variants += [engine_variant("tracked", setting, **settings) for settings in STRESS_KV_POLICIES]
    variants += [engine_variant(change, setting, **PUBLISHED_KV) for change in _published(setting)]
    return [*variants, cacheblend_variants()[0], *simple_baselines(), *trivial_baselines()]


def full_length_variants(setting: Setting) -> list[Variant]:
    """Variants measured on full-length windows: the default, the published system, baselines."""
    variants = [engine_variant("tracked", setting), engine_variant("everything", setting)]
    variants.append(
        engine_variant("tracked", setting, refresh="all", query_view=QueryView.LATEST_FEATURES)
    )
    variants.append(engine_variant("published-0.5", setting, **PUBLISHED_KV))
    return [*variants, *simple_baselines(), *trivial_baselines()]


def quick_variants(setting: Setting) -> list[Variant]:
    """One variant of each kind, for quick runs."""
    published = engine_variant("published-0.5", setting, **PUBLISHED_KV)
    tracked_and_random = [engine_variant(change, setting) for change in ("tracked", "random")]
    return [*tracked_and_random, published, *simple_baselines()[:2], *trivial_baselines()]


def description_variants(setting: Setting) -> list[Variant]:
    """Variants that answer the free-form question."""
    variants = [engine_variant("tracked", setting), engine_variant("random", setting)]
    return [*variants, engine_variant("published-0.5", setting, **PUBLISHED_KV)]


def simple_baselines() -> list[Variant]:
    """Baselines with the default's budget of tokens or operations."""
    return [Variant(change, "all") for change in ("evs", "last-frames", "low-rate")]


def fixed_slot_baselines() -> list[Variant]:
    """Baselines of whole slots, with more slots than the default's budget buys."""
    names = [(change, count) for count in (2, 4) for change in ("last-frames", "low-rate")]
    return [Variant(change, f"{count} slots", slots=count) for change, count in names]


def trivial_baselines() -> list[Variant]:
    """Baselines that run no model."""
    return [Variant(change, "no model") for change in ("repeat", "constant")]


def cacheblend_variants() -> list[Variant]:
    """CacheBlend with the published share, and at the cost of our refresh policies."""
    return [
        Variant("tracked", "cacheblend"),
        Variant("tracked", "cacheblend at the cost of anchors", like="anchors"),
        Variant("tracked", "top keys at the cost of drift:2", like="drift:2", search_free=True),
    ]


KV_POLICIES: tuple[dict[str, object], ...] = (
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
    NO_VIT_CONTEXT,
    {**NO_VIT_CONTEXT, "neighbour_radius": 1},
    {**NO_VIT_CONTEXT, "neighbour_radius": 2},
    {**NO_VIT_CONTEXT, "neighbour_radius": 9},
)


STRESS_KV_POLICIES: tuple[dict[str, object], ...] = (
    {"refresh": "all", "query_view": QueryView.LATEST_FEATURES},
    {"refresh": "anchors"},
    {"refresh": "first:1"},
    {"query_view": QueryView.LATEST_FEATURES},
    {"query_view": QueryView.LAST_SLOT},
    {"static_threshold": 0.0},
)


def _published(setting: Setting) -> list[str]:
    """Change policies of the published rule."""
    # A re-encoded stream holds sampled frames only: the `-sampled` policies would be the same.
    names = ["published-0.25", "published-0.25-sampled", "published-0.5", "published-0.5-sampled"]
    return names[::2] if setting.reencoded else names
