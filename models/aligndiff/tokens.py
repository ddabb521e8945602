"""Prompts as numbers: the byte-pair encoding of CLIP, for any vocabulary, without transformers.

A vocabulary is two files, as CLIP's own: `vocab.json` (token to id) and `merges.txt` (pairs in the
order in which they are joined). Ours are learned from the words that prompts are made of; words never
seen fall back to their letters. Tests hold this to `transformers.CLIPTokenizer`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .prompt import TOKEN

START, END = "<|startoftext|>", "<|endoftext|>"
LAST = "</w>"
"""Ends the last symbol of a word."""
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")
Pair = tuple[str, str]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and how words are made of them.

    Attributes:
        ids: of every token. merges: pairs, those to be joined first in front.
        length: of an encoded prompt; longer ones are cut, shorter ones filled up with the end's token.
    """

    ids: Mapping[str, int]
    merges: tuple[Pair, ...]
    length: int = 77

    def encode(self, text: str) -> NDArray[np.int64]:
        """(length,) ids: start, the text's tokens, end, and ends to the full length."""
        rank = {pair: place for place, pair in enumerate(self.merges)}
        tokens = []
        for place, part in enumerate(text.split(TOKEN)):
            tokens += [TOKEN] if place else []
            for word in WORDS.findall(part.lower()):
                tokens += joined(symbols(word), rank)
        found = [self.ids[token] for token in tokens][: self.length - 2]
        out = np.full(self.length, self.ids[END], np.int64)
        out[0] = self.ids[START]
        out[1 : 1 + len(found)] = found
        return out

    def save(self, folder: Path) -> None:
        """Write `vocab.json` and `merges.txt`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.json").write_text(json.dumps(self.ids, ensure_ascii=False), "utf-8")
        lines = ["#version: 0.2", *(" ".join(pair) for pair in self.merges), ""]
        (folder / "merges.txt").write_text("\n".join(lines), "utf-8")


def load(folder: Path, length: int = 77) -> Vocabulary:
    """The vocabulary in a folder; the model's own word gets the next id where CLIP's lacks it."""
    ids = json.loads((folder / "vocab.json").read_text("utf-8"))
    ids.setdefault(TOKEN, len(ids))
    lines = (folder / "merges.txt").read_text("utf-8").split("\n")[1:]
    return Vocabulary(ids, tuple((a, b) for a, _, b in (line.partition(" ") for line in lines) if b), length)


def learn(texts: Iterable[str], merges: int, length: int) -> Vocabulary:
    """A vocabulary of all letters and the `merges` pairs that are the most frequent in `texts`.

    Sennrich et al. 2016, algorithm 1; of pairs equally frequent the first in the alphabet is taken.
    """
    counts = Counter(word for text in texts for word in WORDS.findall(text.replace(TOKEN, " ").lower()))
    words = {word: symbols(word) for word in counts}
    learned: list[Pair] = []
    for _ in range(merges):
        pairs: Counter[Pair] = Counter()
        for word, parts in words.items():
            for pair in zip(parts, parts[1:], strict=False):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        learned.append(best)
        words = {word: joined(parts, {best: 0}) for word, parts in words.items()}
    letters = list(_letters().values())
    tokens = [*letters, *(letter + LAST for letter in letters), *(a + b for a, b in learned), START, END]
    return Vocabulary({token: place for place, token in enumerate([*tokens, TOKEN])}, tuple(learned), length)


def joint(prompts: Sequence[str]) -> str:
    """One prompt for bands that are drawn together: the first one's, then the other bands' names."""
    return ", ".join([prompts[0], *(text.rpartition(", ")[2] for text in prompts[1:])])


def symbols(word: str) -> list[str]:
    """A word's UTF-8 bytes as letters, the last one marked."""
    letters = _letters()
    parts = [letters[byte] for byte in word.encode()]
    return [*parts[:-1], parts[-1] + LAST]


def joined(parts: list[str], rank: Mapping[Pair, int]) -> list[str]:
    """Symbols with the pairs of `rank` joined, lowest rank first."""
    while len(parts) > 1:
        pairs = list(zip(parts, parts[1:], strict=False))
        best = min(pairs, key=lambda pair: rank.get(pair, len(rank)))
        if best not in rank:
            break
        out, place = [], 0
        while place < len(parts):
            hit = tuple(parts[place : place + 2]) == best
            out.append("".join(best) if hit else parts[place])
            place += 2 if hit else 1
        parts = out
    return parts


def _letters() -> dict[int, str]:
    """A printable letter for every byte, CLIP's and GPT-2's: printable bytes are themselves."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    table = {byte: chr(byte) for byte in plain}
    table.update({byte: chr(256 + place) for place, byte in enumerate(others)})
    return table
