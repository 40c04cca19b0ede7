"""What is wrong with an order document: the checks of `payconfirm.document` and `payconfirm.checks`, with their words.

A test holds both together. A flaw is `{"field", "message"}`, as Python lists it and in Python's order.
"""

from annotated_types import MaxLen

from payconfirm.checks import (
    AMOUNT_RULES,
    HOST_RULE,
    MAX_AMOUNT,
    MAX_URL_LENGTH,
    RECEIPT_ID,
    URL_RULE,
    USD_AMOUNT,
)
from payconfirm.document import (
    DOCUMENT_RULE,
    LINE_RULE,
    MAX_BYTES,
    MAX_DIGITS,
    MAX_LINES,
    MAX_QUANTITY,
    PLAIN_TEXT,
    RULES,
    TOO_MANY_BYTES,
    UNKNOWN_FIELD,
    OrderDocument,
    OrderLine,
)
from worker.store.sql_door.function import Function
from worker.store.sql_door.words import CALLBACK, HOST_AND_PORT, IPV6, listed, quoted


def _longest(model: type[OrderDocument | OrderLine], field: str) -> int:
    """The length that a field of text may have."""
    return next(rule.max_length for rule in model.model_fields[field].metadata if isinstance(rule, MaxLen))


IS_TEXT = Function(
    "is_text",
    "part jsonb, pattern text, most integer",
    "boolean",
    """
BEGIN
    RETURN CASE WHEN jsonb_typeof(part) = 'string' AND length(part #>> '{}') <= most
        THEN (part #>> '{}') COLLATE "C" ~ pattern ELSE false END;
END
""",
)

#: A number that jsonb writes with a point is a float to Python, whatever stands behind it.
IS_WHOLE = Function(
    "is_whole",
    "part jsonb, most bigint",
    "boolean",
    f"""
BEGIN
    RETURN CASE WHEN jsonb_typeof(part) = 'number' AND position('.' IN part::text) = 0
             AND length(part::text) <= {MAX_DIGITS}
        THEN part::numeric BETWEEN 1 AND most ELSE false END;
END
""",
)

FLAW = Function(
    "flaw",
    "field text, message text",
    "jsonb",
    "BEGIN RETURN jsonb_build_array(jsonb_build_object('field', field, 'message', message)); END",
)

#: The list of one flaw, or of none.
FIELD_FLAW = Function(
    "field_flaw",
    "field text, part jsonb, fine boolean, rule text",
    "jsonb",
    """
BEGIN
    RETURN CASE
        WHEN part IS NULL THEN payconfirm.flaw(field, 'is missing: takes ' || rule)
        WHEN fine THEN '[]'::jsonb
        ELSE payconfirm.flaw(field, 'takes ' || rule || ', not ' || payconfirm.shown(part)) END;
END
""",
)

UNKNOWN_FIELDS = Function(
    "unknown_fields",
    "holder jsonb, known text[], inside text",
    "jsonb",
    f"""
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'field', coalesce(nullif(inside || name, ''), 'document'), 'message', {quoted(UNKNOWN_FIELD)}
        ) ORDER BY place), '[]')
        FROM (SELECT CASE WHEN key COLLATE "C" ~ E'^[A-Za-z0-9_.-]{{0,80}}$' THEN key ELSE payconfirm.name(key) END
                         COLLATE "C" AS name, min(place) AS place
              FROM jsonb_object_keys(holder) WITH ORDINALITY AS part(key, place)
              WHERE key COLLATE "C" <> ALL (known) GROUP BY 1) odd
    );
END
""",
)

AMOUNT_FLAWS = Function(
    "amount_flaws",
    "part jsonb, currency text",
    "jsonb",
    f"""
DECLARE
    won boolean := payconfirm.is_whole(part, {MAX_AMOUNT});
    dollars boolean := payconfirm.is_text(part, {quoted(USD_AMOUNT)}, {len(str(MAX_AMOUNT)) + 3});
BEGIN
    IF part IS NULL THEN
        RETURN payconfirm.flaw('amount', {quoted("is missing: takes " + RULES["amount"])});
    ELSIF (won AND currency IS DISTINCT FROM 'USD') OR (dollars AND currency IS DISTINCT FROM 'KRW') THEN
        RETURN '[]';
    END IF;
    RETURN payconfirm.flaw('amount', CASE currency
        WHEN 'KRW' THEN {quoted(AMOUNT_RULES["KRW"])}
        WHEN 'USD' THEN {quoted(AMOUNT_RULES["USD"])}
        ELSE {quoted(AMOUNT_RULES[None])} END || ', not ' || payconfirm.shown(part));
END
""",
)

LINE_FLAWS = Function(
    "line_flaws",
    "line jsonb, inside text",
    "jsonb",
    f"""
BEGIN
    IF jsonb_typeof(line) <> 'object' THEN
        RETURN payconfirm.field_flaw(inside, line, false, {quoted(LINE_RULE)});
    END IF;
    RETURN payconfirm.field_flaw(inside || '.sku', line -> 'sku',
               payconfirm.is_text(line -> 'sku', {quoted(PLAIN_TEXT)}, {_longest(OrderLine, "sku")}),
               {quoted(RULES["sku"])})
        || payconfirm.field_flaw(inside || '.quantity', line -> 'quantity',
               payconfirm.is_whole(line -> 'quantity', {MAX_QUANTITY}), {quoted(RULES["quantity"])})
        || payconfirm.unknown_fields(line, {listed(OrderLine.model_fields)}, inside || '.');
END
""",
)

#: Beyond the most lines none of them is looked at.
ITEMS_FLAWS = Function(
    "items_flaws",
    "part jsonb",
    "jsonb",
    f"""
BEGIN
    IF part IS NULL THEN
        RETURN '[]';
    ELSIF jsonb_typeof(part) <> 'array' THEN
        RETURN payconfirm.field_flaw('items', part, false, {quoted(RULES["items"])});
    ELSIF jsonb_array_length(part) > {MAX_LINES} THEN
        RETURN payconfirm.flaw('items', {quoted("takes " + RULES["items"] + ", not ")} || jsonb_array_length(part));
    END IF;
    RETURN (
        SELECT coalesce(jsonb_agg(flaw ORDER BY place, nth), '[]')
        FROM jsonb_array_elements(part) WITH ORDINALITY AS line(line, place),
             jsonb_array_elements(payconfirm.line_flaws(line, 'items.' || (place - 1)))
                 WITH ORDINALITY AS flaw(flaw, nth)
    );
END
""",
)

#: The address isn't repeated: it can hold a password.
CALLBACK_FLAWS = Function(
    "callback_flaws",
    "part jsonb",
    "jsonb",
    f"""
DECLARE
    url text := part #>> '{{}}';
    host_and_port text[];
BEGIN
    IF part IS NULL OR jsonb_typeof(part) = 'null' THEN
        RETURN '[]';
    ELSIF jsonb_typeof(part) <> 'string' OR length(url) > {MAX_URL_LENGTH} THEN
        RETURN payconfirm.flaw('callback_url', {quoted("takes " + RULES["callback_url"])});
    ELSIF url COLLATE "C" !~ {quoted(CALLBACK)} THEN
        RETURN payconfirm.flaw('callback_url', {quoted(URL_RULE)});
    END IF;
    host_and_port := regexp_match(url COLLATE "C", {quoted(HOST_AND_PORT)});
    IF host_and_port[2]::integer > 65535
       OR (left(host_and_port[1], 1) = '[' AND host_and_port[1] COLLATE "C" !~ {quoted(IPV6)}) THEN
        RETURN payconfirm.flaw('callback_url', {quoted(HOST_RULE)});
    END IF;
    RETURN '[]';
END
""",
)

FLAWS = Function(
    "flaws",
    "document jsonb",
    "jsonb",
    f"""
DECLARE
    currency text := CASE
        WHEN NOT document ? 'currency' THEN 'KRW'
        WHEN document -> 'currency' IN ('"KRW"', '"USD"') THEN document ->> 'currency' END;
BEGIN
    IF octet_length(document::text) > {MAX_BYTES} THEN
        RETURN payconfirm.flaw('document', {quoted(TOO_MANY_BYTES)});
    ELSIF jsonb_typeof(document) <> 'object' THEN
        RETURN payconfirm.field_flaw('document', document, false, {quoted(DOCUMENT_RULE)});
    END IF;
    RETURN payconfirm.field_flaw('receipt_id', document -> 'receipt_id',
               payconfirm.is_text(document -> 'receipt_id', {quoted(RECEIPT_ID)}, 64), {quoted(RULES["receipt_id"])})
        || payconfirm.field_flaw('order_id', document -> 'order_id',
               payconfirm.is_text(document -> 'order_id', {quoted(PLAIN_TEXT)}, {_longest(OrderDocument, "order_id")}),
               {quoted(RULES["order_id"])})
        || CASE WHEN currency IS NULL
           THEN payconfirm.field_flaw('currency', document -> 'currency', false, {quoted(RULES["currency"])})
           ELSE '[]' END
        || payconfirm.amount_flaws(document -> 'amount', currency)
        || payconfirm.items_flaws(document -> 'items')
        || payconfirm.callback_flaws(document -> 'callback_url')
        || payconfirm.metadata_flaws(document -> 'metadata')
        || payconfirm.unknown_fields(document, {listed(OrderDocument.model_fields)}, '');
END
""",
)

FUNCTIONS = (
    IS_TEXT, IS_WHOLE, FLAW, FIELD_FLAW, UNKNOWN_FIELDS, AMOUNT_FLAWS, LINE_FLAWS, ITEMS_FLAWS, CALLBACK_FLAWS, FLAWS,
)  # fmt: skip
