"""The warm-up compiles all that a camera of another size, codec structure and scene needs."""

import gc

from numba.core.registry import CPUDispatcher

from cluster.warm_up import compile_image_code
from codecsight.camera import CameraPipeline
from codecsight.core.grid import GridSpec
from codecsight.video.capture.open import open_source

URL = "world://street?seed=902&fps=8&width=320&height=240&gop=24&b_frames=2&seconds=10"


def _compiled() -> set[tuple[str, str]]:
    """Name and argument types of each compiled function of the package in this process."""
    return {
        (f"{found.py_func.__module__}.{found.py_func.__name__}", str(types))
        for found in gc.get_objects()
        if isinstance(found, CPUDispatcher) and found.py_func.__module__.startswith("codecsight.")
        for types in found.overloads
    }


def test_a_camera_compiles_nothing_after_the_warm_up() -> None:
    compile_image_code()
    before = _compiled()
    camera = CameraPipeline(GridSpec(32, 2, 2.0, 240), "tracked", anchor_every=4)
    for item in open_source(URL).items():
        camera.feed(item)
    assert camera.counters.slots > 5
    assert _compiled() == before
