"""Signatures as Standard Webhooks says: one for each secret, so that a receiver may have the old one or the new one."""

from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook


class Signing:
    """Signs bodies with every secret there is."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._webhooks = [Webhook(secret) for secret in secrets]

    @property
    def possible(self) -> bool:
        """Whether there is a secret at all."""
        return bool(self._webhooks)

    def headers(self, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
        """The three headers; `at` is a time in UTC."""
        signatures = [webhook.sign(message_id, at, body.decode()) for webhook in self._webhooks]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
