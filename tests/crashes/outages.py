"""Ways in which PostgreSQL is lost for a while: each is a context manager for as long as it lasts."""

from contextlib import contextmanager

#: payconfirm's own role, an ordinary one: what is refused to others is refused to it.
SHOP = "shop"


@contextmanager
def stopped(postgres, _):
    postgres.stop()
    yield
    postgres.start()


@contextmanager
def crashed(postgres, _):
    postgres.kill()
    yield
    postgres.start()


@contextmanager
def read_only(_, books):
    set_read_only(books, "on")
    yield
    set_read_only(books, "off")


@contextmanager
def full(_, books):
    with refusing_new_rows(books, "53100"):
        yield


@contextmanager
def without_connections(_, books):
    books.ask(f"ALTER ROLE {SHOP} CONNECTION LIMIT 0")
    end_sessions(books)
    yield
    books.ask(f"ALTER ROLE {SHOP} CONNECTION LIMIT -1")


@contextmanager
def refusing_new_rows(books, code, receipt_id=""):
    """Have the database give this error for new rows, or for one receipt's."""
    books.ask(
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN
                 IF NEW.receipt_id LIKE '%%{receipt_id}' THEN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END IF;
                 RETURN NEW;
            END $$"""
    )
    for table in ("confirmations", "steps"):
        books.ask(f"CREATE TRIGGER refuse BEFORE INSERT ON payconfirm.{table} FOR EACH ROW EXECUTE FUNCTION refuse()")
    yield
    books.ask("DROP FUNCTION refuse CASCADE")


def end_sessions(books):
    """End every session of payconfirm's; say which."""
    return books.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", SHOP)


def set_read_only(books, word):
    books.ask(f"ALTER SYSTEM SET default_transaction_read_only = {word}")
    books.ask("SELECT pg_reload_conf()")
