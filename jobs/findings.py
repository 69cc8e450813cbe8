"""How findings are shown: short ones whole, long ones by their beginning, questions last. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from jobs.markdown import code_spans, inside
from jobs.redact import cut

SHOWN_BYTES: Final = 12 * 1024
"""Of the findings in a comment; what is longer is attached whole, and this much of it shown."""
QUESTIONS_BYTES: Final = 4 * 1024

_HEADING: Final = re.compile(r"^ {0,3}(?P<level>#{1,6})[ \t]+(?P<words>[^\n]*?)[ \t#]*$", re.MULTILINE)
_QUESTIONS: Final = re.compile(r"(?:(?:open|my|remaining)\s+)?questions?\b.{0,30}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, and the section of questions without its heading (empty: there are none)."""

    report: str
    questions: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands in the comment. `whole` is false where the report goes on in the attachment."""

    report: str
    questions: str
    whole: bool


def split(text: str) -> Findings:
    """Parts the findings from their questions: the last section headed "Questions", wherever it stands."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    code = code_spans(text)
    headings = [found for found in _HEADING.finditer(text) if not inside(code, found.start())]
    asking = [found for found in headings if _QUESTIONS.fullmatch(found["words"].strip("*_: "))]
    if not asking:
        return Findings(text, "")
    start = asking[-1]
    after = (found for found in headings if found.start() > start.start())
    end = next((found.start() for found in after if len(found["level"]) <= len(start["level"])), len(text))
    report = f"{text[: start.start()].rstrip()}\n\n{text[end:].lstrip()}".strip()
    return Findings(report, text[start.end() : end].strip())


def shown(text: str) -> Shown:
    """What of the findings a comment shows."""
    found = split(text)
    fits = len(text.encode(errors="replace")) <= SHOWN_BYTES
    if fits:
        return Shown(found.report, found.questions, whole=True)
    report = cut(found.report, SHOWN_BYTES - QUESTIONS_BYTES, "…")
    return Shown(report, cut(found.questions, QUESTIONS_BYTES, "…"), whole=False)
