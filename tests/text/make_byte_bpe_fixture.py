"""Makes byte_bpe.json.xz: a tiny byte-level BPE and the ids that the reference tokenizer gives 10,000 strings and more.

Usage: pip install .[hugging_face_reference] && python tests/text/make_byte_bpe_fixture.py
"""

import json
import lzma
import random
from pathlib import Path

# The reference library is an extra, and pytest imports every module: so it is imported where it is used.

MARKS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SPACES = [chr(code) for code in (9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029)]
SPACES += [chr(code) for code in (0x202F, 0x205F, 0x3000)]
ENGLISH = "the red summer dress isn't for men they're jeans we'll don't I'm he'd I've shoes size 42 1990 linen cotton"
WORLD = (
    "größe übergröße été garçon señor niño čeština šaty łódź źdźbło ığdır платье красное летнее джинсы Україна "
    "φόρεμα κόκκινο 赤いドレス サマー 夏のワンピース 连衣裙 红色 드레스 빨간 여름 लाल पोशाक ชุดเดรส สีแดง "
    "שמלה אדומה فستان أحمر 👗 👖 👩‍👩‍👧 🇩🇪 👍🏽 ½ ² ٣٤ Ⅷ ㊿ ﬁ Å ｆｕｌｌ e\u0301 \u200b \ufeff \u200d \xad"
)
CONTROLS = [chr(code) for code in (0, 1, 7, 8, 0x1B, 0x1C, 0x1F, 0x7F, 0x80, 0x9F, 0xFFFD, 0xFFFF, 0x10FFFF)]
SIGNS = ["'", '"', ".", ",", "!", "?", "-", "--", "...", "#", "$", "%", "&", "/", "\\", "<", ">", "(", ")", "€", "™"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "’s", "'x", "''s", " 's", "'\u00a0s"]


def make_strings(draw: random.Random) -> list[str]:
    words = ENGLISH.split() + WORLD.split()
    parts = [words, [" "], SPACES, CONTROLS + SIGNS, CONTRACTIONS, [str(n) for n in range(0, 3000, 37)], MARKS]
    strings = ["", *MARKS, *SPACES, *CONTROLS, *SIGNS, *CONTRACTIONS, *words, ENGLISH, WORLD]
    strings += [space * count + end for space in SPACES for count in (1, 2, 3) for end in ("x", "'s", "?", "7", "")]
    strings += [f"x{one}{other}y" for one in SPACES for other in SPACES]
    strings += [f"{mark}{mark} a{mark}b" for mark in MARKS]
    strings += [
        text * count
        for text in ("a", "-", "ab", "the", " ", "7", "é", "赤", "👗", "a b")
        for count in (2, 3, 7, 64, 500)
    ]
    while len(strings) < 10_000:
        kinds = draw.choices(parts, weights=[8, 6, 3, 3, 2, 2, 1], k=draw.randint(1, 7))
        strings.append("".join(draw.choice(kind) for kind in kinds))
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    strings += ["".join(map(chr, draw.choices(codes, k=draw.randint(1, 3)))) for _ in range(500)]
    return strings + ["".join(draw.choices("abcdehrst", k=draw.randint(2, 40))) for _ in range(500)]


def train(draw: random.Random) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import ByteLevelBPETokenizer

    words = ENGLISH.split() + WORLD.split()
    corpus = [" ".join(draw.choices(words, k=8)) for _ in range(2000)] + [
        "aa aaa aaaa -- ---- ----- \n\n \t\t    x"
    ] * 50
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(corpus, vocab_size=261 + 500, special_tokens=MARKS[:4], show_progress=False)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = model["vocab"] | {"<mask>": len(model["vocab"])}
    return vocabulary, [tuple(merge) for merge in model["merges"]]


def encode(vocabulary, merges, strings, **options) -> list[list[int]]:
    from transformers import RobertaTokenizer

    tokenizer = RobertaTokenizer(vocabulary, merges, **options)
    return tokenizer(strings, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def classify() -> list[list]:
    """Returns [first, last, class] of all code points: L, N, O or S, as the reference's words show it."""
    from tokenizers.pre_tokenizers import ByteLevel

    split = ByteLevel(add_prefix_space=False).pre_tokenize_str
    runs = []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        kinds = [kind for kind, sign in (("L", "a"), ("N", "1"), ("O", "!")) if len(split(sign + chr(code))) == 1]
        kind = kinds[0] if kinds else "S"
        if runs and runs[-1][1] == code - 1 and runs[-1][2] == kind:
            runs[-1][1] = code
        else:
            runs.append([code, code, kind])
    return runs


def main() -> None:
    draw = random.Random(1)
    vocabulary, merges = train(draw)
    strings = make_strings(draw)
    shuffled = random.Random(2).sample(merges, len(merges))
    content = {
        "vocabulary": vocabulary,
        "merges": merges,
        "shuffled_merges": shuffled,
        "strings": strings,
        "ids": encode(vocabulary, merges, strings),
        "spaced_ids": encode(vocabulary, merges, strings[:1500], add_prefix_space=True),
        "shuffled_ids": encode(vocabulary, shuffled, strings[:1000] + strings[-500:]),
        "classes": classify(),
    }
    text = json.dumps(content, separators=(",", ":"))
    Path(__file__).with_name("byte_bpe.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    main()
