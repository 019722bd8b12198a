"""The report on the simulated shop: its measures on a small shop, its conditions on the one of the quickstart."""

import datetime
import json
from pathlib import Path

import pytest

from tfr_listbert.config import Config, ShopConfig, build_dataclass, read_config
from tfr_listbert.evaluation.shop_report import (
    REPORT_FILE,
    build_report,
    format_report,
    simulate_shop,
)
from tfr_listbert.lists.readers.clicks import ClicksReader
from tfr_listbert.lists.shop.simulation import TEST_WINDOW, TRAINING_WINDOW

SHOP_CONFIG = Path(__file__).parents[2] / "pipelines" / "configs" / "shop.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop") / "export"
    sizes = ShopConfig(str(folder), products=400, queries=150, test_queries=60, sessions=40_000, results=12)
    simulate_shop(Config(shop=sizes))
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return json.loads((folder / REPORT_FILE).read_text())


def test_the_same_files_give_the_same_report(folder, report):
    assert build_report(folder) == report


def test_the_oracle_is_perfect_and_above_every_ranker_and_random_below(report):
    values = report["ndcg_10"]
    assert values["oracle"] == {"test": 1.0, "seen": 1.0, "unseen": 1.0}
    for ranker in ("shown", "bm25", "bag_of_words"):
        assert values["random"]["test"] < values[ranker]["test"] < 1


def test_seen_and_unseen_lists_add_up(report):
    counts = report["lists"]
    share = counts["unseen"] / counts["test"]
    assert 0.25 < share < 0.5 and counts["training"] > 100
    for values in report["ndcg_10"].values():
        assert values["test"] == pytest.approx(share * values["unseen"] + (1 - share) * values["seen"])


def test_both_ways_of_grading_clicks_come_near_the_true_grades(report):
    for values in report["gradings"].values():
        assert values["ndcg_10"] > report["ndcg_10"]["random"]["test"] + 0.2
        assert 0.4 < values["kendall_tau"] < 1


def test_the_text_tells_every_measure(report):
    text = format_report(report)
    for name in (*report["ndcg_10"], *report["gradings"], *report["conditions"]):
        assert name in text
    assert f"{report['ndcg_10']['bm25']['unseen']:.3f}" in text


def test_the_shops_config_reads_the_windows_that_are_simulated():
    config = read_config(SHOP_CONFIG)
    reader = build_dataclass(ClicksReader, config.data.options, "data.options")
    for window, (first, days) in ((reader.train_window, TRAINING_WINDOW), (reader.test_window, TEST_WINDOW)):
        assert window == (first, first + datetime.timedelta(days=days))
    assert reader.log.startswith(config.shop.output) and reader.catalogue.startswith(config.shop.output)


@pytest.mark.soak
def test_the_shop_of_the_quickstart_meets_its_conditions(tmp_path):
    simulate_shop(Config(shop=ShopConfig(str(tmp_path))))
    report = json.loads((tmp_path / REPORT_FILE).read_text())
    assert all(report["conditions"].values()), report
    assert 0.35 < report["lists"]["unseen"] / report["lists"]["test"] < 0.45
