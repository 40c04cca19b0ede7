"""What can be wrong with an order document: one change each, the field at fault, and words of the message."""

import math

from tests.documents import GOOD


def nested(levels):
    """An object so many levels deep."""
    value = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


WON = "KRW takes a whole number of won such as 3000, above zero and at most 10^12, not "
DOLLARS = 'USD takes a string with two decimals such as "10.50", above zero and at most 10^12, not '
RECEIPT = "takes a string of 1 to 64 of A-Z a-z 0-9 _ -, not "
ORDER = "takes a string of 1 to 64 characters without control characters, not "
SKU = "takes a string of 1 to 128 characters without control characters, not "
QUANTITY = "takes a whole number from 1 to 1000000, not "
ITEMS = "takes a list of at most 100 lines, each an object with sku and quantity, not "
URL = "takes an http or https URL with a host in ASCII"

BAD = [
    *[
        ({"receipt_id": value}, "receipt_id", RECEIPT)
        for value in ("", "a" * 65, "é", "\uff14", "a/b", "../a", "a b", 5, None, True, ["a"])
    ],
    *[
        ({"order_id": value}, "order_id", ORDER)
        for value in ("", "가" * 65, "a\nb", "\x00", "\x7f", "\x85", "\x9f", "a\u2028", "a\u2029", 5, None)
    ],
    *[({"amount": value}, "amount", WON) for value in (0, -1, 10**12 + 1, 3000.5, "3000", True, None, [3000])],
    *[
        ({"currency": "USD", "amount": value}, "amount", DOLLARS)
        for value in (
            *(10, 10.5, True, None, "", "10", "10.5", "10.500", "10,50", " 10.50", "+10.50", "-10.50"),
            *(
                "010.50",
                "00.50",
                ".50",
                "0.00",
                "1e2",
                "1.0e1",
                "\uff110.50",
                "٣.50",
                "1_0.50",
                "1000000000000.01",
                "NaN",
            ),
        )
    ],
    *[
        ({"currency": value}, "currency", 'takes "KRW" (the default) or "USD", not ')
        for value in ("krw", "EUR", "", None, 5)
    ],
    ({"items": None}, "items", ITEMS + "null"),
    ({"items": {}}, "items", ITEMS + "an object"),
    ({"items": "abc"}, "items", ITEMS + "'abc'"),
    ({"items": [GOOD["items"][0]] * 101}, "items", ITEMS + "101"),
    ({"items": ["tee"] * 101}, "items", ITEMS + "101"),
    ({"items": ["tee"]}, "items.0", "takes an object with sku and quantity, not 'tee'"),
    ({"items": [{"quantity": 1}]}, "items.0.sku", "is missing"),
    ({"items": [{"sku": "a"}]}, "items.0.quantity", "is missing"),
    ({"items": [{"sku": "a", "quantity": 1, "price": 5}]}, "items.0.price", "is not a field of an order document"),
    *[({"items": [{"sku": value, "quantity": 1}]}, "items.0.sku", SKU) for value in ("", "a" * 129, "a\nb", 5, None)],
    *[
        ({"items": [{"sku": "a", "quantity": value}]}, "items.0.quantity", QUANTITY)
        for value in (0, -1, 1_000_001, 1.5, "1", True, None)
    ],
    *[
        ({"callback_url": value}, "callback_url", URL)
        for value in (
            *("", "shop.example/hook", "//shop.example/", "ftp://shop.example/", "javascript:alert(1)", "file:///etc"),
            *(
                "https://",
                "https:///hook",
                "https://?x",
                "https://:80/",
                "https:shop.example",
                "https:\\\\shop.example",
            ),
            *("https://u:p@shop.example/", "https://u@shop.example/", "https://@shop.example", "https://a\\@b/"),
            *("https://shop.example/#part", "https://shop.example#@b/", "https://shop.example/a b", " https://a/"),
            *("https://shop.example/\x00", "https://a/\u2028"),
            *(
                "https://상점.example/",
                "https://a..b@c/",
                "https://[::g]/",
                "https://a:/",
                "https://a:port/",
                "https://%61/",
            ),
        )
    ],
    ({"callback_url": "https://a/" + "a" * 2039}, "callback_url", "at most 2048 characters"),
    ({"callback_url": 5}, "callback_url", "takes null, or an http or https URL"),
    ({"metadata": None}, "metadata", "takes an object, not null"),
    ({"metadata": []}, "metadata", "takes an object, not a list"),
    ({"metadata": "{}"}, "metadata", "takes an object, not a string"),
    ({"colour": "red"}, "colour", "is not a field of an order document"),
    ({"receipt_id ": "a"}, "receipt_id?", "is not a field of an order document"),
    ({"a" * 5000: 1}, "a" * 80, "is not a field of an order document"),
]

#: Refused, too, though JSON Schema has no words for it, or Python's regular expressions read its words differently.
BEYOND_SCHEMA = [
    *[({"receipt_id": value}, "receipt_id", RECEIPT) for value in ("a\n", b"a", "\ud800")],
    *[({"order_id": value}, "order_id", ORDER) for value in ("a\n", "a\ud800")],
    *[({"amount": value}, "amount", WON) for value in (10**5000, -(10**5000), 3000.0, math.nan, math.inf)],
    ({"currency": "USD", "amount": "10.50\n"}, "amount", DOLLARS),
    ({"currency": "\ud800"}, "currency", 'takes "KRW" (the default) or "USD", not '),
    *[({"items": [{"sku": value, "quantity": 1}]}, "items.0.sku", SKU) for value in ("a\n", "\ud800")],
    *[
        ({"items": [{"sku": "a", "quantity": value}]}, "items.0.quantity", QUANTITY)
        for value in (10**5000, 1.0, math.nan)
    ],
    *[({"callback_url": value}, "callback_url", URL) for value in ("https://a.example/\n", "https://a.example\n")],
    ({"callback_url": "https://a:65536/"}, "callback_url", "takes a port up to 65535"),
    ({"callback_url": "https://[1:2]/"}, "callback_url", "in brackets only an IPv6 address"),
    ({"callback_url": "https://a/\ud800"}, "callback_url", "takes null, or an http or https URL"),
    ({"metadata": {"a": "x" * (4096 - 8)}}, "metadata", "takes at most 4096 bytes as JSON, not 4097"),
    ({"metadata": {"a": "가" * 1363}}, "metadata", "takes at most 4096 bytes as JSON, not 4098"),
    ({"metadata": {"a": [0] * 5000}}, "metadata", "takes at most 4096 bytes as JSON"),
    ({"metadata": {"a": 10**5000}}, "metadata", "takes at most 4096 bytes as JSON"),
    ({"metadata": nested(101)}, "metadata", "takes at most 100 levels"),
    ({"metadata": nested(50_000)}, "metadata", "takes at most 100 levels"),
    ({"metadata": {"a": ["\x00"]}}, "metadata", "takes no U+0000"),
    ({"metadata": {"a": {"\x00": 1}}}, "metadata", "takes no U+0000"),
    ({"metadata": {"a": ["\udfff"]}}, "metadata", "takes no lone surrogates"),
    ({"metadata": {"a": {"\ud800": 1}}}, "metadata", "takes no lone surrogates"),
    ({"metadata": {"a": [math.nan]}}, "metadata", "takes no NaN"),
    ({"metadata": {"a": -math.inf}}, "metadata", "takes no NaN"),
    ({"metadata": {1: 2}}, "metadata", "takes only strings as keys"),
    ({"metadata": {"a": (1,)}}, "metadata", "takes only what JSON has, not a list"),
    ({"metadata": {"a": b"x"}}, "metadata", "takes only what JSON has, not a value of type bytes"),
    ({"\ud800": 1}, "?", "is not a field of an order document"),
    ({5: 1}, "5", "is not a field of an order document"),
]
