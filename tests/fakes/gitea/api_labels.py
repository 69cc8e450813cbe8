"""API: labels of repositories, organisations and issues (facts, section 4.3)."""

import re

from tests.fakes.gitea import labels
from tests.fakes.gitea.api import NO_CONTENT, Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.api_repos import R
from tests.fakes.gitea.state import Label


def repo_labels(call: Call) -> Answer:
    found = sorted(call.repo.labels, key=lambda label: label.name)
    return call.paged(found, lambda label: call.forge.shapes.label(call.repo, label), link=False)


def org_labels(call: Call) -> Answer:
    org = call.forge.state.user(call.args["org"])
    found = call.forge.state.org_labels[org.login.lower()]
    # The address of an organisation's label needs no repository; any of them will do.
    some = next(repo for repo in call.forge.state.repos.values() if repo.owner is org)
    return call.paged(found, lambda label: call.forge.shapes.label(some, label), link=False)


def one_label(call: Call) -> Answer:
    return Answer(200, call.forge.shapes.label(call.repo, _of_repo(call)))


def create_label(call: Call) -> Answer:
    """Names are not unique: asking twice makes two."""
    call.writing("write")
    label = Label(call.forge.state.next_id("label"), call.text("name"), _color(call.text("color")))
    _set_rest(call, label)
    call.repo.labels.append(label)
    call.forge.state.touch()
    return Answer(201, call.forge.shapes.label(call.repo, label))


def edit_label(call: Call) -> Answer:
    call.writing("write")
    label = _of_repo(call)
    label.name = call.get("name", str, label.name)
    label.color = _color(call.get("color", str, label.color))
    _set_rest(call, label)
    call.forge.state.touch()
    return Answer(200, call.forge.shapes.label(call.repo, label))


def _set_rest(call: Call, label: Label) -> None:
    label.description = call.get("description", str, label.description)
    label.exclusive = call.get("exclusive", bool, label.exclusive)
    label.is_archived = call.get("is_archived", bool, label.is_archived)


def delete_label(call: Call) -> Answer:
    """Takes it off every issue too."""
    call.writing("write")
    label = _of_repo(call)
    call.repo.labels.remove(label)
    for issue in call.repo.issues.values():
        issue.labels[:] = [other for other in issue.labels if other is not label]
    call.forge.state.touch()
    return NO_CONTENT


def _color(text: str) -> str:
    found = re.fullmatch(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", text)
    if found is None:
        raise ApiError(422, f"invalid color code: {text}")
    digits = found[1].lower()
    return digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)


def _of_repo(call: Call) -> Label:
    for label in call.repo.labels:
        if label.id == call.number("id"):
            return label
    raise missing()


def chosen_labels(call: Call) -> list[Label]:
    """The labels that a body names by id or by name; what nobody knows is ignored, mixing is 400."""
    asked = call.get("labels", list, [])
    if asked and all(isinstance(item, str) for item in asked) and call.forge.dialect.labels_by_name:
        found = [_by_name(call, name) for name in asked]
        return [label for label in found if label]
    if not all(isinstance(item, int) for item in asked):
        raise ApiError(400, "labels should be an array of strings or integers")
    known = {label.id: label for label in call.forge.state.labels_for(call.repo)}
    return [known[number] for number in asked if number in known]


def _by_name(call: Call, name: str) -> Label | None:
    found = [label for label in call.forge.state.labels_for(call.repo) if label.name == name]
    return found[0] if found else None


def _set_of(call: Call) -> Answer:
    return Answer(200, call.forge.shapes.labels(call.repo, call.issue.labels))


def issue_labels(call: Call) -> Answer:
    return _set_of(call)


def add_labels(call: Call) -> Answer:
    user = call.writing("write")
    labels.add(call.forge, call.issue, user, chosen_labels(call))
    return _set_of(call)


def replace_labels(call: Call) -> Answer:
    user = call.writing("write")
    labels.replace(call.forge, call.issue, user, chosen_labels(call))
    return _set_of(call)


def remove_label(call: Call) -> Answer:
    """By id (Forgejo: or by name); one that is not on the issue is fine, an unknown one is not."""
    user, asked = call.writing("write"), call.args["id"]
    known = call.forge.state.labels_for(call.repo)
    found = [label for label in known if str(label.id) == asked]
    if call.forge.dialect.forgejo and not found:
        found = [label for label in known if label.name == asked]
    if not found:
        raise ApiError(call.forge.dialect.unknown_label, f"label does not exist [label_id: {asked}]")
    labels.remove(call.forge, call.issue, user, found[0])
    return NO_CONTENT


def clear_labels(call: Call) -> Answer:
    labels.clear(call.forge, call.issue, call.writing("write"))
    return NO_CONTENT


FIELDS = "name color description exclusive is_archived"
L = f"{R}/issues/{{index}}/labels"
ROUTES = (
    Route("GET", f"{R}/labels", repo_labels, "issue"),
    Route("POST", f"{R}/labels", create_label, "issue", body=FIELDS),
    Route("GET", f"{R}/labels/{{id}}", one_label, "issue"),
    Route("PATCH", f"{R}/labels/{{id}}", edit_label, "issue", body=FIELDS),
    Route("DELETE", f"{R}/labels/{{id}}", delete_label, "issue"),
    Route("GET", "/orgs/{org}/labels", org_labels, "organization"),
    Route("GET", L, issue_labels, "issue"),
    Route("POST", L, add_labels, "issue", body="labels"),
    Route("PUT", L, replace_labels, "issue", body="labels"),
    Route("DELETE", L, clear_labels, "issue"),
    Route("DELETE", f"{L}/{{id}}", remove_label, "issue"),
)
