"""People's words as the agent is shown them: what a reader sees of them, between marks that nothing can forge. Pure."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

from jobs.markdown import code_spans, definitions, inside
from jobs.redact import cut
from jobs.unseen import label_of, seen, seen_blocks

MOST_NAME: Final = 200
"""Characters of a path, a branch or a file's name."""


def visible(text: str) -> str:
    """What a person reading the rendered Markdown sees of `text`: no hidden characters, no HTML comments, no titles
    of links, no texts of images. Addresses stay.

    Code keeps all that, since it is shown there. Line ends become line feeds.
    """
    text = _without_comments(seen_blocks(unhidden(text)))
    found = definitions(text) if "]:" in text else []
    text = seen(text, {label_of(label): address for _, _, label, address in reversed(found)})
    return (_without_definitions(text) if found else text).strip("\n")


def unhidden(text: str) -> str:
    """`text` without characters that show nothing, its line ends line feeds."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(character for character in text if not _is_hidden(character))


def _without_comments(text: str) -> str:
    """A comment ends at its first -->. One that is never closed hides the rest, but only if it starts a line."""
    code = code_spans(text) if "<!--" in text else []
    last_end = text.rfind("-->")
    parts: list[str] = []
    done = 0
    for opening in _OPENING.finditer(text):
        start = opening.end() - len("<!--")
        if start < done or inside(code, start) or (start > last_end and opening["line"] is None):
            continue
        # <!--> is a whole comment, to browsers as to CommonMark.
        end = text.find("-->", start + 2)
        parts.append(text[done:start])
        done = len(text) if end < 0 else end + len("-->")
    return "".join([*parts, text[done:]])


_OPENING = re.compile(r"(?P<line>^ {0,3})?<!--", re.MULTILINE)


def _without_definitions(text: str) -> str:
    """A link definition ("[//]: # (text)") is shown nowhere. One that something refers to keeps its address."""
    lines, found = text.split("\n"), definitions(text)
    defined = {line for first, last, _, _ in found for line in range(first, last)}
    folded = "\n".join(line for number, line in enumerate(lines) if number not in defined).casefold()
    for first, last, label, address in reversed(found):
        used = f"[{label.casefold()}]" in folded
        lines[first:last] = [f"[{label}]: {address}"] if used else []
    return "\n".join(lines)


# Letters and marks that are drawn as nothing (Hangul fillers, joiners), and the variation selectors, which carry
# any number of bytes behind one emoji. All format characters (zero width, direction, tags) are category Cf.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def _is_hidden(character: str) -> bool:
    if character in "\n\t":
        return False
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"} or character in _INVISIBLE
    return hidden or any(ord(character) in selectors for selectors in _SELECTORS)


def quoted(nonce: str, what: str, text: str) -> str:
    inner = text.replace(nonce, "")
    return f"--- begin {nonce}: {what}\n{inner or '(no text)'}\n--- end {nonce}"


def shortened(text: str, limit: int, *, markdown: bool = True) -> str:
    """What a reader sees of `text`, at most about `limit` bytes. Of a huge one only the beginning is looked at. A text
    that is no Markdown hides nothing but characters.
    """
    looked_at = text[: limit * 2]
    note = f"(Cut here: the whole text has {len(text.encode(errors='replace')):,} bytes.)"
    head = cut(visible(looked_at) if markdown else unhidden(looked_at), limit, note)
    return head if len(looked_at) == len(text) or head.endswith(note) else f"{head}\n\n{note}"


def time_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def name_of(text: str) -> str:
    """A name that anybody may have chosen, on one line and without what cannot be seen: a path, a branch, a file."""
    plain = "".join(
        "�" if _is_hidden(sign) or sign in "\n\t" or "\ud800" <= sign <= "\udfff" else sign for sign in text
    )
    return plain if len(plain) <= MOST_NAME else f"{plain[:MOST_NAME]}…"
