"""A folder is replaced as a whole or stays as it was, and nobody else's is touched."""

import threading

import pytest

from tfr_listbert.folders import lock_folder, recover_folder, replace_file, replace_folder, write_whole
from tfr_listbert.schema import InputError


def write(path, text: str) -> None:
    with replace_folder(path, ("stats.json", "*.tfrecord"), "data.lists") as folder:
        (folder / "stats.json").write_text(text)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_complete_and_is_replaced_complete(tmp_path):
    path = tmp_path / "deep" / "lists"
    write(path, "one")
    (path / "old.tfrecord").touch()
    write(path, "two")
    assert (names(path), (path / "stats.json").read_text()) == (["stats.json"], "two")
    assert names(path.parent) == ["lists"]


def test_a_link_stays_and_the_folder_behind_it_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "lists").symlink_to(tmp_path / "disk")
    for text in ("one", "two"):
        write(tmp_path / "lists", text)
        assert (tmp_path / "disk" / "stats.json").read_text() == text
    assert names(tmp_path) == ["disk", "lists"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=r"`data.lists` names .*file/lists, which cannot be written: .*Not a directory"
    ):
        write(tmp_path / "file" / "lists", "one")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    write(tmp_path / "lists", "one")
    with pytest.raises(error), replace_folder(tmp_path / "lists", ("stats.json",), "data.lists") as folder:
        (folder / "stats.json").write_text("two")
        raise error
    assert names(tmp_path) == ["lists"]
    assert (tmp_path / "lists" / "stats.json").read_text() == "one"


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (tmp_path / ".lists.partial").mkdir()
    (tmp_path / ".lists.partial" / "half").touch()
    (tmp_path / ".lists.previous").mkdir()
    (tmp_path / ".lists.previous" / "stats.json").write_text("one")
    with pytest.raises(ValueError), replace_folder(tmp_path / "lists", ("stats.json",), "data.lists"):
        raise ValueError
    assert (tmp_path / "lists" / "stats.json").read_text() == "one"  # killed between two renames
    assert names(tmp_path) == ["lists"]


def test_a_folder_that_was_being_replaced_is_put_back(tmp_path):
    (tmp_path / ".lists.previous").mkdir()
    for _ in range(2):  # the second time there is nothing to do
        recover_folder(tmp_path / "lists")
        assert names(tmp_path) == ["lists"]


def test_an_empty_folder_may_be_taken(tmp_path):
    (tmp_path / "lists").mkdir()
    write(tmp_path / "lists", "one")
    assert names(tmp_path / "lists") == ["stats.json"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_not_ours_is_never_replaced(tmp_path, kind):
    path = tmp_path / "home"
    if kind == "folder":
        path.mkdir()
        (path / "thesis.tex").touch()
    else:
        path.touch()
    with pytest.raises(InputError, match="`data.lists` names .*home, which has other files in it"):
        write(path, "one")
    assert names(tmp_path) == ["home"]


def test_a_folder_with_something_of_somebody_else_in_it_is_never_replaced(tmp_path):
    write(tmp_path / "lists", "one")
    (tmp_path / "lists" / "ranker").mkdir()
    with pytest.raises(InputError, match=r"has other files in it \(ranker\)"):
        write(tmp_path / "lists", "two")
    assert names(tmp_path / "lists") == ["ranker", "stats.json"]


def test_a_folder_that_is_being_written_is_refused_and_comes_to_its_end(tmp_path):
    with replace_folder(tmp_path / "lists", ("stats.json",), "data.lists") as folder:
        (folder / "stats.json").write_text("first")
        with pytest.raises(InputError, match="Another process is writing `data.lists` .*lists; wait for its end"):
            write(tmp_path / "lists", "second")
    assert (tmp_path / "lists" / "stats.json").read_text() == "first"


def test_a_file_is_replaced_whole_or_stays(tmp_path):
    path = tmp_path / "metrics.json"
    with replace_file(path) as partial:
        partial.write_text("old")
    with pytest.raises(RuntimeError), replace_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["metrics.json"]


def test_text_is_written_whole_in_utf_8(tmp_path):
    write_whole(tmp_path / "card.md", "Größe")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "card.md", "half a pair: \ud800")
    assert (tmp_path / "card.md").read_bytes() == b"Gr\xc3\xb6\xc3\x9fe"
    assert names(tmp_path) == ["card.md"]


def test_half_a_file_of_a_killed_process_is_nobody_elses(tmp_path):
    write(tmp_path / "lists", "one")
    (tmp_path / "lists" / ".partial-stats.json").touch()
    write(tmp_path / "lists", "two")
    assert names(tmp_path / "lists") == ["stats.json"]


def test_a_locked_folder_is_refused_or_waited_for(tmp_path):
    is_free = threading.Event()

    def wait():
        with lock_folder(tmp_path):
            is_free.set()

    waiting = threading.Thread(target=wait)
    with lock_folder(tmp_path, "taken"):
        with pytest.raises(InputError, match="taken"), lock_folder(tmp_path, "taken"):
            pass
        waiting.start()
        assert not is_free.wait(0.2)
    waiting.join(timeout=10)
    assert is_free.is_set()
