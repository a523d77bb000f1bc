"""nginx's configuration for many tenants."""

import subprocess
from pathlib import Path

import pytest

from servers.kernel.credentials import Identity
from servers.peer import Setting, Tenant
from servers.peers import _nginx


@pytest.mark.skipif(_nginx.NGINX.found() is None, reason="the host lacks nginx")
def test_nginx_has_room_for_the_names_of_a_thousand_tenants(tmp_path: Path) -> None:
    names = (f"t{number:04}" for number in range(1, 1001))
    tenants = tuple(Tenant(name, 1, 1, str(tmp_path), str(tmp_path)) for name in names)
    www = Identity(33, 33, ())
    setting = Setting(
        *(tenants, str(tmp_path), www, "127.0.0.1", 8099, str(tmp_path), 8, ""), options={}
    )
    text = _nginx.configuration(setting, lambda _: "return 200;")
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text.replace("user www www;", ""))
    command = [_nginx.PROGRAM, "-t", "-p", str(tmp_path), "-e", "stderr", "-c", str(configuration)]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "test is successful" in tested.stderr
    assert "server_names_hash" not in tested.stderr
