"""How much of the cloud's memory one site may hold: a pure function of what all sites hold.

Half of the memory is guaranteed, in equal parts, to the sites that the configuration lists. The
other half goes to the sites that come first. So one site can never take everything, and a single
site has all of it. Example: 1,000 blocks and 5 sites. Each is guaranteed 100. A site alone may hold
600: all but the 400 that are kept for the four others.
"""

from collections.abc import Collection, Mapping

GUARANTEED = 0.5
"""Part of the memory that is divided among the listed sites."""


def refusal(
    site: str, need: float, used: Mapping[str, float], total: float, sites: Collection[str]
) -> str:
    """Why `site` may not take `need` more blocks, of a `total` of which each site holds `used`;
    empty if it may. `sites` are those that the configuration lists.
    """
    guaranteed = GUARANTEED * total / max(len(sites), 1)
    own = used.get(site, 0.0)
    if own + need <= guaranteed:
        return ""
    kept = sum(max(0.0, guaranteed - used.get(other, 0.0)) for other in sites if other != site)
    if sum(used.values()) + need + kept <= total:
        return ""
    return (
        f"the site {site} holds {own:.0f} of {total:.0f} KV blocks, and what is free is kept for "
        "other sites; add workers or raise kv_blocks or memory_mib"
    )
