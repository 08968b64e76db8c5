"""Rows that are likely to show a difference between a model and its export."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import Column, Features

RANDOM_ROWS = 5_000
"""Rows of each random kind."""
RANDOM_TEXTS = 1_000
"""Texts made of the words of the examples."""
MISSING_SHARE = 0.1
"""Share of the values of a feature that may be missing that are."""
ODD_WORDS = (
    "ÉCOLE", "straße", "İstanbul", "naïve", "e\u0301", "日本語", "😀", "l'été", "don't", "snake_case", "x1", "42",
    "3.14", "a", "B2B", "\u00a0", "\t", "\n", "--", "...", "<b>bold</b>", "٣", "ﬁne", "and/or", "re-read", "\u200d",
)  # fmt: skip
"""What tokenizers take apart in different ways: accents, ligatures, digits, scripts, spaces, marks and symbols."""


def probing_rows(features: type[Features], X: NDArray[Any], seed: int) -> NDArray[Any]:
    """Return the examples and many rows made from them.

    Args:
        features: What a row is made of.
        X: Examples; shape (rows, features).
        seed: Seed of the random choices.

    Returns:
        Numbers: random rows, rows rounded the way people measure, the edges of what is accepted and the examples'
        closest neighbours, some 26 000 more than `X`. Texts: the examples in capitals and shortened, and 1 000 made of
        their words and of odd ones. Shape (more rows, features).

    """
    random = np.random.default_rng(seed)
    if features.is_text():
        made = _texts(features.columns()[0], X[:, 0].tolist(), random)
        return np.concatenate([X, features.matrix([[text] for text in made])])
    return _numbers(features, X, random)


def _numbers(features: type[Features], X: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    bounds = features.bounds()
    filled = np.where(np.isnan(X), bounds[0].astype(np.float32), X)
    low, high = filled.min(axis=0), filled.max(axis=0)
    near = random.uniform(low, high, (RANDOM_ROWS, X.shape[1]))
    anywhere = random.uniform(bounds[0], bounds[1], (RANDOM_ROWS, X.shape[1]))
    edges = random.choice([0, 1], (256, X.shape[1]))
    rows = np.concatenate([
        X,
        near,
        # Thresholds lie half-way between rounded measurements, so rounded rows meet them exactly.
        *(near.round(digits) for digits in (0, 1, 2)),
        anywhere,
        np.where(edges, bounds[1], bounds[0]),
        np.nextafter(X, np.float32(np.inf)),
        np.nextafter(X, np.float32(-np.inf)),
    ]).clip(*bounds).astype(np.float32)  # fmt: skip
    for place, column in enumerate(features.columns()):
        made = rows[len(X) :, place]
        if column.kind == "category":
            made[:] = made.round()
        if column.optional:
            made[random.random(len(made)) < MISSING_SHARE] = np.nan
    return rows


def _texts(column: Column, texts: Sequence[str], random: np.random.Generator) -> list[str]:
    """Return texts made from others, of a length that is accepted."""
    return [text.ljust(column.min_length, "x")[: column.max_length] for text in _variants(texts, random)]


def _variants(texts: Sequence[str], random: np.random.Generator) -> Iterator[str]:
    """Yield texts made from others, whatever their length."""
    words = sorted({word for text in texts for word in re.split(r"\s+", text) if word})
    for text in texts:
        yield text.upper()
        yield text[: len(text) // 2]
    for word in ODD_WORDS:
        yield word
        yield f"{word} {words[0]}{word}{words[-1]}"
    for length in random.integers(1, 60, RANDOM_TEXTS):
        chosen = random.choice([*words, *ODD_WORDS], length)
        yield " ".join(chosen.tolist())
