"""Over RabbitMQ PostgreSQL and Redis are lost in turn, and every message comes several times: all ends once."""

import pytest

import payconfirm
from sandbox.servers import start
from tests.rabbits import AGAIN, DEAD, RabbitStage, message, needs_rabbitmq, virtual_host
from tests.workers import PATIENCE_SECONDS, QUEUE, stage, until

pytestmark = needs_rabbitmq

#: At work when a server goes, and sent while it is away.
AT_WORK, MEANWHILE = 6, 6
COPIES = 3


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Servers of the test's own, which keep what they acknowledged."""
    with start(tmp_path_factory.mktemp("rabbitmq-lost") / "servers") as servers:
        yield servers


@pytest.fixture(scope="module")
def house(own, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rabbitmq-lost-house")
    variables = {"WORKER_CONCURRENCY": "4"}
    with (
        virtual_host() as url,
        stage(own, "template0", folder, kind=RabbitStage, BROKER_URL=url, **variables) as built,
    ):
        assert built.start("release", built.lines["release"]).wait(PATIENCE_SECONDS) == 0
        built.start_gateway(approve_seconds=0.3)
        built.programs = [built.start("relay", built.lines["relay"]), built.ready_worker(), built.ready_worker()]
        yield built


def test_copies_to_two_workers_at_once_are_charged_once(house):
    documents = house.open_receipts(AT_WORK)

    house.publish(*[message(document) for document in documents for _ in range(COPIES)])

    ends_once(house, documents)


@pytest.mark.parametrize("lost", ["postgres", "redis"])
def test_a_server_is_lost_and_comes_back(lost, house, own):
    """Without PostgreSQL messages wait unacknowledged; without Redis the work goes on."""
    server = getattr(own, lost)
    before, meanwhile = house.open_receipts(AT_WORK), house.open_receipts(MEANWHILE)
    with payconfirm.Client.from_url(house.broker_url) as client:
        known = len(house.states())
        for document in before:
            client.enqueue(document)
        until(lambda: len(house.states()) > known)

        server.kill()
        for document in meanwhile:
            client.enqueue(document)
        if lost == "redis":
            until(lambda: house.confirmed(*before, *meanwhile))
        else:
            until(lambda: any("store.away" in program.said for program in house.programs))
        server.start()

    house.engine.dispose()
    ends_once(house, [*before, *meanwhile])


def ends_once(house, documents):
    until(lambda: house.confirmed(*documents))
    charges = house.charges()
    assert {charges[document["receipt_id"]] for document in documents} == {1}
    until(lambda: house.waiting(QUEUE, AGAIN, DEAD) == 0)
    for program in house.programs:
        program.check()
    audit = house.start("audit", ["python", "-m", "worker", "audit", "--gateway"])
    assert audit.wait(PATIENCE_SECONDS) == 0, audit.said
