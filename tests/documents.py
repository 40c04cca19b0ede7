"""Order documents of every kind, right and wrong, for the tests that hold the doors together.

Drawn from a seed, and fast: thousands of them take seconds.
"""

import random
import string
from typing import Any

from api.examples import ORDER

#: The one that the HTTP door's description shows.
GOOD = ORDER

ODD = (
    "\x01\x1f\x7f\x85\x9f\xa0\xad\u1680\u2003\u2028\u2029\u202e\u3000\ufeff\U000e0001\t\n\r'\"\\/#@:[]?. Ak_-"
    "é\u0130\u0131ß\u017f가\u0663\uff10\xb2🙂"
)
NUMBERS = (
    *(0, 1, -1, 10**6, 10**6 + 1, 10**12, 10**12 + 1, 10**78, 10**79, -(10**79), -(10**78), 2**53 + 1, 10**400),
    *(3000.0, 0.0, -0.0, 1.0, 2.5, 1e15, 1e16, 1e-4, 1e-5, 5e-324, 2.0**53, 1e22, 1e23, 1.7976931348623157e308),
)
AMOUNTS = ("0.00", "0.01", "10.50", "010.50", "1e2", "\u0663.50", "10.50\n", "1000000000000.00", "1000000000000.01")
FIELDS = (*GOOD, "sku", "quantity")
NAMES = (*FIELDS, "receipt_id ", "", "a b", "a?b", "x" * 90, "가" * 90)
GROUPS = ("", "", "0", "1f", "aBcD", "12345", "1.2.3.4", "01.2.3.4", "256.1.1.1", "1.2.3", "g")
HOSTS = ("shop.example", "a", "-a", "a-", "_", "a_b.", "a..b", "a" * 253, "a" * 254, "상점.example", "u:p@a", "a@b", "")
PORTS = ("", "", ":", ":0", ":80", ":65535", ":65536", ":99999", ":00080", ":000080", ":x")
SCHEMES = ("https", "https", "http", "HTTPS", "hTtp", "ftp", "\u017fhttp")


class Maker:
    """Makes documents; the same ones from the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def document(self) -> Any:
        """A document; about one in three is right, and most others have little that is wrong."""
        draw = self._random
        document: Any = self._right()
        for name in draw.sample(tuple(GOOD), draw.choice((0, 0, 1, 1, 1, 2, 7))):
            document[name] = draw.choice((self._near, self._near, self._odd))(name)
        for name in draw.sample(tuple(GOOD), draw.choice((0, 0, 0, 0, 1, 2))):
            document.pop(name, None)
        if draw.random() < 0.1:
            document |= {self._name(): self._anything() for _ in range(draw.choice((1, 3)))}
        return self._anything() if draw.random() < 0.03 else document

    def _right(self) -> dict[str, Any]:
        draw = self._random
        document = GOOD | {
            "receipt_id": self._text(string.ascii_letters + string.digits + "_-", 1, 64),
            "order_id": self._plain(64),
            "items": [self._line() for _ in range(draw.choice((0, 1, 2, 2, 100)))],
            "callback_url": draw.choice((None, self._url())),
            "metadata": {self._name(): self._anything() for _ in range(draw.randrange(3))},
        }
        if draw.random() < 0.4:
            cents = draw.randint(1, 10**14)
            document |= {"currency": "USD", "amount": f"{cents // 100}.{cents % 100:02}"}
        return document

    def _near(self, name: str) -> Any:
        """A value of the right kind, about the edge of what is allowed."""
        draw = self._random
        return {
            "receipt_id": lambda: self._text(string.ascii_letters + "_-", 0, 66) + draw.choice(("", "", "\n", "/")),
            "order_id": lambda: self._text("가a", 0, 66) + draw.choice(("", "", "\x85", "\u2028")),
            "amount": lambda: draw.choice((*AMOUNTS, *NUMBERS)),
            "currency": lambda: draw.choice(("KRW", "USD", "USD", "EUR", "krw", None)),
            "items": lambda: [self._odd_line() for _ in range(draw.choice((1, 2, 3, 100, 101)))],
            "callback_url": self._odd_url,
            "metadata": self._much,
        }[name]()

    def _odd(self, _: str) -> Any:
        return self._anything()

    def _anything(self, levels: int = 3) -> Any:
        draw = self._random
        kind = draw.randrange(9 if levels else 6)
        if kind < 2:
            return draw.choice((None, True, False, "", "KRW"))
        if kind < 4:
            return self._number()
        if kind < 6:
            return self._text(ODD, 0, 8) * draw.choice((1, 1, 1, 30))
        if kind < 7:
            return [self._anything(levels - 1) for _ in range(draw.randrange(4))]
        return {self._name(): self._anything(levels - 1) for _ in range(draw.randrange(4))}

    def _number(self) -> float:
        draw = self._random
        return draw.choice(
            (
                draw.choice(NUMBERS),
                draw.randint(-(2**70), 2**70),
                draw.random() * 10.0 ** draw.randint(-30, 30),
                draw.randint(-9999, 9999) / 10 ** draw.randrange(8),
            )
        )

    def _much(self) -> dict[str, Any]:
        """Metadata about as large, as deep or as long as it may be."""
        draw = self._random
        value: Any = self._anything()
        for _ in range(draw.choice((0, 0, 96, 98, 99, 100, 101))):
            value = draw.choice(({self._name(): value}, [value], [1, value, 2.50]))
        size = len(str(value))
        times = draw.choice((1, 1, 4096 // (size + 2) + draw.randint(-2, 2), 4090 // 4, 1500, 5000))
        return {"a": [value] * max(times, 1)} if size * times < 30_000 else {"a": value, "b": "x" * (4096 - 20 - size)}

    def _line(self) -> dict[str, Any]:
        return {"sku": self._plain(128), "quantity": self._random.randint(1, 10**6)}

    def _odd_line(self) -> Any:
        draw = self._random
        line: Any = self._line()
        match draw.randrange(8):
            case 0:
                line["sku"] = draw.choice((self._anything(), self._text("가", 126, 130)))
            case 1:
                line["quantity"] = self._number()
            case 2:
                line[self._name()] = self._anything()
            case 3:
                del line[draw.choice(("sku", "quantity"))]
            case 4:
                line = self._anything()
        return line

    def _url(self) -> str:
        return f"https://{self._random.choice(HOSTS[:2])}/{self._text('abc가?&=%', 0, 20)}"

    def _odd_url(self) -> str:
        draw = self._random
        groups = ":".join(draw.choice(GROUPS) for _ in range(draw.randint(1, 9)))
        short = f"{':'.join('1' * draw.randrange(8))}::{':'.join('2' * draw.randrange(8))}"
        host = draw.choice((*HOSTS, f"[{groups}]", f"[{short}]", f"[{short}:1.2.3.4]", f"[{groups}"))
        rest = draw.choice(
            ("", "", self._text(ODD, 0, 5), "/" + self._text(ODD, 0, 5), "/" + "a" * draw.randint(2000, 2048))
        )
        return f"{draw.choice(SCHEMES)}://{host}{draw.choice(PORTS)}{rest}"

    def _name(self) -> str:
        draw = self._random
        return draw.choice((draw.choice(NAMES), self._text(ODD, 1, 5), self._text("abc", 1, 3)))

    def _plain(self, most: int) -> str:
        return self._text("abc 가나🙂é-'\"\\\xa0\u3000", 1, self._random.choice((5, most)))

    def _text(self, characters: str, least: int, most: int) -> str:
        return "".join(self._random.choices(characters, k=self._random.randint(least, most)))
