import contextlib
import ctypes
import os
import stat
import threading

import pytest

from runner.execution.trees import clear_folder, remove_tree


def deepen(folder, levels):
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        there = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


@pytest.mark.long
def test_a_tree_of_3000_levels_is_removed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    deepen(folder, 3000)
    remove_tree(folder)
    assert not folder.exists()


def test_links_are_removed_and_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    folder = tmp_path / "run"
    (folder / "inner" / "more").mkdir(parents=True)
    (folder / "link").symlink_to(kept)
    (folder / "inner" / "link").symlink_to(kept / "file")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / "inner").chmod(0)
    remove_tree(folder)
    assert not folder.exists()
    assert (kept / "file").read_text() == "x"


def test_a_missing_folder_is_fine_and_a_link_is_refused(tmp_path):
    remove_tree(tmp_path / "nothing")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match="link"):
        remove_tree(tmp_path / "link")


def test_a_link_that_takes_the_place_of_a_folder_leads_nowhere(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").write_text("x")
    swap = ctypes.CDLL(None, use_errno=True).renameat2
    done = threading.Event()

    def exchange(at):
        while not done.is_set():
            swap(at, b"link", at, b"folder", 2)

    for number in range(20):
        run = tmp_path / f"run-{number}"
        (run / "folder").mkdir(parents=True)
        (run / "link").symlink_to(outside)
        at = os.open(run, os.O_RDONLY)
        done.clear()
        thread = threading.Thread(target=exchange, args=(at,))
        thread.start()
        remove_tree(run)
        done.set()
        thread.join()
        os.close(at)
        assert not run.exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755
    assert (outside / "file").read_text() == "x"


def test_a_folder_that_fills_up_again_is_emptied_again(tmp_path):
    run = tmp_path / "run"
    (run / "inner").mkdir(parents=True)
    at, done = os.open(run / "inner", os.O_RDONLY), threading.Event()

    def fill():
        for number in range(200):
            with contextlib.suppress(FileNotFoundError):
                os.close(os.open(str(number), os.O_CREAT | os.O_WRONLY, dir_fd=at))
        done.set()

    threading.Thread(target=fill).start()
    remove_tree(run)
    assert done.wait(5)
    os.close(at)
    assert not run.exists()


def test_a_folder_is_cleared_of_all_but_some_plain_files(tmp_path):
    (tmp_path / "result.csv").write_text("a\n")
    (tmp_path / "chart.png").symlink_to("result.csv")
    (tmp_path / "input").mkdir(mode=0o300)
    clear_folder(tmp_path, keep={"result.csv", "chart.png", "input"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.csv"]
    with pytest.raises(FileNotFoundError):
        clear_folder(tmp_path / "nothing")
