"""A replay of golden requests finds what a server answers in another way than the export."""

import json
import math

import pytest

from serving.remote import golden
from serving.remote.errors import RankingError, RefusedError
from serving.remote.golden import GoldenRequest, Replay, find_bundle, read_golden_requests, replay_golden_requests

SCORES = [[2.0, -1.0, 2.0, -1e9]]
RANKED = GoldenRequest(
    "r", "rank", {}, {"scores": SCORES, "order": [[0, 2, 1, 3]], "sorted_scores": [[2, 2, -1, -1e9]]}
)
LABELS = {"stable": 8, "canary": 9}
REFUSED = GoldenRequest("e", "rank", {}, error="INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("scores", [[2.00005, -1.0, 2.0, -1e9]], ""),
        ("scores", [[2.0, -1.0, 2.1, -1e9]], "`scores` at [0, 2] is 2.1 instead of 2"),
        ("scores", [[2.0, -1.0, math.nan, -1e9]], "`scores` at [0, 2] is nan instead of 2"),
        ("scores", [[2.0, -1.0]], "has shape (1, 2) instead of (1, 4)"),
        ("order", [[2, 0, 1, 3]], ""),
        ("order", [[0, 1, 2, 3]], "puts a worse document before a better one"),
        ("order", [[0, 2, 1, 1]], "is no order of 4 documents"),
        ("order", [[0, 2, 1, 3], [0, 1]], "`order` is no array like that of the export"),
        ("order", [0, 2, 1, 3], "`order` is no array like that of the export"),
        ("scores", [["high", "low", "high", "low"]], "`scores` is no array like that of the export"),
    ],
)
def test_outputs_are_held_against_the_export(name, value, fault):
    found = RANKED.find_fault({**RANKED.outputs, name: value})
    assert fault in found if fault else found == ""


FOUND = GoldenRequest("s", "search", {}, {"document_ids": [["a", "b", "c"]], "scores": [[2.0, 1.0, 1.0]]})


@pytest.mark.parametrize(
    ("ids", "fault"),
    [
        (["a", "c", "b"], ""),
        (["a", "b", "d"], ""),  # it may score as the last one does
        (["b", "a", "c"], "has 'b' where 'a' should be"),
        (["d", "b", "c"], "has 'd' where 'a' should be"),
        (["a", "b"], "has shape (1, 2) instead of (1, 3)"),
        (["a", "b", "b"], "has a document more than once"),
        (["a", "zz", "zz"], "has a document more than once"),
    ],
)
def test_found_documents_are_held_against_the_export(ids, fault):
    found = FOUND.find_fault({**FOUND.outputs, "document_ids": [ids]})
    assert fault in found if fault else found == ""


def test_missing_output_is_a_fault_and_a_single_one_needs_no_name():
    assert "instead of ['order', 'scores', 'sorted_scores']" in RANKED.find_fault({"scores": SCORES})
    assert GoldenRequest("s", "serving_default", {}, {"scores": SCORES}).find_fault({"": SCORES}) == ""


def test_refusals_are_held_against_the_export():
    assert REFUSED.find_refusal_fault(RefusedError("no", 400)) == ""
    assert "status 500 instead of 400" in REFUSED.find_refusal_fault(RefusedError("no", 500))
    assert "status 404 instead of 200" in RANKED.find_refusal_fault(RefusedError("no", 404))
    assert "instead of refused with INVALID_ARGUMENT" in REFUSED.find_fault({"scores": SCORES})


def test_replay_asks_every_round_and_tells_each_fault_once(monkeypatch):
    class Remote:
        asked = 0

        def read_signatures(self):
            return {}

        def predict(self, signature_name, inputs):
            self.asked += 1
            if self.asked % 2:
                return {"scores": [[0.0, 0.0, 0.0, 0.0]], "order": [[0, 2, 1, 3]], "sorted_scores": [[2, 2, -1, -1e9]]}
            raise RefusedError("no", 400)

        def close(self):
            pass

    remote = Remote()
    monkeypatch.setattr(golden, "open_model", lambda *_, **__: remote)
    replay = replay_golden_requests("http://x", "m", 1, [RANKED, REFUSED], rounds=3)
    assert remote.asked == 6
    assert len(replay.seconds) == 3
    assert replay.faults == ["r: `scores` at [0, 3] is 0 instead of -1e+09"]


def test_refusal_is_not_asked_away_and_no_wait_counts_as_the_servers(scripted):
    script = scripted(200, 503, 200)  # the first answer is that to the question whether the model is there
    replay = replay_golden_requests(script.url, "m", 1, [GoldenRequest("a", "rank", {}, {"y": [[1.0]]})], rounds=2)
    assert len(replay.faults) == 1 and replay.faults[0].startswith("a: gave status 503 instead of 200")
    assert len(replay.seconds) == 1 and script.waits == []


def test_a_version_that_is_not_served_is_told_once(scripted):
    script = scripted(404)
    with pytest.raises(RankingError, match="answered 404"):
        replay_golden_requests(script.url, "m", 1, [RANKED, REFUSED], rounds=3)


def test_a_server_of_another_kind_is_told_and_not_taken_for_one_that_agrees(scripted, monkeypatch):
    script = scripted(200)
    monkeypatch.setattr(script, "answer", lambda method: [])
    with pytest.raises(RankingError, match=r"is not answered as by TensorFlow Serving, but with \[\]"):
        replay_golden_requests(script.url, "m", 1, [RANKED], rounds=1)


def test_the_version_of_a_label_is_that_of_the_models_config_beside_it(tmp_path):
    folder = tmp_path / "ranker"
    for version in ("8", "9"):
        (folder / version / "assets.extra").mkdir(parents=True)
        (folder / version / golden.GOLDEN_PATH).touch()
    assert find_bundle(folder, "stable") == folder / "9"
    (tmp_path / "ranker.serving").mkdir()
    labels = "".join(f"version_labels {{key: '{label}' value: {number}}} " for label, number in LABELS.items())
    (tmp_path / "ranker.serving" / "models.config").write_text(
        f"model_config_list {{config {{name: 'ranker' base_path: '/models/ranker' {labels}}}}}"
    )
    assert find_bundle(folder, "stable") == folder / "8"
    assert find_bundle(folder, "canary") == find_bundle(folder) == folder / "9"
    with pytest.raises(RankingError, match="models.config has no label 'stabel'"):
        find_bundle(folder, "stabel")
    (folder / "8").rename(tmp_path / "8")
    with pytest.raises(RankingError, match="ranker holds no version 8, which has the label stable, with"):
        find_bundle(folder, "stable")
    (tmp_path / "ranker.serving" / "models.config").write_text("model_config_list {")
    with pytest.raises(RankingError, match="models.config is damaged"):
        find_bundle(folder, "stable")


def test_percentiles_are_in_milliseconds():
    assert Replay([], [0.001, 0.002, 0.003]).format_percentiles().startswith("p50 2.0 ms, p90 2.8 ms")


def test_newest_version_with_golden_requests_is_found(tmp_path):
    for version in ("2", "10", "notes"):
        (tmp_path / version / "assets.extra").mkdir(parents=True)
    line = {"name": "a", "signature_name": "rank", "inputs": {"query": ["\u2028"]}, "error": "INVALID_ARGUMENT"}
    (tmp_path / "10" / golden.GOLDEN_PATH).write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    assert find_bundle(tmp_path) == find_bundle(tmp_path / "10") == tmp_path / "10"
    assert read_golden_requests(tmp_path / "10") == [
        GoldenRequest("a", "rank", {"query": ["\u2028"]}, error="INVALID_ARGUMENT")
    ]
    for wrong in (tmp_path / "2", tmp_path / "nothing"):
        with pytest.raises(RankingError, match="holds no version with"):
            find_bundle(wrong)
