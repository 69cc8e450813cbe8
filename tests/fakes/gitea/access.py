"""Who may do what: rights in a repository, and what a token's scopes allow."""

from tests.fakes.gitea.state import Level, Repo, Token, User

RANK: dict[str, int] = {"none": 0, "read": 1, "write": 2, "admin": 3, "owner": 4}


def level(repo: Repo, user: User | None) -> Level:
    """What this person can really do in this repository."""
    if user is None:
        return "none" if repo.private else "read"
    if user.is_admin or user is repo.owner or user.login.lower() in repo.owner.owners:
        return "owner"
    standing = repo.collaborators.get(user.login.lower())
    if standing == "team-write":
        return "write"
    return standing or ("none" if repo.private else "read")


def reported_level(repo: Repo, user: User) -> Level:
    """What the permission endpoint says: blind to a team's rights by unit (facts, section 4.5)."""
    if repo.collaborators.get(user.login.lower()) == "team-write" and level(repo, user) == "write":
        return "none" if repo.private else "read"
    return level(repo, user)


def may(repo: Repo, user: User | None, wanted: Level) -> bool:
    return RANK[level(repo, user)] >= RANK[wanted]


def permissions(of: Level) -> dict[str, bool]:
    """A level as the `permissions` object of a repository."""
    rank = RANK[of]
    return {"admin": rank >= RANK["admin"], "push": rank >= RANK["write"], "pull": rank >= RANK["read"]}


def permissions_of(repo: Repo, user: User | None) -> dict[str, bool]:
    return permissions(level(repo, user))


def scope_allows(token: Token, category: str, *, write: bool) -> bool:
    """Whether the token has the scope: `all`, or `write:` or (to read only) `read:` of the category."""
    wanted = {"all", f"write:{category}"} | (set() if write else {f"read:{category}"})
    return not wanted.isdisjoint(token.scopes)
