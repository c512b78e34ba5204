import pytest
from metric_images import made_up_triple


@pytest.fixture
def triple():
    return made_up_triple()
