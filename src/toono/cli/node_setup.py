# SPDX-License-Identifier: Apache-2.0
"""`toono node-setup`: what to put where so that the kubelet speaks to the hub."""

import shutil
import sys

import click

UNIT = """\
[Unit]
Description=toono: the Kubernetes API on this node, also while cut off
Before=kubelet.service
After=network.target

[Service]
ExecStart={program} run
Restart=always
RestartSec=1
StateDirectory=toono
OOMScoreAdjust=-999
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/etc/kubernetes/cache
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
cat > /etc/systemd/system/toono.service <<'UNIT'
{unit}UNIT
mkdir -p /etc/kubernetes/cache /etc/toono
systemctl daemon-reload && systemctl enable --now toono

# 2. Wait until it serves and the cloud answers through it
until curl -fs http://{address}/readyz; do sleep 1; done

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
"""


@click.command()
@click.option(
    "--print", "printed", is_flag=True, help="print the steps; change nothing"
)
@click.option("--address", default="127.0.0.1:10261", show_default=True)
def command(printed: bool, address: str) -> None:
    """Print the service, the kubeconfig and the commands for this node, and the way back.

    \b
    Example:
      toono node-setup --print
    """
    if not printed:
        click.echo("toono: nothing is changed for you: give --print", err=True)
        sys.exit(2)
    click.echo(steps(address), nl=False)


def steps(address: str) -> str:
    """Return the whole transcript."""
    program = shutil.which("toono") or "/usr/local/bin/toono"
    return STEPS.format(
        unit=UNIT.format(program=program),
        kubeconfig=KUBECONFIG.format(address=address),
        drop_in=DROP_IN,
        address=address,
    )
