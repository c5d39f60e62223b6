"""Which servers a list of addresses stands for."""

import socket

import pytest

from assistant.engines.remote_place import ServerAddress, replica_addresses
from storage.errors import BadInput


def addresses(listed, before=()):
    found = replica_addresses(listed, dict(before))
    return [one for each in found.values() for one in each]


def test_numbers_stand_for_themselves():
    listed = "http://127.0.0.1:8000/v1, http://[::1]:8001/ ,https://10.0.0.5"
    assert addresses(listed) == [
        ServerAddress("http://127.0.0.1:8000"),
        ServerAddress("http://[::1]:8001"),
        ServerAddress("https://10.0.0.5"),
    ]
    assert addresses(" , ") == []


def test_a_name_stands_for_its_numbers(monkeypatch):
    def looked_up(host, port, **more):
        families = {"both": (socket.AF_INET6, socket.AF_INET), "six": (socket.AF_INET6,)}
        numbers = {socket.AF_INET: ["10.0.0.2", "10.0.0.1"], socket.AF_INET6: ["fd00::2"]}
        if host not in families:
            raise socket.gaierror("not known")
        return [
            (one, socket.SOCK_STREAM, 6, "", (number, port))
            for one in families[host]
            for number in numbers[one] * 2
        ]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    assert addresses("http://both:8000") == [
        ServerAddress("http://10.0.0.1:8000", "both:8000"),
        ServerAddress("http://10.0.0.2:8000", "both:8000"),
    ]
    assert addresses("https://user:word@six") == [
        ServerAddress("https://user:word@[fd00::2]:443", "six")
    ]
    before = {"http://gone:8000": [ServerAddress("http://10.0.0.9:8000", "gone:8000")]}
    assert addresses("http://gone:8000", before) == before["http://gone:8000"]
    assert addresses("http://gone:8000") == [ServerAddress("http://gone:8000")]


@pytest.mark.parametrize("listed", ["gpu-1:8000", "ftp://gpu-1", "http://", "http://a:b", "a b"])
def test_what_is_no_address(listed):
    with pytest.raises(BadInput, match="APPRENTICE_REMOTE_REPLICAS has .* which is no address"):
        addresses(f"http://127.0.0.1:8000,{listed}")
