# SPDX-License-Identifier: Apache-2.0
"""`toono node-setup`: what to put where so that the kubelet speaks to the hub.

Only printed: what changes a node is read first, and done by who answers for it.
"""

import shutil
import sys

import click

DEFAULT = "127.0.0.1:10261"
UNIT = """\
[Unit]
Description=toono: the Kubernetes API on this node, also while cut off
Before=kubelet.service
After=network.target

[Service]
ExecStart={command}
Restart=always
RestartSec=1
StateDirectory=toono
OOMScoreAdjust=-999
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/etc/kubernetes/cache /var/lib/yurthub
MemoryMax=256M

[Install]
WantedBy=multi-user.target
"""
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: default
clusters:
- name: default
  cluster:
    server: http://{address}
contexts:
- name: default
  context:
    cluster: default
    user: ""
"""
DROP_IN = """\
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--kubeconfig=/etc/toono/kubelet.conf"
"""
STEPS = """\
# 1. The hub as a service
mkdir -p /etc/kubernetes/cache /etc/toono /var/lib/yurthub
cat > /etc/systemd/system/toono.service <<'UNIT'
{unit}UNIT
systemctl daemon-reload && systemctl enable --now toono

# 2. Wait until it serves and the cloud answers through it
until curl -fsi http://{address}/readyz | grep -q fwd=; do sleep 1; done

# 3. The kubelet to the hub (its own kubeconfig stays where it is, for the hub)
cat > /etc/toono/kubelet.conf <<'KUBECONFIG'
{kubeconfig}KUBECONFIG
mkdir -p /etc/systemd/system/kubelet.service.d
cat > /etc/systemd/system/kubelet.service.d/90-toono.conf <<'DROP_IN'
{drop_in}DROP_IN
systemctl daemon-reload && systemctl restart kubelet

# The way back
#   rm /etc/systemd/system/kubelet.service.d/90-toono.conf
#   systemctl daemon-reload && systemctl restart kubelet
#   systemctl disable --now toono
#   rm -r /etc/systemd/system/toono.service /etc/toono
#   systemctl daemon-reload
"""


@click.command()
@click.option(
    "--print", "printed", is_flag=True, help="Print the steps; change nothing."
)
@click.option(
    "--address",
    default=DEFAULT,
    show_default=True,
    help="HOST:PORT that the hub serves the kubelet on.",
)
def command(printed: bool, address: str) -> None:
    """Print the service, the kubeconfig and the commands for this node, and the way back.

    \b
    Examples:
      toono node-setup --print
      toono node-setup --print --address 127.0.0.1:20261
    """
    if not printed:
        click.echo("toono: nothing is changed for you: give --print", err=True)
        sys.exit(2)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter(f"{address} is no HOST:PORT", param_hint="--address")
    click.echo(steps(address), nl=False)


def steps(address: str) -> str:
    """Return the whole transcript."""
    return STEPS.format(
        unit=UNIT.format(command=_command(address)),
        kubeconfig=KUBECONFIG.format(address=address),
        drop_in=DROP_IN,
        address=address,
    )


def _command(address: str) -> str:
    """Return the hub's command line, with the address where it is not the default."""
    program = shutil.which("toono") or "/usr/local/bin/toono"
    host, _, port = address.rpartition(":")
    given = [f"--bind-proxy-address={host.strip('[]')}", f"--proxy-port={port}"]
    return " ".join([program, "run", *(given if address != DEFAULT else [])])
