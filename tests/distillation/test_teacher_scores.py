"""A teacher's scores: those that it gives, computed once, gone on with, and refused where they do not fit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.distillation import teacher_scores
from tfr_listbert.distillation.teacher_scores import score_training_lists
from tfr_listbert.folders import fill_folder
from tfr_listbert.lists.elwc import read_lists, write_shards
from tfr_listbert.schema import IS_JUDGED, TEACHER_SCORE, InputError
from tfr_listbert.training.rankers import read_ranker, score_split
from tfr_listbert.training.ranking import train_ranker


def read_scores(folder):
    return [[document.features[TEACHER_SCORE] for document in one.documents] for one in read_lists(folder, "train")]


def test_every_training_list_has_the_scores_that_the_teacher_gives_it(student_config):
    teacher = read_ranker(student_config.teacher.run)
    scored_lists = score_split(student_config, teacher, "train")
    for scored, own in zip(scored_lists, read_scores(student_config.teacher.scores), strict=True):
        np.testing.assert_allclose(own, scored.scores, atol=1e-5)
    first = next(read_lists(student_config.teacher.scores, "train"))
    assert all(document.features[IS_JUDGED] == 1 for document in first.documents)


def test_shards_that_are_there_are_not_written_again(student_config, replace, tmp_path, monkeypatch):
    folder = tmp_path / "scores"
    shutil.copytree(student_config.teacher.scores, folder)
    (folder / "train-00003-of-00005.tfrecord").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tfrecord")}
    config = replace(teacher={"scores": str(folder)})
    with pytest.raises(InputError, match="lacks 1 of its 5 shards"):
        train_ranker(replace(config, train={"run": str(tmp_path / "run")}))
    scored = []
    score = teacher_scores.TeacherScorer.score
    monkeypatch.setattr(
        teacher_scores.TeacherScorer, "score", lambda self, lists: scored.append(len(lists)) or score(self, lists)
    )
    score_training_lists(config)
    assert scored == [20]
    for own, other in zip(read_scores(folder), read_scores(student_config.teacher.scores), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)
    assert {name: (folder / name).stat().st_mtime_ns for name in times} == times


def test_scores_of_other_lists_or_of_another_teacher_are_refused(student_config, replace, tmp_path):
    lists = tmp_path / "lists"
    shutil.copytree(student_config.data.lists, lists)
    config = replace(data={"lists": str(lists)}, train={"run": str(tmp_path / "run")})
    changed = [one for number, one in enumerate(read_lists(lists, "train")) if number != 3]
    for path in lists.glob("train-*"):
        path.unlink()
    write_shards(changed, lists, "train", 40)
    for run in (train_ranker, score_training_lists):
        with pytest.raises(InputError, match="holds scores that were made otherwise: lists"):
            run(config)
    manifest = Path(student_config.teacher.scores, "teacher.json")
    other = tmp_path / "other"
    other.mkdir()
    (other / "teacher.json").write_text(json.dumps(json.loads(manifest.read_text()) | {"teacher": "0123"}))
    config = replace(teacher={"scores": str(other)}, train={"run": str(tmp_path / "run")})
    for run in (train_ranker, score_training_lists):
        with pytest.raises(InputError, match=r"made otherwise: teacher \(was 0123"):
            run(config)
    (other / "teacher.json").unlink()
    (other / "train-00000-of-00001.tfrecord").touch()
    with pytest.raises(InputError, match=r"holds shards, and no teacher.json"):
        score_training_lists(config)
    changed = r"bm25_neighbours \(was 0, is 3\), bm25 \(was None, is {.*'k1': 1.5"
    with pytest.raises(InputError, match=f"made otherwise: {changed}"):
        train_ranker(replace(config, teacher={"scores": student_config.teacher.scores, "bm25_neighbours": 3}))


def test_scores_that_another_process_writes_keep_their_manifest(student_config, replace, tmp_path):
    with fill_folder(tmp_path, "teacher.scores"), pytest.raises(InputError, match="Another process is filling"):
        score_training_lists(replace(teacher={"scores": str(tmp_path)}))
    assert not list(tmp_path.iterdir())


def test_a_teacher_whose_inputs_the_lists_lack_is_refused(student_config, replace, tmp_path):
    lists = tmp_path / "lists"
    for split in ("train", "validation"):
        bare = [
            type(one)(one.query_id, one.query, tuple(type(d)(d.document_id, d.fields, d.label) for d in one.documents))
            for one in read_lists(student_config.data.lists, split)
        ]
        write_shards(bare, lists, split)
    with pytest.raises(InputError, match="have no numeric feature 'price'"):
        score_training_lists(replace(data={"lists": str(lists)}, teacher={"scores": str(tmp_path / "scores")}))
    assert not list((tmp_path / "scores").iterdir())


def test_scores_that_are_not_numbers_are_refused(student_config, replace, tmp_path):
    run = tmp_path / "teacher"
    shutil.copytree(student_config.teacher.run, run)
    ranker = read_ranker(run)
    ranker.row_scorer.head.bias.assign([np.nan])
    tf.train.CheckpointManager(tf.train.Checkpoint(**ranker.row_scorer.list_objects()), str(run / "best"), 1).save()
    config = replace(teacher={"run": str(run), "scores": str(tmp_path / "scores")})
    with pytest.raises(InputError, match="must be finite numbers, got nan for the query"):
        score_training_lists(config)
    assert not list((tmp_path / "scores").glob("*.tfrecord"))


def test_a_student_without_a_teachers_scores_says_what_to_run(replace, tmp_path):
    config = replace(teacher={"scores": str(tmp_path)}, train={"run": str(tmp_path / "run")})
    with pytest.raises(InputError, match="run score_lists first"):
        train_ranker(config)
