"""The workspace on real git over real HTTP: what a thread's place looks like after all that can happen to it."""

import fcntl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from jobs.mirror import Mirror
from jobs.place import Place
from jobs.workspace import (
    CompletedText,
    FetchFailed,
    InsideStopped,
    PushFailed,
    PushRejected,
    Target,
    Workspace,
    WorkspaceRefused,
)
from tests.fakes.git_remote import GitRemote, person_git
from tests.fakes.workspaces import FILES, REPO, Thread, dies_at, started, unboxed


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[GitRemote]:
    with GitRemote(tmp_path / "server") as server:
        server.create(REPO, FILES)
        yield server


@pytest.fixture
def thread(remote: GitRemote, tmp_path: Path) -> Thread:
    return Thread(remote, tmp_path / "home")


def test_a_new_thread_starts_from_the_default_branch(thread: Thread, remote: GitRemote) -> None:
    opened = thread.open()
    assert opened.new
    assert opened.base_sha == opened.head_sha == remote.tip(REPO, "main")
    assert (opened.place.tree / "app.py").read_text() == "print(1)\n"
    assert opened.place.home.is_dir()
    assert opened.place.tmp.is_dir()
    assert thread.agent_git("symbolic-ref", "HEAD") == "refs/heads/kugetsu/issue-7"
    assert thread.status() == ""
    assert thread.leftovers() == []


def test_uncommitted_work_becomes_a_commit_on_the_servers_branch(thread: Thread, remote: GitRemote) -> None:
    opened = thread.open()
    thread.write({"app.py": "print(2)\n", "new/file.txt": "one\ntwo\n"})
    made = thread.collect()
    assert made.changed
    assert (made.base_sha, made.commits, made.files) == (opened.base_sha, 1, 2)
    assert (made.additions, made.deletions) == (3, 1)
    thread.push(made)
    assert remote.tip(REPO, thread.branch) == made.head_sha
    assert thread.status() == ""
    assert thread.agent_git("rev-parse", "HEAD") == made.head_sha


def test_a_run_without_changes_has_nothing_to_push(thread: Thread) -> None:
    thread.open()
    made = thread.collect()
    assert (made.changed, made.commits, made.files) == (False, 0, 0)


def test_commits_that_come_to_nothing_are_nothing_to_push(thread: Thread) -> None:
    thread.open()
    thread.agent_git("commit", "--quiet", "--allow-empty", "-m", "Nothing")
    assert not thread.collect().changed


def test_a_follow_up_that_only_answers_has_nothing_to_push(thread: Thread) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    made = thread.collect(2)
    assert (made.changed, made.commits, made.files) == (False, 0, 1)


def test_going_back_to_the_start_is_pushed_where_the_branch_was(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    made = thread.deliver({"app.py": "print(1)\n"}, job=2)
    assert (made.changed, made.files) == (True, 0)
    assert remote.tip(REPO, thread.branch) == made.head_sha


def test_a_follow_up_goes_on_where_the_last_job_stopped(thread: Thread, remote: GitRemote) -> None:
    first = thread.deliver({"app.py": "print(2)\n"})
    remote.commit(REPO, "main", {"other.py": "\n"})
    opened = thread.open()
    assert not opened.new
    assert (opened.head_sha, opened.base_sha) == (first.head_sha, first.base_sha)
    second = thread.deliver({"app.py": "print(3)\n"}, job=2)
    assert thread.log(second.head_sha, "%s") == ["What the agent left"] * 2
    assert thread.log(second.head_sha, "%(trailers:key=Kugetsu-Job,valueonly,separator=)") == ["2", "1"]


def test_uncommitted_work_of_a_killed_run_is_kept(thread: Thread) -> None:
    thread.open()
    thread.agent_commits("One step", {"app.py": "print(2)\n"})
    thread.write({"app.py": "print(3)\n", "more.py": "\n"})
    (thread.place.repo / "worktrees" / "tree" / "index.lock").touch()
    (thread.place.repo / "refs" / "heads" / "kugetsu" / "issue-7.lock").touch()
    opened = thread.open()
    assert not opened.new
    assert opened.head_sha == thread.agent_git("rev-parse", "HEAD")
    assert thread.status().splitlines() == ["M app.py", "?? more.py"]
    assert thread.collect().commits == 2


def test_a_persons_push_is_taken_up(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    opened = thread.open()
    assert (opened.head_sha, opened.new) == (theirs, False)
    assert (thread.place.tree / "theirs.py").exists()
    assert thread.status() == ""
    made = thread.collect(2)
    assert made.head_sha == theirs
    assert not made.changed


def test_a_persons_push_is_taken_up_beside_uncommitted_work(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    thread.write({"README.md": "changed\n", "more.py": "\n"})
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    assert thread.open().head_sha == theirs
    assert (thread.place.tree / "theirs.py").exists()
    assert thread.status().splitlines() == ["M README.md", "?? more.py"]
    assert thread.kept() == []


def test_uncommitted_work_that_a_persons_push_touches_gives_way_and_is_kept(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    thread.write({"app.py": "print('mine')\n"})
    theirs = remote.commit(REPO, thread.branch, {"app.py": "print('theirs')\n"})
    assert thread.open().head_sha == theirs
    assert (thread.place.tree / "app.py").read_text() == "print('theirs')\n"
    assert thread.status() == ""
    (kept,) = thread.kept()
    assert person_git("show", f"{kept}:app.py", cwd=thread.mirror) == "print('mine')"


def test_a_diverged_branch_is_the_servers_and_ours_is_kept(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    mine = thread.agent_commits("Mine", {"app.py": "print('mine')\n"})
    thread.write({"untracked.txt": "work\n"})
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    opened = thread.open()
    assert (opened.head_sha, opened.new) == (theirs, False)
    assert thread.status() == ""
    assert not (thread.place.tree / "untracked.txt").exists()
    (kept,) = thread.kept()
    assert person_git("rev-parse", f"{kept}^", cwd=thread.mirror) == mine
    assert person_git("show", f"{kept}:untracked.txt", cwd=thread.mirror) == "work"


def test_a_branch_deleted_after_its_merge_is_begun_again(thread: Thread, remote: GitRemote) -> None:
    made = thread.deliver({"app.py": "print(2)\n"})
    remote.git(REPO, "update-ref", "refs/heads/main", made.head_sha)
    remote.git(REPO, "update-ref", "-d", f"refs/heads/{thread.branch}")
    merged = remote.commit(REPO, "main", {"later.py": "\n"})
    opened = thread.open()
    assert opened.new
    assert opened.head_sha == opened.base_sha == merged
    assert thread.kept() == []
    again = thread.deliver({"app.py": "print(3)\n"}, job=2)
    assert (again.base_sha, again.commits, again.files) == (merged, 1, 1)
    assert remote.tip(REPO, thread.branch) == again.head_sha


def test_a_branch_deleted_without_a_merge_is_begun_again_and_kept(thread: Thread, remote: GitRemote) -> None:
    made = thread.deliver({"app.py": "print(2)\n"})
    remote.git(REPO, "update-ref", "-d", f"refs/heads/{thread.branch}")
    assert thread.open().head_sha == remote.tip(REPO, "main")
    assert thread.kept() == [made.head_sha]
    assert thread.open().new is False


def test_work_that_was_never_pushed_goes_on(thread: Thread) -> None:
    thread.open()
    thread.write({"app.py": "print(2)\n"})
    made = thread.collect()
    opened = thread.open()
    assert (opened.head_sha, opened.new) == (made.head_sha, False)


def test_another_host_rebuilds_the_place_from_the_pushed_branch(
    thread: Thread, remote: GitRemote, tmp_path: Path
) -> None:
    made = thread.deliver({"app.py": "print(2)\n"})
    elsewhere = Thread(remote, tmp_path / "second-host")
    opened = elsewhere.open()
    assert (opened.head_sha, opened.base_sha, opened.new) == (made.head_sha, made.base_sha, True)


def test_an_agent_that_amends_what_was_pushed_needs_no_force(thread: Thread, remote: GitRemote) -> None:
    first = thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    thread.write({"app.py": "print(3)\n"})
    thread.agent_git("commit", "--quiet", "--all", "--amend", "-m", "Better")
    second = thread.collect(2)
    thread.push(second)
    assert remote.tip(REPO, thread.branch) == second.head_sha
    assert Mirror(thread.mirror).is_ancestor(first.head_sha, second.head_sha)
    assert remote.git(REPO, "show", f"{thread.branch}:app.py") == "print(3)"
    assert thread.collect(2).head_sha == second.head_sha


def test_an_agent_on_a_branch_of_its_own_is_followed(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    thread.agent_git("checkout", "--quiet", "-b", "my-idea")
    thread.agent_commits("Idea", {"idea.py": "\n"})
    made = thread.collect()
    thread.push(made)
    assert remote.git(REPO, "ls-tree", "--name-only", thread.branch).split() == ["README.md", "app.py", "idea.py"]
    assert remote.tip(REPO, "my-idea") is None
    assert thread.agent_git("symbolic-ref", "HEAD") == "refs/heads/kugetsu/issue-7"


def test_a_merge_left_unfinished_is_concluded(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    thread.agent_commits("Mine", {"app.py": "print('mine')\n"})
    thread.agent_git("checkout", "--quiet", "-b", "side", "main")
    thread.agent_commits("Side", {"side.py": "\n"})
    thread.agent_git("checkout", "--quiet", thread.branch)
    thread.agent_git("merge", "--quiet", "--no-commit", "side")
    made = thread.collect()
    assert made.commits == 3
    assert len(person_git("rev-parse", f"{made.head_sha}^@", cwd=thread.mirror).split()) == 2
    assert thread.status() == ""


def test_a_history_of_its_own_is_refused(thread: Thread) -> None:
    thread.open()
    thread.agent_git("checkout", "--quiet", "--orphan", "fresh")
    thread.agent_commits("From nothing", {"app.py": "print(2)\n"})
    with pytest.raises(WorkspaceRefused, match="no history in common"):
        thread.collect()
    assert thread.open().new


def test_a_rewritten_default_branch_does_not_make_its_old_commits_ours(thread: Thread, remote: GitRemote) -> None:
    for number in range(3):
        remote.commit(REPO, "main", {"count": f"{number}\n"}, message=f"Old {number}")
    thread.open()
    remote.git(REPO, "update-ref", "-d", "refs/heads/main")
    remote.commit(REPO, "main", {"all": "new\n"})
    Thread(remote, thread.home, issue=8).open()
    thread.write({"app.py": "print(2)\n"})
    made = thread.collect()
    assert made.commits == 1
    assert made.files == 1


def test_an_empty_repository_is_refused_in_words(remote: GitRemote, tmp_path: Path) -> None:
    remote.create("acme/empty")
    with pytest.raises(WorkspaceRefused, match=r"^acme/empty is empty: there is no branch to start from\.$"):
        Thread(remote, tmp_path / "home", repo="acme/empty").open()


def test_a_missing_default_branch_is_refused_in_words(thread: Thread, remote: GitRemote) -> None:
    remote.git(REPO, "branch", "--quiet", "-m", "main", "trunk")
    with pytest.raises(WorkspaceRefused, match="has no branch main"):
        thread.open()


def test_a_wrong_token_and_a_missing_repository_are_refused(remote: GitRemote, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceRefused, match="does not exist, or the bot may not see it"):
        Thread(remote, tmp_path / "home", repo="acme/none").open()
    thread = Thread(remote, tmp_path / "home")
    remote.token = "another"
    target = Target("gitea", REPO, 7, remote.url(REPO), "wrong", "main", "kugetsu/issue-7")
    with pytest.raises(WorkspaceRefused, match="did not accept the bot's token"):
        thread.workspace.open(target)


def test_an_outage_is_told_apart_from_a_refusal(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    thread.write({"app.py": "print(2)\n"})
    made = thread.collect()
    remote.answer_with = 503
    with pytest.raises(FetchFailed):
        thread.open()
    with pytest.raises(PushFailed):
        thread.push(made)
    remote.answer_with = 403
    with pytest.raises(PushRejected, match="did not allow it to the bot"):
        thread.push(made)
    remote.answer_with = None
    thread.push(made)
    assert remote.tip(REPO, thread.branch) == made.head_sha


@pytest.mark.parametrize("repo", ["../x/y", "acme/..", "acme/a/b", "acme", "/x", "acme/a b", "-/\n"])
def test_names_that_lead_elsewhere_are_refused(thread: Thread, repo: str) -> None:
    target = Target("gitea", repo, 1, thread.remote.url(REPO), None, "main", "kugetsu/issue-1")
    with pytest.raises(WorkspaceRefused, match="is no name of a repository"):
        thread.workspace.place(target)


def test_no_two_threads_share_a_folder(thread: Thread) -> None:
    names = [("gitea", "a-b/c"), ("gitea", "a/b-c"), ("gitea-a", "b/c"), ("gitea", "a/b"), ("gitea", "a/b-7")]
    places = {
        thread.workspace.place(Target(server, repo, issue, "", None, "main", "x")).root
        for server, repo in names
        for issue in (7, 77)
    }
    assert len(places) == 2 * len(names)
    plain = thread.workspace.place(thread.target).root
    assert plain == thread.home / "worktrees" / "gitea-acme-widgets-7"


def test_the_temporary_folder_may_lie_elsewhere(thread: Thread, tmp_path: Path) -> None:
    workspace = Workspace(thread.home, unboxed, temp_dir=tmp_path / "scratch")
    place = workspace.open(thread.target).place
    assert place.tmp == tmp_path / "scratch" / "gitea-acme-widgets-7"
    assert place.tmp.is_dir()
    workspace.forget(place)
    assert not place.tmp.exists()


def test_a_push_that_was_done_is_not_done_again(thread: Thread, remote: GitRemote) -> None:
    made = thread.deliver({"app.py": "print(2)\n"})
    remote.requests.clear()
    thread.push(made)
    assert not [request for request in remote.requests if "git-receive-pack" in request]
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    thread.push(made)
    assert not [request for request in remote.requests if "git-receive-pack" in request]
    assert remote.tip(REPO, thread.branch) == theirs


def test_a_push_never_overwrites_a_persons_commits(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    thread.write({"app.py": "print(3)\n"})
    made = thread.collect(2)
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    with pytest.raises(PushRejected, match="non-fast-forward"):
        thread.push(made)
    assert remote.tip(REPO, thread.branch) == theirs


def test_a_hook_of_the_server_that_says_no_is_quoted(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    thread.write({"app.py": "print(2)\n"})
    hook = remote.path(REPO) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'Not allowed to push to protected branch x' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushRejected, match=r"pre-receive hook declined.*Not allowed to push to protected branch"):
        thread.push(thread.collect())


def test_what_cannot_be_committed_is_named(thread: Thread) -> None:
    thread.open()
    thread.agent_git("init", "--quiet", "demo")
    with pytest.raises(WorkspaceRefused, match="'demo/' does not have a commit checked out"):
        thread.collect()


@pytest.mark.parametrize("harm", ["tree", "repo.git", "repo.git/refs", "repo.git/worktrees", "repo.git/objects"])
def test_a_place_the_agent_ruined_is_made_anew_with_its_home(thread: Thread, harm: str) -> None:
    opened = thread.open()
    (opened.place.home / "session").write_text("what was said")
    (opened.place.root / harm).rename(opened.place.root / "elsewhere")
    again = thread.open()
    assert again.new
    assert (again.place.home / "session").read_text() == "what was said"
    assert thread.status() == ""
    assert thread.leftovers() == [f"{opened.place.root.name}+damaged"]
    thread.workspace.forget(again.place)
    assert list(opened.place.root.parent.iterdir()) == []


def test_links_in_the_place_lead_nowhere(thread: Thread, tmp_path: Path) -> None:
    opened = thread.open()
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("home", "tmp", "tree"):
        (opened.place.root / name).rename(tmp_path / f"old-{name}")
        (opened.place.root / name).symlink_to(outside)
    with pytest.raises(WorkspaceRefused, match="A folder of the workspace is gone"):
        thread.collect()
    thread.open()
    assert not opened.place.home.is_symlink()
    assert not opened.place.tmp.is_symlink()
    assert not opened.place.tree.is_symlink()
    assert list(outside.iterdir()) == []


def test_forgetting_removes_whatever_is_inside(thread: Thread, tmp_path: Path) -> None:
    place = thread.open().place
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("stays")
    (place.tree / "link").symlink_to(precious)
    locked = place.tree / "locked"
    locked.mkdir()
    (locked / "file").touch()
    locked.chmod(0)
    deep = place.tree
    for _ in range(30):
        deep = deep / ("d" * 100)
        deep.mkdir()
    thread.workspace.forget(place)
    assert list(place.root.parent.iterdir()) == []
    assert (precious / "file").read_text() == "stays"
    thread.workspace.forget(place)


def test_threads_of_one_repository_work_side_by_side(remote: GitRemote, tmp_path: Path) -> None:
    threads = [Thread(remote, tmp_path / "home", issue=number) for number in range(1, 7)]
    made = {}

    def work(thread: Thread) -> None:
        made[thread.issue] = thread.deliver({f"file-{thread.issue}": "\n"}, job=thread.issue)

    workers = [threading.Thread(target=work, args=(thread,)) for thread in threads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
    assert {number: remote.tip(REPO, f"kugetsu/issue-{number}") for number in made} == {
        number: one.head_sha for number, one in made.items()
    }
    assert len(made) == len(threads)
    assert all(one.files == 1 and one.commits == 1 for one in made.values())


def test_a_held_fetch_of_one_thread_does_not_stop_anothers_collecting_elsewhere(
    thread: Thread, remote: GitRemote, tmp_path: Path
) -> None:
    remote.create("acme/other", FILES)
    other = Thread(remote, tmp_path / "home", repo="acme/other")
    other.open()
    other.write({"app.py": "print(2)\n"})
    with remote.held("widgets"):
        opening = threading.Thread(target=thread.open)
        opening.start()
        assert other.collect().changed
    opening.join(60)
    assert thread.place.tree.is_dir()


def test_opening_killed_anywhere_is_done_over(remote: GitRemote, tmp_path: Path) -> None:
    """Each step of making a place, and of taking up a moved branch, is where a worker dies once."""
    made, died = Thread(remote, tmp_path / "home"), 0
    while dies_at(made, died + 1, "workspace.open(target)"):
        died += 1
        opened = made.open()
        assert opened.head_sha == remote.tip(REPO, "main"), f"killed at {died}"
        assert made.status() == "", f"killed at {died}"
        assert made.leftovers() == [], f"killed at {died}"
        made.workspace.forget(made.place)
    assert died > 5


def test_taking_up_a_diverged_branch_killed_anywhere_is_done_over(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(0)\n"})
    thread.open()
    died = 0
    while True:
        mine = thread.agent_commits(f"Mine {died}", {"app.py": f"print('mine {died}')\n"})
        thread.write({"app.py": f"print('uncommitted {died}')\n"})
        theirs = remote.commit(REPO, thread.branch, {"theirs.py": f"{died}\n"})
        if not dies_at(thread, died + 1, "workspace.open(target)"):
            break
        died += 1
        assert thread.open().head_sha == theirs, f"killed at {died}"
        assert thread.status() == "", f"killed at {died}"
        held = [kept for kept in thread.kept() if Mirror(thread.mirror).is_ancestor(mine, kept)]
        assert held, f"killed at {died}: {mine} is lost"
    assert died > 5


def test_beginning_again_killed_anywhere_is_done_over(thread: Thread, remote: GitRemote) -> None:
    died = 0
    while True:
        thread.deliver({"app.py": f"print('round {died}')\n"}, job=died)
        remote.git(REPO, "update-ref", "-d", f"refs/heads/{thread.branch}")
        if not dies_at(thread, died + 1, "workspace.open(target)"):
            break
        died += 1
        assert thread.open().head_sha == remote.tip(REPO, "main"), f"killed at {died}"
        assert thread.status() == "", f"killed at {died}"
    assert died > 5


def test_collecting_and_pushing_killed_anywhere_is_done_over(thread: Thread, remote: GitRemote) -> None:
    code = (
        "made = workspace.collect(target, place, int(sys.argv[1]), BOT, 'What the agent left'); "
        "workspace.push(target, made.head_sha)"
    )
    died = 0
    while True:
        before = thread.open().head_sha
        thread.agent_commits("A step", {"app.py": f"print('step {died}')\n"})
        thread.write({"rest.py": f"{died}\n"})
        if not dies_at(thread, died + 1, code):
            break
        died += 1
        made = thread.collect(died)
        thread.push(made)
        assert remote.tip(REPO, thread.branch) == made.head_sha, f"killed at {died}"
        assert thread.status() == "", f"killed at {died}"
        new = remote.git(REPO, "log", "--format=%an|%s", f"{before}..{made.head_sha}").splitlines()
        assert new == ["Kugetsu Bot|What the agent left", "Kugetsu Bot|A step"], f"killed at {died}"
    assert died > 7


@pytest.mark.parametrize("before", ["git add", "git commit", "head=", "git read-tree --reset", "git update-ref"])
def test_a_sandbox_that_dies_halfway_leaves_a_place_that_mends(thread: Thread, remote: GitRemote, before: str) -> None:
    def dies(place: Place, mirror: Path, argv: Sequence[str], seconds: float) -> CompletedText:
        cut = [part.replace(before, f"kill -KILL $$\n{before}") for part in argv]
        return unboxed(place, mirror, cut, seconds)

    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    mine = thread.agent_commits("Mine", {"app.py": "print('mine')\n"})
    thread.write({"untracked.txt": "work\n"})
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    with pytest.raises(InsideStopped):
        Workspace(thread.home, dies).open(thread.target)
    assert thread.open().head_sha == theirs
    assert thread.status() == ""
    assert any(Mirror(thread.mirror).is_ancestor(mine, kept) for kept in thread.kept())


def test_a_sandbox_that_does_not_start_says_nothing_about_the_place(thread: Thread) -> None:
    def no_box(place: Place, mirror: Path, argv: Sequence[str], seconds: float) -> CompletedText:
        return unboxed(place, mirror, ["sh", "-c", "echo bwrap: no such thing >&2; exit 1"], seconds)

    thread.open()
    thread.write({"app.py": "print(2)\n"})
    with pytest.raises(InsideStopped, match="bwrap: no such thing"):
        Workspace(thread.home, no_box).open(thread.target)
    assert thread.status() == "M app.py"


def test_a_git_that_outlives_its_worker_keeps_the_mirror_until_it_ends(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    theirs = remote.commit(REPO, "main", {"later.py": "\n"})
    with remote.held("git-upload-pack") as reached:
        with started(thread, "workspace.open(target)") as worker:
            assert reached.wait(30), "the worker's fetch did not reach the server"
            worker.kill()
        with thread.mirror.with_name(f"{thread.mirror.name}.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert thread.open().base_sha != theirs
    assert Mirror(thread.mirror).refs("refs/heads/main") == {"refs/heads/main": theirs}


def test_locks_left_by_a_killed_git_do_not_stop_the_mirror(thread: Thread) -> None:
    thread.open()
    for name in ("packed-refs.lock", "refs/heads/main.lock", "config.lock"):
        (thread.mirror / name).touch()
    thread.mirror.with_name(f"{thread.mirror.name}.lock").write_text("writing\n")
    assert not thread.open().new
    assert list(thread.mirror.glob("**/*.lock")) == []
