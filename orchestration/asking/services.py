"""Data services that answer with their whole history each time."""

from collections.abc import Callable, Sequence

from orchestration.asking.context import FOREVER, Asking
from orchestration.sources.body import SourceError, Window
from orchestration.sources.registry import Dataset


def ask_service(
    asking: Asking, upstream: str, datasets: Sequence[Dataset], followed: Sequence[str], done: Callable[[str], None]
) -> None:
    """Puts one answer per dataset and scope, and calls `done` with a dataset's name when it is through.

    `followed`: the coins whose supplies are asked for where the list of coins does not come."""
    ids = list(followed)
    unlisted: SourceError | None = None
    asked = 0
    for number, dataset in enumerate(datasets):
        scopes = ids if dataset.scopes is None else list(dataset.scopes)
        if dataset.scopes is None and not ids and unlisted:
            asking.lack(upstream, dataset.name, "every coin", asking.window, unlisted)
        scopes = [scope for scope in scopes if scope in served_scopes(dataset, scopes, asking.catalog)]
        total = asked + len(scopes) + len(datasets) - number - 1
        for scope in scopes:
            if asking.stop.is_set():
                return
            window = Window(FOREVER.start, asking.window.end)
            item = asking.one(
                upstream, dataset.name, scope, window, lambda http, d=dataset, s=scope: d.fetch(http, s), dataset.parse
            )
            if dataset.name == "stablecoins":
                unlisted = item.error
            if dataset.name == "stablecoins" and item.error is None:
                coins = item.parsed[0].tables["stablecoins"].to_pylist()
                ids = list(dict.fromkeys(coin["stablecoin_id"] for coin in coins if coin["is_followed"]))
            asking.put(item)
            asked += 1
            asking.progress(upstream, asked, total)
        done(dataset.name)


def served_scopes(dataset: Dataset, scopes: Sequence[str], catalog: dict | None) -> Sequence[str]:
    """Of `scopes`, those that a sandbox serves; all where there is no sandbox, or where it does not say."""
    if not dataset.catalog or not catalog:
        return scopes
    return catalog["upstreams"].get(dataset.upstream, {}).get(dataset.catalog, scopes)
