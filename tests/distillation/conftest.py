"""A teacher with random weights, its scores, a student that has taken a few steps, and the student's vectors."""

import dataclasses

import pytest
import tensorflow as tf
import yaml

from tests.conftest import share_folder
from tfr_listbert.config import read_config, write_config
from tfr_listbert.distillation.embedding import embed_documents
from tfr_listbert.distillation.teacher_scores import score_training_lists
from tfr_listbert.lists.elwc import read_lists, write_shards
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.checkpoints import RunCheckpoints
from tfr_listbert.training.rankers import build_batcher, build_run_ranker
from tfr_listbert.training.ranking import train_ranker
from tfr_listbert.training.run_folder import open_run


def name_by_text(ranked_list):
    """Returns the list with ids that follow the text, since a vector is found by its id."""
    titles = {document.fields["title"]: document for document in ranked_list.documents}
    documents = (dataclasses.replace(one, document_id="-".join(title.split())) for title, one in titles.items())
    return dataclasses.replace(ranked_list, documents=tuple(documents))


def write_random_run(config):
    """Writes a run folder whose weights are random and large enough to tell documents apart."""
    count = len(config.model.features)
    profile = open_run(config, lambda: RowProfile((10, 25), (25.0,) * count, (12.0,) * count))
    ranker = build_run_ranker(config, build_batcher(config, read_tokenizer(config.text.folder)), profile)
    for index, variable in enumerate(ranker.row_scorer.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [1, index], stddev=0.2))
    RunCheckpoints(config.train.run, ranker.row_scorer.list_objects(), tf.keras.optimizers.Adam()).save_best(1)


@pytest.fixture(scope="session")
def student_config(tiny_config, tmp_path_factory):
    """The config of a trained student whose vectors are stored, over lists whose teacher has scored them.

    Its folder is one for all processes. Not to be changed.
    """

    def fill(folder):
        for split in ("train", "validation", "test"):
            write_shards(map(name_by_text, read_lists(tiny_config.data.lists, split)), folder / "lists", split, 40)
        data = dataclasses.replace(tiny_config.data, lists=str(folder / "lists"))
        train = dataclasses.replace(tiny_config.train, run=str(folder / "teacher"))
        teacher = dataclasses.replace(tiny_config, data=data, train=train)
        write_random_run(teacher)
        write_config(teacher, folder / "teacher.yaml")
        values = {
            "base": "teacher.yaml",
            "encoder": {"initial": str(folder / "teacher")},
            "model": {"type": "student", "features": [], "vector_size": 8, "buckets": 2},
            "loss": {
                "terms": [{"loss": "margin_mse_loss"}, {"loss": "softmax_loss", "target": "labels", "weight": 0.5}]
            },
            "train": {"run": str(folder / "student")},
            "teacher": {"run": str(folder / "teacher"), "scores": str(folder / "scores"), "shard_lists": 20},
            "vectors": {"output": str(folder / "vectors"), "shard_documents": 50, "batch_documents": 16},
            "export": {"output": str(folder / "served"), "name": "student", "warmup_lists": [1, 5]},
        }
        (folder / "student.yaml").write_text(yaml.safe_dump(values))
        config = read_config(folder / "student.yaml")
        score_training_lists(config)
        train_ranker(config)
        embed_documents(config)

    return read_config(share_folder(tmp_path_factory, "student", fill) / "student.yaml")


@pytest.fixture
def replace(student_config):
    """A function that returns the config with some settings changed: `replace(section={name: value})`."""

    def change(config=student_config, **sections):
        parts = {name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
        return dataclasses.replace(config, **parts)

    return change
