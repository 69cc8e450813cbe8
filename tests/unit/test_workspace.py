"""The workspace on real git over real HTTP: what becomes of a thread's work and branch."""

from jobs.mirror import Mirror
from tests.fakes.git_remote import GitRemote, person_git
from tests.fakes.workspaces import REPO, Thread


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
    (thread.place.repo / "objects" / "tmp_obj_X1").touch()
    opened = thread.open()
    assert not opened.new
    assert opened.head_sha == thread.agent_git("rev-parse", "HEAD")
    assert thread.status().splitlines() == ["M app.py", "?? more.py"]
    assert not list(thread.place.repo.rglob("tmp_*"))
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
