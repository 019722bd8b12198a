"""The client ranks, retries what another attempt may mend, and tells what is wrong."""

import json
import math
import re
import subprocess
import sys

import httpx
import pytest
import tensorflow as tf

from serving.local.sources import ModelSource
from serving.remote.errors import RankingError
from serving.remote.ranking import RankedDocument, RankingClient, format_ranking, read_documents
from serving.remote.rest_model import RESTModel


class ToyRanker(tf.Module):
    """Scores by the length of the title, plus the price where it is known; padding as a ranker does."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "query"),
            tf.TensorSpec([None, None], tf.string, "title"),
            tf.TensorSpec([None, None], tf.string, "brand"),
            tf.TensorSpec([None, None], tf.float32, "price"),
        ]
    )
    def rank(self, query, title, brand, price):
        lengths = tf.cast(tf.strings.length(title), tf.float32)
        scores = lengths + tf.where(tf.math.is_nan(price), 0.0, price)
        return {"scores": tf.where(tf.equal(title + brand, ""), -1e9, scores)}


@pytest.fixture(scope="module")
def ranker_url(run_server, tmp_path_factory):
    base = tmp_path_factory.mktemp("ranker")
    model = ToyRanker()
    tf.saved_model.save(model, str(base / "3"), signatures={"serving_default": model.rank})
    with run_server([ModelSource("ranker", base)]) as url:
        yield url


DOCUMENTS = [{"title": "hat", "price": 0.5}, {"title": "red dress"}, {"id": 7}, {"title": "rot", "price": 0.5}]


def test_ranking_goes_from_best_to_worst_and_keeps_ties_in_order(ranker_url):
    with RankingClient(ranker_url, "ranker") as client:
        ranking = client.rank("dress", DOCUMENTS)
    assert [(item.rank, item.index, item.score) for item in ranking] == [
        (1, 1, 9.0),
        (2, 0, 3.5),
        (3, 3, 3.5),
        (4, 2, -1e9),
    ]
    assert ranking[0].document is DOCUMENTS[1]


def test_version_may_be_named(ranker_url):
    with RankingClient(ranker_url, "ranker", version=3) as client:
        assert client.score("q", [{"title": "ab"}]) == [2.0]
    with RankingClient(ranker_url, "ranker", version=4) as client, pytest.raises(RankingError, match="404"):
        client.score("q", [{"title": "ab"}])


def test_no_documents_give_an_empty_ranking(ranker_url):
    with RankingClient(ranker_url, "ranker") as client:
        assert client.rank("q", []) == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"name": "dress"}, r"no document has text in any field of the model \(.*title.*\); the first one has name"),
        ({"title": 7}, "`title` of document 1 must be text, got 7"),
        ({"title": "a", "price": "7"}, "`price` of document 1 must be a number, got '7'"),
        ({"title": "a", "price": 1e39}, "`price` of document 1 must be a number of float32, got one beyond its bounds"),
        ({"title": "a", "price": 10**400}, "`price` of document 1 must be a number of float32"),
    ],
)
def test_document_that_does_not_fit_the_model_is_told(ranker_url, document, message):
    with RankingClient(ranker_url, "ranker") as client, pytest.raises(RankingError, match=message):
        client.score("q", [document])


def test_an_odd_document_stops_no_ranking_of_a_client_that_is_not_strict(ranker_url, caplog):
    odd = [
        {"title": ["ab", "cd", None], "price": "12.5"},
        {"title": 7, "price": [1, 2]},
        {"title": "abc", "price": 1e39},
        {"title": "abc", "price": float("nan")},
        {"title": None, "price": "cheap"},
    ]
    plain = [
        {"title": "ab cd ", "price": 12.5},
        {"title": "7"},
        {"title": "abc"},
        {"title": "abc"},
        {},
    ]
    with RankingClient(ranker_url, "ranker", is_strict=False) as client:
        assert client.score("q", odd) == client.score("q", plain)
        assert client.score("q", [{"title": "abc", "price": float("nan")}]) == client.score("q", [{"title": "abc"}])
    texts = [text for text in caplog.messages if "taken for" in text]
    assert len(texts) == 2
    assert "reads 'title', which is ['ab', 'cd', None] in a document: it is taken for 'ab cd '" in texts[0]


def test_overload_and_lost_connections_are_tried_again_with_longer_waits(scripted):
    script = scripted(200, 503, 429, None, 200)
    with RankingClient(script.url, "ranker", retries=3) as client:
        assert client.score("q", [{"title": "a"}]) == [1.0]
    assert script.statuses == []
    bounds = [(0.05, 0.1), (0.1, 0.2), (0.2, 0.4)]
    assert all(low <= wait <= high for wait, (low, high) in zip(script.waits, bounds, strict=True))


def test_scores_of_padding_are_cut_and_missing_ones_told(scripted):
    script = scripted(200, 200, 200)
    script.scores = [2.0, 1.0, 2.0]  # as of a server that batches, for a list of two
    documents = [{"title": "a"}, {"title": "b"}]
    with RankingClient(script.url, "ranker") as client:
        assert [one.score for one in client.rank("q", documents)] == [2.0, 1.0]
        with pytest.raises(RankingError, match="the server answered 3 scores for 4 documents"):
            client.rank("q", documents * 2)


def test_slow_answer_is_not_waited_for_and_not_asked_for_again(scripted):
    script = scripted(200, "late", 200)
    told = pytest.raises(RankingError, match="did not answer within 0.3 seconds")
    with RankingClient(script.url, "ranker", timeout_seconds=0.3) as client, told:
        client.score("q", [{"title": "a"}])
    assert script.statuses == [200] and script.waits == []


def test_proxy_of_the_environment_is_not_asked(scripted, monkeypatch):
    script = scripted(200, 200)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with RankingClient(script.url, "ranker", retries=0) as client:
        assert client.score("q", [{"title": "a"}]) == [1.0]


def test_an_answer_of_something_else_is_told():
    def answer(request):
        return httpx.Response(200, json={"status": "ok"})

    model = RESTModel("http://127.0.0.1:1", "ranker", None, None, 1.0, 0)
    model._http = httpx.Client(transport=httpx.MockTransport(answer))
    for ask in (model.read_signatures, lambda: model.predict("rank", {})):
        with pytest.raises(RankingError, match=r"is not answered as by TensorFlow Serving, but with .*ok"):
            ask()


def test_last_refusal_is_told(scripted):
    script = scripted(200, 503, 503)
    with RankingClient(script.url, "ranker", retries=1) as client, pytest.raises(RankingError, match="503"):
        client.score("q", [{"title": "a"}])


def test_errors_of_the_request_are_not_tried_again(scripted):
    script = scripted(200, 400, 200)
    with RankingClient(script.url, "ranker") as client, pytest.raises(RankingError, match="400"):
        client.score("q", [{"title": "a"}])
    assert script.waits == [] and script.statuses == []  # the inputs were read again, and were the same


def test_inputs_are_read_again_when_another_model_has_taken_the_place(scripted):
    script = scripted(200, 200, 400, 200, 200)
    with RankingClient(script.url, "ranker") as client:
        client.score("q", [{"title": "a", "brand": "b"}])
        script.fields = ["title", "brand"]
        assert client.score("q", [{"title": "a", "brand": "b"}]) == [1.0]
    assert json.loads(script.bodies[-1])["inputs"]["brand"] == [["b"]]


def test_one_connection_serves_all_requests_and_inputs_are_read_once(scripted):
    script = scripted(200, 200, 200)
    with RankingClient(script.url, "ranker") as client:
        client.score("q", [{"title": "a"}])
        client.score("q", [{"title": "a"}])
    assert len(script.connections) == 1
    assert len(script.bodies) == 3


@pytest.mark.parametrize("title", ["short", "long " * 1000], ids=["plain", "gzip"])
def test_body_arrives_whole_with_missing_features_as_nan(scripted, title):
    script = scripted(200, 200)
    script.scores = [1.0, 0.0]
    with RankingClient(script.url, "ranker") as client:
        client.score("größe", [{"title": title, "price": 2}, {"title": ""}])
    inputs = json.loads(script.bodies[1])["inputs"]
    assert inputs["query"] == ["größe"]
    assert inputs["title"] == [[title, ""]]
    assert inputs["price"][0][0] == 2.0 and math.isnan(inputs["price"][0][1])


def test_an_input_that_no_document_has_is_told_once(scripted, caplog):
    script = scripted(200, 200, 200)
    with RankingClient(script.url, "ranker") as client:
        for _ in range(2):
            client.score("q", [{"title": "a"}])
    assert [message.partition(" reads ")[2] for message in caplog.messages] == [
        "'price', which no document has: it ranks without."
    ]


def test_server_that_is_not_there_is_told(scripted):
    with (
        RankingClient("http://127.0.0.1:1", "ranker") as client,
        pytest.raises(RankingError, match="cannot be reached"),
    ):
        client.score("q", [{"title": "a"}])


def run(*arguments):
    return subprocess.run([sys.executable, "serving/client.py", *arguments], capture_output=True, text=True, timeout=60)


def test_command_prints_rank_score_and_title(ranker_url, tmp_path):
    path = tmp_path / "products.jsonl"
    path.write_text('{"title": "hat"}\n\n{"title": "red\\u2028 dress", "price": 1}\n')
    process = run("--url", ranker_url, "--model", "ranker", "--query", "dress", "--documents", str(path))
    assert process.returncode == 0
    assert re.findall(r"reads ('\w+'), which no document has", process.stderr) == ["'brand'"]
    assert [line.split(None, 2) for line in process.stdout.split("\n")[:-1]] == [
        ["rank", "score", "title"],
        ["1", "13.0000", "red dress"],
        ["2", "3.0000", "hat"],
    ]


@pytest.mark.parametrize(
    ("content", "message"), [('{"title": "a"}\n{', "line 2 is not JSON"), ("[1]", "line 1 must be a JSON object")]
)
def test_documents_that_are_none_are_told_with_their_line(content, message):
    with pytest.raises(RankingError, match=f"products.jsonl {message}"):
        read_documents(content.split("\n"), "products.jsonl")


def test_command_tells_what_is_wrong_with_exit_code_2(tmp_path):
    process = run("--query", "q", "--documents", str(tmp_path / "none"))
    assert process.returncode == 2
    assert process.stderr.startswith("error: --documents") and "none cannot be read" in process.stderr


def test_table_shows_another_text_where_there_is_no_title():
    documents = read_documents(['{"id": 1, "name": "hat"}', "{}"], "test")
    table = format_ranking([RankedDocument(i + 1, 0.0, i, d) for i, d in enumerate(documents)])
    assert [line.split()[2:] for line in table.splitlines()[1:]] == [["hat"], []]
