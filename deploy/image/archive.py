"""Writes a container image as a docker-archive: what `docker load`, `podman load` and `ctr images import` read.

No engine, no root, standard library only. The same content gives the same bytes: entries are sorted, times and owners
are fixed, nothing is compressed.
"""

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

# Seconds since 1970 that every entry carries (https://reproducible-builds.org/specs/source-date-epoch/).
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


@dataclass
class Content:
    """The one layer: files by their absolute path in the image."""

    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, source: Path, mode: int | None = None) -> None:
        self.files[path] = (source.read_bytes(), 0o755 if mode is None and os.access(source, os.X_OK) else mode or 0o644)

    def write(self, path: str, text: str) -> None:
        self.files[path] = (text.encode(), 0o644)

    def link(self, path: str, target: str) -> None:
        self.links[path] = target

    def folder(self, path: str, mode: int) -> None:
        self.folders[path] = mode

    def layer(self) -> bytes:
        folders = dict(self.folders)
        for path in [*self.files, *self.links, *self.folders]:
            for parent in list(Path(path).parents)[:-1]:
                folders.setdefault(str(parent), 0o755)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path, mode in sorted(folders.items()):
                tar.addfile(_entry(path, tarfile.DIRTYPE, mode))
            for path, (data, mode) in sorted(self.files.items()):
                entry = _entry(path, tarfile.REGTYPE, mode)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            for path, target in sorted(self.links.items()):
                entry = _entry(path, tarfile.SYMTYPE, 0o777)
                entry.linkname = target
                tar.addfile(entry)
        return out.getvalue()


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode, entry.mtime = kind, mode, EPOCH
    return entry


def architecture(program: Path) -> str:
    """What Go and Docker call the machine that an ELF file is for."""
    header = program.read_bytes()[:20]
    machines = {0x3E: "amd64", 0xB7: "arm64"}
    machine = int.from_bytes(header[18:20], "little")
    if header[:4] != b"\x7fELF" or machine not in machines:
        raise ValueError(f"{program} is no executable for amd64 or arm64")
    return machines[machine]


def write(out: Path, names: list[str], content: Content, config: dict, machine: str) -> None:
    """`names` are the image's tags, `config` its Entrypoint, User, Labels (OCI image-spec, config.md)."""
    layer = content.layer()
    created = f"{_instant(EPOCH)}Z"
    image = _json({
        "architecture": machine, "os": "linux", "created": created, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": created, "created_by": "deploy/image"}]})
    digest = hashlib.sha256(image).hexdigest()
    manifest = _json([{"Config": f"{digest}.json", "RepoTags": names, "Layers": ["layer.tar"]}])
    part = out.with_name(out.name + ".part")
    with tarfile.open(part, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in ((f"{digest}.json", image), ("layer.tar", layer), ("manifest.json", manifest)):
            entry = _entry(name, tarfile.REGTYPE, 0o644)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    part.replace(out)


def _json(value) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _instant(seconds: int) -> str:
    from datetime import datetime, timezone
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
