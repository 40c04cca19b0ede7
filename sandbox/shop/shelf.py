"""What the shop sells: the demo's items and their Korean names. These prices count, never what a browser says."""

from dataclasses import dataclass

from sandbox.demo.cast import SCARCE, SHELF, SOLD_OUT, Item

IN_KOREAN = {
    "tee-black-m": "블랙 티셔츠 M",
    "mug-blue": "블루 머그",
    "cap-navy": "네이비 캡",
    "socks-wool": "울 양말",
    "tote-canvas": "캔버스 토트백",
    "poster-seoul": "서울 포스터",
    "vinyl-signed": "사인 바이닐",
    "umbrella-red": "빨간 우산",
}


@dataclass(frozen=True)
class Goods:
    """An item with its name in both languages. The price is in won."""

    sku: str
    price: int
    ko: str
    en: str

    @classmethod
    def of(cls, item: Item) -> "Goods":
        """Put an item of the demo on the shelf."""
        return cls(item.sku, item.price, IN_KOREAN[item.sku], item.name)


GOODS = {item.sku: Goods.of(item) for item in (SCARCE, *SHELF, SOLD_OUT)}
