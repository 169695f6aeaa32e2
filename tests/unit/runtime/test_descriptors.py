# SPDX-License-Identifier: Apache-2.0
import os
import resource
from types import SimpleNamespace

from toono.runtime import descriptors
from toono.runtime.descriptors import count_descriptors, raise_limit


def test_what_is_open_is_counted_against_what_may_be() -> None:
    before = count_descriptors()
    assert before.most == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert abs(before.used - len(os.listdir("/proc/self/fd"))) <= 1
    reader, writer = os.pipe()
    assert count_descriptors().used == before.used + 2
    os.close(reader)
    os.close(writer)
    assert count_descriptors() == before


def test_kernels_that_tell_no_number_have_it_counted(monkeypatch) -> None:
    expected = count_descriptors().used
    monkeypatch.setattr(os, "stat", lambda _: SimpleNamespace(st_size=0))
    assert abs(count_descriptors().used - expected) <= 1


def test_no_limit_or_no_proc_is_no_count(monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(descriptors, "_OPEN", "/nowhere")
        assert count_descriptors() is None
    endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: endless)
    assert count_descriptors() is None


def test_a_low_limit_is_raised_as_far_as_it_goes() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
