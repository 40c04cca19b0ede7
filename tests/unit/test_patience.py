"""A task waits for the database, and raises nothing that Celery would leave its message lying for."""

import pytest

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
