# SPDX-License-Identifier: Apache-2.0
"""YurtHub's files of certificates and kubeconfigs, where YurtHub keeps them.

    bootstrap-hub.conf                what a bootstrap begins with: a token
    yurthub.conf                      kubeconfig that names the files below
    pki/ca.crt                        of the API servers
    pki/yurthub-current.pem           certificate and key as a client
    pki/yurthub-server-current.pem    certificate and key that pods are shown

A `-current.pem` is a link to a file with its date, as client-go's store makes it, so
that a rotation replaces certificate and key in one step. What is put in place is whole
and durable before it has its name; keys are never readable by others.
"""

import json
import os
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from toono.certs.rotation import Life, spread_of
from toono.errors import CertificateError

_OLD = re.compile(r"-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d\.pem\Z")


@dataclass(frozen=True, slots=True)
class Root:
    """The directory that YurtHub calls its root."""

    path: Path

    @property
    def pki(self) -> Path:
        return self.path / "pki"

    @property
    def ca(self) -> Path:
        return self.pki / "ca.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "yurthub.conf"

    @property
    def bootstrap(self) -> Path:
        return self.path / "bootstrap-hub.conf"

    def current(self, stem: str) -> Path:
        """Return the file of the certificate `yurthub` or `yurthub-server`."""
        return self.pki / f"{stem}-current.pem"

    def pending_key(self, stem: str) -> Path:
        """Return the key whose request nobody has answered yet."""
        return self.pki / f"{stem}.key.pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A certificate on disk whose key is its own."""

    life: Life
    serial: int
    subject: str
    issuer: str
    names: tuple[str, ...]
    public_key: bytes

    @property
    def due_at(self) -> float:
        """When it is to be replaced."""
        return self.life.due_at(spread_of(self.serial))

    def told(self) -> dict[str, object]:
        """Return what people are shown of it: nothing of its key."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "begins": _moment(self.life.begins),
            "ends": _moment(self.life.ends),
            "due": _moment(self.due_at),
        }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_held(path: Path) -> Held | str | None:
    """Return the certificate in a file; why it cannot be used; None: there is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    from toono.certs.serving import names_of

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        return f"{path} cannot be read: {exc.strerror}"
    try:
        found = x509.load_pem_x509_certificate(content)
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError) as exc:
        return f"{path} holds no certificate with its key: {exc}"
    public = public_bytes(found.public_key())
    if public != public_bytes(key.public_key()):
        return f"{path} holds the key of another certificate"
    return Held(
        life=Life(
            begins=found.not_valid_before_utc.timestamp(),
            ends=found.not_valid_after_utc.timestamp(),
        ),
        serial=found.serial_number,
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        names=tuple(names_of(found)),
        public_key=public,
    )


def public_bytes(key: Any) -> bytes:
    """Return a public key in the one form in which keys are compared."""
    from cryptography.hazmat.primitives import serialization

    info = serialization.PublicFormat.SubjectPublicKeyInfo
    found: bytes = key.public_bytes(serialization.Encoding.DER, info)
    return found


def put_current(root: Root, stem: str, content: bytes, *, now: float) -> Path:
    """Put a new certificate with its key in place of the one that was current.

    The file before stays, as client-go leaves it; older ones go.
    """
    date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d-%H-%M-%S")
    file = root.pki / f"{stem}-{date}.pem"
    link, current = root.pki / f"{stem}.link", root.current(stem)
    before = os.path.basename(os.path.realpath(current)) if current.exists() else ""
    write_whole(file, content)
    link.unlink(missing_ok=True)
    link.symlink_to(file.name)
    os.replace(link, current)
    _sync_directory(root.pki)
    for old in root.pki.glob(f"{stem}-[0-9]*.pem"):
        if _OLD.search(old.name) and old.name not in (file.name, before):
            old.unlink(missing_ok=True)
    return current


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read; it has its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    part = path.with_name(f".{path.name}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    fd = os.open(part, flags, 0o600)
    try:
        os.fchmod(fd, 0o600)
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(part, path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# -- kubeconfigs ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """What a bootstrap begins with; the token is never shown."""

    server: str
    ca: bytes
    token: str

    def __repr__(self) -> str:
        return f"Bootstrap({self.server})"


def write_kubeconfig(root: Root, server: str) -> None:
    """Write yurthub.conf, by which kubectl and other programs are this hub."""
    pem = str(root.current("yurthub"))
    user = {"client-certificate": pem, "client-key": pem}
    cluster = {"server": server, "certificate-authority": str(root.ca)}
    names = ("default-cluster", "default-auth", "default-context")
    write_whole(root.kubeconfig, _kubeconfig(cluster, user, names))


def write_bootstrap(path: Path, found: Bootstrap) -> None:
    """Write bootstrap-hub.conf."""
    cluster = {
        "server": found.server,
        "certificate-authority-data": b64encode(found.ca).decode(),
    }
    who = "token-bootstrap-client"
    names = ("kubernetes", who, f"{who}@kubernetes")
    write_whole(path, _kubeconfig(cluster, {"token": found.token}, names))


def read_bootstrap(path: Path) -> Bootstrap | None:
    """Return a kubeconfig's server, CA and token; None: there is no such file."""
    try:
        content: Any = yaml.safe_load(path.read_text())
        contexts = {one["name"]: one["context"] for one in content["contexts"]}
        clusters = {one["name"]: one["cluster"] for one in content["clusters"]}
        users = {one["name"]: one["user"] for one in content["users"]}
        chosen = contexts[content["current-context"]]
        cluster, user = clusters[chosen["cluster"]], users[chosen["user"]]
        data, named = cluster.get("certificate-authority-data"), ""
        if not data:
            named = cluster["certificate-authority"]
        ca = b64decode(data) if data else (path.parent / named).read_bytes()
        return Bootstrap(
            server=str(cluster["server"]), ca=ca, token=str(user.get("token") or "")
        )
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CertificateError(f"{path} cannot be read: {exc.strerror}") from exc
    except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as exc:
        # What is wrong with a line may quote it, and it may hold the token.
        raise CertificateError(f"{path} is no kubeconfig with a server and CA") from exc


def _kubeconfig(
    cluster: dict[str, str], user: dict[str, str], names: tuple[str, str, str]
) -> bytes:
    named, who, context = names
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": named, "cluster": cluster}],
        "users": [{"name": who, "user": user}],
        "contexts": [
            {
                "name": context,
                "context": {"cluster": named, "user": who, "namespace": "default"},
            }
        ],
        "current-context": context,
    }
    # JSON is YAML, and no value can end a string in it.
    return json.dumps(content, indent=1).encode() + b"\n"
