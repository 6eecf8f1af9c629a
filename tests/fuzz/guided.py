"""The same, guided by coverage: libFuzzer through Atheris. Run by `python -m tests.fuzz`, in a process of its own.

An input is two bytes that name the target, and a body.
"""

import random
import sys
import tempfile
from pathlib import Path

import atheris  # pyright: ignore[reportMissingImports, reportMissingModuleSource] - make fuzz installs it

with atheris.instrument_imports(include=["orchestration"]):  # pyright: ignore[reportAttributeAccessIssue]
    from tests.fuzz import bodies
    from tests.fuzz.harness import Watch, all_targets


def main(minutes: str, only: str, seed: str, folder: str) -> None:
    targets = [target for target in all_targets() if only in target.name]
    watch = Watch(Path(folder))

    def of(data: bytes) -> int:
        return int.from_bytes(data[:2], "big") % len(targets)

    def read(data: bytes) -> None:
        watch.read(targets[of(data)], data[2:])

    def mutate(data: bytes, most: int, number: int) -> bytes:
        choose = random.Random(number)
        if choose.random() < 0.3:
            return atheris.Mutate(data, most)
        at = of(data) if choose.random() < 0.8 else choose.randrange(len(targets))
        seeds = targets[at].seeds
        content = data[2:] if at == of(data) and choose.random() < 0.7 else choose.choice(seeds)
        try:
            content = bodies.mutated(choose, content, seeds)
        except Exception:
            # What it is to be packed again from may be damaged already.
            content = bodies.mutated(choose, choose.choice(seeds), seeds)
        return at.to_bytes(2, "big") + content[: most - 2]

    with tempfile.TemporaryDirectory(prefix="altflow-fuzz-corpus-") as corpus:
        for at, target in enumerate(targets):
            for number, content in enumerate(target.seeds):
                (Path(corpus) / f"{at}-{number}").write_bytes(at.to_bytes(2, "big") + content)
        flags = [
            f"-max_total_time={round(float(minutes) * 60)}", f"-seed={int(seed) or 1}", f"-max_len={bodies.MOST_BYTES}",
            "-timeout=60", "-rss_limit_mb=4096", f"-artifact_prefix={folder}/", "-verbosity=0", "-print_final_stats=1",
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *flags, corpus], read, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
