"""Tests of the example model; replace them together with it."""

import csv
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from unicodedata import normalize
from zipfile import ZipFile

import numpy as np
import pytest
from mlapi.ml.examples import split
from mlapi.ml.onnx import OnnxModel
from mlapi.serving.registry import Registry
from mlapi.training.foreground import train_now

from package_name.ml.classifier import (
    PIECE,
    REVIEWS,
    ReviewFeatures,
    SentimentClassifier,
    SentimentHyperparameters,
    plain,
    words,
)
from package_name.settings import Settings

TABLE = """sentiment,text
positive,"Good, even ""very"" good.
I'd go again."
negative,Straße zu laut 😀
""".replace("\n", "\r\n")


@pytest.fixture(scope="module")
def model() -> SentimentClassifier:
    """A model trained on all but the examples that are held back."""
    training, _ = split(SentimentClassifier, SentimentClassifier.dataset())
    return SentimentClassifier().train(training)


def positive(model: SentimentClassifier, *reviews: str) -> list[float]:
    """Return how probable it is, to the model, that each review is positive."""
    X = ReviewFeatures.matrix([[review] for review in reviews])
    return [float(value) for value in model.predict(X).probability[:, 1]]


def test_it_tells_most_reviews_that_it_has_not_seen_apart(model: SentimentClassifier) -> None:
    _, held_back = split(SentimentClassifier, SentimentClassifier.dataset())
    metrics = model.evaluate(model.compute(held_back.X), held_back.y)
    assert metrics["balanced_accuracy"] > 0.75


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("The food was delicious.", "The food was not delicious."),
        ("The food was delicious.", "The food WASN\u2019T delicious."),
        ("I recommend it.", "I don't recommend it."),
        ("We enjoyed it.", "We never enjoyed it."),
        ("It was not boring.", "It was boring."),
        ("No noise, friendly staff.", "Noise, no friendly staff."),
    ],
)
def test_a_negation_changes_the_direction(model: SentimentClassifier, good: str, bad: str) -> None:
    more, less = positive(model, good, bad)
    assert more > less


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good food, GREAT view!", "good food great view"),
        ("not good at all. But cheap", "not not_good not_at not_all but cheap"),
        ("I can't say… fine", "i can't not_say fine"),
        ("I can\u2019t say", "i can't not_say"),
        ("'quoted' it's -- dogs' x_y 3.5/10", "quoted it's dogs x y 3 5 10"),
        ("Crème brûlée, Zoë, İstanbul, STRASSE, straße, ΣΟΦΟΣ", "creme brulee zoe istanbul strasse strasse σοφοσ"),
        ("日本語 😀", "日本語"),
        ("a\u00a0b\u2003c\r\nd", "a b c d"),
        ("!?", ""),
        ("", ""),
    ],
)
def test_a_text_is_taken_apart_into_words(text: str, expected: str) -> None:
    assert words(text) == expected


def test_accents_may_be_encoded_in_either_form() -> None:
    for text in ("Crème brûlée", "café " * 200, "e\u0301" * 3 * PIECE, "Việt Nam", "각"):
        assert len({plain(normalize(form, text)) for form in ("NFC", "NFD")}) == 1


def test_a_flood_of_accents_is_no_flood_of_work() -> None:
    """Their order takes a time that grows with the square of their number, so they are taken in pieces."""
    assert plain("e" + "\u0315\u0300" * 10_000 + "f") == "ef"


def test_nothing_to_go_by_is_nearly_undecided(model: SentimentClassifier) -> None:
    answers = positive(model, "!!!", "😀", " ", "日本語")
    assert set(answers) == {answers[0]}
    assert answers[0] == pytest.approx(0.5, abs=0.1)


def test_odd_texts_are_answered_alike_by_the_export(model: SentimentClassifier) -> None:
    bundled = [review for review, _ in table_rows()]
    odd = [changed for review in bundled for changed in (review.upper(), normalize("NFD", review), review[::-1])]
    odd += [review.translate({ord("i"): "İ", ord("s"): "\u017f", ord("k"): "\u212a"}) for review in bundled]
    odd += [f"good{chr(code)}bad not{chr(code)}fine" for code in range(0x80, 0x3000)]
    odd += ["good " * 4_000, "x" * 20_000, "not " * 5_000, "''' # # ##", "good#bad"]
    X = ReviewFeatures.matrix([[text] for text in odd])
    exported = OnnxModel(model.export(), model.output).compute(X)
    differences, other = model.differences(model.compute(X), exported)
    assert not other.any()
    assert differences.max() < 1e-6


def table_rows() -> list[tuple[str, str]]:
    """Return the bundled reviews and what they say."""
    with REVIEWS.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["sentiment"]) for row in csv.DictReader(file)]


def test_the_bundled_reviews_are_many_balanced_and_all_different() -> None:
    data = SentimentClassifier.dataset()
    assert np.bincount(data.y).tolist() == [212, 212]
    assert len({review for review, _ in table_rows()}) == len(data.y)
    assert all(ReviewFeatures(text=review) for review, _ in table_rows())


def test_a_table_of_ones_own_is_read(tmp_path: Path) -> None:
    table = tmp_path / "reviews.csv"
    table.write_text(TABLE, encoding="utf-8", newline="")
    data = SentimentClassifier.dataset(table)
    assert data.X.tolist() == [["good even very good i'd go again"], ["strasse zu laut"]]
    assert data.y.tolist() == [1, 0]


def test_a_review_with_another_sentiment_is_refused_with_its_line(tmp_path: Path) -> None:
    table = tmp_path / "reviews.csv"
    table.write_text(f"{TABLE}mixed,So so\r\n", encoding="utf-8", newline="")
    with pytest.raises(ValueError, match="line 5: sentiment: must be one of negative, positive"):
        SentimentClassifier.dataset(table)


def test_the_hyperparameters_decide_what_is_built() -> None:
    chosen = SentimentHyperparameters(C=2, max_words=500, min_reviews=3, seed=7)
    columns, regression = SentimentClassifier(chosen).build()
    vectorizer = columns.transformers[0][1]
    assert (vectorizer.max_features, vectorizer.min_df) == (500, 3)
    assert (regression.C, regression.random_state) == (2, 7)


@pytest.fixture
def archive() -> Iterator[tuple[str, str]]:
    """The address and the digest of the bundled reviews, zipped, on a server on this machine."""
    packed = BytesIO()
    with ZipFile(packed, "w") as file:
        file.writestr("README.txt", "reviews")
        file.writestr("set/reviews.csv", REVIEWS.read_bytes().replace(b"\n", b"\r\n"))
    content = packed.getvalue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/reviews.zip", sha256(content).hexdigest()
        server.shutdown()
        thread.join()


def test_a_data_set_is_downloaded_and_trained_on(tmp_path: Path, archive: tuple[str, str]) -> None:
    url, digest = archive
    settings = Settings(
        models_dir=tmp_path / "models", data_dir=tmp_path / "var", dataset_url=url, dataset_sha256=digest
    )
    result = train_now(SentimentClassifier, settings, {}, "always", lambda _progress, _phase: None)
    record = Registry(settings.models_dir, SentimentClassifier.name).manifest(result["version"]).dataset
    bundled = SentimentClassifier.dataset()
    assert record.source.endswith("reviews.zip.unpacked.csv")
    assert (record.training_rows + record.test_rows, record.fingerprint) == (len(bundled.y), bundled.fingerprint)
