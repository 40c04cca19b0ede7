"""What the shop's own tables know of a receipt, so that each call of its hook is undone once.

Workers of the release before go on beside it: they don't read the column, and leave it as it is.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

#: A column without a default changes no row, but waits for whoever reads the table, and all others wait behind it. So
#: it gives up sooner than they do; the deploy tries again.
ADD = """
SET LOCAL lock_timeout = '1s';
ALTER TABLE payconfirm.confirmations ADD COLUMN IF NOT EXISTS hooked text; -- reserved, committed; null: nothing (more)
SET LOCAL lock_timeout = 0;
"""


def upgrade() -> None:
    op.execute(ADD)


def downgrade() -> None:
    op.execute("ALTER TABLE payconfirm.confirmations DROP COLUMN IF EXISTS hooked")
