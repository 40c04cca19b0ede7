"""An index of receipts by their order, so that people find a payment by the order's number.

Workers of the release before go on beside it.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

#: Nothing is written to the table while it is built, a second or so for a million receipts; workers park meanwhile.
#: Where that is too long, build it before the deploy, with CREATE INDEX CONCURRENTLY: then nothing is left to do here.
#: It waits for those who write, and all others wait behind it; so it gives up sooner than they do.
ADD = """
SET LOCAL lock_timeout = '1s';
CREATE INDEX IF NOT EXISTS confirmations_of_order ON payconfirm.confirmations (order_id);
SET LOCAL lock_timeout = 0;
"""


def upgrade() -> None:
    op.execute(ADD)


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS payconfirm.confirmations_of_order")
