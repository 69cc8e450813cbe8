from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from tests.unit.deliveries import Recorded, recorded, secret, sign
from webhook.body import text_of
from webhook.signature import verify

TEXT = b'{"action": "created"}'
KEY = b"a secret"
GOOD = sign(TEXT, "a secret")


def text_and_headers(delivery: Recorded) -> tuple[bytes, Headers]:
    headers = Headers(delivery.headers)
    return text_of(headers, delivery.body), headers


def test_every_recorded_delivery_verifies_with_its_secret_and_no_other() -> None:
    for delivery in recorded().values():
        text, headers = text_and_headers(delivery)
        assert verify([secret().encode()], text, headers), delivery.name
        assert not verify([b"another secret"], text, headers), delivery.name


def test_every_byte_of_the_text_counts() -> None:
    text, headers = text_and_headers(recorded()["issue_comment-created"])
    for place in range(len(text)):
        changed = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
        assert not verify([secret().encode()], changed, headers), f"byte {place} does not count"


def test_any_of_the_secrets_verifies() -> None:
    assert verify([b"old", KEY, b"new"], TEXT, {"x-gitea-signature": GOOD})


def test_without_secrets_nothing_verifies() -> None:
    assert not verify([], TEXT, {"x-gitea-signature": GOOD})


def test_an_empty_secret_verifies_nothing() -> None:
    assert not verify([b""], TEXT, {"x-gitea-signature": sign(TEXT, "")})


def test_the_prefixed_header_serves_where_there_is_no_plain_one() -> None:
    assert verify([KEY], TEXT, {"x-hub-signature-256": f"sha256={GOOD}"})
    assert not verify([KEY], TEXT, {"x-hub-signature-256": GOOD})
    assert not verify([KEY], TEXT, {"x-hub-signature-256": f"sha1={GOOD}"})
    assert not verify([KEY], TEXT, {"x-hub-signature-256": "sha256="})


def test_a_plain_header_that_is_empty_is_not_mended_by_another() -> None:
    assert not verify([KEY], TEXT, {"x-gitea-signature": "", "x-hub-signature-256": f"sha256={GOOD}"})


def test_only_the_exact_form_of_a_signature_is_taken() -> None:
    odd = ["", GOOD[:-1], GOOD + "0", GOOD.upper(), f" {GOOD}", f"{GOOD}\n", f"sha256={GOOD}", "g" * 64, "٣" * 64]
    spaced = " ".join(GOOD[at : at + 2] for at in range(0, 64, 2))
    for claimed in [*odd, spaced]:
        assert not verify([KEY], TEXT, {"x-gitea-signature": claimed}), repr(claimed)


def test_a_missing_header_is_refused() -> None:
    assert not verify([KEY], TEXT, {})


@given(st.text(), st.binary())
def test_nothing_guessed_verifies_and_nothing_raises(claimed: str, text: bytes) -> None:
    assert not verify([KEY], text, {"x-gitea-signature": claimed})
