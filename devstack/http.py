"""HTTP requests to the stack's own processes."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


def answers(url: str) -> bool:
    """Whether GET `url` responds with 200 within five seconds."""
    try:
        return request("GET", url)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def read_answer(url: str) -> dict[str, Any]:
    """The JSON object that GET `url` responds with; empty without a response or for any other."""
    try:
        status, body = request("GET", url)
        answer = json.loads(body) if status == 200 else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return answer if isinstance(answer, dict) else {}


def request(
    method: str, url: str, *, body: Any = None, key: str | None = None, seconds: float = 5
) -> tuple[int, bytes]:
    """The status and body of the response to a JSON request to an http:// URL.

    Raises OSError or http.client.HTTPException if there is no response.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=seconds)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    try:
        payload = json.dumps(body) if body is not None else None
        connection.request(method, parts.path or "/", body=payload, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
