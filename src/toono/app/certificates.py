# SPDX-License-Identifier: Apache-2.0
"""Opens the keepers of the hub's certificates: as whom they ask, and what they show."""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from toono.app.board import Board
from toono.app.node_only import refused
from toono.app.settings import HubSettings
from toono.app.token import open_token
from toono.autonomy.cloud import Cloud
from toono.certs.files import read_bootstrap, write_kubeconfig
from toono.certs.keeper import Ask, Keeper, Kept, Reply
from toono.certs.names import Wanted, client_wanted, serving_wanted
from toono.config.certificates import CertificateSettings
from toono.errors import CertificateError, UpstreamError
from toono.identity.rights import Rights
from toono.pipeline.chain import caller_of
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream
from toono.wire.messages import Request, Response
from toono.wire.tls import Contexts

log = logging.getLogger(__name__)

PAGE, RENEW = "/v1/certificates", "/v1/certificates/renew"
CLIENT, SERVING = "yurthub", "yurthub-server"
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
SOON, SELDOM = 5.0, 600.0


class _Spec(msgspec.Struct):
    address: str = msgspec.field(name="clusterIP", default="")
    addresses: list[str] | None = msgspec.field(name="clusterIPs", default=None)


class _Service(msgspec.Struct):
    spec: _Spec


_service = msgspec.json.Decoder(_Service).decode


@dataclass(slots=True)
class Certificates:
    """The keepers, by the name of their files."""

    bootstrap: Path
    """The kubeconfig with the token that asks for a first certificate."""
    keepers: list[Keeper] = field(default_factory=list)
    hurried: list[Callable[[], None]] = field(default_factory=list)
    """What is to be done at once when the hub can ask again."""

    def page(self) -> dict[str, object]:
        """Return what `toono cert show` prints."""
        return {keeper.stem: _shown(keeper) for keeper in self.keepers}

    def mode(self, online: bool) -> None:
        """The link is back, or cut."""
        if online:
            self.hurry()

    def hurry(self) -> None:
        """Do now what could not be done before."""
        for hurry in self.hurried:
            hurry()

    @property
    def note(self) -> str:
        """What is waited for, or wrong."""
        notes = (f"{one.stem}: {one.note}" for one in self.keepers if one.note)
        return "; ".join(notes)


def open_certificates(
    settings: HubSettings,
    chosen: CertificateSettings,
    board: Board,
    upstream: Upstream,
    *,
    rights: Rights,
    clock: Clock,
    contexts: Collection[Contexts],
    serving_changed: Callable[[], Awaitable[None]],
    needed: Callable[[], bool] = lambda: True,
) -> Certificates:
    """Keep what is chosen, from start to drain; nothing waits for it.

    A serving certificate is asked for where it is `needed`: where pods can call.
    """
    found = Certificates(bootstrap=chosen.bootstrap or chosen.root.bootstrap)
    if chosen.client:
        found.keepers.append(
            _client(settings, chosen, upstream, contexts, found, clock=clock)
        )
    if chosen.serving:
        cloud = Cloud(upstream)
        names = ServingNames(settings.node_name, chosen.addresses, cloud)
        kept = Kept(
            stem=SERVING,
            wanted=names.wanted,
            changed=serving_changed,
            needed=needed,
        )
        keeper = Keeper(chosen.root, kept, _asked_of(cloud), clock=clock)
        names.changed = keeper.hurry
        found.hurried.append(names.hurry)
        found.keepers.append(keeper)
        board.duties.append(("cluster-address", names.run))
    for keeper in found.keepers:
        found.hurried.append(keeper.hurry)
        board.duties.append((f"certificate-{keeper.stem}", keeper.run))
    board.mode.append(found.mode)
    if found.keepers:
        _show(found, board, rights)

    def taken() -> None:
        found.bootstrap = chosen.root.bootstrap
        found.hurry()

    open_token(settings, chosen, board, rights=rights, taken=taken)
    return found


def _client(
    settings: HubSettings,
    chosen: CertificateSettings,
    upstream: Upstream,
    contexts: Collection[Contexts],
    together: Certificates,
    *,
    clock: Clock,
) -> Keeper:
    wanted = client_wanted(settings.node_name, chosen.organizations)

    async def changed() -> None:
        # What is under way ends as it began; what comes next shows the new one.
        for context in contexts:
            context.look_again()
        for server in upstream.servers:
            server.origin.close_idle()
        together.hurry()

    async def ask(method: str, target: str, content: bytes) -> Reply:
        cloud = Cloud(upstream)
        if not keeper.usable:
            cloud = Cloud(upstream, token=_bootstrap_token(together.bootstrap))
        return await _asked_of(cloud)(method, target, content)

    kept = Kept(stem=CLIENT, wanted=lambda: wanted, changed=changed)
    keeper = Keeper(chosen.root, kept, ask, clock=clock)
    host, port = settings.servers[0]
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        write_kubeconfig(chosen.root, f"https://{authority}")
    except OSError as exc:
        log.warning("yurthub.conf cannot be written", extra={"err": str(exc)})
    return keeper


def _bootstrap_token(path: Path) -> bytes:
    """Return the token that asks for a first certificate."""
    found = read_bootstrap(path)
    if found is None or not found.token:
        raise CertificateError(
            f"there is no certificate, and no token in {path} to ask for one:"
            " give --join-token"
        )
    return found.token.encode()


def _asked_of(cloud: Cloud) -> Ask:
    async def ask(method: str, target: str, content: bytes) -> Reply:
        told = await cloud.ask(method, target, content)
        return Reply(told.status, told.content)

    return ask


class ServingNames:
    """What the serving certificate must name: the cluster's own address is asked."""

    def __init__(self, node: str, addresses: tuple[str, ...], cloud: Cloud) -> None:
        self._node, self._addresses = node, addresses
        self._cloud = cloud
        self._service: tuple[str, ...] = ()
        self.changed: Callable[[], None] = lambda: None
        self._woken = asyncio.Event()

    def hurry(self) -> None:
        """Ask now: the link is back, or the hub is somebody at last."""
        self._woken.set()

    def wanted(self) -> Wanted | None:
        """Return what to ask for, None while the cluster's address is not known."""
        if not self._service:
            return None
        return serving_wanted(self._node, (*self._service, *self._addresses))

    async def run(self) -> None:
        """Ask until it is known, and seldom afterwards: it hardly ever changes."""
        while True:
            self._woken.clear()
            await self.look()
            try:
                async with asyncio.timeout(SELDOM if self._service else SOON):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Ask for the address of the service kubernetes."""
        try:
            told = await self._cloud.ask("GET", SERVICE)
            spec = _service(told.content).spec if told.status == 200 else _Spec()
        except (UpstreamError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            log.debug("the cluster's address is not known", extra={"err": str(exc)})
            return
        found = tuple(filter(_is_address, spec.addresses or [spec.address]))
        if found and found != self._service:
            self._service = found
            self.changed()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _show(found: Certificates, board: Board, rights: Rights) -> None:
    async def renew(request: Request) -> Response:
        return await _renewed(found, rights, request)

    board.notes["certificates"] = lambda: found.note
    board.pages[PAGE] = found.page
    board.actions[RENEW] = renew
    board.facts["certificates"] = lambda: {
        one.stem: one.state.value for one in found.keepers
    }
    board.gauges.extend(
        [
            (
                "toono_certificate_seconds_left",
                "Until the first of the hub's certificates ends; below 0: it has.",
                lambda: min(one.seconds_left for one in found.keepers),
            ),
            (
                "toono_certificates_pending",
                "Requests for certificates that wait for approval.",
                lambda: float(sum(bool(one.pending) for one in found.keepers)),
            ),
            (
                "toono_certificates_replaced",
                "Certificates that were put in place.",
                lambda: float(sum(one.replaced for one in found.keepers)),
            ),
        ]
    )


async def _renewed(found: Certificates, rights: Rights, request: Request) -> Response:
    if not await rights.is_node(caller_of(request)):
        return refused()
    for keeper in found.keepers:
        keeper.renew()
    return Response(status=202, headers=[], content=b"")


def _shown(keeper: Keeper) -> dict[str, object]:
    shown: dict[str, object] = {
        "file": str(keeper.file),
        "state": keeper.state.value,
        "pending": keeper.pending,
        "note": keeper.note,
    }
    return shown | (keeper.held.told() if keeper.held is not None else {})
