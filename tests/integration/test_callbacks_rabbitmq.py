"""Callbacks over RabbitMQ."""

from functools import partial

import payconfirm
from tests.integration.callback_house import SECRET
from tests.rabbits import RabbitStage, needs_rabbitmq, virtual_host
from tests.receivers import receiving
from tests.workers import stage, until, wait_until_ready

pytestmark = needs_rabbitmq


def test_a_callback_goes_out_over_rabbitmq_as_well(servers, template_database, tmp_path):
    with virtual_host() as rabbit, receiving() as shop:
        variables = {"BROKER_URL": rabbit, "CALLBACK_SECRET": SECRET, "CALLBACK_ALLOWED_HOSTS": "127.0.0.1"}
        with stage(servers, template_database, tmp_path, kind=RabbitStage, **variables) as house:
            house.start_gateway()
            processes = [house.start(name, house.lines[name]) for name in ("relay", "worker", "callbacks")]
            for process in processes[1:]:
                wait_until_ready(process)
            [document] = house.open_receipts(callback_url=shop.url)
            with payconfirm.Client.from_url(rabbit, result_url=house.redis_url) as client:
                client.enqueue(document)

            until(partial(house.ask, "SELECT FROM payconfirm.callbacks WHERE state = 'delivered'"))

        assert [event["data"]["receipt_id"] for event in shop.events(SECRET)] == [document["receipt_id"]]
