"""Lambda weights by name: TF-Ranking's classes with the gains and discounts that a config may name.

`lambda_weight: {name: dcg, gain: square, discount: rank}` in the options of a loss. The framework is that of Wang et
al., "The LambdaLoss framework for ranking metric optimization" (2018).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf
from tensorflow_ranking.python import losses_impl
from tensorflow_ranking.python.keras import utils as library_functions

from tfr_listbert.config import build_dataclass, require
from tfr_listbert.losses.library import OwnListSize, SortedRanks
from tfr_listbert.registry import Registry

_SETTING = "options.lambda_weight"


def power_of_two(labels: tf.Tensor) -> tf.Tensor:
    """Returns 2^y - 1 of labels y, which must be so low that the square of a gradient in float32 is finite.

    Raises:
        tf.errors.InvalidArgumentError: for a label above 50.
    """
    message = "2^label is too large for float32 with labels above 50: give smaller grades, or another loss or gain"
    with tf.control_dependencies([tf.debugging.assert_less_equal(tf.convert_to_tensor(labels), 50.0, message)]):
        return library_functions.pow_minus_1(labels)


GAINS: Registry[Callable[[tf.Tensor], tf.Tensor]] = Registry("gain")
GAINS.register("identity")(library_functions.identity)
GAINS.register("square")(tf.square)
GAINS.register("power_of_two")(power_of_two)
"""What a label y is worth: y, y² or 2^y - 1."""

DISCOUNTS: Registry[Callable[[tf.Tensor], tf.Tensor]] = Registry("discount")
DISCOUNTS.register("rank")(library_functions.identity)
DISCOUNTS.register("inverse")(library_functions.inverse)
DISCOUNTS.register("log")(lambda rank: tf.math.divide_no_nan(1.0, tf.math.log1p(rank)))
DISCOUNTS.register("log2")(library_functions.log2_inverse)
"""What a rank r, from 1, is worth: r, 1/r, 1/ln(1+r) or 1/log2(1+r). With `rank` neighbouring ranks differ by 1, so
that a LambdaLoss weights its pairs by their gains alone."""

LAMBDA_WEIGHTS: Registry[type[LambdaWeight]] = Registry("lambda weight")


def build_lambda_weight(options: Mapping[str, Any]) -> LambdaWeight:
    """Returns the lambda weight for options such as `{"name": "ndcg", "topn": 10}`.

    Raises:
        InputError: for an unknown name or option, or a value that breaks its rule.
    """
    values = {key: value for key, value in options.items() if key != "name"}
    return build_dataclass(LAMBDA_WEIGHTS.get(options.get("name"), f"{_SETTING}.name"), values, _SETTING)


def check_lambda_weight(options: Mapping[str, Any] | None, known: Sequence[str]) -> None:
    """Checks the `lambda_weight` option of a loss that reads the weights in `known`.

    Raises:
        InputError: as `build_lambda_weight`, and for a weight that TF-Ranking would ignore there without a word.
    """
    if options is None:
        return
    build_lambda_weight(options)
    rule = f"must be one that this loss reads ({', '.join(known)})"
    require(options["name"] in known, f"{_SETTING}.name", rule, options["name"])


class LambdaWeight(abc.ABC):
    """Options of a lambda weight; its subclasses are frozen dataclasses, checked when they are built."""

    @abc.abstractmethod
    def to_library(self) -> losses_impl._LambdaWeight:
        """Returns the library's object; the lists that it is used on must be sorted by score."""


@LAMBDA_WEIGHTS.register("label_diff")
@dataclasses.dataclass(frozen=True)
class LabelDiff(LambdaWeight):
    """Weights a pair by the difference of its labels."""

    def to_library(self) -> losses_impl._LambdaWeight:
        """Returns the library's object."""
        return losses_impl.LabelDiffLambdaWeight()


@dataclasses.dataclass(frozen=True)
class MetricLambdaWeight(LambdaWeight):
    """What the weights that follow a DCG share.

    Attributes:
        gain: a name in GAINS.
        discount: a name in DISCOUNTS.
        topn: cut-off rank of the metric; none when empty.
    """

    gain: str = "power_of_two"
    discount: str = "log2"
    topn: int | None = None

    def __post_init__(self) -> None:
        """Checks names and cut-off."""
        GAINS.get(self.gain, f"{_SETTING}.gain")
        DISCOUNTS.get(self.discount, f"{_SETTING}.discount")
        require(self.topn is None or self.topn >= 1, f"{_SETTING}.topn", "must be >= 1", self.topn)

    @property
    def functions(self) -> tuple[Callable[[tf.Tensor], tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
        """Gain and discount."""
        return GAINS.get(self.gain, f"{_SETTING}.gain"), DISCOUNTS.get(self.discount, f"{_SETTING}.discount")


class _DCGLambdaWeight(OwnListSize, SortedRanks, losses_impl.DCGLambdaWeight):
    pass


@LAMBDA_WEIGHTS.register("ndcg")
@dataclasses.dataclass(frozen=True)
class NDCG(MetricLambdaWeight):
    """Weights a pair by what it could change in NDCG, times the number of documents in the list.

    Attributes:
        smooth_fraction: share of LambdaMART's weight |d(i) - d(j)|; the rest is LambdaLoss's |d(|i-j|) - d(|i-j|+1)|.
    """

    normalized: ClassVar[bool] = True
    smooth_fraction: float = 0.0

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        setting = f"{_SETTING}.smooth_fraction"
        require(0 <= self.smooth_fraction <= 1, setting, "must be from 0 to 1", self.smooth_fraction)

    def to_library(self) -> losses_impl._LambdaWeight:
        """Returns the library's object, for lists sorted by score."""
        return _DCGLambdaWeight(self.topn, *self.functions, self.normalized, self.smooth_fraction)


@LAMBDA_WEIGHTS.register("dcg")
@dataclasses.dataclass(frozen=True)
class DCG(NDCG):
    """`ndcg` of a DCG: normalized only when asked, and with a gain and discount of its own.

    Attributes:
        normalized: divide gains by the ideal DCG.
    """

    gain: str = "identity"
    discount: str = "inverse"
    normalized: bool = False


class _DCGLambdaWeightV2(OwnListSize, SortedRanks, losses_impl.DCGLambdaWeightV2):
    pass


@LAMBDA_WEIGHTS.register("ndcg_v2")
@dataclasses.dataclass(frozen=True)
class NDCGV2(MetricLambdaWeight):
    """`ndcg` with a well-defined cut-off: a pair that reaches below it counts 1 / (1 - d(larger rank)) times.

    Relations: without `topn` it equals `ndcg`.
    """

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        rule = "must not be `rank` with a cut-off: the factor 1 / (1 - d(rank)) would be below 0"
        require(self.topn is None or self.discount != "rank", f"{_SETTING}.discount", rule, self.discount)

    def to_library(self) -> losses_impl._LambdaWeight:
        """Returns the library's object, for lists sorted by score."""
        return _DCGLambdaWeightV2(self.topn, *self.functions, normalized=True)


class _YetiDCGLambdaWeight(OwnListSize, SortedRanks, losses_impl.YetiDCGLambdaWeight):
    pass


@LAMBDA_WEIGHTS.register("yeti_dcg")
@dataclasses.dataclass(frozen=True)
class YetiDCG(NDCGV2):
    """`ndcg_v2` on pairs of neighbours in the ranking alone (Lyzhin et al., arXiv 2204.01500).

    Attributes:
        normalized: divide gains by the ideal DCG.
    """

    normalized: bool = False

    def to_library(self) -> losses_impl._LambdaWeight:
        """Returns the library's object, for lists sorted by score."""
        return _YetiDCGLambdaWeight(self.topn, *self.functions, self.normalized)

    def neighbour_weights(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the library's pair weights of each slot and the next, outside of which they are 0.

        Args:
            labels: float32 [B, L] of lists sorted by score; PADDING_LABEL in padding.

        Returns:
            float32 [B, L-1].
        """
        gain, discount = self.functions
        size = tf.reduce_sum(tf.cast(labels >= 0, tf.float32), axis=1, keepdims=True)
        labels = tf.maximum(labels, 0.0)
        scale = size * tf.abs(discount(1.0) - discount(2.0))
        if self.normalized:
            scale *= losses_impl.inverse_max_dcg(labels, gain, discount, self.topn)
        if self.topn is not None:
            ranks = tf.range(2, tf.shape(labels)[1] + 1)
            scale *= tf.where(ranks > self.topn, 1.0 / (1.0 - discount(tf.cast(ranks, tf.float32))), 1.0)
        return scale * tf.abs(gain(labels[:, :-1]) - gain(labels[:, 1:]))


class _PrecisionLambdaWeight(SortedRanks, losses_impl.PrecisionLambdaWeight):
    pass


@LAMBDA_WEIGHTS.register("precision")
@dataclasses.dataclass(frozen=True)
class Precision(LambdaWeight):
    """Weights a pair 1 if swapping it would change precision@topn, else 0.

    Attributes:
        topn: cut-off rank.
        relevant_from: labels from here on count as relevant.
    """

    topn: int
    relevant_from: float = 1.0

    def __post_init__(self) -> None:
        """Checks the cut-off."""
        require(self.topn >= 1, f"{_SETTING}.topn", "must be >= 1", self.topn)

    def to_library(self) -> losses_impl._LambdaWeight:
        """Returns the library's object, for lists sorted by score."""
        return _PrecisionLambdaWeight(self.topn, lambda label: label >= self.relevant_from)


@LAMBDA_WEIGHTS.register("list_mle")
@dataclasses.dataclass(frozen=True)
class ListMLE(LambdaWeight):
    """Weights ListMLE's choice at rank r by the discount of r (p-ListMLE: Lan et al., 2014).

    Attributes:
        discount: a name in DISCOUNTS.
    """

    discount: str

    def __post_init__(self) -> None:
        """Checks the name."""
        DISCOUNTS.get(self.discount, f"{_SETTING}.discount")

    def to_library(self) -> losses_impl._LambdaWeight:
        """Returns the library's object, for lists sorted by label."""
        return losses_impl.ListMLELambdaWeight(DISCOUNTS.get(self.discount, f"{_SETTING}.discount"))
