"""sentence-transformers' CrossEncoder, and the same model in ONNX Runtime; run in an environment of its own.

Usage: python sentence_transformers_peer.py LISTS.jsonl SETTINGS_JSON
Reads lines and answers each by a JSON object of what was done and the seconds taken:
  train SECONDS BATCH_LISTS MINI_BATCH_ROWS THREADS    listwise training with ListNetLoss (-1: all rows at once)
  predict SECONDS BATCH_ROWS THREADS                   CrossEncoder.predict of one query and 100 documents
  onnx SECONDS BATCH_ROWS THREADS IS_FUSED             ONNX Runtime on the same texts, rows sorted by length; 1: the
                                                       graph first fused by onnxruntime.transformers
  describe SECONDS                                     versions, and mean tokens of a row, the lists' and the scored
"""

import itertools
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import sentence_transformers
import tokenizers
import torch
import transformers
from onnxruntime.transformers.optimizer import optimize_model
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import ListNetLoss

SCORED = 100  # documents of the list that is scored


def build_tokenizer(lists: list[dict], settings: dict, folder: Path) -> transformers.PreTrainedTokenizerBase:
    """Returns a byte-level BPE of RoBERTa's kind and of the size asked for, trained on the texts."""
    bpe = tokenizers.ByteLevelBPETokenizer(lowercase=True)
    texts = (text for one in lists for text in (one["query"], *one["documents"]))
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(texts, settings["vocabulary_size"], special_tokens=special, show_progress=False)
    bpe.save_model(str(folder))
    bpe.save(str(folder / "tokenizer.json"))
    names = dict(zip(["bos_token", "pad_token", "eos_token", "unk_token", "mask_token"], special, strict=True))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)
    pair = "<s> $A </s> </s> $B </s>"
    fast.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", pair=pair, special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return fast


def build_model(lists: list[dict], settings: dict, folder: Path) -> CrossEncoder:
    """Returns a cross-encoder of the size asked for with random weights."""
    tokenizer = build_tokenizer(lists, settings, folder)
    config = transformers.RobertaConfig(
        vocab_size=settings["vocabulary_size"],
        hidden_size=settings["width"],
        num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        intermediate_size=settings["inner_width"],
        max_position_embeddings=settings["positions"] + 2,
        type_vocab_size=1,
        num_labels=1,
    )
    transformers.RobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.model_max_length = settings["positions"]
    tokenizer.save_pretrained(folder)
    return CrossEncoder(str(folder), num_labels=1, device="cpu", max_length=settings["positions"])


class Peer:
    """The model and what is asked of it."""

    def __init__(self, lists: list[dict], settings: dict, folder: Path):
        """Builds the model over `lists` in `folder`."""
        self.lists, self.folder = lists, folder
        self.model = build_model(lists, settings, folder)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0.01)
        documents = list(itertools.islice((text for one in lists for text in one["documents"]), SCORED))
        self.pairs = [(lists[0]["query"], document) for document in documents]
        self.shape = settings
        self._place = 0
        self._sessions: dict[tuple[int, int], onnxruntime.InferenceSession] = {}

    def describe(self, seconds: float) -> dict:
        """Says how much work a row is."""
        del seconds
        trained = [(one["query"], document) for one in self.lists for document in one["documents"]]
        return {
            "versions": {
                "sentence-transformers": sentence_transformers.__version__,
                "PyTorch": torch.__version__,
                "ONNX Runtime": onnxruntime.__version__,
            },
            "trained_tokens": self._count_tokens(trained),
            "scored_tokens": self._count_tokens(self.pairs),
        }

    def _count_tokens(self, pairs: list[tuple[str, str]]) -> float:
        ids = self.model.tokenizer([query for query, _ in pairs], [document for _, document in pairs])["input_ids"]
        return float(np.mean([len(row) for row in ids]))

    def train(self, seconds: float, batch_lists: int, mini_batch_rows: int, threads: int) -> dict:
        """Trains for so many seconds."""
        torch.set_num_threads(threads)
        self.model.train()
        loss = ListNetLoss(self.model, mini_batch_size=mini_batch_rows)
        pairs, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            batch = [self.lists[(self._place + offset) % len(self.lists)] for offset in range(batch_lists)]
            self._place += batch_lists
            inputs = [[one["query"] for one in batch], [one["documents"] for one in batch]]
            loss(inputs, [torch.tensor(one["labels"]) for one in batch]).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            pairs += sum(len(one["documents"]) for one in batch)
        return {"pairs": pairs, "seconds": time.perf_counter() - started}

    def predict(self, seconds: float, batch_rows: int, threads: int) -> dict:
        """Scores the list again and again."""
        torch.set_num_threads(threads)
        self.model.eval()
        return self._repeat(
            seconds, lambda: self.model.predict(self.pairs, batch_size=batch_rows, show_progress_bar=False)
        )

    def onnx(self, seconds: float, batch_rows: int, threads: int, is_fused: int) -> dict:
        """Scores the list again and again with ONNX Runtime."""
        session, tokenizer = self._open_session(threads, is_fused), self.model.tokenizer

        def score() -> np.ndarray:
            ids = tokenizer([pair[0] for pair in self.pairs], [pair[1] for pair in self.pairs])["input_ids"]
            order = np.argsort([len(row) for row in ids])
            scores = np.empty(len(ids), np.float32)
            for first in range(0, len(ids), batch_rows):
                chosen = order[first : first + batch_rows]
                tokens = np.ones((len(chosen), len(ids[chosen[-1]])), np.int64)
                for line, row in enumerate(chosen):
                    tokens[line, : len(ids[row])] = ids[row]
                inputs = {"input_ids": tokens, "attention_mask": (tokens != 1).astype(np.int64)}
                scores[chosen] = session.run(None, inputs)[0][:, 0]
            return scores

        self.model.eval()
        logits = self.model.predict(self.pairs, show_progress_bar=False, activation_fn=torch.nn.Identity())
        np.testing.assert_allclose(score(), logits, atol=1e-3)
        return self._repeat(seconds, score)

    def _open_session(self, threads: int, is_fused: int) -> onnxruntime.InferenceSession:
        if (threads, is_fused) not in self._sessions:
            path = self._write_fused_graph() if is_fused else self._write_graph()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self._sessions[threads, is_fused] = session
        return self._sessions[threads, is_fused]

    def _write_fused_graph(self) -> Path:
        path = self.folder / "fused.onnx"
        if not path.exists():
            sizes = {"num_heads": self.shape["heads"], "hidden_size": self.shape["width"]}
            optimize_model(str(self._write_graph()), model_type="bert", **sizes).save_model_to_file(str(path))
        return path

    def _write_graph(self) -> Path:
        path = self.folder / "model.onnx"
        if not path.exists():
            model = transformers.RobertaForSequenceClassification.from_pretrained(
                self.folder, attn_implementation="eager"
            ).eval()
            model.load_state_dict(self._read_weights())
            tokens = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]])
            names, axes = ["input_ids", "attention_mask"], {0: "rows", 1: "tokens"}
            torch.onnx.export(
                model,
                (tokens, (tokens != 1).long()),
                str(path),
                input_names=names,
                output_names=["logits"],
                dynamic_axes={name: axes for name in names} | {"logits": {0: "rows"}},
                dynamo=False,
            )
        return path

    def _read_weights(self) -> dict:
        (inner,) = (
            module
            for module in self.model.modules()
            if isinstance(module, transformers.RobertaForSequenceClassification)
        )
        return inner.state_dict()

    def _repeat(self, seconds: float, score) -> dict:
        score()
        times, started = [], time.perf_counter()
        while time.perf_counter() - started < seconds or len(times) < 3:
            before = time.perf_counter()
            score()
            times.append(time.perf_counter() - before)
        return {"seconds": float(np.median(times))}


def main() -> None:
    """Answers what a benchmark asks."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    with open(sys.argv[1], encoding="utf-8") as file, tempfile.TemporaryDirectory() as folder:
        peer = Peer([json.loads(line) for line in file], json.loads(sys.argv[2]), Path(folder))
        for line in sys.stdin:
            name, seconds, *numbers = line.split()
            answer = getattr(peer, name)(float(seconds), *map(int, numbers))
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
