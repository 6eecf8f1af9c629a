# pyarrow makes its compute functions at import; without this line the type checker knows none of them.
from typing import Any

def __getattr__(name: str) -> Any: ...
