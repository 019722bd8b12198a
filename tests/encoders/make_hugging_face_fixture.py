"""Makes hugging_face_tiny/: a tiny random RoBERTa as the reference library keeps it, and what that library computes.

Usage: pip install .[hugging_face_reference] && python tests/encoders/make_hugging_face_fixture.py
Needs tests/text/byte_bpe.json.xz, whose vocabulary it takes a part of.
"""

import json
import lzma
from pathlib import Path

import numpy as np

# The reference library is an extra, and pytest imports every module: so it is imported where it is used.

FOLDER = Path(__file__).with_name("hugging_face_tiny")
MERGES = 40
HIDDEN_ROWS = 8


def write_tokenizer() -> int:
    path = Path(__file__).parent.with_name("text") / "byte_bpe.json.xz"
    content = json.loads(lzma.decompress(path.read_bytes()))
    merges = content["merges"][:MERGES]
    symbols = sorted(content["vocabulary"], key=content["vocabulary"].get)[: 4 + 256]
    symbols += dict.fromkeys("".join(merge) for merge in merges)
    symbols.append("<mask>")
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    (FOLDER / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges), ""]
    (FOLDER / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    return len(vocabulary)


def build_model(vocabulary_size: int):
    import torch
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(1)
    config = RobertaConfig(
        vocab_size=vocabulary_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=34,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    model = RobertaForMaskedLM(config).eval()
    with torch.no_grad():  # as the library makes them, biases are 0 and scales 1: a wrong one would not be seen
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4 + (1.0 if parameter.dim() == 1 else 0.0))
    return model


def draw_tokens(vocabulary_size: int) -> np.ndarray:
    """Returns [8, 32]: a full row, rows padded on the right, the left, both sides and in between, one of one token."""
    draw = np.random.default_rng(1)
    tokens = draw.integers(4, vocabulary_size, size=(HIDDEN_ROWS, 32))
    tokens[:, 0] = 0
    tokens[1, 20:] = tokens[2, :9] = tokens[3, 5:7] = 1
    tokens[4, :3] = tokens[4, 30:] = 1
    tokens[5, 1:] = 1
    tokens[6, ::2] = 1
    tokens[7, :31] = 1
    return tokens


def main() -> None:
    import torch

    FOLDER.mkdir(exist_ok=True)
    size = write_tokenizer()
    model = build_model(size)
    model.save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    torch.save(model.state_dict(), FOLDER / "pytorch_model.bin")
    tokens = draw_tokens(size)
    with torch.no_grad():
        ids = torch.tensor(tokens)
        output = model(ids, attention_mask=(ids != 1).long(), output_hidden_states=True)
    hidden, logits = output.hidden_states[-1].numpy(), output.logits[:, :8].numpy()
    np.savez_compressed(FOLDER / "expected.npz", tokens=tokens.astype(np.int32), hidden=hidden, logits=logits)


if __name__ == "__main__":
    main()
