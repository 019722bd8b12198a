"""A cascade: the student's order, but for the first documents, which stand in the teacher's."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.export.bundle import export_ranker
from tfr_listbert.export.half_weights import HalfWeight, round_weights
from tfr_listbert.export.models import build_text_model, build_text_ranker
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.schema import InputError
from tfr_listbert.training.rankers import read_ranker

FIRST = 3


@pytest.fixture(scope="module")
def cascade_config(student_config):
    settings = {"vectors": student_config.vectors.output, "cascade": student_config.teacher.run, "name": "cascade"}
    export = dataclasses.replace(student_config.export, cascade_documents=FIRST, **settings)
    return dataclasses.replace(student_config, export=export)


@pytest.fixture(scope="module")
def model(cascade_config):
    export_ranker(cascade_config)
    with ReloadedModel(f"{cascade_config.export.output}/cascade/1") as model:
        yield model


@pytest.fixture(scope="module")
def lists(student_config):
    return [one for one in read_lists(student_config.data.lists, "test") if len(one.documents) > FIRST][:6]


def build_inputs(lists):
    return RequestBuilder(("title", "brand"), ("price",), {}).build_columns(lists)


@pytest.fixture(scope="module")
def expected(student_config, lists):
    """The order of each list by the student alone, its first documents ordered by the teacher alone."""
    inputs = build_inputs(lists)
    student, teacher = build_student(student_config), build_text_ranker(read_ranker(student_config.teacher.run))
    fields = {name: tf.constant(inputs[name]) for name in ("title", "brand")}
    queries, price = tf.constant(inputs["query"]), {"price": tf.constant(inputs["price"], tf.float32)}
    by_student = student.rank_scores(queries, fields, {}).numpy()
    by_teacher = teacher.rank_scores(queries, fields, price).numpy()
    orders = []
    for own, anew in zip(by_student, by_teacher, strict=True):
        order = np.argsort(-own, kind="stable")
        orders.append([*sorted(order[:FIRST], key=lambda place: -anew[place]), *order[FIRST:]])
    return np.array(orders)


def build_student(config):
    export = dataclasses.replace(config.export, vectors=None)
    return build_text_model(dataclasses.replace(config, export=export), read_ranker(config.train.run))


def test_the_first_documents_stand_in_the_teachers_order_and_the_others_in_the_students(model, lists, expected):
    answer = model.ask("rank", build_inputs(lists))
    np.testing.assert_array_equal(answer["order"], expected)


def test_stored_vectors_give_the_same_cascade(model, lists, expected):
    slots = max(len(one.documents) for one in lists)
    ids = [[document.document_id for document in one.documents] for one in lists]
    ids = [row + [""] * (slots - len(row)) for row in ids]
    answer = model.ask("cascade_ids", {**build_inputs(lists), "document_ids": ids})
    np.testing.assert_array_equal(answer["order"], expected)
    ids[0][int(expected[0][0])] = "nobody"
    answer = model.ask("cascade_ids", {**build_inputs(lists), "document_ids": ids})
    is_padding = [not document_id for document_id in ids[0]]
    assert answer["order"][0][sum(not one for one in is_padding) - 1] == expected[0][0]
    assert not answer["is_known"][0][expected[0][0]]


def test_a_cascade_over_a_whole_list_is_the_teacher(cascade_config, lists):
    export = dataclasses.replace(cascade_config.export, cascade_documents=1000, vectors=None)
    config = dataclasses.replace(cascade_config, export=export)
    cascade = build_text_model(config, read_ranker(config.train.run))
    teacher = build_text_ranker(read_ranker(config.teacher.run))
    inputs = build_inputs(lists)
    fields = {name: tf.constant(inputs[name]) for name in ("title", "brand")}
    arguments = (tf.constant(inputs["query"]), fields, {"price": tf.constant(inputs["price"], tf.float32)})
    np.testing.assert_allclose(cascade.rank_scores(*arguments), teacher.rank_scores(*arguments), atol=1e-5)


def test_in_half_precision_the_teacher_is_rounded_too(cascade_config, lists):
    config = dataclasses.replace(
        cascade_config, export=dataclasses.replace(cascade_config.export, cascade_documents=1000)
    )
    cascade = build_text_model(config, read_ranker(config.train.run))
    cascade.halve_weights()
    weights = cascade.build_saved_module().teacher.weights
    assert sum(isinstance(weight, HalfWeight) for weight in weights) > 10
    teacher = read_ranker(config.teacher.run)
    round_weights(teacher.row_scorer.trainable_variables)
    inputs = build_inputs(lists)
    fields = {name: tf.constant(inputs[name]) for name in ("title", "brand")}
    arguments = (tf.constant(inputs["query"]), fields, {"price": tf.constant(inputs["price"], tf.float32)})
    expected = build_text_ranker(teacher).rank_scores(*arguments)
    np.testing.assert_allclose(cascade.rank_scores(*arguments), expected, atol=1e-5)


def test_the_latency_of_a_cascade_by_ids_is_measured(cascade_config):
    model = build_text_model(cascade_config, read_ranker(cascade_config.train.run))
    builder = RequestBuilder(model.fields, model.features, model.inputs)
    assert builder.timed_signature == "cascade_ids"


def test_a_students_teacher_is_no_student(cascade_config):
    export = dataclasses.replace(cascade_config.export, cascade=cascade_config.train.run)
    with pytest.raises(InputError, match="`export.cascade` must name the run folder of a ranker, not a student's"):
        build_text_model(dataclasses.replace(cascade_config, export=export), read_ranker(cascade_config.train.run))


def test_a_teacher_that_is_not_there_is_named_by_its_setting(cascade_config, tmp_path):
    export = dataclasses.replace(cascade_config.export, cascade=str(tmp_path))
    with pytest.raises(InputError, match="There is no run in .*, or set `export.cascade`"):
        build_text_model(dataclasses.replace(cascade_config, export=export), read_ranker(cascade_config.train.run))


def test_a_ranker_takes_no_vectors_and_no_cascade(student_config):
    export = dataclasses.replace(student_config.export, cascade="runs/another")
    with pytest.raises(InputError, match="`export.cascade` must be empty for a ranker"):
        build_text_model(dataclasses.replace(student_config, export=export), read_ranker(student_config.teacher.run))
