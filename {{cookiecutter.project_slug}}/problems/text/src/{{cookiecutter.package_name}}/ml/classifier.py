"""The example: tell whether a review speaks well or badly of something.

This is the file to replace with your own model.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from unicodedata import combining, normalize

from mlapi import Classifier, Dataset, Features, Hyperparameters, text
from numpy.typing import NDArray
from pydantic import Field

REVIEWS = Path(__file__).with_name("data") / "reviews.csv"
"""The bundled examples, written for this project."""

WORDS_AND_STOPS = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?\u2026]")
"""Words, such as `don't`, and the marks that end a part of a sentence."""
WORD = "[^ ]+"
"""A word in what `words` returns. Python and the runtime read this pattern alike."""
NEGATION = re.compile(r"not|no|never|nobody|nothing|none|hardly|cannot|without|.+n't")
"""Words that turn those after them into their opposite."""
PIECE = 100
"""Characters taken apart at once: to put accents in order takes a time that grows with the square of their number."""


def plain(text: str) -> str:
    """Return a text in small letters without accents, however these are encoded."""
    if text.isascii():
        return text.lower()
    pieces = [normalize("NFD", text[start : start + PIECE]) for start in range(0, len(text), PIECE)]
    letters = "".join(pieces).casefold().replace("\u2019", "'")
    return "".join(letter for letter in letters if not combining(letter))


def words(text: str) -> str:
    """Return the words of a text, one blank between two; after a negation each is marked, as in `not not_good`.

    The mark ends with the part of the sentence. Source: S. Das and M. Chen, "Yahoo! for Amazon: extracting market
    sentiment from stock message boards", Asia Pacific Finance Association Annual Conference, 2001.
    """
    found, mark = [], ""
    for word in WORDS_AND_STOPS.findall(plain(text)):
        if not word[0].isalnum():
            mark = ""
            continue
        found.append(mark + word)
        if NEGATION.fullmatch(word):
            mark = "not_"
    return " ".join(found)


class ReviewFeatures(Features):
    """A review."""

    text: str = text(example="Delicious food and friendly staff.", min_length=1, max_length=20_000)
    """What somebody wrote, in English."""

    @classmethod
    def matrix(cls, rows: Sequence[Sequence[Any]]) -> NDArray[Any]:
        """Return the words of each review, as `words` finds them; shape (rows, 1), strings as objects.

        Letters and words are told apart here, for training and serving alike, and not in the exported model, because
        Python and the runtime know different versions of Unicode and different small letters.
        """
        return super().matrix([[words(review)] for (review,) in rows])


class SentimentHyperparameters(Hyperparameters):
    """What a training may vary."""

    C: float = Field(default=10.0, gt=0, le=1000)
    """How closely the weights of the words follow the examples; smaller values keep the weights smaller."""
    max_words: int = Field(default=20_000, ge=100, le=100_000)
    """Words that get a weight, the most frequent ones."""
    min_reviews: int = Field(default=1, ge=1, le=1000)
    """Reviews in which a word must occur to get a weight."""


class SentimentClassifier(Classifier):
    """Tell bad reviews from good ones by their words: TF-IDF and logistic regression.

    The bundled reviews were written for this project. They show that everything works; for a model that is to be used,
    have the examples downloaded.
    """

    name = "sentiment"
    target = "sentiment"
    labels = ("negative", "positive")
    Features = ReviewFeatures
    Hyperparameters: ClassVar = SentimentHyperparameters

    hyperparameters: SentimentHyperparameters

    @classmethod
    def dataset(cls, archive: Path | None = None) -> Dataset:
        """Read the bundled reviews, or a CSV file with the columns `text` and `sentiment`."""
        return cls.read_table(archive or REVIEWS)

    def build(self) -> Any:
        """Return the estimator. It takes apart at blanks what `words` has put together, and single words only."""
        from sklearn.compose import ColumnTransformer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        chosen = self.hyperparameters
        vectorizer = TfidfVectorizer(
            lowercase=False, token_pattern=WORD, max_features=chosen.max_words, min_df=chosen.min_reviews
        )
        return make_pipeline(
            ColumnTransformer([("words", vectorizer, 0)]),
            LogisticRegression(C=chosen.C, max_iter=1000, random_state=chosen.seed),
        )
