"""Who may call: the two pairs of keys, and access tokens with Bootpay's lifetimes."""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.gateway.clock import Clock
from sandbox.gateway.refusals import Refusal, Refused

#: A token lives 30 minutes from its first issue.
LIFE_SECONDS = 30 * 60
#: Who asks within the first 25 minutes gets the same token again.
SAME_SECONDS = 25 * 60


@dataclass(frozen=True)
class Keys:
    """The keys that the gateway accepts: one pair for tokens, one for v2's Basic scheme."""

    application_id: str
    private_key: str
    client_key: str
    secret_key: str


@dataclass(frozen=True)
class Token:
    """An access token with its life, in the clock's seconds."""

    value: str
    issued_at: float

    @property
    def expires_at(self) -> float:
        """When it stops being accepted."""
        return self.issued_at + LIFE_SECONDS


class Tokens:
    """Tokens by Bootpay's rule: the same one for 25 minutes, then a new one beside the old one's last 5 minutes."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._current: Token | None = None
        self._lives: dict[str, float] = {}

    def issue(self, application_id: object, private_key: object) -> Token:
        """Return the token of the moment to whoever has the right keys."""
        _check_pair((application_id, private_key), (self._keys.application_id, self._keys.private_key))
        now = self._clock.seconds()
        if self._current is None or now - self._current.issued_at >= SAME_SECONDS:
            self._current = Token(secrets.token_hex(32), now)
            self._lives = {value: ends for value, ends in self._lives.items() if ends > now}
            self._lives[self._current.value] = self._current.expires_at
        return self._current

    def check_token(self, value: str) -> None:
        """Refuse a token that was never issued here or has reached its end."""
        if self._clock.seconds() >= self._lives.get(value, 0.0):
            raise Refusal(Refused.TOKEN_INVALID)

    def check_basic(self, credentials: str) -> None:
        """Refuse anything but base64 of `client_key:secret_key`."""
        try:
            client_key, _, secret_key = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(Refused.TOKEN_INVALID) from None
        _check_pair((client_key, secret_key), (self._keys.client_key, self._keys.secret_key))


def _check_pair(given: tuple[Any, Any], right: tuple[str, str]) -> None:
    for value, expected, why in zip(given, right, (Refused.KEY_UNKNOWN, Refused.SECRET_WRONG), strict=True):
        if not isinstance(value, str) or not hmac.compare_digest(value.encode(), expected.encode()):
            raise Refusal(why)
