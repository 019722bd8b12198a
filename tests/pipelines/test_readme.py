"""The README's commands and configs, and the quickstart, run as they stand, with a tiny shop."""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml

from tfr_listbert.config import read_config
from tfr_listbert.distillation.students import plan_students
from tfr_listbert.evaluation.comparison.plan import plan_rows
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.losses import build_loss

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TINY = [
    "shop.products=300",
    "shop.queries=60",
    "shop.test_queries=20",
    "shop.sessions=20000",
    "shop.results=12",
    "text.vocabulary_size=600",
    "encoder.layers=1",
    "encoder.width=16",
    "encoder.inner_width=32",
    "train.epochs=1",
    "evaluate.resamples=200",
]


def list_blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def find_command(start):
    """Returns the README's one command that starts so."""
    lines = [line for block in list_blocks("bash") for line in block.splitlines() if line.startswith(start)]
    assert len(lines) == 1, lines
    return lines[0].split(" #")[0]


@pytest.fixture(scope="module")
def environment():
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, environment):
    """The folder in which the quickstart has run on a tiny shop, and what it printed."""
    folder = tmp_path_factory.mktemp("quickstart")
    for name in ("pipelines", "serving", "data"):
        (folder / name).symlink_to(ROOT / name)
    command = ["bash", "pipelines/quickstart.sh", *TINY]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=420)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout


def test_the_quickstart_ends_with_a_table_an_answer_and_the_tensorboard_command(finished):
    _, printed = finished
    table = printed.split("unseen queries")[1]
    assert all(
        re.search(rf"^  {system} +0\.\d+ +0\.\d+ – 0\.\d+", table, re.M)
        for system in ("random", "bm25", "bag_of_words", "ranker")
    )
    answer = printed.split("serving/client.py")[1]
    assert len(re.findall(r"^ +\d+ +-?\d+\.\d+ ", answer, re.M)) == 8
    agreed = re.findall(r"(\d+) of \1 requests agree", printed)  # over REST and over gRPC
    assert len(agreed) == 2 and int(agreed[0]) >= 34
    assert "tensorboard --logdir runs/shop" in printed


SHOP_EXPORTS = [  # the simulated shop's in place of one's own
    "data.options.log=runs/shop/export/search_log.csv.gz",
    "data.options.catalogue=runs/shop/export/catalogue.csv.gz",
    "data.options.columns={time: day}",
    "data.options.catalogue_columns={}",
]


def is_part(part, whole):
    if isinstance(part, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in part.items())
    return part == whole


def test_the_lines_to_change_are_those_of_the_config():
    (block,) = [one for one in map(yaml.safe_load, list_blocks("yaml")) if "exports/" in str(one)]
    assert is_part(block, yaml.safe_load((ROOT / "pipelines/configs/my_shop.yaml").read_text()))


def list_own_steps():
    """Returns the README's commands for a log of one's own, the simulated shop's files in its place."""
    (block,) = [block for block in list_blocks("bash") if "pretrain_my_shop.yaml" in block]
    lines = [line for line in block.splitlines() if "my_shop.yaml" in line]
    steps = [[*line.split(" #")[0].split(), *SHOP_EXPORTS, *TINY] for line in lines]
    scripts = ["prepare_data", "train_tokenizer", "pretrain", "train", "evaluate", "export"]
    assert [Path(step[1]).stem for step in steps] == scripts
    return steps


def run_steps(steps, folder, environment):
    for step in steps:
        done = subprocess.run(step, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-2000:]


def test_lists_of_a_log_of_ones_own_are_prepared_and_the_steps_behind_are_understood(finished, environment):
    folder, _ = finished
    prepare, *others = list_own_steps()
    run_steps([prepare], folder, environment)
    for _, _, config, *overrides in others:
        assert read_config(ROOT / config, overrides).data.lists == "runs/my_shop/lists"
    assert list((folder / "runs/my_shop/lists").glob("train-*.tfrecord"))


@pytest.fixture(scope="module")
def own_ranker(finished, environment):
    """The folder in which the steps for a log of one's own have run."""
    folder, _ = finished
    run_steps(list_own_steps(), folder, environment)
    return folder


@pytest.mark.soak
def test_the_steps_from_a_log_of_ones_own_to_a_served_ranker_run(own_ranker):
    assert (own_ranker / "runs/my_shop/served/my_ranker/1/saved_model.pb").exists()


@pytest.mark.soak
def test_the_ranker_of_another_month_is_the_second_version(own_ranker, environment):
    (block,) = [block for block in list_blocks("bash") if "ranker_2" in block]
    moved = ["data.options.train_window=[2024-05-13, 2024-05-17]", "data.options.test_window=[2024-05-17, 2024-05-20]"]
    settings = " ".join(map(shlex.quote, [*SHOP_EXPORTS, *TINY, *moved, "data.options.min_impressions=5"]))
    script = block.replace("my_shop.yaml", f"my_shop.yaml {settings}").replace("; done", " || exit 1; done")
    command = ["bash", "-ec", script]
    done = subprocess.run(command, cwd=own_ranker, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (own_ranker / "runs/my_shop/served/my_ranker/2/saved_model.pb").exists()


STUDENTS = [  # fewer of them, for the time
    "distill.losses=[{name: labels, terms: [{loss: softmax_loss, target: labels}]}, {name: softmax_kl_and_labels, "
    "terms: [{loss: softmax_kl_loss, weight: 50.0}, {loss: softmax_loss, target: labels}]}]",
]


@pytest.mark.soak
def test_the_quickstarts_ranker_is_distilled_and_its_student_searches_the_catalogue(finished, environment):
    folder, _ = finished
    printed = {}
    run = "runs/shop/students/softmax_kl_and_labels/rate=0.001"
    student = f"train.run={run}"
    for script in ("embed_documents", "export"):
        find_command(f"python pipelines/{script}.py pipelines/configs/distill_shop.yaml {student}")
    for script, settings in {"distill": STUDENTS, "embed_documents": [student], "export": [student]}.items():
        command = ["python", f"pipelines/{script}.py", "pipelines/configs/distill_shop.yaml", *settings, *TINY]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr[-2000:]
        printed[script] = done.stdout
    row = rf"^\| softmax_kl_and_labels \| 0\.001 \| 0\.\d+ .*\| {re.escape(run)} \|$"
    assert re.search(row, printed["distill"], re.M)
    assert "rank_ids orders" in printed["export"]
    with ReloadedModel(folder / "runs/shop/served/shop_student/1") as model:
        found = model.ask("search", {"query": ["navy trainers for men"], "results": [10]})
    assert len(set(found["document_ids"][0])) == 10 and (np.diff(found["scores"][0]) <= 0).all()


@contextlib.contextmanager
def start(command, folder, environment):
    """Runs a server of the README on a free port; gives its address once it is ready."""
    log = folder / "server.log"
    with open(log, "w+") as file:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield wait_for_url(log, server)
        finally:
            server.terminate()
            server.wait(30)


def wait_for_url(log, server):
    for _ in range(300):
        found = re.search(r"http://[0-9.]+:[0-9]+", log.read_text())
        if found:
            return found[0]
        assert server.poll() is None, log.read_text()
        time.sleep(0.2)
    raise AssertionError("the server was not ready within a minute")


def test_the_servers_and_the_client_of_the_readme_answer(finished, environment):
    folder, _ = finished
    serve = [*find_command("bash serving/serve.sh runs/shop/served/shop_ranker").split(), "0", "0"]
    with start(serve, folder, environment) as url:
        (curl,) = [block for block in list_blocks("bash") if block.startswith("curl") and "shop_ranker" in block]
        command = curl.replace("http://127.0.0.1:8501", url)
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        assert json.loads(done.stdout)["outputs"]["order"] in ([[0, 1]], [[1, 0]])
        ask = find_command("python serving/client.py").replace("http://127.0.0.1:8501", url)
        done = subprocess.run(ask, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Juno Lane Sneakers Suede Navy" in done.stdout
        search = find_command("python serving/search_server.py").replace("http://127.0.0.1:8501", url)
        patient = f"{search} --port 0 --deadline-milliseconds 20000".split()
        with start(patient, folder, environment) as search_url:
            asked = {"q": "navy trainers for men", "ranker": "new", "log": "0"}
            found = httpx.get(f"{search_url}/search", params=asked, timeout=60).json()
    assert found["outcome"] == "ranked" and found["products"]


def require_known(config):
    """Checks what a script would find wrong in a config only after minutes: losses and their options."""
    build_loss(config.loss.loss, config.loss.options)
    if config.compare.losses:
        assert len(plan_rows(config.compare)) == len(config.compare.losses)
    if config.distill.losses:
        assert len(plan_students(config)) == len(config.distill.losses)


def test_the_configs_of_the_readme_are_valid(tmp_path):
    blocks = [yaml.safe_load(block) for block in list_blocks("yaml")]
    assert len(blocks) >= 3
    for number, block in enumerate(blocks):
        base = {"base": str(ROOT / "pipelines" / "configs" / block["base"])} if "base" in block else {}
        text = yaml.safe_dump({**block, **base})
        (tmp_path / f"{number}.yaml").write_text(text)
        require_known(read_config(tmp_path / f"{number}.yaml"))


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines" / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_is_valid(path):
    require_known(read_config(path))
