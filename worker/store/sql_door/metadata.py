"""What is wrong with a document's metadata: `payconfirm.checks.check_metadata`, in its order."""

from payconfirm.checks import FINITE_RULE, LEVELS_RULE, MAX_METADATA_BYTES, MAX_METADATA_LEVELS, SIZE_RULE
from payconfirm.document import MAX_BYTES
from worker.store.sql_door.function import Function
from worker.store.sql_door.words import quoted

#: A number of so many characters is no infinite double, and no integer that Python refuses to read.
_SURELY_FINITE = 308

#: The first that is wrong as Python walks: the last child first and all that is in it, the names after the values.
NODE_FLAW = Function(
    "node_flaw",
    "metadata jsonb",
    "text",
    f"""
BEGIN
    RETURN (
        WITH RECURSIVE node(value, level, way) AS (
            SELECT metadata, 1, CAST('{{}}' AS bigint[])
            UNION ALL
            SELECT child.value, node.level + 1, node.way || child.turn
            FROM node, LATERAL (
                SELECT part.value, -place
                FROM jsonb_array_elements(CASE jsonb_typeof(node.value) WHEN 'array' THEN node.value END)
                     WITH ORDINALITY AS part(value, place)
                UNION ALL
                SELECT unnest(ARRAY[part.value, to_jsonb(part.key)]), unnest(ARRAY[-place, {MAX_BYTES} - place])
                FROM jsonb_each(CASE jsonb_typeof(node.value) WHEN 'object' THEN node.value END)
                     WITH ORDINALITY AS part(key, value, place)
            ) AS child(value, turn)
            WHERE node.level <= {MAX_METADATA_LEVELS}
        ),
        seen AS (
            SELECT row_number() OVER (ORDER BY way) AS nth, CASE
                WHEN jsonb_typeof(value) IN ('object', 'array') THEN CASE
                    WHEN level > {MAX_METADATA_LEVELS} THEN {quoted(LEVELS_RULE)}
                    WHEN CASE jsonb_typeof(value) WHEN 'array' THEN jsonb_array_length(value)
                         ELSE (SELECT count(*) FROM jsonb_object_keys(value)) END > {MAX_METADATA_BYTES}
                    THEN {quoted(SIZE_RULE)} END
                WHEN jsonb_typeof(value) = 'number' AND length(value::text) > {_SURELY_FINITE}
                     AND payconfirm.json_number(value) IS NULL
                THEN {quoted(FINITE_RULE)}
            END AS flaw
            FROM node
        )
        SELECT CASE WHEN nth > {MAX_METADATA_BYTES} THEN {quoted(SIZE_RULE)} ELSE flaw END
        FROM seen WHERE flaw IS NOT NULL OR nth > {MAX_METADATA_BYTES} ORDER BY nth LIMIT 1
    );
END
""",
)

METADATA_FLAWS = Function(
    "metadata_flaws",
    "part jsonb",
    "jsonb",
    f"""
DECLARE
    flaw text;
    size integer;
BEGIN
    IF part IS NULL THEN
        RETURN '[]';
    ELSIF jsonb_typeof(part) <> 'object' THEN
        RETURN payconfirm.flaw('metadata', 'takes an object, not ' || payconfirm.kind(part));
    END IF;
    flaw := payconfirm.node_flaw(part);
    IF flaw IS NULL THEN
        size := octet_length(payconfirm.json_text(part));
        IF size > {MAX_METADATA_BYTES} THEN
            flaw := {quoted(SIZE_RULE)} || ', not ' || size;
        END IF;
    END IF;
    RETURN CASE WHEN flaw IS NULL THEN '[]'::jsonb ELSE payconfirm.flaw('metadata', flaw) END;
END
""",
)

FUNCTIONS = (NODE_FLAW, METADATA_FLAWS)
