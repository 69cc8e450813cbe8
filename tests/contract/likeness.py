"""What differs between what two servers say, apart from what must or may differ."""

import json
import re
from collections.abc import Iterator
from typing import Any

# Values that no two servers share, by what they look like.
VALUES = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "URL"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)"), "TIME"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "SHA"),
    (re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"(issuecomment-|labels/|id: )\d+"), r"\1N"),
)
IDS = {"id", "repo_id", "review_id", "size"}
# What the fake leaves alone, by the last name of its path, and why.
LEFT = {
    "email": "addresses differ by who is looking",
    "active": "shown to oneself only",
    "language": "of the person's settings, or guessed from the files",
    "ssh_url": "of the server's settings",
    "watchers_count": "nobody watches the fake",
    "open_issues_count": "counted before or after the change, as it happens",
    "open_pr_counter": "likewise",
    "branch_count": "likewise",
    "mergeable": "looked at in the background, false until then",
    "compare_url": "a link nobody follows",
    "has_actions": "of the server's settings",
    "has_packages": "likewise",
    "allow_merge_update": "of the repository's settings, which differ by version",
    "default_update_style": "likewise",
    "default_allow_maintainer_edit": "likewise",
    "allow_maintainer_edit": "likewise",
    "mirror_last_sync_at": "of mirrors, which nobody has",
    "requested_reviewers": "the fake cannot be asked for reviews",
    "review_comments": "counted otherwise by version",
    "ref_comment": "the fake does not keep which comment referred",
    "ref_action": "a real one neuters what an edit took away",
    "message": "wording of refusals differs by version",
    "errors": "details of refusals, which nobody reads",
    "added": "a branch's last commit is told with or without its files",
    "modified": "likewise",
    "removed": "likewise",
    "verification": "of signatures, which nobody makes",
    "branch_filter": "empty and `*` are the same",
}
# The order of these is nobody's promise.
UNORDERED = {"events"}


def differences(fake: Any, real: Any, where: str = "") -> Iterator[str]:
    """Each difference of two JSON values as a line."""
    name = where.rpartition(".")[2]
    if name in LEFT or (name in IDS and type(fake) is type(real)):
        return
    if isinstance(fake, dict) and isinstance(real, dict):
        for key in sorted(fake.keys() | real.keys() - LEFT.keys()):
            if key in LEFT:
                continue
            if key not in fake or key not in real:
                yield f"{where}.{key}: only {'the fake' if key in fake else 'the real one'} has it"
            else:
                yield from differences(fake[key], real[key], f"{where}.{key}")
    elif isinstance(fake, list) and isinstance(real, list) and len(fake) == len(real):
        ordered = (sorted, sorted) if name in UNORDERED else (list, list)
        for one, other in zip(ordered[0](fake), ordered[1](real), strict=True):
            yield from differences(one, other, f"{where}[]")
    elif _plain(fake) != _plain(real):
        yield f"{where}: the fake says {_plain(fake)[:150]}, the real one {_plain(real)[:150]}"


def _plain(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    for pattern, word in VALUES:
        text = pattern.sub(word, text)
    return text
