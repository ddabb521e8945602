"""What a method's settings say, which come as texts: numbers, and where networks lie."""

from __future__ import annotations


def whole(name: str, text: str, most: int | None = None) -> int:
    """A whole number from 1 to `most`, or from 1 on.

    Raises:
        ValueError: it is none; the text names the setting.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1 or (most is not None and number > most):
        span = "from 1 on" if most is None else f"from 1 to {most}"
        raise ValueError(f"{name} is a whole number {span}, not {text}")
    return number


def share(name: str, text: str) -> float:
    """A number from 0 to 1.

    Raises:
        ValueError: it is none; the text names the setting.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is a number from 0 to 1, not {text}")
    return number


def folder_or_hub(weights: str) -> str:
    """A folder or a hub's id, as it is.

    Raises:
        ValueError: none was named.
    """
    if not weights:
        raise ValueError("it ships no weights: set weights to a folder or a hub's id")
    return weights
