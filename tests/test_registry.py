"""Registries: names, and what is said of a wrong one."""

import pytest

from tfr_listbert.registry import Registry
from tfr_listbert.schema import InputError


def test_a_misspelt_name_is_answered_with_the_nearest_and_the_list():
    registry = Registry("loss")
    registry.register("softmax_loss")(1)
    registry.register("list_mle_loss")(2)
    assert registry.get("softmax_loss", "loss.loss") == 1
    with pytest.raises(InputError, match=r"`loss.loss` names no loss: got 'sofmax_loss'. Did you mean 'softmax_loss'"):
        registry.get("sofmax_loss", "loss.loss")
    assert list(registry) == ["list_mle_loss", "softmax_loss"]


def test_a_name_is_registered_once():
    registry = Registry("loss")
    registry.register("a")(1)
    with pytest.raises(ValueError, match="registered twice"):
        registry.register("a")(2)
