"""Logs what was asked and answered, as TensorFlow Serving's own PredictionLog records in TFRecord files.

    <directory>/<model>/<UTC start>-<process>-<n>.tfrecord

A record is in the file when `append` returns: a killed process loses none that it has acknowledged. A power cut may
lose the last `sync_seconds`; 0 has each record on the disk first, many of them by one fsync. What a kill leaves of a
record begun, readers leave out (`read`). Files are closed by size and age; when closed ones exceed `total_bytes`, the
oldest go. A log that cannot be written stops nobody from being answered: what is lost is counted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import logging
import os
import pathlib
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterator

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving import redaction, tfrecord

SUFFIX = ".tfrecord"
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """Where and how much; sizes in bytes, times in seconds."""

    directory: pathlib.Path
    sampling_rate: float = 1.0
    """Share of requests that are logged, 0 to 1."""
    file_bytes: int = 64 << 20
    file_seconds: float = 3600.0
    total_bytes: int = 4 << 30
    """Of all files below `directory`; at least two files' worth."""
    sync_seconds: float = 1.0
    """How often what was written is flushed to the disk; 0: before it is acknowledged."""
    redact: frozenset[str] = frozenset()
    """Features that are never written."""

    def __post_init__(self) -> None:
        """Raises ValueError where a number makes no sense."""
        if not 0.0 <= self.sampling_rate <= 1.0:
            raise ValueError(f"request_log_sampling_rate: {self.sampling_rate} is no share from 0 to 1.")
        if self.file_bytes < 1 or self.file_seconds <= 0 or self.sync_seconds < 0:
            raise ValueError("request_log: sizes and times must be positive (request_log_sync_seconds may be 0).")
        if self.total_bytes < 2 * self.file_bytes:
            raise ValueError(
                f"request_log_total_bytes: {self.total_bytes} is less than two files of {self.file_bytes} bytes: "
                "allow more, or smaller files (request_log_file_bytes)."
            )


@dataclasses.dataclass(frozen=True)
class About:
    """What a record says beside request and answer."""

    model: str
    version: int
    signature: str
    request_id: str
    seconds: float
    """Since 1970, when the request came in."""
    latency: float
    """Seconds until the answer was ready."""


def folder_of(directory: pathlib.Path, model: str) -> pathlib.Path:
    """Where a model's files are; a name with a slash in it stays one folder."""
    return directory / urllib.parse.quote(model, safe="")


class RequestLog:
    """All models' logs of one server process. Safe for threads."""

    def __init__(self, settings: LogSettings) -> None:
        """Raises OSError where the directory cannot be made or written to."""
        self.settings = settings
        self.lost = 0
        """Records that could not be written."""
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}
        self._random = random.Random()
        self._stop = threading.Event()
        settings.directory.mkdir(parents=True, exist_ok=True)
        if not os.access(settings.directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(settings.directory))
        self._syncing = threading.Thread(target=self._sync_on, name="request-log-sync", daemon=True)
        if settings.sync_seconds:
            self._syncing.start()

    def wants(self) -> bool:
        """Whether the next request is of the sample."""
        return self._random.random() < self.settings.sampling_rate

    def append(
        self, about: About, log: prediction_log_pb2.PredictionLog, redact: Collection[str] = frozenset()
    ) -> bool:
        """Write `log`, redacted and with `about` in its metadata; False: it could not be written, and is counted.

        Args:
          about: goes into `log_metadata`. `request_origin` is `<request id> <latency>us`, as PredictionLog has no
            fields for the two.
          log: request and answer; changed.
          redact: features to leave out, beside those of the settings.
        """
        redaction.redact(log, self.settings.redact.union(redact))
        metadata = log.log_metadata
        metadata.model_spec.name = about.model
        metadata.model_spec.version.value = about.version
        metadata.model_spec.signature_name = about.signature
        metadata.timestamp_secs = int(about.seconds)
        metadata.request_origin = f"{about.request_id} {round(1e6 * about.latency)}us"
        metadata.sampling_config.sampling_rate = self.settings.sampling_rate
        content = tfrecord.framed(log.SerializeToString())
        try:
            stream = self._stream(about.model)
            mine = stream.write(content)
            if not self.settings.sync_seconds:
                stream.sync(mine)
        except OSError as error:
            self._count_loss(error)
            return False
        return True

    def close(self) -> None:
        """Flush and close; what comes after is lost and counted."""
        self._stop.set()
        if self._syncing.is_alive():
            self._syncing.join()
        with self._lock:
            for stream in self._streams.values():
                stream.close()

    def _stream(self, model: str) -> _Stream:
        with self._lock:
            if model not in self._streams:
                folder = folder_of(self.settings.directory, model)
                self._streams[model] = _Stream(folder, self.settings, self._open_files)
            return self._streams[model]

    def _open_files(self) -> set[pathlib.Path]:
        return {stream.path for stream in list(self._streams.values()) if stream.path is not None}

    def _count_loss(self, error: OSError) -> None:
        with self._lock:
            self.lost += 1
            lost = self.lost
        # The first, and then ever more rarely: a full disk must not fill the other log as well.
        if lost & (lost - 1) == 0:
            _LOG.error("request log: %s: %d records lost so far", error.strerror or error, lost)

    def _sync_on(self) -> None:
        while not self._stop.wait(self.settings.sync_seconds):
            with self._lock:
                streams = list(self._streams.values())
            for stream in streams:
                try:
                    stream.sync()
                except OSError as error:
                    _LOG.error("request log: not flushed: %s", error.strerror or error)


class _Stream:
    """One model's file at a time."""

    def __init__(self, folder: pathlib.Path, settings: LogSettings, in_use: Callable[[], set[pathlib.Path]]) -> None:
        self.path: pathlib.Path | None = None
        """The file that is open."""
        self._folder, self._settings, self._in_use = folder, settings, in_use
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        self._handle: int | None = None
        self._size = self._files = 0
        self._opened = 0.0
        self._written = self._synced = 0
        self._closed = False

    def write(self, content: bytes) -> int:
        """Append all of it or nothing; its number, for `sync`."""
        with self._lock:
            if self._closed:
                raise OSError("the request log is closed")
            handle = self._file(len(content))
            try:
                _write_all(handle, content)
            except OSError:
                # Half a record would hide all that come after it.
                os.ftruncate(handle, self._size)
                raise
            self._size += len(content)
            self._written += 1
            return self._written

    def sync(self, number: int | None = None) -> None:
        """Have record `number` (None: all) on the disk; those who wait meanwhile share one fsync."""
        with self._sync_lock:
            with self._lock:
                upto = self._written
                if self._handle is None or self._synced >= (upto if number is None else number):
                    return
                handle = os.dup(self._handle)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            self._synced = upto

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._finish()

    def _file(self, more: int) -> int:
        """The handle to write `more` bytes to; a new file where the old one is full or old."""
        old = time.monotonic() - self._opened > self._settings.file_seconds
        if self._handle is not None and (old or self._size + more > self._settings.file_bytes):
            self._finish()
        if self._handle is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            limit = self._settings.total_bytes - self._settings.file_bytes
            _drop_oldest(self._settings.directory, limit, self._in_use())
            self._files += 1
            stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
            path = self._folder / f"{stamp}Z-{os.getpid()}-{self._files}{SUFFIX}"
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self.path, self._size, self._opened = path, 0, time.monotonic()
        return self._handle

    def _finish(self) -> None:
        if self._handle is not None:
            os.fsync(self._handle)
            os.close(self._handle)
            self._handle, self.path, self._synced = None, None, self._written


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _drop_oldest(directory: pathlib.Path, limit: int, in_use: Collection[pathlib.Path]) -> None:
    """Delete closed files, oldest first, until they take at most `limit` bytes."""
    found = sorted(directory.glob(f"*/*{SUFFIX}"), key=lambda path: path.name)
    sizes = {path: path.stat().st_size for path in found if path not in in_use and path.exists()}
    total = sum(sizes.values())
    for path, size in sizes.items():
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= size


@dataclasses.dataclass
class Reading:
    """What was read of a folder, and what could not be."""

    files: int = 0
    records: int = 0
    torn: list[pathlib.Path] = dataclasses.field(default_factory=list)
    """Files whose last record a kill has cut, or that are spoiled from some record on."""


class NotALogError(ValueError):
    """A file of records that are no PredictionLogs; the message is its path."""


def read(
    directory: pathlib.Path, since: float | None = None, until: float | None = None, reading: Reading | None = None
) -> Iterator[prediction_log_pb2.PredictionLog]:
    """Records of all models below `directory`, file after file, with since <= time < until (seconds since 1970).

    What a kill has cut is left out, and the file named in `reading`.

    Raises:
      NotALogError: a file holds other records.
    """
    reading = reading if reading is not None else Reading()
    for path in sorted(directory.rglob(f"*{SUFFIX}")):
        # A server that runs may drop its oldest file meanwhile.
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
            reading.files += 1
            try:
                for content in tfrecord.records(stream):
                    log = prediction_log_pb2.PredictionLog.FromString(content)
                    seconds = log.log_metadata.timestamp_secs
                    if (since is None or seconds >= since) and (until is None or seconds < until):
                        reading.records += 1
                        yield log
            except DecodeError as error:
                raise NotALogError(path) from error
            except tfrecord.Torn:
                reading.torn.append(path)
