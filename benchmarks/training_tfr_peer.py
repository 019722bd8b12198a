"""Training steps of TF-Ranking's own BERT task, `TFRBertTask`; run by training.py in this package's environment.

Usage: python -m benchmarks.training_tfr_peer LISTS.npz SETTINGS_JSON
Reads lines `seconds batch_lists list_size seq_length` and answers with the pairs trained and the seconds taken.
"""

import itertools
import json
import sys
import time

import numpy as np
import tensorflow as tf
from official.nlp.configs import encoders
from tensorflow_ranking.extension.premade import tfrbert_task


def build_task(settings: dict) -> tfrbert_task.TFRBertTask:
    """Returns the task with an encoder of the size asked for."""
    bert = encoders.BertEncoderConfig(
        vocab_size=settings["vocabulary_size"],
        hidden_size=settings["width"],
        num_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        intermediate_size=settings["inner_width"],
        max_position_embeddings=settings["positions"],
    )
    config = tfrbert_task.TFRBertConfig(
        model=tfrbert_task.TFRBertModelConfig(encoder=encoders.EncoderConfig(type="bert", bert=bert)),
        train_data=tfrbert_task.TFRBertDataConfig(mask_feature_name="mask"),
        loss="softmax_loss",
    )
    return tfrbert_task.TFRBertTask(config)


class PaddedLists:
    """Lists padded to fixed sizes, as the task takes them; made before the time is taken."""

    def __init__(self, path: str):
        """Reads lists from an archive of `ids` and `lengths` of rows, `sizes` of lists and `labels` of rows."""
        with np.load(path) as file:
            rows = np.split(file["ids"], np.cumsum(file["lengths"])[:-1])
            ends = np.cumsum(file["sizes"])
            self._lists = [
                (rows[end - size : end], file["labels"][end - size : end])
                for end, size in zip(ends, file["sizes"], strict=True)
            ]

    def count_pairs(self, list_size: int) -> float:
        """Returns the mean number of documents of a list cut to `list_size`."""
        return float(np.mean([min(len(rows), list_size) for rows, _ in self._lists]))

    def build_batches(self, batch_lists: int, list_size: int, seq_length: int) -> list:
        """Returns batches of all lists: features and labels."""
        batches = []
        for first in range(0, len(self._lists) - batch_lists + 1, batch_lists):
            chosen = self._lists[first : first + batch_lists]
            words = np.zeros((batch_lists, list_size, seq_length), np.int64)
            is_token = np.zeros_like(words)
            mask, labels = np.zeros(words.shape[:2], bool), np.full(words.shape[:2], -1, np.float32)
            for place, (rows, grades) in enumerate(chosen):
                for slot, row in enumerate(rows[:list_size]):
                    words[place, slot, : len(row)] = row[:seq_length]
                    is_token[place, slot, : len(row)] = 1
                count = min(len(rows), list_size)
                mask[place, :count], labels[place, :count] = True, grades[:count]
            features = {"input_word_ids": words, "input_mask": is_token}
            features |= {"input_type_ids": np.zeros_like(words), "mask": mask}
            batches.append(({k: tf.constant(v) for k, v in features.items()}, tf.constant(labels)))
        return batches


def main() -> None:
    """Answers what training.py asks."""
    settings = json.loads(sys.argv[2])
    tf.config.threading.set_intra_op_parallelism_threads(settings["intra_op_threads"])
    tf.config.threading.set_inter_op_parallelism_threads(settings["inter_op_threads"])
    lists, task = PaddedLists(sys.argv[1]), build_task(settings)
    model, optimizer = task.build_model(), tf.keras.optimizers.Adam(1e-4)
    step = tf.function(lambda features, labels: task.train_step((features, labels), model, optimizer, []))
    ready: dict[str, itertools.cycle] = {}
    for line in sys.stdin:
        seconds, *sizes = line.split()
        batch_lists, list_size, seq_length = map(int, sizes)
        key = " ".join(sizes)
        if key not in ready:
            ready[key] = itertools.cycle(lists.build_batches(batch_lists, list_size, seq_length))
            step(*next(ready[key]))  # tracing
        steps, started = 0, time.perf_counter()
        while time.perf_counter() - started < float(seconds):
            step(*next(ready[key]))
            steps += 1
        elapsed = time.perf_counter() - started
        # A step costs the same whatever lists it has, so their mean length says how many pairs they are.
        pairs = steps * batch_lists * lists.count_pairs(list_size)
        print(json.dumps({"pairs": pairs, "seconds": elapsed}), flush=True)


if __name__ == "__main__":
    main()
