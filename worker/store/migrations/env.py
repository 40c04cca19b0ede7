"""Alembic's entry: run the migrations on the connection that `migrate` opened."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="payconfirm")
with context.begin_transaction():
    context.run_migrations()
