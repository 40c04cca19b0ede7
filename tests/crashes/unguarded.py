"""The worker with kombu's own transport, for the control that shows what the guarded one is for."""

from kombu.transport import TRANSPORT_ALIASES

from worker.app import app

TRANSPORT_ALIASES["redis"] = "kombu.transport.redis:Transport"

#: Its BRPOP then waits for so long, not for a second: a message that comes meanwhile meets it for sure.
app.conf.broker_transport_options = {**app.conf.broker_transport_options, "polling_interval": 60}
