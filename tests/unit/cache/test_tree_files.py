# SPDX-License-Identifier: Apache-2.0
import errno
import os

import pytest

from toono.cache.forms import JSON
from toono.cache.scope import Question, Row
from toono.cache.tree_disk import TreeDisk
from toono.cache.tree_files import PART, SET_ASIDE, Job, TreeFiles
from toono.cache.tree_layout import Folder
from toono.cache.tree_manifest import ScopeFact
from toono.cache.tree_plan import Held, Plan, Wanted

PODS: Folder = ("kubelet", "pods.v1.core")
QUESTION = Question("kubelet", "", "v1", "pods", "", "", "", "", JSON)
OWN = "_internal/toono"


def wanted(path: str, version: str = "1") -> Wanted:
    held = Held(
        scope=None,  # type: ignore[arg-type]
        question=QUESTION,
        rows={},
        age_order=(0, 9),
        complete=True,
        imported=False,
        lost_rows=False,
    )
    return Wanted(held, ("", path), Row("u", version, None, 0))


def plan_of(*paths: str, **more) -> Plan:
    return Plan(files={path: wanted(path) for path in paths}, **more)


def fact(version: int = 1, *, complete: bool = True) -> ScopeFact:
    return ScopeFact(
        question=QUESTION,
        kind="Pod",
        list_kind="PodList",
        version=version,
        epoch=0,
        complete=complete,
        count=1,
    )


def job(path: str, content: bytes = b"{}", version: str = "1") -> Job:
    return Job(path, content, (0, "u", version))


@pytest.fixture
def files(tmp_path):
    opened = TreeFiles(tmp_path)
    opened.open()
    yield opened
    opened.close()


def again(tmp_path) -> TreeFiles:
    opened = TreeFiles(tmp_path)
    opened.open()
    return opened


def bring(files: TreeFiles, folder: Folder, plan: Plan) -> tuple[list[str], list[str]]:
    """Bring a folder to a plan as the writer does; return what that took."""
    changes = files.changes(folder, plan)
    files.remove(folder, changes.removes)
    files.write(folder, [job(path) for path, _ in changes.writes])
    files.shape(folder, plan)
    return [path for path, _ in changes.writes], list(changes.removes)


def test_only_what_differs_is_written(files, tmp_path) -> None:
    assert bring(files, PODS, plan_of("default/a", "b")) == (["b", "default/a"], [])
    assert (tmp_path / "kubelet/pods.v1.core/default/a").read_bytes() == b"{}"
    assert bring(files, PODS, plan_of("default/a", "b")) == ([], [])
    new = Plan(files={"b": wanted("b", "2")})
    assert [path for path, _ in files.changes(PODS, new).writes] == ["b"]


def test_a_file_that_is_as_it_should_be_is_only_noted(files) -> None:
    files.changes(PODS, plan_of("a"))
    assert files.write(PODS, [job("a")]) == 1
    assert files.write(PODS, [job("a", version="2")]) == 0
    assert files.write(PODS, [job("a", b"[]", version="3")]) == 1


def test_the_manifest_saves_the_next_start_its_writes(files, tmp_path) -> None:
    bring(files, PODS, plan_of("default/a"))
    assert files.seal([fact()])
    other = again(tmp_path)
    assert bring(other, PODS, plan_of("default/a")) == ([], [])
    assert other.noted[QUESTION].version == 1
    other.close()


@pytest.mark.parametrize("damage", ["flip", "truncate", "unlink"])
def test_a_file_that_is_not_as_noted_is_written_again(files, tmp_path, damage) -> None:
    bring(files, PODS, plan_of("a", "b"))
    files.seal([fact()])
    file = tmp_path / "kubelet/pods.v1.core/a"
    if damage == "unlink":
        file.unlink()
    else:
        file.write_bytes(b"[]" if damage == "flip" else b"{")
    other = again(tmp_path)
    assert bring(other, PODS, plan_of("a", "b")) == (["a"], [])
    assert file.read_bytes() == b"{}"
    assert other.seal([fact()])
    other.close()


def test_a_torn_manifest_is_as_good_as_none(files, tmp_path) -> None:
    bring(files, PODS, plan_of("a"))
    files.seal([fact()])
    manifest = tmp_path / OWN / "scopes.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    other = again(tmp_path)
    assert other.noted == {}
    assert bring(other, PODS, plan_of("a")) == (["a"], [])
    other.close()


def test_it_is_sealed_only_when_more_than_a_version_moved(files) -> None:
    assert not files.seal([])
    bring(files, PODS, plan_of("a"))
    assert files.seal([fact(1)])
    assert not files.seal([fact(2)])
    assert files.seal([fact(2, complete=False)])


def test_files_of_nobody_are_removed_only_if_the_plan_may(files, tmp_path) -> None:
    bring(files, PODS, plan_of("default/a", "default/b", "shop/c"))
    assert bring(files, PODS, plan_of("default/a")) == ([], [])
    denied = plan_of("default/a", gone=frozenset({"default/b"}))
    assert bring(files, PODS, denied) == ([], ["default/b"])
    assert bring(files, PODS, plan_of("default/a", removes=True)) == ([], ["shop/c"])
    top = tmp_path / "kubelet/pods.v1.core"
    assert [one.name for one in top.iterdir()] == ["default"]
    assert bring(files, PODS, Plan(removes=True)) == ([], ["default/a"])
    assert not top.exists()


def test_a_list_of_nothing_is_a_directory(files, tmp_path) -> None:
    bring(files, PODS, Plan(directories=frozenset({"", "shop"}), removes=True))
    assert (tmp_path / "kubelet/pods.v1.core/shop").is_dir()
    bring(files, PODS, Plan(directories=frozenset({""}), removes=True))
    assert list((tmp_path / "kubelet/pods.v1.core").iterdir()) == []


def test_an_object_left_out_leaves_no_older_state(files, tmp_path) -> None:
    bring(files, PODS, plan_of("a"))
    new = Plan(files={"a": wanted("a", "2")})
    assert files.changes(PODS, new).writes
    files.leave_out(PODS, "a", (0, "u", "2"))
    assert not (tmp_path / "kubelet/pods.v1.core/a").exists()
    assert not files.changes(PODS, new).writes
    assert files.changes(PODS, Plan(files={"a": wanted("a", "3")})).writes


def test_a_folder_given_up_is_cleared_of_what_was_written(files, tmp_path) -> None:
    bring(files, PODS, plan_of("default/a"))
    (tmp_path / "kubelet/pods.v1.core/theirs").write_text("not ours")
    files.seal([fact()])
    other = again(tmp_path)
    assert other.folders() == [PODS]
    assert other.clear(PODS) == 1
    assert other.folders() == []
    left = (tmp_path / "kubelet/pods.v1.core").iterdir()
    assert [one.name for one in left] == ["theirs"]
    other.close()


def test_a_noted_folder_that_is_gone_is_told(files, tmp_path) -> None:
    assert files.is_there(PODS)
    bring(files, PODS, plan_of("a"))
    assert files.is_there(PODS)
    (tmp_path / "kubelet/pods.v1.core/a").unlink()
    (tmp_path / "kubelet/pods.v1.core").rmdir()
    assert not files.is_there(PODS)


def test_what_would_make_yurthub_read_another_way_is_set_aside(files, tmp_path) -> None:
    for name in ("pods/default/a", "tmp_pods.v1.core/b", "nodes.v1.core/n"):
        file = tmp_path / "kubelet" / name
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    partial = tmp_path / "agent/partialobjectmetadatas.v1.meta.k8s.io/x.v1.g/n"
    partial.parent.mkdir(parents=True)
    partial.write_text("{}")
    (tmp_path / "_internal/restmapper").mkdir()
    assert files.set_older_aside() == 3
    assert [one.name for one in (tmp_path / "kubelet").iterdir()] == ["nodes.v1.core"]
    aside = tmp_path / OWN / SET_ASIDE
    assert (aside / "kubelet/pods/default/a").read_text() == "{}"
    assert (aside / "agent" / partial.parent.parent.name / "x.v1.g/n").exists()
    assert (tmp_path / "_internal/restmapper").exists()
    (tmp_path / "kubelet/pods").mkdir()
    assert files.set_older_aside() == 1
    assert (aside / "kubelet/pods-2").is_dir()


def test_it_knows_a_disk_that_ignores_case(tmp_path) -> None:
    class Folding(TreeDisk):
        def exists(self, name: str, parent: int) -> bool:
            return super().exists(name.lower(), parent)

    plain, folding = again(tmp_path), TreeFiles(tmp_path, Folding())
    folding.open()
    assert (plain.ignores_case, folding.ignores_case) == (False, True)
    plain.close()
    folding.close()


def test_what_is_half_written_is_never_seen(files, tmp_path) -> None:
    class Torn(TreeDisk):
        def write(self, descriptor: int, content: bytes) -> None:
            os.write(descriptor, content[:1])
            raise OSError(errno.ENOSPC, "full")

    bring(files, PODS, plan_of("a"))
    other = TreeFiles(tmp_path, Torn())
    other.open()
    other.changes(PODS, plan_of("a"))
    with pytest.raises(OSError, match="full"):
        other.write(PODS, [job("a", b"[1]", "2")])
    other.close()
    assert (tmp_path / "kubelet/pods.v1.core/a").read_bytes() == b"{}"
    assert (tmp_path / OWN / PART).read_bytes() == b"["
    assert files.write(PODS, [job("a", b"[2]", "3")]) == 1
    assert not (tmp_path / OWN / PART).exists()


def test_no_descriptor_is_left_open(tmp_path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    opened = again(tmp_path)
    bring(opened, PODS, plan_of("default/a", "b"))
    opened.seal([fact()])
    bring(opened, PODS, Plan(removes=True))
    opened.set_older_aside()
    opened.open()
    opened.close()
    assert not opened.is_open
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="directory"):
        TreeFiles(tmp_path / "file").open()
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_strange_thing_does_not_stop_the_rest(files, tmp_path) -> None:
    top = tmp_path / "kubelet/pods.v1.core"
    top.mkdir(parents=True)
    (top / "shop").symlink_to(tmp_path)
    (top / "a").mkdir()
    (top / "a" / "inner").mkdir()
    bring(files, PODS, plan_of("shop/x", "a", "b", removes=True))
    assert (top / "b").read_bytes() == b"{}"
    assert files.in_the_way > 0


def test_files_beside_the_objects(files, tmp_path) -> None:
    path = ("_internal", "restmapper", "kinds.conf")
    assert files.beside(path, 9) is None
    files.put_beside(path, b"{}")
    assert files.beside(path, 9) == b"{}"
    before = tmp_path.joinpath(*path).stat()
    files.put_beside(path, b"{}")
    assert tmp_path.joinpath(*path).stat() == before
    files.put_beside(("version",), b"{1}")
    files.put_beside(("version",), b"{2}")
    assert (tmp_path / "version").read_bytes() == b"{2}"
    (tmp_path / "strange").mkdir()
    files.put_beside(("strange",), b"{}")
    assert files.in_the_way > 0
