"""The benchmark of latency: what it says of percentiles, goals and exports that are there."""

import argparse
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bundles
from benchmarks.bundles import BEFORE, check_out, digest_code, export_catalogue, export_untrained
from benchmarks.latency import REASON, STORED, TEACHER_BEFORE, build_claims, choose_reason
from benchmarks.tables import print_row


@pytest.mark.parametrize(("requests", "shown"), [(99, ""), (100, "99.0")])
def test_of_few_requests_nothing_is_said_of_the_slowest_in_a_hundred(requests, shown, capsys):
    times = np.full(requests, 99.0)
    assert print_row(30, 1, "student", times, rate=2.0) == 99.0
    cells = [cell.strip() for cell in capsys.readouterr().out.split("|")[1:-1]]
    assert cells == ["30", "1", "student", "99.0", "99.0", shown, "2.0", str(requests)]


def test_the_goals_are_of_one_client_and_of_what_was_measured():
    claims = build_claims({(100, 1): {STORED: 4.0, TEACHER_BEFORE: 200.0, "teacher": 80.0}, (100, 8): {STORED: 9.0}})
    assert [(claim.values, claim.verdict) for claim in claims] == [([4.0], "met"), ([50.0], "met"), ([20.0], "")]
    claims = build_claims({(100, 1): {STORED: 5.1, TEACHER_BEFORE: 254.0}, (1000, 1): {STORED: 5.0}})
    assert [claim.verdict for claim in claims] == ["**not met**", "**not met**", "met"]


@pytest.mark.parametrize(
    ("teacher", "before", "reason"),
    [(None, BEFORE, REASON), (None, "abc", ""), (None, "", ""), (Path("served/ranker/1"), BEFORE, "")],
)
def test_the_reason_is_that_of_the_commit_it_names(teacher, before, reason):
    assert choose_reason(argparse.Namespace(teacher=teacher, before=before)) == reason


def test_code_that_was_half_unpacked_is_unpacked_anew(tmp_path, monkeypatch):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tmp_path / "a.py").write_text("1")
    for command in (["init", "-q"], ["add", "a.py"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    run = subprocess.run

    def fail(command, **options):
        if command[0] == "tar":
            (command[-1] / "half.py").write_text("")
            raise KeyboardInterrupt
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(KeyboardInterrupt):
        check_out("HEAD")
    monkeypatch.setattr(subprocess, "run", run)
    folder = check_out("HEAD")
    assert [path.name for path in folder.iterdir()] == ["a.py"]
    assert [path.name for path in folder.parent.iterdir()] == ["code-HEAD"]


def test_an_export_by_other_code_or_settings_is_made_anew(tmp_path, monkeypatch):
    code = tmp_path / "tfr_listbert"
    code.mkdir()
    (code / "a.py").write_text("1")
    monkeypatch.setattr(bundles, "CODE", tmp_path)
    first = digest_code({"size": "mini"})
    assert digest_code({"size": "mini"}) == first != digest_code({"size": "tiny"})
    (code / "a.py").write_text("2")
    assert digest_code({"size": "mini"}) != first


def test_an_export_that_is_there_is_kept(tmp_path):
    (tmp_path / "teacher").mkdir()
    assert export_untrained(tmp_path, "teacher", tmp_path, tmp_path / "teacher") == tmp_path / "teacher"


def test_a_catalogue_that_memory_does_not_hold_is_not_exported(tmp_path, monkeypatch):
    (tmp_path / "student.yaml").write_text("model: {type: student, vector_size: 64}")
    monkeypatch.setattr(bundles, "read_free_memory", lambda: 5 * 1000 * 64 * 4)
    monkeypatch.setattr(bundles, "export_untrained", lambda *arguments: arguments[-2])
    assert export_catalogue(tmp_path, 1001) is None
    assert export_catalogue(tmp_path, 1000) == tmp_path / "catalogue-1000"
