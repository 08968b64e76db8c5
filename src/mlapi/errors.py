"""Everything that can go wrong for a caller, each with its HTTP status and problem type.

The API turns each into problem+json (RFC 9457) in one handler, the command line prints its detail. The tree::

    ServiceError
    ├── BadRequest 400 .................. malformed-request
    │   ├── BadInput 422 ................ invalid-input
    │   ├── UnsupportedMediaType 415 .... unsupported-media-type
    │   ├── TooLarge 413 ................ too-large
    │   │   └── HeadTooLarge 431 ........ head-too-large
    │   ├── RequestTimeout 408 .......... request-timeout
    │   └── RangeNotSatisfiable 416 ..... range-not-satisfiable
    ├── NotAuthenticated 401 ............ not-authenticated
    │   └── NotAllowed 403 .............. not-allowed
    ├── NotFound 404 .................... not-found
    │   ├── ModelVersionNotFound ........ model-version-not-found
    │   ├── JobNotFound ................. job-not-found
    │   └── ResultGone 410 .............. result-gone
    ├── MethodNotAllowed 405 ............ method-not-allowed
    ├── NotAcceptable 406 ............... not-acceptable
    ├── TooManyRequests 429 ............. too-many-requests
    ├── JobFinished 409 ................. job-finished
    ├── ResultNotReady 409 .............. result-not-ready
    ├── IncompatibleModelVersion 409 .... incompatible-model-version
    │   └── PickleNotAllowed ............ pickle-not-allowed
    ├── PredictionOverflow 500 .......... prediction-overflow
    ├── InvalidModelVersion 500 ......... invalid-model-version
    ├── TrainingFailed 500 .............. training-failed
    ├── ScoringFailed 500 ............... scoring-failed
    ├── DiskFull 507 .................... disk-full
    └── Unavailable 503 ................. unavailable
        ├── Overloaded .................. overloaded
        ├── Stopping .................... stopping
        ├── ModelNotReady ............... model-not-ready
        ├── KeysUnavailable ............. keys-unavailable
        ├── IssuerUnavailable ........... issuer-unavailable
        ├── JobsUnavailable ............. jobs-unavailable
        ├── StorageUnavailable .......... storage-unavailable
        └── ClusterUnavailable .......... cluster-unavailable
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong with an input, and where."""

    location: str
    """Path to the value, such as `data[3].width`."""
    message: str
    """What is wrong with it, in one sentence that does not repeat the value."""


class ServiceError(Exception):
    """The service failed for a reason that nobody foresaw. The base of all errors a caller may see."""

    status: ClassVar[int] = 500
    """HTTP status of the answer."""
    title: ClassVar[str] = "Internal error"
    """The kind of error, for people. Once published it stays, as do the words of its slug."""
    slug: ClassVar[str] = "internal-error"
    """Last part of the problem type, and the anchor of its section in the documentation: the title, with hyphens."""
    retry_after: int | None = None
    """Seconds after which the same request may succeed, if time may help."""

    def __init_subclass__(cls) -> None:
        cls.slug = cls.title.lower().replace(" ", "-")

    def __init__(self, detail: str, faults: Sequence[Fault] = (), retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults
        self.retry_after = self.retry_after if retry_after is None else retry_after


class BadRequest(ServiceError):
    """The request cannot be read."""

    status = 400
    title = "Malformed request"


class BadInput(BadRequest):
    """The request can be read, but its values are not acceptable."""

    status = 422
    title = "Invalid input"


class UnsupportedMediaType(BadRequest):
    """The body is not of a type that this resource takes."""

    status = 415
    title = "Unsupported media type"


class TooLarge(BadRequest):
    """The body, or the number of rows in it, is over its limit."""

    status = 413
    title = "Too large"


class HeadTooLarge(TooLarge):
    """The request line and headers are over their limit."""

    status = 431
    title = "Head too large"


class RequestTimeout(BadRequest):
    """The request did not arrive in the time it may take."""

    status = 408
    title = "Request timeout"


class RangeNotSatisfiable(BadRequest):
    """The part that the header Range asks for is not there."""

    status = 416
    title = "Range not satisfiable"


class NotAuthenticated(ServiceError):
    """The request carries no valid credential, and needs one."""

    status = 401
    title = "Not authenticated"


class NotAllowed(NotAuthenticated):
    """The credential is valid, but not for this."""

    status = 403
    title = "Not allowed"


class NotFound(ServiceError):
    """There is no such resource."""

    status = 404
    title = "Not found"


class ModelVersionNotFound(NotFound):
    """The registry holds no such version."""

    title = "Model version not found"


class JobNotFound(NotFound):
    """There is no such job."""

    title = "Job not found"


class MethodNotAllowed(ServiceError):
    """The resource exists, but does not know this method."""

    status = 405
    title = "Method not allowed"


class ResultGone(NotFound):
    """The job's files were removed, because it ended too long ago."""

    status = 410
    title = "Result gone"


class NotAcceptable(ServiceError):
    """The answer is not there in any of the formats that the header Accept names."""

    status = 406
    title = "Not acceptable"


class TooManyRequests(ServiceError):
    """The caller has sent more requests than it may in this time."""

    status = 429
    title = "Too many requests"
    retry_after = 1


class JobFinished(ServiceError):
    """The job has ended, so it cannot be cancelled."""

    status = 409
    title = "Job finished"


class ResultNotReady(ServiceError):
    """The job has no result, because it has not succeeded, or not yet."""

    status = 409
    title = "Result not ready"


class PredictionOverflow(ServiceError):
    """The model computed a value that is not a finite number."""

    title = "Prediction overflow"


class InvalidModelVersion(ServiceError):
    """A version's files are missing, changed or unreadable."""

    title = "Invalid model version"


class IncompatibleModelVersion(ServiceError):
    """A version was made for other features, labels or libraries than this service has, so it cannot serve."""

    status = 409
    title = "Incompatible model version"


class PickleNotAllowed(IncompatibleModelVersion):
    """A version can only serve by joblib, which runs code as it loads, and this service does not allow that."""

    title = "Pickle not allowed"


class TrainingFailed(ServiceError):
    """A model could not be trained, or was refused by a gate."""

    title = "Training failed"


class ScoringFailed(ServiceError):
    """A file could not be scored."""

    title = "Scoring failed"


class DiskFull(ServiceError):
    """There is too little room on the disk to keep what this would make."""

    status = 507
    title = "Disk full"


class Unavailable(ServiceError):
    """The service cannot answer this right now; the same request may succeed later."""

    status = 503
    title = "Unavailable"
    retry_after = 1


class Overloaded(Unavailable):
    """As many requests are being answered, or connections held, as may be."""

    title = "Overloaded"


class Stopping(Unavailable):
    """The process is about to stop."""

    title = "Stopping"


class ModelNotReady(Unavailable):
    """No model version has been trained and promoted yet."""

    title = "Model not ready"


class JobsUnavailable(Unavailable):
    """The database that keeps the jobs cannot be reached."""

    title = "Jobs unavailable"


class StorageUnavailable(Unavailable):
    """The storage that keeps the files of jobs cannot be reached."""

    title = "Storage unavailable"


class ClusterUnavailable(Unavailable):
    """The cluster that files are scored on cannot be reached."""

    title = "Cluster unavailable"


class KeysUnavailable(Unavailable):
    """The file that keeps the API keys cannot be read."""

    title = "Keys unavailable"


class IssuerUnavailable(Unavailable):
    """The issuer of tokens cannot be reached, and its keys are not known yet."""

    title = "Issuer unavailable"
