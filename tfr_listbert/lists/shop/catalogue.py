"""The simulated shop's catalogue: products with attributes, and how vendors title and describe them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence

from tfr_listbert.lists.shop.vocabulary import BRAND, Brand, Kind, Vocabulary
from tfr_listbert.lists.shop.wording import choose_typical, choose_word, misspell

# How often a vendor states an attribute in the title, and in the description. What neither says, nobody can read.
_TITLE_RATE = {
    "gender": 0.55, "season": 0.12, "occasion": 0.18, "fit": 0.3, "colour": 0.7, "pattern": 0.75, "material": 0.45,
    "detail": 0.5, "price": 0.15, BRAND: 0.6,
}  # fmt: skip
_DESCRIPTION_RATE = {
    "gender": 0.35, "season": 0.5, "occasion": 0.6, "fit": 0.4, "colour": 0.4, "pattern": 0.3, "material": 0.5,
    "detail": 0.6, "price": 0.25,
}  # fmt: skip
_TITLE_ORDER = (BRAND, "gender", "price", "season", "occasion", "fit", "colour", "pattern", "material", "detail")
_KIND_RATE = 0.95  # of titles that say what kind of product it is
_KIND_AGAIN_RATE = 0.5  # of descriptions that say it, often by another word
_MODEL_RATE = 0.2
_CODE_RATE = 0.08
_SIZE_RATE = 0.08
_STUFFING_RATE = 0.12
_SHUFFLED_RATE = 0.15
_CAPITALS_RATE = 0.04
_MISSPELT_RATE = 0.04
_CROSS_SELL_RATE = 0.35
_FILLER_RATE = 0.4
_MISSING_BRAND_RATE = 0.03
_MISSING_DESCRIPTION_RATE = 0.03

_TIER_FACTOR = {"low": 0.55, "middle": 1.0, "high": 2.1}
_SIZES = {"shoes": ("36-41", "39-45", "EU 40", "EU 42"), "": ("S-XL", "XS-XXL", "Size M", "Size 38", "Plus Size")}
_SIZED = frozenset({"shoes", "tops", "knitwear", "trousers", "dresses", "suits", "outerwear", "swimwear", "nightwear"})


@dataclasses.dataclass(frozen=True)
class Product:
    """A product as it is, and as its vendor describes it.

    Attributes:
        document_id: the shop's id.
        kind: name of its type.
        category: category of its type.
        brand: name of its brand.
        values: value by attribute; attributes that do not apply are absent.
        price: in euros.
        popularity: relative demand, 1 for the median.
        title: as shown.
        description: as shown; "" where the vendor sent none.
        shown_brand: as shown; "" where the vendor sent none.
        sizes: as shown; "" where it comes in one.
    """

    document_id: str
    kind: str
    category: str
    brand: str
    values: Mapping[str, str]
    price: float
    popularity: float
    title: str
    description: str
    shown_brand: str
    sizes: str


def build_catalogue(vocabulary: Vocabulary, size: int, seed: int) -> tuple[Product, ...]:
    """Returns `size` products, the same for the same seed."""
    rng = random.Random(f"catalogue {seed}")
    kinds = rng.choices(list(vocabulary.kinds.values()), [kind.share for kind in vocabulary.kinds.values()], k=size)
    return tuple(_build_product(vocabulary, f"P{100_000 + index}", kind, rng) for index, kind in enumerate(kinds))


def _build_product(vocabulary: Vocabulary, document_id: str, kind: Kind, rng: random.Random) -> Product:
    brand = _choose_brand(vocabulary, kind, rng)
    ratio = _TIER_FACTOR[brand.tier] * rng.lognormvariate(0, 0.2)
    values = _choose_values(kind, brand, rng) | {"price": _price_level(ratio)}
    sizes = rng.choice(_SIZES.get(kind.category, _SIZES[""])) if kind.category in _SIZED else ""
    return Product(
        document_id=document_id,
        kind=kind.name,
        category=kind.category,
        brand=brand.name,
        values=values,
        price=round(round(kind.price * ratio) - 0.05, 2),
        popularity=rng.lognormvariate(0, 0.8),
        title=_write_title(vocabulary, kind, brand, values, sizes, rng),
        description=_write_description(vocabulary, kind, values, rng),
        shown_brand="" if rng.random() < _MISSING_BRAND_RATE else brand.name,
        sizes=sizes,
    )


def _choose_brand(vocabulary: Vocabulary, kind: Kind, rng: random.Random) -> Brand:
    brands = list(vocabulary.brands.values())
    return rng.choices(brands, [3.0 if brand.focus in kind.values["occasion"] else 0.4 for brand in brands])[0]


def _choose_values(kind: Kind, brand: Brand, rng: random.Random) -> dict[str, str]:
    values = {attribute: choose_typical(known, rng) for attribute, known in kind.values.items() if known}
    if brand.focus in kind.values["occasion"] and rng.random() < 0.6:
        values["occasion"] = brand.focus
    return values


def _price_level(ratio: float) -> str:
    return "low" if ratio < 0.75 else "high" if ratio > 1.5 else "middle"


def _write_title(
    vocabulary: Vocabulary, kind: Kind, brand: Brand, values: Mapping[str, str], sizes: str, rng: random.Random
) -> str:
    words = []
    for attribute in _TITLE_ORDER:
        known = (brand.name,) if attribute == BRAND else _words(vocabulary, attribute, values, "title")
        is_said = attribute != "pattern" or values.get("pattern") != "plain" or rng.random() < 0.15
        if known and is_said and rng.random() < _TITLE_RATE[attribute]:
            words.append(choose_word(known, rng))
    if rng.random() < _KIND_RATE or not words:
        words.append(choose_word(kind.title, rng))
    if rng.random() < _SHUFFLED_RATE:
        rng.shuffle(words)
    return _add_title_noise(vocabulary, words, sizes, rng)


def _words(vocabulary: Vocabulary, attribute: str, values: Mapping[str, str], place: str) -> Sequence[str]:
    if attribute not in values:
        return ()
    value = vocabulary.attributes[attribute][values[attribute]]
    return value.title if place == "title" else value.description


def _add_title_noise(vocabulary: Vocabulary, words: list[str], sizes: str, rng: random.Random) -> str:
    noise = vocabulary.title_noise
    if rng.random() < _MODEL_RATE:
        words.insert(rng.randrange(len(words) + 1), rng.choice(noise["models"]))
    if rng.random() < _CODE_RATE:
        words.append(rng.choice(noise["codes"]))
    if sizes and rng.random() < _SIZE_RATE:
        words.append(sizes)
    if rng.random() < _STUFFING_RATE:
        foreign = rng.choice(list(vocabulary.kinds.values())).title[0]
        words += [*rng.sample(noise["stuffing"], rng.randint(1, 3)), foreign]
    title = " ".join(words)
    if rng.random() < _MISSPELT_RATE:
        title = misspell(title, rng)
    return title.upper() if rng.random() < _CAPITALS_RATE else title


def _write_description(vocabulary: Vocabulary, kind: Kind, values: Mapping[str, str], rng: random.Random) -> str:
    if rng.random() < _MISSING_DESCRIPTION_RATE:
        return ""
    said = []
    for attribute, rate in _DESCRIPTION_RATE.items():
        known = _words(vocabulary, attribute, values, "description")
        is_said = attribute != "pattern" or values.get("pattern") != "plain" or rng.random() < 0.15
        if known and is_said and rng.random() < rate:
            said.append(rng.choice(known))
    rng.shuffle(said)
    if rng.random() < _KIND_AGAIN_RATE or not said:
        said.insert(0, choose_word(kind.title, rng).lower())
    sentences = _join_fragments(said, rng)
    if rng.random() < _CROSS_SELL_RATE:
        sentences.append(_cross_sell(vocabulary, rng))
    if rng.random() < _FILLER_RATE:
        sentences.append(rng.choice(vocabulary.description_noise["filler"]))
    description = " ".join(sentences)
    return misspell(description, rng) if rng.random() < _MISSPELT_RATE else description


def _join_fragments(fragments: list[str], rng: random.Random) -> list[str]:
    """Returns sentences of one to three fragments each."""
    sentences = []
    while fragments:
        size = rng.randint(1, 3)
        head, fragments = fragments[:size], fragments[size:]
        sentence = ", ".join(head)
        sentences.append(sentence[0].upper() + sentence[1:] + ".")
    return sentences


def _cross_sell(vocabulary: Vocabulary, rng: random.Random) -> str:
    colour = rng.choice(list(vocabulary.attributes["colour"].values()))
    other = rng.choice(list(vocabulary.kinds.values()))
    named = f"{rng.choice(colour.description)} {choose_word(other.title, rng).lower()}"
    return rng.choice(vocabulary.description_noise["cross_sell"]).format(named)
