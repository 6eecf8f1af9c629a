"""A bar per upstream and phase, on standard error, with rate and time left."""

import threading
from typing import Self


class ProgressBar:
    """Call it with what, how many are done, how many there are. Without a terminal it prints a line when
    something is complete; quiet, it prints nothing."""

    def __init__(self, quiet: bool):
        self._quiet = quiet
        self._tasks: dict = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        class Rate(TextColumn):
            def render(self, task):
                speed = task.finished_speed or task.speed
                task.fields["rate"] = f"{speed:,.0f}/s" if speed else ""
                return super().render(task)

        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<16}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=self._quiet or not self._console.is_terminal,
        )
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        with self._lock:
            if what not in self._tasks:
                self._tasks[what] = self._progress.add_task(what, total=total, rate="")
            self._progress.update(self._tasks[what], completed=done, total=total)
            if done == total and not self._quiet and not self._console.is_terminal:
                self._console.print(f"{what}: {done}/{total}", highlight=False)
