"""Masked-LM training steps of Hugging Face's RoBERTa in PyTorch; run by pretraining.py in an environment of its own.

Usage: python pretraining_peer.py ROWS.npz SETTINGS_JSON
Reads from standard input, line by line, for how many seconds to train and on which batches (`random` or `grouped`);
answers each line by a JSON object of real tokens, computed tokens and seconds.
"""

import json
import sys
import time

import numpy as np
import torch
import transformers

GROUP_BATCHES = 50  # among so many batches of texts the library's trainer sorts by length


class Texts:
    """Rows of token ids, special ones included, and batches of them as the library's data collator makes them."""

    def __init__(self, path: str, settings: dict):
        """Reads rows from an archive of `ids`, one after the other, and `lengths`."""
        with np.load(path) as file:
            self._rows = np.split(file["ids"].astype(np.int64), np.cumsum(file["lengths"])[:-1])
        self._settings = settings
        self._draw = np.random.default_rng(1)

    def draw_batches(self, is_grouped: bool):
        """Yields batches of shuffled rows, of like length if grouped; without end."""
        size = self._settings["batch_texts"]
        while True:
            numbers = self._draw.permutation(len(self._rows))[: size * GROUP_BATCHES]
            if is_grouped:
                numbers = numbers[np.argsort([-len(self._rows[number]) for number in numbers])]
            starts = self._draw.permutation(np.arange(0, len(numbers) - size + 1, size))
            for start in starts:
                yield self._mask([self._rows[number] for number in numbers[start : start + size]])

    def _mask(self, rows: list[np.ndarray]) -> dict[str, torch.Tensor]:
        pad_id, mask_id = self._settings["pad_id"], self._settings["mask_id"]
        tokens = torch.full((len(rows), max(map(len, rows))), pad_id)
        for line, row in enumerate(rows):
            tokens[line, : len(row)] = torch.from_numpy(row)
        is_special = torch.isin(tokens, torch.tensor(self._settings["special_ids"]))
        is_chosen = (torch.rand(tokens.shape) < 0.15) & ~is_special
        kind = torch.rand(tokens.shape)
        shown = torch.where(is_chosen & (kind < 0.8), mask_id, tokens)
        other = torch.randint(self._settings["vocabulary_size"], tokens.shape)
        shown = torch.where(is_chosen & (kind >= 0.9), other, shown)
        labels = torch.where(is_chosen, tokens, -100)
        return {"input_ids": shown, "attention_mask": (tokens != pad_id).long(), "labels": labels}


def build_model(settings: dict) -> transformers.RobertaForMaskedLM:
    """Returns the library's model of the size asked for."""
    return transformers.RobertaForMaskedLM(
        transformers.RobertaConfig(
            vocab_size=settings["vocabulary_size"],
            hidden_size=settings["width"],
            num_hidden_layers=settings["layers"],
            num_attention_heads=settings["heads"],
            intermediate_size=settings["inner_width"],
            max_position_embeddings=settings["positions"] + 2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
    ).train()


def train_for(seconds: float, batches, model, optimizer) -> dict[str, float]:
    """Trains for so many seconds and returns what was done."""
    real = computed = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        batch = next(batches)
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        real += int(batch["attention_mask"].sum())
        computed += batch["input_ids"].numel()
    return {"real": real, "computed": computed, "seconds": time.perf_counter() - started}


def main() -> None:
    """Answers what pretraining.py asks."""
    settings = json.loads(sys.argv[2])
    texts, model = Texts(sys.argv[1], settings), build_model(settings)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    batches = {kind: texts.draw_batches(kind == "grouped") for kind in ("random", "grouped")}
    for line in sys.stdin:
        seconds, kind = line.split()
        print(json.dumps(train_for(float(seconds), batches[kind], model, optimizer)), flush=True)


if __name__ == "__main__":
    main()
