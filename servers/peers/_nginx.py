"""nginx in front of processes that run the scripts: one worker, no logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from servers.peer import Need, Setting, Tenant

PROGRAM: Final = "/usr/sbin/nginx"
NGINX: Final = Need(PROGRAM, "nginx-light")

_TEMPORARY: Final = ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")


def command(setting: Setting) -> tuple[str, ...]:
    """Return the command that runs nginx in the foreground."""
    return (PROGRAM, "-p", setting.run, "-e", "stderr", "-c", f"{setting.run}/nginx.conf")


def configuration(setting: Setting, location: Callable[[Tenant], str]) -> str:
    """Return nginx.conf; `location` says for a tenant where scripts are passed to."""
    paths = (f"{name}_temp_path {setting.run}/tmp-{name};" for name in _TEMPORARY)
    names_hash = max(512, 2 * len(setting.tenants))
    servers = (_server(setting, tenant, location(tenant)) for tenant in setting.tenants)
    return f"""daemon off;
user www www;
worker_processes 1;
pid {setting.run}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
access_log off;
keepalive_timeout 10;
keepalive_requests 1000000000;
client_max_body_size 8m;
server_names_hash_max_size {names_hash};
server_names_hash_bucket_size 128;
fastcgi_read_timeout {setting.script_seconds or 60};
uwsgi_read_timeout {setting.script_seconds or 60};
{chr(10).join(paths)}
server {{ listen {setting.host}:{setting.port} default_server; return 404; }}
{chr(10).join(servers)}
}}
"""


def _server(setting: Setting, tenant: Tenant, location: str) -> str:
    return (
        f"server {{ listen {setting.host}:{setting.port}; server_name {tenant.name}.localhost; "
        f"root {tenant.site}; {location} }}"
    )


PARAMETERS: Final = {
    "QUERY_STRING": "$query_string",
    "REQUEST_METHOD": "$request_method",
    "CONTENT_TYPE": "$content_type",
    "CONTENT_LENGTH": "$content_length",
    "REQUEST_URI": "$request_uri",
    "DOCUMENT_ROOT": "$document_root",
    "SERVER_PROTOCOL": "$server_protocol",
    "REMOTE_ADDR": "$remote_addr",
    "REMOTE_PORT": "$remote_port",
    "SERVER_ADDR": "$server_addr",
    "SERVER_PORT": "$server_port",
    "SERVER_NAME": "$server_name",
}
"""What fastcgi_params and uwsgi_params, which nginx brings, pass on alike."""
