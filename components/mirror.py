"""A project's root in an object store, mirrored in a folder for one command or one node of a run on a cluster.

`components.store.Store` and the components work on the mirror's files; this module brings down what they need and
takes up what they made: immutable content first, the pointers that name it last. A pointer is compared with what was
read (the object store's compare-and-swap), so that of two runs at once one wins and the other is told.

URIs in pointers and records become the mirror's paths on the way down, and URIs again on the way up.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from components import files, objects
from components.mounts import Mounts
from components.objects import Content
from components.pusher import versions
from components.store import PointerMoved, Store

POINTERS = ("accepted", "champion", "served")
_RECORDS = ("run.json", "verdict.json", "measured.json")
_MARKER = "saved_model.pb"
_MANIFEST = versions.MANIFEST.as_posix()


class Mirror:
    """One project's root, `<root>/<project>`, and what lies beside it."""

    def __init__(self, root: str, mounts: Mounts) -> None:
        """Nothing is read or written yet.

        Args:
          root: URI of the project's root.
          mounts: where the mirror lies: the root's folder is `mounts.path(root)`.
        """
        self.root = root.rstrip("/")
        self.mounts = mounts
        self.store = Store(mounts.path(self.root))
        self._read: dict[str, Content | None] = {}

    @property
    def project(self) -> str:
        """The project's name."""
        return self.root.rsplit("/", 1)[-1]

    def pull_pointers(self, names: Iterable[str] = POINTERS) -> None:
        """Bring the pointers as they are now; what is compared when they are pushed."""
        for name in names:
            content = objects.read(f"{self.root}/{name}.json")
            self._read[name] = content
            path = self.store.root / f"{name}.json"
            if content is None:
                path.unlink(missing_ok=True)
            else:
                self._write(path, content.data)

    def expect(self, generations: Mapping[str, int]) -> None:
        """Hold the pointers, as they were pulled, to the generations that this run was compiled for.

        Raises:
          PointerMoved: another run moved one since.
        """
        for name, generation in generations.items():
            content = self._read.get(name)
            if (now := int(_parsed(content.data).get("generation", 0)) if content else 0) != generation:
                raise PointerMoved(
                    f"{self.root}/{name}.json is at generation {now}, and this run was made for {generation}: another "
                    "run moved it meanwhile. Submit again: it starts from what is there now."
                )

    def changed(self, name: str) -> bool:
        """Whether a pointer in the mirror is not what was pulled."""
        path, before = self.store.root / f"{name}.json", self._read.get(name)
        return path.is_file() and (before is None or not _same(self._up(path), before.data))

    def bring(self, uri: str) -> None:
        """Bring one file from any URI.

        Raises:
          SpanwiseError: there is none.
        """
        objects.fetch(uri, self.mounts.path(uri))

    def push_pointers(self, names: Iterable[str] = POINTERS) -> None:
        """Write the pointers that were moved in the mirror, if they are still as they were read.

        Raises:
          PointerMoved: another run moved one meanwhile.
        """
        for name in names:
            if not self.changed(name):
                continue
            path, uri, before = self.store.root / f"{name}.json", f"{self.root}/{name}.json", self._read.get(name)
            data = self._up(path)
            try:
                tag = objects.write(uri, data, create=before is None, expect=before.tag if before else None)
            except objects.Conflict:
                # A store that answered, and whose answer was lost on the way, is asked twice by its client.
                now = objects.read(uri)
                if now is None or not _same(now.data, data):
                    raise PointerMoved(_moved(uri)) from None
                tag = now.tag
            self._read[name] = Content(data, tag)

    def unmoved(self, name: str) -> bool:
        """Whether a pointer is still as it was pulled."""
        now, before = objects.read(f"{self.root}/{name}.json"), self._read.get(name)
        return (now is None) == (before is None) and (now is None or before is None or now.tag == before.tag)

    def pull(self, *names: str) -> int:
        """Bring files or folders below the root, such as `runs/<id>` or `statistics/<span>/<digest>`.

        Returns:
          How many files there are; those that are in the mirror already with the same size are left.
        """
        return sum(self.fetch(f"{self.root}/{name}") for name in names)

    def fetch(self, uri: str, but: Iterable[str] = ()) -> int:
        """Bring what lies at or below any URI to its path in the mirror; `but`: what names to leave out begin with."""
        target, left_out = self.mounts.path(uri), tuple(but)
        found = {name: size for name, size in objects.listed(uri).items() if not name.startswith(left_out)}
        if not found:
            return objects.download(uri, target) if not left_out else 0
        record = self._is_record(target)
        absent = [name for name, size in found.items() if record or not _has(target / name, size)]
        objects.download(uri, target, absent)
        for name in absent if record else ():
            if name.endswith(".json"):
                self._write(target / name, (target / name).read_bytes())
        return len(found)

    def pull_records(self) -> None:
        """Bring the records of runs that ended, as far as they are not here: run.json, verdict.json, measured.json."""
        listed = [name for name in objects.listed(f"{self.root}/runs") if name.count("/") == 1]
        absent = [name for name in listed if name.endswith(_RECORDS) and not (self.store.runs / name).is_file()]
        objects.download(f"{self.root}/runs", self.store.runs, absent)
        for name in absent:
            self._write(self.store.runs / name, (self.store.runs / name).read_bytes())

    def push(self, *names: str) -> None:
        """Take files or folders below the root up; what is not in the mirror is left as it is."""
        for name in names:
            path = self.store.root / name
            for each in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
                uri = f"{self.root}/{each.relative_to(self.store.root).as_posix()}"
                if each.suffix == ".json" and self._is_record(each):
                    objects.write(uri, self._up(each))
                else:
                    objects.upload(each, uri)

    def _is_record(self, path: pathlib.Path) -> bool:
        """What is written for people and for the next run; all else is content, and stays byte for byte."""
        return any(path.is_relative_to(self.store.root / name) for name in ("runs", "outcomes"))

    def push_content(self, *names: str) -> None:
        """As `push`, for folders that are named by their content: what is there is not sent again."""
        for name in names:
            path = self.store.root / name
            if path.is_dir():
                objects.upload(path, f"{self.root}/{name}", absent_only=True)

    def replace(self, name: str) -> None:
        """Take one file up, or delete it there if it is not in the mirror any more."""
        self.push(name) if (self.store.root / name).is_file() else objects.delete(f"{self.root}/{name}")

    def pull_versions(self, push: str) -> None:
        """Bring names and manifests of pushed versions, and numbers that another push has reserved.

        A number without a manifest becomes an empty folder: taken, and of nobody's model.
        """
        found = objects.listed(push)
        for number in {name.split("/", 1)[0] for name in found} | self._reserved():
            if number.isdecimal():
                (self.mounts.path(push) / number).mkdir(parents=True, exist_ok=True)
        manifests = [name for name in found if name.partition("/")[2] == _MANIFEST]
        objects.download(push, self.mounts.path(push), manifests)

    def push_version(self, push: str, number: int, run: str) -> None:
        """Take a version up: its number reserved first, and servable last of all, just before its pointer.

        Args:
          push: URI of `<push directory>/<project>`.
          number: its folder in the mirror; whole, or of a version that is up there whole already.
          run: who pushes.

        Raises:
          PointerMoved: another run pushes, or has pushed, meanwhile.
        """
        uri, path = f"{push}/{number}", self.mounts.path(push) / str(number)
        if not (path / _MARKER).is_file():
            self.push_pointers(["champion"])
            return
        self._reserve(number, {"run": run, "model_digest": versions.manifest_of(path).get("model_digest")})
        objects.upload(path, uri, but=[_MARKER, _MANIFEST])
        try:
            if not self.unmoved("champion"):
                raise PointerMoved(_moved(f"{self.root}/champion.json"))
            objects.upload(path / _MARKER, f"{uri}/{_MARKER}")
            objects.write(f"{uri}/{_MANIFEST}", self._up(path / _MANIFEST))
            self.push_pointers(["champion"])
        except PointerMoved:
            # Servers take the highest number: what lost must not stay.
            _clear(uri)
            raise
        self._clear_killed(push, number)

    def _clear_killed(self, push: str, below: int) -> None:
        """Pushes of ours that were killed left files without a manifest: away with them."""
        found = objects.listed(push)
        begun = {name.split("/", 1)[0] for name in found} & self._reserved()
        for number in begun:
            if int(number) < below and f"{number}/{_MANIFEST}" not in found:
                _clear(f"{push}/{number}")

    def _reserve(self, number: int, who: dict[str, Any]) -> None:
        uri = self._reservation(str(number))
        try:
            objects.write(uri, files.json_bytes(who), create=True)
        except objects.Conflict:
            there = _parsed((objects.read(uri) or Content(b"{}", objects.Tag(None))).data)
            if there != who:  # else the first answer was lost on its way
                raise PointerMoved(
                    f"{uri}: version {number} is being pushed by run {there.get('run', '?')}. "
                    "Submit again when that has ended: it starts from what is there then."
                ) from None

    def _reservation(self, number: str) -> str:
        return f"{self.root}/pushes/{number}.json"

    def _reserved(self) -> set[str]:
        return {name.removesuffix(".json") for name in objects.listed(f"{self.root}/pushes")}

    def _write(self, path: pathlib.Path, data: bytes) -> None:
        """A JSON file with the mirror's paths for URIs; other bytes, and other JSON, as they are."""
        files.write_bytes(path, _mapped(data, self.mounts.to_paths))

    def _up(self, path: pathlib.Path) -> bytes:
        return _mapped(path.read_bytes(), self.mounts.to_uris)


def _mapped(data: bytes, change: Any) -> bytes:
    with contextlib.suppress(ValueError):
        value = json.loads(data)
        if (changed := change(value)) != value:
            return files.json_bytes(changed)
    return data


def _same(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return one == other


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _has(path: pathlib.Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _moved(uri: str) -> str:
    return f"{uri} was moved by another run meanwhile. Submit again: it starts from what is there now."


def _clear(uri: str) -> None:
    """Delete a version, what makes it one first."""
    names = objects.listed(uri)
    for name in sorted(names, key=lambda name: (name != _MARKER, name)):
        objects.delete(f"{uri}/{name}")
