"""`payconfirm.enqueue`: a row in the producer's own transaction, made by the very statements that make any other."""

from confirmation.states import FINAL
from worker.store import statements
from worker.store.sql_door.function import Function
from worker.store.sql_door.words import bound, listed

#: What a caller's program tells apart: the document is wrong (its DETAIL is the list), or it is another than the
#: receipt's own. No class of PostgreSQL's begins so.
INVALID, DIFFERENT = "PF422", "PF409"

ITEMS = Function(
    "summed_items",
    "items jsonb",
    "jsonb",
    """
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(sku, quantity), '{}')
        FROM (SELECT line ->> 'sku' COLLATE "C" AS sku, sum(CAST(line ->> 'quantity' AS bigint)) AS quantity
              FROM jsonb_array_elements(items) AS part(line) GROUP BY 1) added_up
    );
END
""",
)

#: `confirmation.events.result_document`, of a row as JSON.
RESULT = Function(
    "result_document",
    "c jsonb",
    "jsonb",
    f"""
DECLARE
    amount bigint := c ->> 'amount';
BEGIN
    RETURN jsonb_build_object(
        'receipt_id', c -> 'receipt_id', 'order_id', c -> 'order_id', 'state', c -> 'state',
        'final', c ->> 'state' = ANY ({listed(sorted(FINAL))}), 'reason', c -> 'reason', 'message', c -> 'message',
        'amount', CASE c ->> 'currency'
            WHEN 'USD' THEN to_jsonb(amount / 100 || '.' || lpad(CAST(amount % 100 AS text), 2, '0'))
            ELSE to_jsonb(amount) END,
        'currency', c -> 'currency', 'payment', c -> 'payment', 'attempts', c -> 'attempts',
        'sequence', c -> 'sequence', 'updated_at', to_char(
            CAST(c ->> 'updated_at' AS timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'metadata', c -> 'metadata');
END
""",
)

#: Which fields make the document another than the row's.
DIFFERENCES = Function(
    "differences",
    "c jsonb, order_id text, amount bigint, currency text, items jsonb",
    "text",
    """
BEGIN
    RETURN concat_ws(' and ',
        CASE WHEN c ->> 'order_id' <> order_id COLLATE "C" THEN 'order_id' END,
        CASE WHEN CAST(c ->> 'amount' AS bigint) <> amount THEN 'amount' END,
        CASE WHEN c ->> 'currency' <> currency COLLATE "C" THEN 'currency' END,
        CASE WHEN c -> 'items' <> items THEN 'items' END);
END
""",
)

#: What the producer's transaction may wait for is another open transaction of the same receipt, which nobody can know
#: the end of, and nothing else: no sequence, no lock that receipts share, no NOTIFY, whose senders commit one by one.
#:
#: A row that is there is read first, since an insert would wait for the worker that is just writing it. A serializable
#: transaction doesn't read before: it would fail for another receipt that was inserted on the same page of the index.
ENQUEUE = Function(
    "enqueue",
    "document jsonb",
    "jsonb",
    f"""
DECLARE
    flaws jsonb;
    the_receipt_id text; the_order_id text; the_amount bigint; the_currency text; the_items jsonb;
    the_callback_url text; the_metadata jsonb;
    the_fence text; the_lease interval; the_due interval := '0'; the_claims integer := 0;
    stands record;
    known boolean := false;
    announced jsonb;
    differs text;
BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'payconfirm.enqueue needs a database in UTF8; this one is in ' || getdatabaseencoding(),
            HINT = 'Enqueue by HTTP, Celery or the Python client, or create the database with ENCODING ''UTF8''.';
    END IF;
    document := coalesce(document, 'null');
    flaws := payconfirm.flaws(document);
    IF flaws <> '[]' THEN
        RAISE EXCEPTION USING ERRCODE = '{INVALID}', DETAIL = flaws::text, MESSAGE = (
            SELECT string_agg((flaw ->> 'field') || ': ' || (flaw ->> 'message'), '; ' ORDER BY nth)
            FROM jsonb_array_elements(flaws) WITH ORDINALITY AS part(flaw, nth));
    END IF;
    the_receipt_id := document ->> 'receipt_id';
    the_order_id := document ->> 'order_id';
    the_currency := coalesce(document ->> 'currency', 'KRW');
    the_amount := replace(document ->> 'amount', '.', '');
    the_items := payconfirm.summed_items(coalesce(document -> 'items', '[]'));
    the_callback_url := document ->> 'callback_url';
    the_metadata := payconfirm.json_text(coalesce(document -> 'metadata', '{{}}'));

    IF current_setting('transaction_isolation') <> 'serializable' THEN
        {bound(statements.READ)} INTO stands;
        known := FOUND;
    END IF;
    IF NOT known THEN
        {bound(statements.KEEP)} INTO stands;
        IF FOUND THEN
            RETURN payconfirm.result_document(to_jsonb(stands));
        END IF;
        {bound(statements.READ)} INTO stands;
    END IF;
    IF payconfirm.differences(to_jsonb(stands), the_order_id, the_amount, the_currency, the_items) <> '' THEN
        {bound(statements.REPLACE)} INTO stands;
        IF FOUND THEN
            RETURN payconfirm.result_document(to_jsonb(stands));
        END IF;
        {bound(statements.READ)} INTO stands;
        differs := payconfirm.differences(to_jsonb(stands), the_order_id, the_amount, the_currency, the_items);
        IF differs <> '' THEN
            RAISE EXCEPTION USING ERRCODE = '{DIFFERENT}', MESSAGE =
                'receipt ' || the_receipt_id || ' is used by a document with another ' || differs;
        END IF;
    END IF;
    {bound(statements.TELL_AGAIN)};
    SELECT o.document INTO announced FROM payconfirm.outbox o
    WHERE o.receipt_id = the_receipt_id AND o.sequence = stands.sequence
      AND stands.state = ANY ({listed(sorted(FINAL))});
    RETURN coalesce(announced, payconfirm.result_document(to_jsonb(stands)));
END
""",
    open=True,
)

FUNCTIONS = (ITEMS, RESULT, DIFFERENCES, ENQUEUE)
