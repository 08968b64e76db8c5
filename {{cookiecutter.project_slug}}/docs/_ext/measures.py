"""The metrics of models in words and numbers: what they are called, what they mean, how precisely they are told."""

from languages import number
from project import Undocumented, load
from sphinx.locale import _ as tr


def called(metric: str) -> str:
    """Return what people call a metric."""
    names = {
        "accuracy": tr("accuracy"),
        "balanced_accuracy": tr("balanced accuracy"),
        "macro_f1": tr("macro F1"),
        "log_loss": tr("log loss"),
        "r2": tr("R²"),
        "mean_absolute_error": tr("mean absolute error"),
        "median_absolute_error": tr("median absolute error"),
        "root_mean_squared_error": tr("root mean squared error"),
        "interval_coverage": tr("interval coverage"),
    }
    return names.get(metric, metric.replace("_", " "))


def meaning(metric: str) -> str:
    """Say what a metric is, and which value is best."""
    meanings = {
        "accuracy": tr("share of right answers; 1 is best"),
        "balanced_accuracy": tr("mean recall of the classes, each counted alike; 1 is best"),
        "macro_f1": tr("mean over the classes of the harmonic mean of precision and recall; 1 is best"),
        "log_loss": tr("how surprised the model is by the truth, in nats; 0 is best"),
        "r2": tr("share of the variance that the model explains; 1 is best"),
        "mean_absolute_error": tr("how far it is off on average, in {unit}; 0 is best"),
        "median_absolute_error": tr(
            "how far it is off in the better half of the examples at most, in {unit}; 0 is best"
        ),
        "root_mean_squared_error": tr("how far it is off, large errors weighing more, in {unit}; 0 is best"),
        "interval_coverage": tr("share of the true values that lie in their prediction intervals"),
    }
    if metric not in meanings:
        raise Undocumented(f"The metric {metric} is not explained: add it to docs/_ext/measures.py.")
    return meanings[metric].format(unit=getattr(load("ml").Model, "unit", ""))


FRACTIONS = 100
"""Up to which size a metric is told with three decimals."""


def rounded(value: float) -> str:
    """Write a metric for people."""
    return number(value, "0.000" if abs(value) < FRACTIONS else "#,##0")
