# SPDX-License-Identifier: Apache-2.0
"""Objects, lists and events for a shared state, in the form that a feed reads."""

import json

from toono.codec.base import Codec, Event, Object
from toono.codec.page import Page
from toono.codec.registry import for_media_type
from toono.codec.transcode import to_protobuf
from toono.multiplex.state import State

JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"


def codec_of(media_type: str) -> Codec:
    codec = for_media_type(media_type)
    assert codec is not None
    return codec


CODEC = codec_of(PROTOBUF)
OF = {"kind": "Service", "api_version": "v1", "style": "typed"}


def service(
    name: str, version: int, namespace: str = "a", ip: str = "10.0.0.1", **labels: str
) -> bytes:
    meta: dict[str, object] = {"name": name, "namespace": namespace}
    meta |= {"resourceVersion": str(version), "labels": labels}
    content = {"metadata": meta, "spec": {"clusterIP": ip}}
    return to_protobuf(json.dumps(content).encode(), kind="Service", api_version="v1")


def list_body(version: int, *items: bytes) -> bytes:
    return b"".join(
        CODEC.join_list(
            kind="ServiceList",
            api_version="v1",
            style="typed",
            page=Page(str(version)),
            items=items,
        )
    )


def frame_of(event_type: str, data: bytes) -> bytes:
    return CODEC.write_event(event_type=event_type, data=data, **OF)  # type: ignore[arg-type]


def bookmark(version: int) -> bytes:
    return CODEC.write_bookmark(
        kind="Service",
        api_version="v1",
        style="typed",
        resource_version=str(version),
        initial_events_end=False,
    )


def take(state: State, frame: bytes) -> None:
    event: Event = CODEC.read_event(frame)
    one = event.object
    assert isinstance(one, Object)
    state.apply(CODEC, event, one, frame)


def filled(version: int, *items: bytes) -> State:
    state = State()
    state.replace(CODEC, CODEC.split_list(list_body(version, *items)))
    return state


def told(media_type: str, frame: bytes | None) -> tuple[str, str, str] | None:
    """Return (type, name, version) of a frame."""
    if frame is None:
        return None
    event = codec_of(media_type).read_event(frame)
    assert event.object is not None
    return event.type, event.object.name, event.object.resource_version
