"""An index of what waits for an endpoint, so that a failing one's next callback is found however long its line is.

Processes of the release before go on beside it.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

#: As 0004: it may be built before the deploy, with CREATE INDEX CONCURRENTLY.
ADD = """
SET LOCAL lock_timeout = '1s';
CREATE INDEX IF NOT EXISTS callbacks_of_endpoint ON payconfirm.callbacks (endpoint_key, due_at) WHERE state = 'pending';
SET LOCAL lock_timeout = 0;
"""


def upgrade() -> None:
    op.execute(ADD)


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS payconfirm.callbacks_of_endpoint")
