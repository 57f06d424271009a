"""What a request can end with: gRPC's status codes, and the HTTP status that TensorFlow Serving gives each."""

from __future__ import annotations

import enum
from typing import Any


class Code(enum.IntEnum):
    """gRPC's status codes, which are TensorFlow's."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class ServingError(Exception):
    """A request's end other than an answer: a code, and the sentence the client gets.

    `http_status` is for the few that HTTP knows and gRPC does not (413, 431).
    """

    def __init__(self, code: Code, message: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status or HTTP_STATUS[code]

    def __str__(self) -> str:
        """As absl::Status prints itself."""
        return f"{self.code.name}: {self.message}"


class ConfigError(Exception):
    """The server cannot start with these flags and files; the message says what, where and the way out."""


def invalid(message: str) -> ServingError:
    """The client's mistake: INVALID_ARGUMENT, HTTP 400."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def failed_precondition(message: str) -> ServingError:
    """A request that this model cannot answer as it is: FAILED_PRECONDITION, HTTP 400."""
    return ServingError(Code.FAILED_PRECONDITION, message)


def not_found(message: str) -> ServingError:
    """No such model or version: NOT_FOUND, HTTP 404."""
    return ServingError(Code.NOT_FOUND, message)


def unavailable(message: str) -> ServingError:
    """Not now; a client may try again: UNAVAILABLE, HTTP 503."""
    return ServingError(Code.UNAVAILABLE, message)


def exhausted(message: str) -> ServingError:
    """More than the server takes on; sent again at once it makes things worse: RESOURCE_EXHAUSTED, HTTP 429."""
    return ServingError(Code.RESOURCE_EXHAUSTED, message)


def deadline_exceeded() -> ServingError:
    """The request's time is up: DEADLINE_EXCEEDED, HTTP 504."""
    return ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for the model.")


def from_tensorflow(error: Any) -> ServingError:
    """TensorFlow's own error (tf.errors.OpError) with its code and message; INTERNAL for anything else."""
    code, message = getattr(error, "error_code", None), getattr(error, "message", None)
    if isinstance(code, int) and isinstance(message, str):
        try:
            return ServingError(Code(code), message)
        except ValueError:
            return ServingError(Code.UNKNOWN, message)
    text = str(error).strip() or type(error).__name__
    return ServingError(Code.INTERNAL, text.splitlines()[0])
