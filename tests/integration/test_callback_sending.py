"""A POST to an address that somebody else named: it goes nowhere inside, and nothing it meets holds it."""

import ipaddress
import socket
import ssl
import threading
import time
from functools import partial

import pytest
import trustme

from tests.receivers import closed_port, drip, receiving, say
from worker.callbacks.hosts import AllowedHosts
from worker.callbacks.sending import MOST_BYTES, Answer, NoAnswer, Post

TOTAL_SECONDS = 1.2
PUBLIC = "93.184.216.34"
CONTINUE = b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 60_000 + b"\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


@pytest.fixture
def names(monkeypatch):
    """What names lead to, asked anew each time; each is a list of answers, the last of which stays."""
    known: dict[str, list[list[str]]] = {}
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host, port, family=0, kind=0, *more):
        asked.append(host)
        if host not in known:
            return real(host, port, family, kind, *more)
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [_info(address, port) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    known["asked"] = asked  # type: ignore[assignment]
    return known


def _info(address, port):
    name, _, scope = address.partition("%")
    if ":" in name:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (name, port, 0, int(scope or 0)))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, port))


@pytest.fixture
def connected(monkeypatch):
    """Every address that is connected to; none of them is reached."""
    tried = []

    def connect(_sock, address):
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


def post(hosts, url, **options):
    return Post(AllowedHosts(hosts), **options).send(url, {"Content-Type": "text/plain"}, b"event")


INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "192.0.0.1",
    "198.18.0.1", "224.0.0.1", "240.0.0.1", "::", "::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "fd00:ec2::254", "fe80::1%2", "fec0::1",
    "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_leads_inside_is_not_connected_to(names, connected, address):
    names["shop.example"] = [[address]]

    answer = post("shop.example", "https://shop.example/hook")

    assert connected == []
    assert isinstance(answer, NoAnswer)
    assert "isn't public" in answer.why


@pytest.mark.parametrize("answers", [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "fd00::1"]])
def test_one_address_inside_is_enough_to_go_nowhere(names, connected, answers):
    names["shop.example"] = [answers]

    assert isinstance(post("shop.example", "https://shop.example/hook"), NoAnswer)
    assert connected == []


def test_a_name_that_leads_elsewhere_at_the_second_asking_is_asked_once(names, connected):
    names["shop.example"] = [[PUBLIC], ["127.0.0.1"]]

    post("shop.example", "https://shop.example/hook")

    assert connected == [PUBLIC]
    assert names["asked"] == ["shop.example"]


def test_every_public_address_is_tried(names, connected):
    names["shop.example"] = [[PUBLIC, "2606:4700::1111"]]

    answer = post("shop.example", "https://shop.example/hook")

    assert connected == [PUBLIC, "2606:4700::1111"]
    assert "ConnectionRefused" in answer.why


def test_a_redirect_to_the_inside_is_an_answer_and_not_a_way():
    with receiving() as inside, receiving() as shop:
        shop.answer = partial(say, status=307, Location=inside.url)

        answer = post("127.0.0.1", shop.url)

        assert (answer.status, inside.got) == (307, [])


def test_ten_megabytes_are_read_up_to_the_limit():
    with receiving() as shop:
        shop.answer = partial(say, status=200, body=b"x" * 10_000_000)

        answer = post("127.0.0.1", shop.url)

        assert isinstance(answer, Answer)
        assert (answer.status, len(answer.body)) == (200, MOST_BYTES)


@pytest.mark.parametrize("before", [CONTINUE, EARLY])
def test_what_comes_before_an_answer_is_read_up_to_a_limit_too(before):
    with receiving() as shop:
        shop.answer = lambda handler: [handler.wfile.write(before) for _ in range(4000)]

        answer = post("127.0.0.1", shop.url, total_seconds=60)

        assert answer == NoAnswer("its answer has more than 128 KiB before its body")


def test_what_comes_before_an_answer_is_not_the_answer():
    """A proxy's Early Hints would bring a callback back for a day and pause its endpoint, though the shop has it."""
    with receiving() as shop:
        early = EARLY + b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + EARLY
        shop.answer = lambda handler: [handler.wfile.write(early), say(handler, 200, b"yes", Retry_After="7")]

        assert post("127.0.0.1", shop.url) == Answer(200, b"yes", "7")


def test_headers_are_read_up_to_a_limit_too():
    with receiving() as shop:
        headers = {f"X{number}": "y" * 65_000 for number in range(90)}
        shop.answer = partial(say, status=200, **headers)

        assert post("127.0.0.1", shop.url) == NoAnswer("its answer has more than 128 KiB before its body")


@pytest.mark.parametrize("chunk", [b"1;" + b"e" * 30_000 + b"\r\nx\r\n", b"1\r\nx\r\n"])
def test_an_answer_in_pieces_is_the_one_that_its_status_says_however_much_there_is_around_them(chunk):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with receiving() as shop:
        shop.answer = lambda handler: [handler.wfile.write(each) for each in (head, *[chunk] * 100, b"0\r\n\r\n")]

        answer = post("127.0.0.1", shop.url)

        assert (answer.status, answer.body.strip(b"x")) == (200, b"")


@pytest.mark.parametrize(
    ("there", "sent"),
    [
        ("/결제/훅?상점=7&x=😀", "/%EA%B2%B0%EC%A0%9C/%ED%9B%85?%EC%83%81%EC%A0%90=7&x=%F0%9F%98%80"),
        ("/%EA%B2%B0%20%2f?a=%25&b=~!$'()*+,;:@/?[]|^`{}\"<>", "/%EA%B2%B0%20%2f?a=%25&b=~!$'()*+,;:@/?[]|^`{}\"<>"),
        ("?훅", "/?%ED%9B%85"),
    ],
)
def test_what_isn_t_ascii_is_sent_percent_encoded_and_what_is_stays_as_it_is(there, sent):
    with receiving() as shop:
        answer = post("127.0.0.1", shop.url.removesuffix("/hook") + there)

        assert (answer.status, [got.path for got in shop.got]) == (204, [sent])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 2", None),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 200),
        (b"HTTP/1.1 500 Oops\r\n\r\n", 500),
    ],
)
def test_a_slow_drip_has_no_more_time_than_any(head, status):
    with receiving() as shop:
        shop.answer = partial(drip, head=head, seconds=6)
        began = time.monotonic()

        answer = post("127.0.0.1", shop.url, total_seconds=TOTAL_SECONDS)

        assert time.monotonic() - began < TOTAL_SECONDS + 3
        assert getattr(answer, "status", None) == status
        assert status or answer.why == "no answer in time"


def test_continue_without_end_has_no_more_time_either():
    with receiving() as shop:

        def answer(handler):
            for _ in range(600):
                handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                time.sleep(0.01)

        shop.answer = answer
        began = time.monotonic()

        assert post("127.0.0.1", shop.url, total_seconds=TOTAL_SECONDS) == NoAnswer("no answer in time")
        assert time.monotonic() - began < TOTAL_SECONDS + 3


def test_a_resolver_that_hangs_holds_neither_the_call_nor_the_others(monkeypatch):
    release, real = threading.Event(), socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more: release.wait(20) if host == "slow.example" else real(host, *more)
    )
    try:
        for _ in range(3):
            began = time.monotonic()
            assert post("slow.example", "https://slow.example/", total_seconds=0.1) == NoAnswer("no answer in time")
            assert time.monotonic() - began < 2
        with receiving() as shop:
            assert post("127.0.0.1", shop.url).status == 204
    finally:
        release.set()


def test_nothing_of_the_environment_takes_part(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with receiving() as shop:
        shop.answer = partial(say, status=200, Set_Cookie="a=b")

        answers = [post("127.0.0.1", shop.url).status for _ in range(2)]

        assert answers == [200, 200]
        assert not {name.lower() for got in shop.got for name in got.headers} & {"authorization", "cookie"}


# TLS, with a certificate authority of the test's own ------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


def speaking(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def named(url):
    return url.replace("127.0.0.1", "shop.example")


def test_a_certificate_is_for_the_name_though_the_connection_is_by_address(names, authority, ca_file):
    names["shop.example"] = [["127.0.0.1"]]
    heard = []
    context = speaking(authority.issue_cert("shop.example"))
    context.sni_callback = lambda _sock, name, _context: heard.append(name)
    with receiving(context) as shop:
        answer = post("shop.example 127.0.0.1", named(shop.url), ca_file=ca_file)

        assert (answer.status, heard) == (204, ["shop.example"])
        assert shop.got[0].headers["Host"].startswith("shop.example:")


@pytest.mark.parametrize("whose", ["nobody's", "another name's"])
def test_a_certificate_that_proves_nothing_is_refused(names, authority, ca_file, whose):
    names["shop.example"] = [["127.0.0.1"]]
    issuer, name = (trustme.CA(), "shop.example") if whose == "nobody's" else (authority, "other.example")
    with receiving(speaking(issuer.issue_cert(name))) as shop:
        answer = post("shop.example 127.0.0.1", named(shop.url), ca_file=ca_file)

        assert isinstance(answer, NoAnswer)
        assert "certificate isn't trusted" in answer.why
        assert shop.got == []


def test_a_server_that_never_shakes_hands_has_no_more_time_than_any(names, ca_file):
    names["shop.example"] = [["127.0.0.1"]]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://shop.example:{silent.getsockname()[1]}/"
        began = time.monotonic()

        answer = post("shop.example 127.0.0.1", url, ca_file=ca_file, total_seconds=TOTAL_SECONDS)
        assert answer == NoAnswer("no answer in time")
        assert time.monotonic() - began < TOTAL_SECONDS + 3


def test_what_is_no_http_is_no_answer():
    with receiving() as shop:
        shop.answer = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

        assert "no answer (" in post("127.0.0.1", shop.url).why


def test_the_inside_of_this_test_is_the_one_of_the_rules():
    assert all(not AllowedHosts("x").may_lead_to("x", ipaddress.ip_address(each.split("%")[0])) for each in INSIDE)
