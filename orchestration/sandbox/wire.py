"""One request and one reply, without the web framework."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """`path` begins with a slash and holds no host; the last value of a repeated parameter counts. `body`: what was
    posted."""

    host: str
    path: str
    query: Mapping[str, str]
    base_url: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = ()


Server = Callable[[Request], Reply]


def json_reply(content: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Reply:
    return Reply(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(), status, JSON, headers)


def absent(request: Request, served: Any) -> Reply:
    """The sandbox's own 404: it names what there is, so that nobody hunts for a typing error."""
    asked = f"{request.host}{request.path}"
    return json_reply(
        {"error": f"the sandbox does not serve {asked}", "asked": dict(request.query), "served": served}, 404
    )
