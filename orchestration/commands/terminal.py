"""Text that others wrote, made safe for a terminal."""

import unicodedata


def visible(text: str) -> str:
    """Control and format characters spelled out: an escape sequence would be obeyed, a right-to-left mark would turn
    what follows. Line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(character) for character in text)


def _spelled(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
