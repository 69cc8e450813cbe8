#!/usr/bin/env python3
r"""A program that honours the agent contract without any LLM: it does what lines of its prompt say.

    stub: write PATH TEXT     write a file of the worktree (\n in TEXT is a new line); `append` adds to it
    stub: delete PATH         remove a file
    stub: run COMMAND         run a shell command there; its output is the step's
    stub: commit [MESSAGE]    git add -A and commit
    stub: say TEXT            the final answer (default: a list of what was done)
    stub: sleep SECONDS
    stub: wait NAME           until $KUGETSU_TEMP_DIR/NAME exists
    stub: print BYTES         one output line of at least that size
    stub: junk TEXT           a line that is no JSON
    stub: spawn SECONDS       leave behind a child in a session of its own
    stub: fail STATUS [TEXT]  report the LLM provider's HTTP error and end with code 1
    stub: exit CODE           end at once, with a word on standard error
    stub: crash               end by SIGKILL
    stub: silent              never say anything; as the first line, not even that it began
    stub: finish REASON       the reason of the last step, instead of `stop`
    stub: tokens INPUT OUTPUT COST   of the last step

`stub: once WHAT…` does it only the first time in this HOME. A prompt with no such line goes on with what an
interrupted run of its session had still to do. Standard library only: it runs inside the sandbox.

Each run adds two lines to $HOME/stub-runs.jsonl: {"event": "began"|"ended", "time": unix seconds, "run", "session",
"argv", "cwd", "prompt"}; a killed run leaves only the first.
"""

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

VERSION = "1.0"


class Session:
    """A conversation, kept in HOME: its prompts, and what the newest one has still to do."""

    def __init__(self, wanted: str | None) -> None:
        self._folder = Path.home() / ".local/share/stub"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.id = wanted or f"ses_{os.urandom(8).hex()}"
        self.prompts: list[str] = []
        self.left: list[str] = []
        if wanted is not None:
            self._load()

    def _load(self) -> None:
        try:
            kept = json.loads(self._path.read_text())
        except FileNotFoundError:
            end(1, "Error: Session not found")
        self.prompts, self.left = kept["prompts"], kept["left"]

    def save(self) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({"prompts": self.prompts, "left": self.left}))
        draft.replace(self._path)  # a kill leaves the old one or the new one

    @property
    def _path(self) -> Path:
        return self._folder / f"{Path(self.id).name}.json"


class Run:
    """One run: does the directives one by one and tells of them in opencode's JSON lines."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._done: list[str] = []
        self._answer: str | None = None
        self._finish = "stop"
        self._usage = (100, 20, 0.00014)
        self._steps = 0

    def work(self) -> None:
        while self._session.left:
            self._obey(self._session.left[0])
            self._session.left.pop(0)
            self._session.save()
        self._begin_step()
        did = f"Did: {', '.join(self._done)}." if self._done else "Nothing was asked of me."
        answer = self._answer if self._answer is not None else did
        self._emit("text", {"type": "text", "text": answer})
        self._end_step(self._finish)

    def _obey(self, directive: str) -> None:
        word, _, rest = directive.partition(" ")
        if word == "once":
            mark = Path.home() / f".stub-once-{hashlib.sha256(rest.encode()).hexdigest()[:16]}"
            if mark.exists():
                return
            mark.touch()
            word, _, rest = rest.partition(" ")
        if word == "silent":
            wait_for_ever()
        verb = getattr(self, f"_do_{word}", None)
        if verb is None:
            end(2, f"stub: there is no directive {word!r}")
        self._begin_step()
        verb(rest)

    def _do_write(self, rest: str) -> None:
        self._change(rest, "w")

    def _do_append(self, rest: str) -> None:
        self._change(rest, "a")

    def _change(self, rest: str, mode: str) -> None:
        path, _, text = rest.partition(" ")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open(mode) as file:
            file.write(text.replace("\\n", "\n"))
        self._used("write", {"filePath": str(Path(path).absolute())}, "Wrote file successfully.", path)

    def _do_delete(self, rest: str) -> None:
        Path(rest).unlink()
        self._shell_used(f"rm {rest}", "")

    def _do_run(self, rest: str) -> None:
        ended = subprocess.run(["/bin/sh", "-c", rest], capture_output=True, text=True, check=False)
        self._shell_used(rest, ended.stdout + ended.stderr)

    def _do_commit(self, rest: str) -> None:
        message = rest or "Work of the stub agent"
        subprocess.run(["git", "add", "-A"], check=True)
        subprocess.run(["git", "commit", "-q", "-m", message], check=True)
        self._shell_used(f"git commit -m '{message}'", "")

    def _do_say(self, rest: str) -> None:
        self._answer = rest.replace("\\n", "\n")
        self._end_step("tool-calls")

    def _do_sleep(self, rest: str) -> None:
        time.sleep(float(rest))
        self._shell_used(f"sleep {rest}", "")

    def _do_wait(self, rest: str) -> None:
        awaited = Path(os.environ["KUGETSU_TEMP_DIR"]) / rest
        while not awaited.exists():
            time.sleep(0.02)
        self._shell_used(f"wait for {rest}", "")

    def _do_print(self, rest: str) -> None:
        self._shell_used("print", "x" * int(rest))

    def _do_junk(self, rest: str) -> None:
        say(rest)
        self._end_step("tool-calls")

    def _do_spawn(self, rest: str) -> None:
        quiet = subprocess.DEVNULL
        subprocess.Popen(
            ["/bin/sleep", rest], start_new_session=True, stdin=quiet, stdout=quiet, stderr=quiet, close_fds=True
        ).returncode = 0
        self._shell_used(f"sleep {rest} &", "")

    def _do_fail(self, rest: str) -> None:
        status, _, message = rest.partition(" ")
        retryable = int(status) == 429 or int(status) >= 500
        data = {"message": message or f"stub error {status}", "statusCode": int(status), "isRetryable": retryable}
        self._line({"type": "error", "error": {"name": "APIError", "data": data}})
        end(1)

    def _do_exit(self, rest: str) -> None:
        end(int(rest), f"stub: told to end with code {rest}")

    def _do_crash(self, _rest: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _do_finish(self, rest: str) -> None:
        self._finish = rest
        self._end_step("tool-calls")

    def _do_tokens(self, rest: str) -> None:
        tokens_in, tokens_out, cost = rest.split()
        self._usage = (int(tokens_in), int(tokens_out), float(cost))

    def _shell_used(self, command: str, output: str) -> None:
        self._used("bash", {"command": command, "description": command}, output, command)

    def _used(self, tool: str, given: dict[str, str], output: str, title: str) -> None:
        self._done.append(f"{tool} {title}")
        now = int(time.time() * 1000)
        state = {"status": "completed", "input": given, "output": output, "title": title}
        self._emit("tool_use", {"type": "tool", "tool": tool, "state": {**state, "time": {"start": now, "end": now}}})
        self._end_step("tool-calls")

    def _begin_step(self) -> None:
        self._steps += 1
        self._emit("step_start", {"type": "step-start"})

    def _end_step(self, reason: str) -> None:
        tokens_in, tokens_out, cost = self._usage
        tokens = {"input": tokens_in, "output": tokens_out, "reasoning": 0, "cache": {"read": 0, "write": 0}}
        part = {"type": "step-finish", "reason": reason, "cost": cost}
        self._emit("step_finish", {**part, "tokens": {"total": tokens_in + tokens_out, **tokens}})

    def _emit(self, kind: str, part: dict[str, object]) -> None:
        message = f"msg_{self._session.id[4:]}_{len(self._session.prompts)}_{self._steps}"
        part = {"id": f"prt_{os.urandom(6).hex()}", "messageID": message, "sessionID": self._session.id, **part}
        self._line({"type": kind, "part": part})

    def _line(self, more: dict[str, object]) -> None:
        say(json.dumps({"timestamp": int(time.time() * 1000), "sessionID": self._session.id, **more}))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def end(code: int, word: str = "") -> NoReturn:
    sys.stderr.write(word + "\n" if word else "")
    sys.exit(code)


def wait_for_ever() -> NoReturn:
    while True:
        signal.pause()


def directives(prompt: str) -> list[str]:
    return re.findall(r"^[\s>|]*stub: (\S.*?)\s*$", prompt, re.MULTILINE)


def note(event: str, run: str, session: str, prompt: str) -> None:
    """Add to the record of runs; one write, so that runs do not mix."""
    entry = {"event": event, "time": time.time(), "run": run, "session": session}
    line = json.dumps({**entry, "argv": sys.argv[1:], "cwd": str(Path.cwd()), "prompt": prompt})
    with (Path.home() / "stub-runs.jsonl").open("a") as file:
        file.write(line + "\n")


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The options of the contract and no others."""
    parser = argparse.ArgumentParser(prog="stub_agent", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=VERSION)
    run = parser.add_subparsers(required=True).add_parser("run", allow_abbrev=False)
    run.add_argument("--format", choices=["json"], required=True)
    run.add_argument("--session")
    run.add_argument("--model")
    run.add_argument("--agent")
    return parser.parse_args(argv)


def main() -> None:
    given = arguments(sys.argv[1:])
    prompt = sys.stdin.read()
    session = Session(given.session)
    session.prompts.append(prompt)
    session.left = directives(prompt) or session.left
    session.save()
    run = os.urandom(8).hex()
    note("began", run, session.id, prompt)
    try:
        Run(session).work()
    finally:
        note("ended", run, session.id, prompt)


if __name__ == "__main__":
    main()
