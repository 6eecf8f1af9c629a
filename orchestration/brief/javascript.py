"""Vega, Vega-Lite and vega-embed as one script, with the interpreter that lets them run without eval.

vl-convert-python carries them. To put them together takes a second and a half, so the result is kept in the data
folder under its version and SHA-256.
"""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path


def vega(folder: Path) -> str:
    """The script, from `folder` or made anew where it is missing or not what its name says."""
    stem = f"vega.{version('vl-convert-python')}"
    for path in folder.glob(f"{stem}.*.js"):
        script = path.read_text()
        if _digest(script) == path.name.removeprefix(f"{stem}.").removesuffix(".js"):
            return script
        path.unlink()
    import vl_convert

    # The parser of HTML turns carriage returns into line ends and would end the script at `</script`.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    script = bundle.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".vega.{os.getpid()}"
    aside.write_text(script)
    os.replace(aside, folder / f"{stem}.{_digest(script)}.js")
    return script


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()[:32]
