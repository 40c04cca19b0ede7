"""The shop's own code as ORDER_HOOK names it: found, or refused with the reason; what it says, in one plain line."""

import re
import sys
from itertools import count

import pytest
from sqlalchemy.exc import DBAPIError

from config.hook import MOST_CHARACTERS, plain
from confirmation.errors import HookFailed, HookRefused
from confirmation.hooks import Method
from payconfirm import Refuse
from tests.hooks import raises
from worker.hook import HookUnusable, ShopHook, load

NUMBERS = count(1)
GOOD = "class Hook:\n    def on_commit(self, connection, order): order['seen'] = connection\nhook = Hook()\n"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the shop into the working directory, and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(code):
        name = f"shop_of_test_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(code)
        return name

    return write


def test_the_object_is_found_in_the_working_directory(module):
    hook = load(f"{module(GOOD)}:hook")

    order = {}
    hook.call(Method.ON_COMMIT, "the connection", order)
    assert order == {"seen": "the connection"}
    assert [method for method in Method if hook.has(method)] == [Method.ON_COMMIT]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "has no hook"),
        ("hook = object()", "has none of on_reserve, on_commit, on_release, on_void"),
        ("import nowhere_at_all", "can't be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit('no licence')", "can't be imported: SystemExit: no licence"),
        ("x = (", "can't be imported: SyntaxError"),
        ("class hook: on_void = 'paid'", "has a on_void that can't be called"),
        (
            "class hook:\n    async def on_void(connection, order): ...",
            "has a on_void that is async: it would never run",
        ),
        (
            "class Late:\n    async def __call__(self, connection, order): ...\nclass hook: on_void = Late()",
            "has a on_void that is async: it would never run",
        ),
        (
            "class hook:\n    def on_void(connection, order): yield",
            "has a on_void that yields: it would never run",
        ),
        (
            GOOD.replace("hook = Hook()", "hook = Hook"),
            "has a on_commit that doesn't take (connection, order)",
        ),
    ],
)
def test_what_can_not_be_called_is_refused_with_the_reason(module, code, why):
    name = module(code)

    with pytest.raises(HookUnusable) as refused:
        load(f"{name}:hook")

    assert str(refused.value).startswith(name)
    assert why in str(refused.value)


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(HookUnusable, match=r"nowhere_at_all\.orders can't be imported"):
        load("nowhere_at_all.orders:hook")


def said(error, method=Method.ON_COMMIT):
    """What is made of something that the shop raises."""
    part = {method: staticmethod(raises(error))}
    with pytest.raises((HookFailed, HookRefused)) as raised:
        ShopHook(type("Hook", (), part)).call(method, None, {})
    return raised.value


@pytest.mark.parametrize("method", [Method.ON_RESERVE, Method.ON_COMMIT])
def test_a_refusal_keeps_its_words(method):
    refused = said(Refuse("쿠폰이 이미 사용되었습니다"), method)

    assert (type(refused), str(refused)) == (HookRefused, "쿠폰이 이미 사용되었습니다")


def test_an_error_names_its_type_its_words_and_its_line():
    assert re.fullmatch(
        r"on_commit: ValueError: no such shelf \(hooks.py:\d+\)", str(said(ValueError("no such shelf")))
    )
    assert re.fullmatch(r"on_commit: SystemExit \(hooks.py:\d+\)", str(said(SystemExit())))


class Own(BaseException):
    """As `asyncio.CancelledError` and gevent's `Timeout` are."""


@pytest.mark.parametrize("error", [Own("cancelled"), KeyboardInterrupt(), GeneratorExit()])
def test_what_no_except_exception_catches_is_a_failure_as_any_other(error):
    """In a worker's thread it would end the thread's work with the message unacknowledged, for ever."""
    assert type(error).__name__ in str(said(error))


class Mute(Exception):
    def __str__(self):
        raise ValueError("no words")


class MuteRefuse(Refuse):
    def __str__(self):
        raise ValueError("no words")


def test_an_error_that_can_not_be_put_into_words_is_known_by_its_type():
    assert re.fullmatch(r"on_commit: Mute \(hooks.py:\d+\)", str(said(Mute())))
    refused = said(MuteRefuse("never seen"))
    assert (type(refused), str(refused)) == (HookRefused, "")


def late(connection, order):
    async def pay():
        return connection, order

    return pay()


def lazy(connection, order):
    def pay():
        yield connection, order

    return pay()


@pytest.mark.parametrize("unrun", [late, lazy])
def test_code_that_is_only_given_back_has_not_run(unrun):
    """Nothing can be seen of it at the method itself."""
    hook = ShopHook(type("Hook", (), {Method.ON_COMMIT: staticmethod(unrun)}))

    with pytest.raises(HookFailed, match=r"^on_commit gave back a (coroutine|generator): its code never ran$"):
        hook.call(Method.ON_COMMIT, None, {})


def test_of_a_very_long_word_little_is_read():
    """The transaction is open meanwhile, and a session that is idle in one for 4 s is ended."""
    read = []

    class Long(str):
        __slots__ = ()

        def __getitem__(self, part):
            read.append(part)
            return super().__getitem__(part)

        def __iter__(self):
            raise AssertionError("read to its end")

    assert plain(Long("0123456789 " * 1_000_000)).startswith("0123456789 0123456789")
    assert read


def test_no_password_is_repeated_where_the_words_are_cut():
    words = "long " * 3 + " " * 9_960 + "postgresql://shop:pass-word@db/shop"

    assert "pass" not in plain(words)


def test_the_databases_own_words_are_kept_without_the_statement_and_its_values():
    driver = RuntimeError('duplicate key value violates "one_coupon"\nDETAIL: Key (code)=(secret) already exists.')
    error = DBAPIError("INSERT INTO coupons VALUES (%s)", {"code": "secret"}, driver)

    words = str(said(error))

    assert words.startswith('on_commit: RuntimeError: duplicate key value violates "one_coupon" (')
    assert "secret" not in words
    assert "INSERT" not in words


@pytest.mark.parametrize(
    "words",
    [
        "can't connect to postgresql://shop:pass-word@db:5432/shop",
        "can't connect: host=db password=pass-word",
        "redis://:pass-word@cache/0 is away",
    ],
)
def test_no_password_is_repeated(words):
    assert "pass-word" not in str(said(OSError(words)))
    assert "pass-word" not in str(said(Refuse(words)))


@pytest.mark.parametrize("error", [ValueError, Refuse])
def test_whatever_is_said_fits_a_row_and_a_terminal(error):
    words = str(said(error("a\x00b\n\x1b[31mc\ud800 " + "long " * 200)))

    assert words.isprintable()
    assert len(words) <= MOST_CHARACTERS + 60
    words.encode()
    assert "a b [31mc long" in words
