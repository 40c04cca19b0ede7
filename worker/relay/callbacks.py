"""Callbacks that are due become messages to the process that delivers them."""

from config.celery import CALLBACKS
from worker.broker.queues import BrokerAway, Sender
from worker.callbacks.hosts import AllowedHosts
from worker.store.calling import Calling

#: The queue is fed only while it is shorter than this, so that it never holds what is better decided later.
SHORT_QUEUE = 200


class Callbacks:
    """Feeds the queue of callbacks."""

    def __init__(self, calling: Calling, sender: Sender, hosts: AllowedHosts) -> None:
        self._calling = calling
        self._sender = sender
        self._hosts = hosts

    def turn(self) -> bool:
        """Send off what is due and has room; say whether there may be more at once. Raises `BrokerAway`.

        What may not be sent is ended here, so that it waits for nobody where no callbacks are wanted at all.
        """
        taken = self._calling.take(SHORT_QUEUE - self._sender.waiting(CALLBACKS))
        leaving = []
        for callback in taken:
            if flaw := self._hosts.flaw(callback.url):
                self._calling.refused(callback, f"callback_url: {flaw}")
            else:
                leaving.append(callback)
        try:
            while leaving:
                self._sender.callback(leaving[0].id, leaving[0].fence)
                del leaving[0]
        except BrokerAway:
            self._calling.give_back(leaving)
            raise
        return bool(taken)
