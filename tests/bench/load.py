"""A load of signed deliveries at a steady rate, sent by a process of its own: one connection each, as Gitea does.

    python -m tests.bench.load URL RATE SECONDS PLAN

PLAN is a JSON file: a list of {"event", "body", "secret"}, sent in turn with a fresh delivery id. The answer is one
JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from tests.unit.deliveries import signed_headers


async def _send(host: str, port: int, request: bytes) -> tuple[str, float]:
    began = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        status = (await reader.readline()).split()[1].decode()
        await reader.read()
        writer.close()
    except (OSError, IndexError) as error:
        status = type(error).__name__
    return status, time.monotonic() - began


def _requests(plan: list[dict[str, str]], path: str) -> list[bytes]:
    """Made beforehand, so that signing takes nothing from the load."""
    made = []
    for item in plan:
        body = item["body"].encode()
        headers = signed_headers(body, item["event"], item["secret"])
        headers |= {"Host": "localhost", "Content-Length": str(len(body)), "Connection": "close"}
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        made.append(f"{head}\r\n".encode() + body)
    return made


async def _load(url: str, rate: int, seconds: int, plan: list[dict[str, str]]) -> dict[str, object]:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    requests, began, tasks = _requests(plan, parts.path), time.monotonic(), []
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(_send(host, port, requests[number % len(requests)])))
    answers = await asyncio.gather(*tasks)
    took = sorted(seconds for _, seconds in answers)
    return {
        "sent": len(took),
        "statuses": dict(Counter(status for status, _ in answers)),
        "p50": took[len(took) // 2],
        "p99": took[int(len(took) * 0.99)],
        "max": took[-1],
    }


if __name__ == "__main__":
    address, rate_text, seconds_text, plan_path = sys.argv[1:5]
    loaded = json.loads(Path(plan_path).read_text(encoding="utf-8"))
    print(json.dumps(asyncio.run(_load(address, int(rate_text), int(seconds_text), loaded))))
