import pytest

from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.tiny import random_model


@pytest.fixture(scope="session")
def model() -> Qwen3VL:
    return random_model(seed=4)
