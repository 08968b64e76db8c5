"""Everything that can go wrong for a caller, each with its HTTP status and problem type.

The tree::

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

The API turns each into `application/problem+json` (RFC 9457) in one handler; the command line prints its detail.
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
    slug: ClassVar[str] = "internal-error"
    """Last part of the problem type, and the anchor of its section in the documentation."""
    title: ClassVar[str] = "Internal error"
    """The kind of error, for people."""
    retry_after: int | None = None
    """Seconds after which the same request may succeed, if time may help."""

    def __init__(self, detail: str, faults: Sequence[Fault] = (), retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults
        if retry_after is not None:
            self.retry_after = retry_after


class BadRequest(ServiceError):
    """The request cannot be read."""

    status = 400
    slug = "malformed-request"
    title = "Malformed request"


class BadInput(BadRequest):
    """The request can be read, but its values are not acceptable."""

    status = 422
    slug = "invalid-input"
    title = "Invalid input"


class UnsupportedMediaType(BadRequest):
    """The body is not of a type that this resource takes."""

    status = 415
    slug = "unsupported-media-type"
    title = "Unsupported media type"


class TooLarge(BadRequest):
    """The body, or the number of rows in it, is over its limit."""

    status = 413
    slug = "too-large"
    title = "Too large"


class HeadTooLarge(TooLarge):
    """The request line and headers are over their limit."""

    status = 431
    slug = "head-too-large"
    title = "Head too large"


class RequestTimeout(BadRequest):
    """The request did not arrive in the time it may take."""

    status = 408
    slug = "request-timeout"
    title = "Request timeout"


class RangeNotSatisfiable(BadRequest):
    """The part that the header Range asks for is not there."""

    status = 416
    slug = "range-not-satisfiable"
    title = "Range not satisfiable"


class NotAuthenticated(ServiceError):
    """The request carries no valid credential, and needs one."""

    status = 401
    slug = "not-authenticated"
    title = "Not authenticated"


class NotAllowed(NotAuthenticated):
    """The credential is valid, but not for this."""

    status = 403
    slug = "not-allowed"
    title = "Not allowed"


class NotFound(ServiceError):
    """There is no such resource."""

    status = 404
    slug = "not-found"
    title = "Not found"


class ModelVersionNotFound(NotFound):
    """The registry holds no such version."""

    slug = "model-version-not-found"
    title = "Model version not found"


class JobNotFound(NotFound):
    """There is no such job."""

    slug = "job-not-found"
    title = "Job not found"


class MethodNotAllowed(ServiceError):
    """The resource exists, but does not know this method."""

    status = 405
    slug = "method-not-allowed"
    title = "Method not allowed"


class ResultGone(NotFound):
    """The job's files were removed, because it ended too long ago."""

    status = 410
    slug = "result-gone"
    title = "Result gone"


class NotAcceptable(ServiceError):
    """The answer is not there in any of the formats that the header Accept names."""

    status = 406
    slug = "not-acceptable"
    title = "Not acceptable"


class TooManyRequests(ServiceError):
    """The caller has sent more requests than it may in this time."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"
    retry_after = 1


class JobFinished(ServiceError):
    """The job has ended, so it cannot be cancelled."""

    status = 409
    slug = "job-finished"
    title = "Job finished"


class ResultNotReady(ServiceError):
    """The job has no result, because it has not succeeded, or not yet."""

    status = 409
    slug = "result-not-ready"
    title = "Result not ready"


class PredictionOverflow(ServiceError):
    """The model computed a value that is not a finite number."""

    slug = "prediction-overflow"
    title = "Prediction overflow"


class InvalidModelVersion(ServiceError):
    """A version's files are missing, changed or unreadable."""

    slug = "invalid-model-version"
    title = "Invalid model version"


class IncompatibleModelVersion(ServiceError):
    """A version was made for other features, labels or libraries than this service has, so it cannot serve."""

    status = 409
    slug = "incompatible-model-version"
    title = "Incompatible model version"


class PickleNotAllowed(IncompatibleModelVersion):
    """A version can only serve by joblib, which runs code as it loads, and this service does not allow that."""

    slug = "pickle-not-allowed"
    title = "Pickle not allowed"


class TrainingFailed(ServiceError):
    """A model could not be trained, or was refused by a gate."""

    slug = "training-failed"
    title = "Training failed"


class ScoringFailed(ServiceError):
    """A file could not be scored."""

    slug = "scoring-failed"
    title = "Scoring failed"


class DiskFull(ServiceError):
    """There is too little room on the disk to keep what this would make."""

    status = 507
    slug = "disk-full"
    title = "Disk full"


class Unavailable(ServiceError):
    """The service cannot answer this right now; the same request may succeed later."""

    status = 503
    slug = "unavailable"
    title = "Unavailable"
    retry_after = 1


class Overloaded(Unavailable):
    """As many requests are being answered, or connections held, as may be."""

    slug = "overloaded"
    title = "Overloaded"


class Stopping(Unavailable):
    """The process is about to stop."""

    slug = "stopping"
    title = "Stopping"


class ModelNotReady(Unavailable):
    """No model version has been trained and promoted yet."""

    slug = "model-not-ready"
    title = "Model not ready"


class JobsUnavailable(Unavailable):
    """The database that keeps the jobs cannot be reached."""

    slug = "jobs-unavailable"
    title = "Jobs unavailable"


class StorageUnavailable(Unavailable):
    """The storage that keeps the files of jobs cannot be reached."""

    slug = "storage-unavailable"
    title = "Storage unavailable"


class ClusterUnavailable(Unavailable):
    """The cluster that files are scored on cannot be reached."""

    slug = "cluster-unavailable"
    title = "Cluster unavailable"


class KeysUnavailable(Unavailable):
    """The file that keeps the API keys cannot be read."""

    slug = "keys-unavailable"
    title = "API keys unavailable"


class IssuerUnavailable(Unavailable):
    """The issuer of tokens cannot be reached, and its keys are not known yet."""

    slug = "issuer-unavailable"
    title = "Issuer unavailable"
