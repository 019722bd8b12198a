"""From a checkpoint of Hugging Face's library to a served model that takes raw text, byte-level BPE in its graph."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tfr_listbert.config import EncoderConfig, ExportConfig, FieldConfig, HuggingFaceConfig
from tfr_listbert.export.bundle import export_ranker
from tfr_listbert.export.gate import score_with_version
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.models.scoring import ListScorer
from tfr_listbert.rows.dataset import build_dataset
from tfr_listbert.training.hugging_face_runs import import_hugging_face
from tfr_listbert.training.rankers import read_ranker
from tfr_listbert.training.ranking import train_ranker

TINY = Path(__file__).parents[1] / "encoders" / "hugging_face_tiny"


def build_config(tiny_config, folder):
    """The tiny ranker, started from the tiny checkpoint, with its tokenizer."""
    text = dataclasses.replace(
        tiny_config.text,
        tokenizer="byte_bpe",
        lowercase=False,
        folder=str(folder / "imported" / "tokenizer"),
        fields=(FieldConfig("title", 12), FieldConfig("brand", 4, " by {}")),
    )
    return dataclasses.replace(
        tiny_config,
        text=text,
        encoder=EncoderConfig(initial=str(folder / "imported")),
        train=dataclasses.replace(tiny_config.train, run=str(folder / "ranker"), epochs=1, learning_rate=1e-2),
        export=ExportConfig(output=str(folder / "export"), warmup_lists=(1, 5)),
        hugging_face=HuggingFaceConfig(str(TINY)),
    )


@pytest.mark.soak
def test_raw_text_gets_the_scores_of_the_checkpoint(tiny_config, tmp_path):
    config = build_config(tiny_config, tmp_path)
    imported = dataclasses.replace(config.train, run=str(tmp_path / "imported"))
    import_hugging_face(dataclasses.replace(config, train=imported))
    train_ranker(config)
    export_ranker(config)
    ranker = read_ranker(config.train.run)
    expected = ListScorer(ranker.network).score(build_dataset(config.data.lists, "test", ranker.batcher, 4))
    lists = list(read_lists(config.data.lists, "test"))
    served = score_with_version(tmp_path / "export" / "ranker" / "1", lists)
    spread = []
    for own, theirs in zip(served, expected, strict=True):
        np.testing.assert_allclose(own.scores, theirs.scores, rtol=0, atol=1e-5)
        spread.append(np.ptp(own.scores))
    assert len(served) == 24 and max(spread) > 1e-2
    card = (tmp_path / "export" / "ranker" / "1" / "assets.extra" / "model_card.md").read_text()
    assert f"Training started from the encoder of {tmp_path / 'imported'}." in card
