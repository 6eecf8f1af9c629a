"""One HTTP POST to an address that is a secret: neither its errors nor anything else tells it."""

import threading

WITHIN_SECONDS = 3.0
"""How long whoever posts waits at most, however slowly the other side answers."""


def post(url: str, payload: dict, within_seconds: float = WITHIN_SECONDS) -> str | None:
    """Posts `payload` as JSON. Returns None where it was taken (2xx), else why not, without the address.

    Raises nothing. What is given up may still arrive: the receiver may see a message twice, never lose one."""
    told: list[str | None] = []
    thread = threading.Thread(target=lambda: told.append(_ask(url, payload, within_seconds)), daemon=True)
    thread.start()
    thread.join(within_seconds)
    return told[0] if told else f"no answer within {within_seconds:g} s"


def _ask(url: str, payload: dict, within_seconds: float) -> str | None:
    try:
        import logging

        import requests

        # At DEBUG it logs the path of every request, which is the secret.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
        answer = requests.post(url, json=payload, timeout=within_seconds, allow_redirects=False, stream=True)
        answer.close()
    except Exception as error:
        # The texts of these errors quote the address.
        return f"{type(error).__name__}: is ALTFLOW_WEBHOOK_URL a reachable http(s) address?"
    return None if 200 <= answer.status_code < 300 else f"HTTP {answer.status_code}"
