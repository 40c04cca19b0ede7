"""A shop that isn't ours: it knows its own table, one SQL function and psycopg2.

`sql_shop.py ADDRESS` reads a document a line. An order and its confirmation are one transaction; it says where it is,
and goes on at the next line. `sql_shop.py ADDRESS onwards` waits for nobody.
"""

import json
import sys
import time

import psycopg2

connection = psycopg2.connect(sys.argv[1])
asks = sys.argv[2:] != ["onwards"]
for line in sys.stdin:
    document = json.loads(line)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO orders VALUES (%s)", [document["order_id"]])
    cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [line])
    if asks:
        print("enqueued", flush=True)  # noqa: T201 - it talks to the test
        sys.stdin.readline()
    connection.commit()
    print("committed", time.time(), flush=True)  # noqa: T201
    if asks:
        sys.stdin.readline()
