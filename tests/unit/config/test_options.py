# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.config.options import load, parse_server
from toono.errors import OptionError

HEAD = "apiVersion: toono.io/v1alpha1\nkind: ToonoConfiguration\n"


def test_flags_win_over_environment_over_drop_ins_over_file(tmp_path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        HEAD + "nodeName: file\nproxyPort: 1\nservePort: 1\nlbMode: priority\n"
    )
    drop_ins = tmp_path / "conf.d"
    drop_ins.mkdir()
    (drop_ins / "10.yaml").write_text(
        HEAD + "nodeName: drop\nproxyPort: 2\nservePort: 2\n"
    )
    (drop_ins / "20.yaml").write_text(HEAD + "proxyPort: 3\n")
    environment = {"TOONO_NODE_NAME": "environment", "TOONO_SERVE_PORT": "4"}
    options = load({"node-name": "flag"}, environment, file=file, drop_ins=drop_ins)
    assert options.text("node-name") == "flag"
    assert options.number("serve-port") == 4
    assert options.number("proxy-port") == 3
    assert options.text("lb-mode") == "priority"
    assert options.number("heartbeat-interval-seconds") == 10


def test_an_unknown_field_is_named_with_its_line_and_the_nearest(tmp_path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(HEAD + "nodeNam: x\n")
    with pytest.raises(OptionError, match=r"config.yaml:3.*did you mean nodeName"):
        load({}, {}, file=file)


@pytest.mark.parametrize(
    "text", ["- a\n", "{", "apiVersion: v1\nkind: Pod\n", HEAD + "proxyPort: many\n"]
)
def test_a_bad_file_is_an_error_that_names_it(tmp_path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(OptionError):
        load({}, {}, file=file)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"nodeName: [a\nproxyPort: 1\n", r"config.yaml is no YAML: line 2, column 10"),
        (b"nodeName: \xff\n", "config.yaml is no YAML: .*0xff"),
        (b"nodeName: \x07\n", "config.yaml is no YAML: "),
    ],
)
def test_a_file_that_is_no_yaml_is_one_line_with_the_place(
    tmp_path, content: bytes, where: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(OptionError, match=where) as caught:
        load({}, {}, file=file)
    assert "\n" not in str(caught.value)


def test_a_directory_of_drop_ins_that_is_named_must_be_there(tmp_path) -> None:
    assert load({}, {}, drop_ins=tmp_path).sources == {}
    with pytest.raises(OptionError, match="--config-dir: .*conf.d is no directory"):
        load({}, {}, drop_ins=tmp_path / "conf.d")


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(OptionError, match="nothing.yaml"):
        load({}, {}, file=tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lb-mode", "consistent-hashing"),
        ("working-mode", "fog"),
        ("proxy-port", "99999"),
        ("proxy-port", "x"),
        ("enable-dummy-if", "maybe"),
        ("kubelet-health-grace-period", "40"),
        ("node-uids", "root"),
        ("server-addr", "http://10.0.0.1:6443"),
        ("server-addr", "https://10.0.0.1:port"),
        ("server-addr", "https://"),
        ("server-addr", "https://a/path"),
        ("log-format", "xml"),
        ("offline-readers", "coredns"),
        ("offline-readers", "=services"),
        ("offline-readers", "coredns="),
        ("offline-readers", "coredns=Services"),
        ("serving-key-file", "/a/tls.key"),
        ("proxy-secure-port", "65536"),
        ("min-request-timeout", "0s"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_by_its_option(name, value) -> None:
    with pytest.raises(OptionError, match=f"--{name}"):
        load({name: value}, {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("40s", 40), ("1m30s", 90), ("2h", 7200), ("0.5s", 0.5)]
)
def test_durations_are_go_s(text: str, seconds: float) -> None:
    options = load({"kubelet-health-grace-period": text}, {})
    assert options.number("kubelet-health-grace-period") == seconds


def test_what_comes_later_is_taken_and_told() -> None:
    options = load({"multiplexer-port": "1", "lb-mode": "rr"}, {})
    assert [flag.name for flag in options.later] == ["multiplexer-port"]
    (line,) = options.unheeded
    assert line.startswith("--multiplexer-port is taken and works with")


def test_of_the_working_modes_local_is_refused_and_says_why() -> None:
    for mode in ("edge", "cloud"):
        assert load({"working-mode": mode}, {}).unheeded == []
    with pytest.raises(OptionError, match="iptables") as caught:
        load({"working-mode": "local"}, {})
    assert "YurtHub" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("10.0.0.1:6443", ("10.0.0.1", 6443)),
        ("https://api.example", ("api.example", 443)),
        ("https://[fd00::1]:6443/", ("fd00::1", 6443)),
    ],
)
def test_servers_are_read_as_yurthub_reads_them(text, server) -> None:
    assert parse_server(text) == server


@given(st.text(max_size=40))
def test_any_server_text_is_read_or_named(text: str) -> None:
    try:
        host, port = parse_server(text)
    except OptionError as exc:
        assert "--server-addr" in str(exc)
    else:
        assert host
        assert 0 <= port < 65536
