"""Where trade files are reduced."""

from concurrent.futures import Future, ThreadPoolExecutor

from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.settings import Settings


class Pool:
    def __init__(self, settings: Settings):
        self._threads = ThreadPoolExecutor(1)

    def submit(self, task: Task) -> Future[Reduced]:
        return self._threads.submit(reduce_file, task)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
