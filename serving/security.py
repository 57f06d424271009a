"""Who may ask: bearer tokens, the models each may use, and how often.

Tokens lie in a TOML file as SHA-256 digests (`printf %s "$TOKEN" | sha256sum`); see docs/serving.md.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import threading
import time
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from serving.errors import Code, ConfigError, ServingError, exhausted

_MOST_CLIENTS = 10_000
_KEYS = {"name", "sha256", "models", "admin", "requests_per_second"}


@dataclasses.dataclass(frozen=True)
class Token:
    """One client: the models it may ask (None: all), whether it may reload the configuration, its own rate."""

    name: str
    models: frozenset[str] | None = None
    admin: bool = False
    requests_per_second: float = 0.0


class Guard:
    """Decides on each request. Without tokens everybody may ask; without a rate, as often as they like."""

    def __init__(self, tokens: dict[bytes, Token] | None = None, requests_per_second: float = 0.0) -> None:
        self._tokens = tokens
        self._rate = requests_per_second
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()
        limited = any(token.requests_per_second for token in (tokens or {}).values())
        self.idle = tokens is None and not requests_per_second
        """There is nothing to check."""
        self._limits = bool(requests_per_second) or limited

    def admit(self, authorization: str | None, client: str) -> Token | None:
        """Whose request this is; None where nobody has to say.

        Args:
          authorization: the header, `Bearer <token>`.
          client: the client's address, which a rate without tokens goes by.

        Raises:
          ServingError: UNAUTHENTICATED; RESOURCE_EXHAUSTED, more often than allowed.
        """
        token = None
        if self._tokens is not None:
            kind, _, secret = (authorization or "").partition(" ")
            if kind.lower() == "bearer":
                token = self._tokens.get(hashlib.sha256(secret.strip().encode("utf-8", "replace")).digest())
            if token is None:
                raise ServingError(Code.UNAUTHENTICATED, "This server wants a bearer token that it knows.")
        if self._limits:
            self._count(f"token {token.name}" if token else client, (token and token.requests_per_second) or self._rate)
        return token

    def _count(self, who: str, rate: float) -> None:
        """A bucket that holds a second's worth (one request at least) and fills at `rate`."""
        if not rate:
            return
        now, most = time.monotonic(), max(rate, 1.0)
        with self._lock:
            level, then = self._buckets.get(who, (most, now))
            level = min(most, level + (now - then) * rate)
            if level < 1:
                self._buckets[who] = (level, now)
                raise exhausted(f"More than {rate:g} requests a second.")
            if len(self._buckets) >= _MOST_CLIENTS:
                self._buckets.clear()
            self._buckets[who] = (level - 1, now)


def check_model(token: Token | None, model: str) -> None:
    """Refuse a model that is not this client's.

    Raises:
      ServingError: PERMISSION_DENIED.
    """
    if token is not None and token.models is not None and model not in token.models:
        raise ServingError(Code.PERMISSION_DENIED, f"'{token.name}' may not use model {model}.")


def check_admin(token: Token | None) -> None:
    """Refuse who may not change the server.

    Raises:
      ServingError: PERMISSION_DENIED.
    """
    if token is not None and not token.admin:
        raise ServingError(Code.PERMISSION_DENIED, f"'{token.name}' may not reload the configuration.")


def read_tokens(path: pathlib.Path) -> dict[bytes, Token]:
    """Tokens by digest.

    Raises:
      ConfigError: the file cannot be read, or is not as it should be.
    """
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    entries = document.get("token")
    if not isinstance(entries, list) or not entries or set(document) != {"token"}:
        raise ConfigError(f"{path}: [[token]] tables are wanted, one a client, and nothing else.")
    tokens = {}
    for at, entry in enumerate(entries, 1):
        digest, token = _token(path, at, entry)
        tokens[digest] = token
    return tokens


def _token(path: pathlib.Path, at: int, entry: Any) -> tuple[bytes, Token]:
    where = f"{path}: [[token]] {at}"
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: a table is wanted.")
    if unknown := sorted(set(entry) - _KEYS):
        raise ConfigError(f"{where}: '{unknown[0]}' is not a key. Keys: {', '.join(sorted(_KEYS))}.")
    name, models = entry.get("name"), entry.get("models")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where}: name is missing.")
    try:
        digest = bytes.fromhex(entry["sha256"])
        if len(digest) != 32:
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: sha256 must be 64 hex digits: printf %s TOKEN | sha256sum.") from error
    if models is not None and not (isinstance(models, list) and all(isinstance(m, str) for m in models)):
        raise ConfigError(f"{where}: models must be a list of names.")
    admin, rate = entry.get("admin", False), entry.get("requests_per_second", 0)
    if not isinstance(admin, bool) or isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 0:
        raise ConfigError(f"{where}: admin is true or false, requests_per_second a number.")
    return digest, Token(name, None if models is None else frozenset(models), admin, float(rate))
