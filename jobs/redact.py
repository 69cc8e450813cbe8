"""What has to happen to a text before it leaves: no secret in it, nobody notified by it, not too long."""

import base64
import html
import json
import re
from collections.abc import Collection, Iterable, Iterator

from jobs import token_shapes
from jobs.markdown import Span, code_spans, inside, parser

REMOVED = "[secret removed]"
# Shorter values are flags ("1", "true"), and taking them out would leave no sentence whole.
PLAIN_FROM = 6
# Below this a derived form is so short that it would hit innocent text.
DERIVED_FROM = 8
# WORD JOINER: nothing to see, no line break, and not a character of logins or numbers.
JOINER = "\u2060"

# Gitea's own patterns (modules/references/references.go) want a space, ( or [ in front; but it takes Markdown's
# marks away first, so **@name** counts. Hence: anything in front but letters, digits, and what URLs are made of.
_FRONT = rf"(?<![A-Za-z0-9@/=:&?#%+.,;$^{JOINER}-])"
_LIVE = re.compile(
    _FRONT
    + r"""(?:
        @(?=(?P<login>[-\w](?:[-.\w]*[-\w])?)(?P<ended>$|[\s')\]*]|[:,;.?!](?:\s|$))|\\?[-\w])
      | [\w.-]+/[\w.-]+[#!](?=[0-9])
      | [#!](?=[0-9])
    )""",
    re.ASCII | re.VERBOSE,
)
_FENCE_INDENT = re.compile(r"^[ \t]*")


class Redactor:
    """Takes secrets out of any text: those it was made with in many forms, and everybody's that show it by their shape.

    It shows none of them itself.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret.strip() for secret in secrets if len(secret.strip()) >= PLAIN_FROM}
        # Longest first, so that of two secrets, one inside the other, no end of the longer stays.
        ordered = sorted(known, key=lambda secret: (-len(secret), secret))
        token_shapes.rules()  # now, rather than in the middle of something
        self._forms = tuple(re.compile(form) for secret in ordered for form in _forms(secret))

    def holds_secret(self, text: str) -> bool:
        """Whether one of the secrets it was made with is in `text`, in any of the forms that `clean` knows."""
        return any(form.search(text) for form in self._forms)

    def clean(self, text: str) -> str:
        """`text` with each secret replaced: as it is, URL-encoded, JSON- or HTML-escaped, in hex, in base64."""
        found = [match.span() for form in self._forms for match in form.finditer(text)]
        found += [(shape.first, shape.last) for shape in token_shapes.printed_shapes(text)]
        parts: list[str] = []
        done = 0
        for first, last in _merged(found):
            parts += [text[done:first], REMOVED]
            done = last
        return "".join([*parts, text[done:]])


def harmless_mentions(text: str, keep: Collection[str] = ()) -> str:
    """`text` in which Gitea notifies nobody but the logins in `keep`, and refers to no issue.

    A word joiner after @, # or ! looks the same and means nothing; without its number a closing keyword closes
    nothing. Code stays as it is. Line ends become line feeds.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    code = code_spans(text)
    kept = {login.lower() for login in keep}

    def joined(match: re.Match[str]) -> str:
        wanted = match["ended"] is not None and match["login"].lower() in kept
        return match[0] if wanted or inside(code, match.start()) else match[0] + JOINER

    return _LIVE.sub(joined, text)


def cut(text: str, limit_bytes: int, note: str) -> str:
    """`text` if it has at most `limit_bytes` of UTF-8; else its beginning, with `note` as a paragraph after it.

    A code block or HTML comment that the cut leaves open is closed, so that the note is read as text.
    """
    whole = _head(text, limit_bytes)
    if len(whole) == len(text):
        return whole
    tail = f"\n\n{note}"
    room = limit_bytes - len(tail.encode())
    head = _head(text, room)
    closing = _closing(head, tail)
    if closing:
        head = _head(text, room - len(closing.encode()))
        closing = _closing(head, tail)
    whole = head + closing + tail
    return whole if len(whole.encode()) <= limit_bytes else _head(note, limit_bytes)


def _head(text: str, limit_bytes: int) -> str:
    """The longest beginning that has at most `limit_bytes`; never half a character, nor one UTF-8 lacks."""
    return text.encode(errors="replace")[: max(limit_bytes, 0)].decode(errors="ignore")


def _closing(head: str, tail: str) -> str:
    """What must stand between `head` and `tail` so that the tail is a paragraph; "" if nothing."""
    fences = [token for token in parser().parse(head) if token.type == "fence" and token.map]
    options = ["", "\n-->"]
    if fences and fences[-1].map:
        line = head.split("\n")[fences[-1].map[0]]
        indent = _FENCE_INDENT.match(line)
        options.append("\n" + (indent[0] if indent else "") + fences[-1].markup)
    return next((option for option in options if _is_read(head + option + tail)), "")


def _is_read(text: str) -> bool:
    """Whether the last thing in `text` is a paragraph of its own."""
    tokens = parser().parse(text)
    return bool(tokens) and tokens[-1].type == "paragraph_close" and tokens[-1].level == 0


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """The same ground without overlaps, in order."""
    first = last = -1
    for start, end in sorted(spans):
        if start > last:
            if last > first:
                yield first, last
            first = start
        last = max(last, end)
    if last > first:
        yield first, last


def _forms(secret: str) -> Iterator[str]:
    """Regular expressions for each way in which the secret may be written."""
    if len(secret) < DERIVED_FROM:
        yield re.escape(secret)
        return
    raw = secret.encode(errors="surrogatepass")
    yield "".join(_written(character) for character in secret)
    # Dumps put blanks, colons or line ends between bytes.
    yield "(?i:" + r"[\s:]{0,2}".join(f"{byte:02x}" for byte in raw) + ")"
    for shift in range(3):
        yield r"(?:\r?\n)?".join(_written_base64(character) for character in _base64_core(raw, shift))


def _written(character: str) -> str:
    """One character as itself, percent-encoded, or escaped for JSON or HTML."""
    percent = "".join(f"%(?i:{byte:02x})" for byte in character.encode(errors="surrogatepass"))
    unicode = "".join(
        rf"\\u(?i:{pair.hex()})" for pair in _pairs(character.encode("utf-16-be", errors="surrogatepass"))
    )
    escaped = {json.dumps(character, ensure_ascii=False)[1:-1], html.escape(character)} - {character}
    return "(?:" + "|".join([re.escape(character), percent, unicode, *map(re.escape, sorted(escaped))]) + ")"


def _pairs(raw: bytes) -> Iterator[bytes]:
    return (raw[at : at + 2] for at in range(0, len(raw), 2))


def _base64_core(raw: bytes, shift: int) -> str:
    """The base64 characters that `raw` alone decides when it starts `shift` bytes into a group of three."""
    encoded = base64.b64encode(bytes(shift) + raw).decode()
    spare = (shift + len(raw)) % 3
    return encoded[(0, 2, 3)[shift] : len(encoded) - (0, 3, 2)[spare]]


def _written_base64(character: str) -> str:
    """One base64 character in both alphabets, and percent-encoded."""
    other = {"+": "-", "/": "_"}.get(character)
    return f"(?:{re.escape(character)}|{other}|%(?i:{ord(character):02x}))" if other else character
