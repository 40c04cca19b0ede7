"""A Redis with a replica and three Sentinels, each with a password of its own."""

import signal
from contextlib import ExitStack, contextmanager

import redis

from sandbox.account import ITSELF
from sandbox.binaries import find_redis
from sandbox.server import Server
from sandbox.valkey import Redis
from tests.workers import until

MASTER = "payconfirm"
PASSWORD = "the-sentinels-own"
#: So many must agree.
QUORUM, NUMBER = 2, 3
DOWN_AFTER_MILLISECONDS = 1000


class Node:
    """A Redis of the test's own, and a connection that goes straight to it."""

    def __init__(self, folder, stopping):
        folder.mkdir()
        self.server = Redis(find_redis(), folder, durable=False)
        self.server._password = "same-for-both"  # so that one address is enough for producers
        self.server.start()
        stopping.callback(self.server.stop)
        self.client = stopping.enter_context(redis.Redis.from_url(self.server.url))
        self.client.config_set("masterauth", self.server._password)
        self.client.config_set("repl-diskless-sync-delay", 0)

    def follow(self, primary):
        """Return once this one has all that the primary has."""
        self.client.replicaof("127.0.0.1", primary.server.port)
        until(self.follows)

    def follows(self):
        """Whether it has all that its primary has. A Sentinel cuts the connections of a node that it demotes."""
        try:
            return self.client.info("replication").get("master_link_status") == "up"
        except redis.ConnectionError:
            return False


class Sentinel(Server):
    """One Sentinel."""

    stop_signal = signal.SIGTERM

    def __init__(self, name, home, primary):
        super().__init__(find_redis(), ITSELF, home)
        self.name = name
        self._primary = primary

    @property
    def client(self):
        return redis.Redis(port=self.port, password=PASSWORD, socket_timeout=2)

    def prepare(self):
        """Write what it begins with; it keeps what it learns in the same file."""
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.home}",
            f"requirepass {PASSWORD}",
            f"sentinel sentinel-pass {PASSWORD}",
            f"sentinel monitor {MASTER} 127.0.0.1 {self._primary.port} {QUORUM}",
            f"sentinel auth-pass {MASTER} {self._primary._password}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MILLISECONDS}",
            f"sentinel failover-timeout {MASTER} 3000",
        ]
        self._configuration.write_text("\n".join([*lines, ""]))

    def command(self):
        return [str(self.program.path), str(self._configuration), "--sentinel"]

    def answers(self):
        with self.client as client:
            try:
                return client.ping()
            except redis.ConnectionError:
                return False

    @property
    def _configuration(self):
        return self.home / f"{self.name}.conf"


class Behind:
    """Redis as its Sentinels see it."""

    def __init__(self, nodes, sentinels):
        self._nodes, self._sentinels = nodes, sentinels

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self._sentinels)
        password = self._nodes[0].server._password
        return f"sentinel://:{password}@{hosts}/0?master_name={MASTER}&sentinel_password={PASSWORD}"

    @property
    def master(self):
        """The node that is the master now."""
        with self._sentinels[-1].client as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(node for node in self._nodes if node.server.port == int(port))

    def fail_over(self):
        """Have the replica take over from a master that lives, as for an upgrade; return once it has."""
        before = self.master
        with self._sentinels[0].client as client:
            client.execute_command("SENTINEL", "FAILOVER", MASTER)
        until(lambda: self.master is not before)
        until(before.follows)

    def lose_the_master(self):
        """Kill the master, and the first Sentinel with it; return once the replica has taken over."""
        before = self.master
        before.server.kill()
        self._sentinels[0].kill()
        until(lambda: self.master is not before)


@contextmanager
def behind_sentinels(folder):
    """Start them; at the end they are gone."""
    with ExitStack() as stopping:
        primary, replica = (Node(folder / name, stopping) for name in ("primary", "replica"))
        replica.follow(primary)
        sentinels = [Sentinel(f"sentinel-{number}", folder, primary.server) for number in range(NUMBER)]
        for sentinel in sentinels:
            stopping.callback(sentinel.stop)
            sentinel.start()
        until(lambda: all(map(_knows_everybody, sentinels)))
        yield Behind((primary, replica), sentinels)


def _knows_everybody(sentinel):
    with sentinel.client as client:
        seen = client.execute_command("SENTINEL", "MASTER", MASTER)
    facts = seen if isinstance(seen, dict) else dict(zip(seen[::2], seen[1::2], strict=True))
    facts = {_text(name): _text(value) for name, value in facts.items()}
    return (int(facts["num-other-sentinels"]), int(facts["num-slaves"])) == (NUMBER - 1, 1)


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
