"""A task waits for the database, and raises nothing that Celery would leave its message lying for."""

import pytest
from celery.exceptions import Reject

from confirmation.errors import StoreUnavailable
from tasks import patience
from tests.hooks import raises


class Own(BaseException):
    pass


@pytest.mark.parametrize("ending", [Own("secret"), KeyboardInterrupt("secret"), SystemExit("secret")])
def test_what_would_end_a_thread_is_an_error_as_any_other(ending):
    """Celery doesn't acknowledge what isn't an `Exception`, and such a thread takes nothing more."""
    with pytest.raises(RuntimeError, match=f"^something raised {type(ending).__name__}$"):
        patience.patiently(lambda: raises(ending)(None, {}))


def test_what_the_database_was_away_for_is_done_once_it_is_there(monkeypatch):
    monkeypatch.setattr(patience, "ASK_AGAIN_SECONDS", 0)
    answers = iter([StoreUnavailable("away"), StoreUnavailable("away"), None])

    def ask():
        if (answer := next(answers)) is not None:
            raise answer
        return "done"

    assert patience.patiently(ask) == "done"


def test_what_cannot_be_kept_is_given_up_and_not_acknowledged():
    with pytest.raises(Reject) as rejected:
        patience.or_give_up(lambda: raises(OverflowError("secret"))(None, {}))
    assert not rejected.value.requeue
    assert "secret" not in str(rejected.value)


def test_what_the_ending_worker_gives_back_goes_back(monkeypatch):
    monkeypatch.setattr(patience, "_ending", True)
    with pytest.raises(Reject) as rejected:
        patience.or_give_up(lambda: raises(StoreUnavailable("away"))(None, {}))
    assert rejected.value.requeue
