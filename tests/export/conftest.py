"""The exported ranker in memory, and reloaded."""

import pytest

from tfr_listbert.export.models import build_text_ranker
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.training.rankers import read_ranker


@pytest.fixture(scope="module")
def text_ranker(run_config):
    """Of each module its own: `tf.random.set_seed`, which other modules call, drops TensorFlow Text's resources."""
    return build_text_ranker(read_ranker(run_config.train.run))


@pytest.fixture(scope="session")
def reloaded(exported):
    """The exported version in a session, as a server asks it."""
    with ReloadedModel(exported) as model:
        yield model
