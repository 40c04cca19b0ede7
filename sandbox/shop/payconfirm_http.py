"""How the shop's server speaks to payconfirm: three requests, as any service in any language makes them."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import aiohttp

#: A request for a result may wait for so long at the other side, and says then where it stands meanwhile.
WAIT_SECONDS = 5
#: The wait, and a slow answer on top.
PATIENCE_SECONDS = 15


class Away(Exception):
    """payconfirm can't be reached, or says "not now": ask again, with the same document."""


class Refused(Exception):
    """payconfirm doesn't take this document, and never will; the message says why."""


class Payconfirm:
    """payconfirm's HTTP door. A key of `API_KEYS` opens it; what is left of the stock, one of `OPERATOR_KEYS`."""

    def __init__(self, url: str, key: str, operator_key: str | None) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._operator_key = operator_key
        self._session: aiohttp.ClientSession | None = None

    async def enqueue(self, document: dict[str, Any]) -> None:
        """Hand in an order document. The same one again is the same job, so whoever is unsure sends it again."""
        status, answer = await self._ask("POST", "/v1/confirmations", self._key, json=document)
        if status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise Refused(answer.get("detail") or answer.get("title") or f"HTTP {status}")
        if status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            raise Away(f"HTTP {status}")  # a wrong key, say: that is no word about the document

    async def result(self, receipt_id: str, *, wait_seconds: int = WAIT_SECONDS) -> dict[str, Any] | None:
        """Read the result document, at once if it is final, else after a wait; None where nothing is known."""
        path = f"/v1/confirmations/{receipt_id}?wait={wait_seconds}"
        status, answer = await self._ask("GET", path, self._key)
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status != HTTPStatus.OK:
            raise Away(f"HTTP {status}")
        return answer

    async def left(self, skus: Iterable[str]) -> dict[str, int]:
        """Say how much of each is left; those that nobody can tell us about are left out."""
        if not self._operator_key:
            return {}
        names = list(skus)
        numbers = await asyncio.gather(*(self._left(sku, self._operator_key) for sku in names))
        return {sku: number for sku, number in zip(names, numbers, strict=True) if number is not None}

    async def _left(self, sku: str, key: str) -> int | None:
        try:
            status, answer = await self._ask("GET", f"/v1/stock/{sku}", key)
        except Away:
            return None
        return int(answer["available"]) if status == HTTPStatus.OK else None

    async def _ask(self, method: str, path: str, key: str, **more: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 - aiohttp's options
        self._session = self._session or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_SECONDS))
        headers = {"Authorization": f"Bearer {key}"}
        try:
            async with self._session.request(method, self._url + path, headers=headers, **more) as answer:
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                    raise Away(f"HTTP {answer.status}")
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Away(type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()
