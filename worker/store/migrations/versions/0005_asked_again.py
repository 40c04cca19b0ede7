"""How often a result was asked to be stored, so that what is asked while the relay stores it isn't taken for done.

Processes of the release before go on beside it: they leave the column as it is.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

#: A column whose default is a constant changes no row. As before, it gives up sooner than those who wait behind it.
ADD = """
SET LOCAL lock_timeout = '1s';
ALTER TABLE payconfirm.outbox ADD COLUMN IF NOT EXISTS result_asked integer NOT NULL DEFAULT 0;
SET LOCAL lock_timeout = 0;
"""


def upgrade() -> None:
    op.execute(ADD)


def downgrade() -> None:
    op.execute("ALTER TABLE payconfirm.outbox DROP COLUMN IF EXISTS result_asked")
