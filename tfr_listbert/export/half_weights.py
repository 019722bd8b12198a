"""Weights kept as float16 in a SavedModel: cast once when it is loaded, computed with in float32."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import tensorflow as tf

from tfr_listbert.schema import InputError


class HalfWeight(tf.saved_model.experimental.TrackableResource):
    """Stands for a float32 variable in what is saved.

    Functions that read the variable read, once reloaded, a resource that is made and filled from float16 when the
    model is loaded. TensorFlow Serving and `tf.saved_model.load` both do so, as they fill lookup tables.
    """

    def __init__(self, variable: tf.Variable):
        """Keeps the variable's values, rounded to float16."""
        super().__init__()
        self._half = self._track_trackable(tf.Variable(tf.cast(variable, tf.float16), trainable=False), "half")
        self._shape = variable.shape
        # Two versions in one process may not share a resource, so a name of this weight alone.
        self._shared_name = f"half_weight_{uuid.uuid4().hex}"
        self._variable = variable  # alive as long as its handle is
        self._resource_handle = variable.handle

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=self._shape, shared_name=self._shared_name)

    def _initialize(self) -> None:
        value = tf.cast(self._half, tf.float32)
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=value)


def round_weights(variables: Sequence[tf.Variable]) -> None:
    """Rounds variables to what float16 holds.

    Raises:
        InputError: if a value is beyond float16's range.
    """
    for variable in variables:
        rounded = tf.cast(tf.cast(variable, tf.float16), tf.float32)
        if not bool(tf.reduce_all(tf.math.is_finite(rounded))):
            raise InputError(f"`export.float16` must be false: {variable.name} has values above 65,504.")
        variable.assign(rounded)


class SavedWeights:
    """The weights of a scorer as they are saved: as they are, or once halved as float16.

    Attributes:
        is_half: whether they are halved.
    """

    def __init__(self, scorer: tf.keras.layers.Layer):
        """Takes the weights of `RowScorer` or `TwoTowers`."""
        self._scorer = scorer
        self.is_half = False

    def halve(self) -> None:
        """Rounds the weights to float16.

        Raises:
            InputError: if a weight is beyond float16's range.
        """
        round_weights(self._list_halved())
        self.is_half = True

    def list_saved(self) -> list[tf.Variable | HalfWeight]:
        """Returns the weights to save."""
        halved = {one.ref() for one in self._list_halved()} if self.is_half else set()
        return [HalfWeight(one) if one.ref() in halved else one for one in self._scorer.variables]

    def _list_halved(self) -> list[tf.Variable]:
        """Returns the weights that float16 can hold: all but the statistics of numeric features."""
        objects = self._scorer.list_objects()
        kept = {one.ref() for one in getattr(objects.get("feature_statistics"), "variables", ())}
        return [one for one in self._scorer.variables if one.ref() not in kept]
