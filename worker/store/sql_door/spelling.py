"""JSON as Python writes it, and values as an error repeats them: what `payconfirm.checks` counts and shows."""

from payconfirm.checks import BEYOND_LIMITS, MAX_SHOWN
from payconfirm.document import MAX_DIGITS
from worker.store.sql_door.function import Function
from worker.store.sql_door.words import in_a_word, printable, quoted

#: From here on a number is infinite as a double, and up to here it is zero.
_INFINITE = 2**1024 - 2**970
_NOTHING = f"0.{5**1075:01075d}"

#: `repr` of a double. PostgreSQL's digits are the shortest, too, but for a whole number beyond 2^53 that lies just
#: between two doubles: Python takes the shorter of its neighbours then. A number that jsonb writes without a point is
#: an integer to Python.
JSON_NUMBER = Function(
    "json_number",
    "value jsonb",
    "text",
    f"""
DECLARE
    written text := value::text;
    exact numeric;
    double float8;
    parts text[];
    digits text;
    point integer;
    shorter numeric;
BEGIN
    IF position('.' IN written) = 0 THEN
        RETURN CASE WHEN length(written) <= {MAX_DIGITS} THEN written END;
    END IF;
    exact := abs(written::numeric);
    IF exact >= {_INFINITE} THEN
        RETURN NULL;
    ELSIF exact <= {_NOTHING} THEN
        RETURN CASE WHEN written ~ '^-' AND exact > 0 THEN '-0.0' ELSE '0.0' END;
    END IF;
    double := exact::float8;
    parts := regexp_match(double::text, E'^([0-9]+)(?:\\\\.([0-9]+))?(?:e([+-][0-9]+))?$');
    digits := ltrim(parts[1] || coalesce(parts[2], ''), '0');
    point := length(parts[1]) + coalesce(parts[3]::integer, 0)
             - (length(parts[1] || coalesce(parts[2], '')) - length(digits));
    digits := rtrim(digits, '0');
    IF point > 15 THEN
        SELECT candidate INTO shorter
        FROM generate_series(1, length(digits) - 1) AS most(kept),
             LATERAL (SELECT left(digits, kept)::numeric + more FROM generate_series(0, 1) AS s(more)) AS n(mantissa),
             LATERAL (SELECT mantissa * power(10::numeric, point - kept) WHERE kept <= point) AS c(candidate)
        WHERE CASE WHEN candidate < {_INFINITE} THEN candidate::float8 = double END
        ORDER BY kept, abs(candidate - (digits || repeat('0', greatest(point - length(digits), 0)))::numeric) LIMIT 1;
        IF shorter IS NOT NULL THEN
            digits := rtrim(trunc(shorter)::text, '0');
            point := length(trunc(shorter)::text);
        END IF;
    END IF;
    RETURN CASE WHEN written ~ '^-' THEN '-' ELSE '' END || CASE
        WHEN point > 16 OR point < -3 THEN
            left(digits, 1) || CASE WHEN length(digits) > 1 THEN '.' || substr(digits, 2) ELSE '' END
            || 'e' || CASE WHEN point > 0 THEN '+' ELSE '-' END
            || lpad(abs(point - 1)::text, greatest(2, length(abs(point - 1)::text)), '0')
        WHEN point <= 0 THEN '0.' || repeat('0', -point) || digits
        WHEN point >= length(digits) THEN digits || repeat('0', point - length(digits)) || '.0'
        ELSE left(digits, point) || '.' || substr(digits, point + 1)
    END;
END
""",
)

#: A part of a list or an object; what is the same in both languages takes no call.
_PART = """CASE jsonb_typeof(part.value)
            WHEN 'object' THEN payconfirm.json_text(part.value)
            WHEN 'array' THEN payconfirm.json_text(part.value)
            WHEN 'number' THEN CASE
                WHEN position('.' IN part.value::text) > 0 THEN payconfirm.json_number(part.value)
                ELSE part.value::text END
            ELSE part.value::text END"""

#: `json.dumps(value, ensure_ascii=False)` of a list or an object. PostgreSQL separates and escapes alike; only doubles
#: are other.
JSON_TEXT = Function(
    "json_text",
    "value jsonb",
    "text",
    f"""
BEGIN
    IF jsonb_typeof(value) = 'object' THEN
        RETURN (
            SELECT '{{' || coalesce(
                string_agg(to_json(part.key)::text || ': ' || {_PART}, ', ' ORDER BY place), '') || '}}'
            FROM jsonb_each(value) WITH ORDINALITY AS part(key, value, place));
    END IF;
    RETURN (
        SELECT '[' || coalesce(string_agg({_PART}, ', ' ORDER BY place), '') || ']'
        FROM jsonb_array_elements(value) WITH ORDINALITY AS part(value, place));
END
""",
)

#: What `repr` leaves as it is.
IS_PRINTABLE = Function(
    "is_printable",
    "c text",
    "boolean",
    lambda: f"BEGIN RETURN ascii(c) <@ {printable()}; END",
)

IS_IN_A_WORD = Function(
    "is_in_a_word",
    "c text",
    "boolean",
    lambda: f"BEGIN RETURN ascii(c) <@ {in_a_word()}; END",
)

#: `repr` of a string's beginning.
SHOWN_TEXT = Function(
    "shown_text",
    "words text",
    "text",
    f"""
DECLARE
    quote text := CASE WHEN position('''' IN words) > 0 AND position('"' IN words) = 0 THEN '"' ELSE '''' END;
BEGIN
    RETURN left(quote || (
        SELECT coalesce(string_agg(CASE
            WHEN c = E'\\\\' OR c = quote THEN E'\\\\' || c
            WHEN c = E'\\t' THEN E'\\\\t'
            WHEN c = E'\\n' THEN E'\\\\n'
            WHEN c = E'\\r' THEN E'\\\\r'
            WHEN payconfirm.is_printable(c) THEN c
            WHEN ascii(c) < 256 THEN E'\\\\x' || lpad(to_hex(ascii(c)), 2, '0')
            WHEN ascii(c) < 65536 THEN E'\\\\u' || lpad(to_hex(ascii(c)), 4, '0')
            ELSE E'\\\\U' || lpad(to_hex(ascii(c)), 8, '0')
        END, '' ORDER BY place), '')
        FROM unnest(string_to_array(words, NULL)) WITH ORDINALITY AS part(c, place)
    ) || quote, {MAX_SHOWN});
END
""",
)

#: What a value is, for people, as Python calls it.
KIND = Function(
    "kind",
    "value jsonb",
    "text",
    f"""
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'object' THEN 'an object'
        WHEN 'array' THEN 'a list'
        WHEN 'string' THEN 'a string'
        WHEN 'boolean' THEN 'a boolean'
        WHEN 'number' THEN CASE
            WHEN position('.' IN value::text) = 0 AND length(value::text) <= {MAX_DIGITS} THEN 'a value of type int'
            ELSE 'a value of type float' END
        ELSE 'null'
    END;
END
""",
)

#: Repeats what was sent, in few characters.
SHOWN = Function(
    "shown",
    "value jsonb",
    "text",
    f"""
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'string' THEN payconfirm.shown_text(left(value #>> '{{}}', {MAX_SHOWN}))
        WHEN 'number' THEN CASE
            WHEN payconfirm.json_number(value) IS NULL OR abs(value::numeric) >= {10**MAX_SHOWN // 10}
            THEN {quoted(BEYOND_LIMITS)}
            ELSE left(payconfirm.json_number(value), {MAX_SHOWN}) END
        WHEN 'boolean' THEN value::text
        ELSE payconfirm.kind(value)
    END;
END
""",
)

#: A field's name as one printable word.
NAME = Function(
    "name",
    "words text",
    "text",
    """
BEGIN
    RETURN (
        SELECT coalesce(string_agg(
            CASE WHEN payconfirm.is_in_a_word(c) OR c = '.' OR c = '-' THEN c ELSE '?' END, '' ORDER BY place), '')
        FROM unnest(string_to_array(left(words, 80), NULL)) WITH ORDINALITY AS part(c, place)
    );
END
""",
)

FUNCTIONS = (JSON_NUMBER, JSON_TEXT, IS_PRINTABLE, IS_IN_A_WORD, SHOWN_TEXT, KIND, SHOWN, NAME)
