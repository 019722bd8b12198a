"""Golden requests cover every signature, good and bad, with the answers that the export gave."""

import collections
import json

import pytest

from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.export.signatures import specify_ranker
from tfr_listbert.schema import PADDING_SCORE


@pytest.fixture(scope="module")
def golden(exported):
    return [json.loads(line) for line in (exported / "assets.extra" / "golden_requests.jsonl").open(encoding="utf-8")]


def test_every_signature_is_asked_good_and_bad(golden):
    counts = collections.Counter((one["signature_name"], "error" in one) for one in golden)
    for name in ("serving_default", "rank", "rank_n", "score_tokens", "predict"):
        assert counts[name, False] >= 4
    assert sum(count for (_, is_bad), count in counts.items() if is_bad) == 6
    assert {one["error"] for one in golden if "error" in one} == {"INVALID_ARGUMENT"}


def test_names_tell_requests_apart(golden):
    assert len({one["name"] for one in golden}) == len(golden)


def test_real_lists_are_among_them_and_scores_tell_documents_apart(golden):
    (one,) = [one for one in golden if one["name"] == "rank: a list of the shop"]
    assert one["inputs"]["title"][0][:2] == ["red summer dress with short sleeves", "blue denim jacket for men"]
    assert one["inputs"]["price"][0][:2] == [1.0, 2.0]
    scores = one["outputs"]["scores"][0]
    assert max(scores) - min(scores) > 1e-4
    assert [scores[slot] for slot in one["outputs"]["order"][0]] == sorted(scores, reverse=True)


def test_padding_of_a_shorter_list_scores_below_all(golden):
    (one,) = [one for one in golden if one["name"] == "serving_default: lists of the shop together"]
    shortest = min(one["outputs"]["scores"], key=lambda row: row.count(PADDING_SCORE) * -1)
    assert shortest.count(PADDING_SCORE) == 3


def test_thousand_documents_are_asked_even_of_a_shop_without_lists():
    builder = RequestBuilder(("title",), (), specify_ranker(("title",), ()))
    (one,) = [one for one in builder.build_good() if one.name == "rank_n: 1000 documents"]
    assert one.inputs["num_documents"] == [1000]
    assert len(one.inputs["title"][0]) == 1000


def test_megabyte_of_text_is_asked_once(golden):
    (one,) = [one for one in golden if one["name"] == "serving_default: 1 MB of text"]
    assert len(one["inputs"]["title"][0][0]) == 1_000_000
    assert len(one["outputs"]["scores"][0]) == 2 and "error" not in one
