# SPDX-License-Identifier: Apache-2.0
"""HAProxy and nginx as relays to the same server, where they are installed.

They remember nothing: what they cost is what passing a request on costs in C.
"""

import shutil
import subprocess
import time
from pathlib import Path

from toono.testing.certificates import Authority
from toono.testing.real import free_port

HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend node
  bind 127.0.0.1:{port}
  default_backend cloud
backend cloud
  http-reuse always
  server one 127.0.0.1:{origin} ssl verify required ca-file {ca} alpn http/1.1
"""
NGINX = """
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream cloud {{ server 127.0.0.1:{origin}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {{
      proxy_pass https://cloud;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_ssl_trusted_certificate {ca};
      proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_buffers 16 64k;
      proxy_buffer_size 64k;
    }}
  }}
}}
"""
START_SECONDS = 5.0


class Relay:
    """One of the two, running."""

    def __init__(self, command: list[str], port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise RuntimeError(f"{command} did not start")

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """End it and its workers."""
        self.process.terminate()
        self.process.wait(START_SECONDS)


def start_relays(
    directory: Path, *, authority: Authority, origin: int
) -> dict[str, Relay]:
    """Start those that are installed, by name."""
    found: dict[str, Relay] = {}
    facts = {"ca": authority.file, "origin": origin, "directory": directory}
    for name, text in (("haproxy", HAPROXY), ("nginx", NGINX)):
        program = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
        if program is None:
            continue
        port = free_port()
        file = directory / f"{name}.conf"
        file.write_text(text.format(port=port, **facts))
        command = {
            "haproxy": [program, "-db", "-q", "-f", str(file)],
            "nginx": [program, "-c", str(file), "-g", "daemon off;"],
        }[name]
        found[name] = Relay(command, port)
    return found
