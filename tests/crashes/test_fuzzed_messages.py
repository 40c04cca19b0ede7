"""A real worker and a queue full of almost right messages: it lives, nothing loops, and each is a job or is kept."""

import base64
from contextlib import suppress

from payconfirm import InvalidOrder, read_document
from tests.fuzzing import SEED, chances, count, nonsense, twisted
from tests.workers import body, envelope, item, stage, until
from worker.broker.consumer import FROM_OUTSIDE
from worker.broker.envelopes import Unusable, read_job
from worker.broker.envelopes import envelope as made_of

AT_ONCE = 200


def messages(number):
    """Messages with something wrong in the envelope, in the body, or in the document; no two alike."""
    chance = chances("messages")
    for each in range(number):
        document = {"receipt_id": f"fuzz-{each}", "order_id": f"주문-{each}", "amount": 3000, "metadata": {"a": [each]}}
        match chance.randrange(3):
            case 0:
                yield nonsense(chance, envelope(document)) + b" " * each
            case 1:
                plain = {"delivery_tag": f"tag-{each}", "delivery_info": {}}
                yield item(body=nonsense(chance, [[document], {}, {}]).decode("latin-1"), properties=plain)
            case _:
                yield item(body=body(twisted(chance, document)))


def receipt_of(raw):
    """Which receipt's job it is; None for what is none."""
    made = made_of(raw, "a tag", "payconfirm")
    with suppress(Unusable, InvalidOrder, ValueError):
        job = read_job(made["headers"], made["content-type"], base64.b64decode(made["body"]), FROM_OUTSIDE)
        (document,) = job.arguments
        return None if job.named else read_document(document).receipt_id
    return None


def test_a_worker_lives_through_all_of_it_and_everything_is_accounted_for(servers, template_database, tmp_path):
    raws = list(messages(count(400)))
    with stage(servers, template_database, tmp_path) as house:
        house.start_gateway()
        worker = house.ready_worker()
        pid = worker.pid

        for start in range(0, len(raws), AT_ONCE):
            (good,) = house.open_receipts()
            house.push(*raws[start : start + AT_ONCE], item(good))
            until(lambda good=good: house.confirmed(good))
        until(lambda: not house.left_over())

        worker.check()
        assert worker.pid == pid
        assert "onnection to broker lost" not in worker.said
        kept = [bytes(row.raw) for row in house.ask("SELECT raw FROM payconfirm.dead_letters")]
        rows = house.states()
        jobs = [raw for raw in raws if receipt_of(raw) in rows]
        assert {*raws} == {*jobs, *kept}, f"seed {SEED}"
        assert len(kept) == len({*kept}), f"seed {SEED}: kept twice, so it was run twice"
        assert jobs, "some must have been right, so that it is more than a bin"
