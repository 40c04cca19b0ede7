"""Which addresses and hosts a callback may go to."""

import ipaddress

import pytest

from worker.callbacks.addresses import is_public
from worker.callbacks.hosts import AllowedHosts

INSIDE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.8.8.8",
    "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.170", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:100.64.0.1", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1",
    "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1", "2002:808:808::1", "3fff::1",
    "5f00::1", "fc00::1", "fd00:ec2::254", "fd12:3456:789a::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1",
    "ff02::1", "ff0e::1", "2606:4700::1111%eth0",
]  # fmt: skip

OUTSIDE = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "169.253.0.1", "192.0.1.1",
    "198.17.0.1", "198.20.0.1", "223.255.255.254", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_in_the_public_internet(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_in_the_public_internet(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", INSIDE)
@pytest.mark.parametrize("hosts", ["shop.example", "*.example", "localhost shop.example", "10.0.0.99 shop.example"])
def test_a_name_may_not_lead_inside_whatever_else_is_allowed(hosts, address):
    assert not AllowedHosts(hosts).may_lead_to("shop.example", ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "169.254.169.254"])
def test_the_very_address_that_is_listed_may_be_gone_to(address):
    allowed = AllowedHosts(f"shop.example {address}")

    assert allowed.may_lead_to(address, ipaddress.ip_address(address))
    assert allowed.may_lead_to("shop.example", ipaddress.ip_address(address))
    assert not allowed.may_lead_to("shop.example", ipaddress.ip_address("10.0.0.2"))


def test_localhost_is_this_machine_and_only_for_its_own_name():
    allowed = AllowedHosts("localhost shop.example")

    for address in ("127.0.0.1", "::1"):
        assert allowed.may_lead_to("localhost", ipaddress.ip_address(address))
        assert not allowed.may_lead_to("shop.example", ipaddress.ip_address(address))
        assert not AllowedHosts("shop.example").may_lead_to("localhost", ipaddress.ip_address(address))
    assert not allowed.may_lead_to("localhost", ipaddress.ip_address("10.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook",
        "HTTPS://SHOP.example:8443/hook?x=1",
        "https://a.b.wild.example/",
        "http://localhost:8080/hook",
        "http://10.0.0.7/hook",
        "https://10.0.0.7/hook",
        "http://[fd00::7]:80/hook",
        "http://[FD00:0::7]/hook",
    ],
)
def test_addresses_that_are_allowed(url):
    assert AllowedHosts("shop.example *.wild.example localhost 10.0.0.7 fd00::7").flaw(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hook",
        "https://shop.example.evil/hook",
        "https://evil-shop.example/hook",
        "https://wild.example/",
        "https://shop.example@evil.example/",
        "https://user:pass@shop.example/",
        "https://shop.example\\@evil.example/",
        "https://evil.example#shop.example",
        "https://shop.example#@evil.example/",
        "https://shop.example./hook",
        "https://10.0.0.8/hook",
        "https://0x0a000007/hook",
        "https://167772167/hook",
        "https://10.7/hook",
        "https://[::ffff:10.0.0.7]/hook",
        "https://127.0.0.1/hook",
        "http://0/",
        "https://\uff33hop.example/",
        "https:///hook",
        "ftp://shop.example/hook",
        "file:///etc/passwd",
        "https://shop.example\t.evil.example/",
        "https://shop.example:99999/",
        "http://[fd00::7%25eth0]/hook",
        "",
    ],
)
def test_addresses_that_are_not(url):
    assert AllowedHosts("shop.example *.wild.example localhost 10.0.0.7 fd00::7").flaw(url)


def test_an_empty_list_allows_none():
    assert AllowedHosts("").flaw("https://shop.example/")
    assert AllowedHosts("").flaw(None) is None
