import json
import os
import socket
from pathlib import Path

import pytest
from onemachine import process
from onemachine.errors import CannotStart, PortInUse
from onemachine.ports import Ports, holder, require_free
from onemachine.process import choosable_ports
from ports import free_port


def test_a_taken_port_is_refused_with_its_holder_and_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortInUse) as caught:
            require_free("127.0.0.1", port)
    sentence = str(caught.value)
    assert f"port {port}" in sentence
    assert f"(pid {os.getpid()})" in sentence
    assert "PORT=8080" in sentence


def test_a_free_port_passes_and_has_no_holder() -> None:
    port = free_port()
    require_free("127.0.0.1", port)
    assert holder(port) is None


def test_a_chosen_port_is_none_that_the_kernel_gives_out(tmp_path: Path) -> None:
    kernels_own = tmp_path / "ip_local_port_range"
    for told, room in (
        ("32768\t60999\n", range(20_000, 32_768)),
        ("1024 65535", range(0)),
        ("?", range(0)),
        ("", range(0)),
    ):
        kernels_own.write_text(told)
        assert list(choosable_ports(kernels_own)) == list(room)
    assert len(choosable_ports(tmp_path / "nowhere")) == 0
    chosen = process.free_port()
    require_free("127.0.0.1", chosen)
    assert chosen in choosable_ports() or not choosable_ports()


def test_where_the_kernel_leaves_no_room_it_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "choosable_ports", lambda: range(0))
    require_free("127.0.0.1", process.free_port())
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(process, "choosable_ports", lambda: range(taken, taken + 1))
        assert process.free_port() != taken


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(CannotStart, match=r"cannot listen on 192\.0\.2\.1:8000"):
        require_free("192.0.2.1", 8000)


def test_ports_are_kept_from_start_to_start(tmp_path: Path) -> None:
    first = {name: Ports(tmp_path / "ports.json").get(name) for name in ("nats", "registry")}
    assert len(set(first.values())) == 2
    assert {name: Ports(tmp_path / "ports.json").get(name) for name in first} == first


def test_a_port_that_another_program_took_is_chosen_anew(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"nats": taken}))
        assert Ports(tmp_path / "ports.json").get("nats") != taken
