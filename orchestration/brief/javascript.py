"""Vega, Vega-Lite and vega-embed as one script, with the interpreter that lets them run without eval.

vl-convert-python carries them. To put them together takes a second and a half, so `make setup` does it once
(`python -m orchestration.brief.javascript`); without that the first brief does it and keeps the result in its folder,
under its version and SHA-256.
"""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

BUILT = Path(__file__).with_name("built")


def vega(*folders: Path) -> str:
    """The script, from one of `folders`, or made anew and kept in the last where it is missing or not what its name
    says."""
    stem = f"vega.{version('vl-convert-python')}"
    for path in (path for folder in folders for path in folder.glob(f"{stem}.*.js")):
        script = path.read_text()
        if _digest(script) == path.name.removeprefix(f"{stem}.").removesuffix(".js"):
            return script
    import vl_convert

    folder = folders[-1]

    # The parser of HTML turns carriage returns into line ends and would end the script at `</script`.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    script = bundle.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("vega.*.js"):
        path.unlink()
    aside = folder / f".vega.{os.getpid()}"
    aside.write_text(script)
    os.replace(aside, folder / f"{stem}.{_digest(script)}.js")
    return script


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()[:32]


if __name__ == "__main__":
    vega(BUILT)
