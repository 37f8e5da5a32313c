"""Frees a slot and enqueues its message in one transaction. Prints the message id."""

import os
import sys

import psycopg2
from psycopg2.extras import Json

destination = sys.argv[1]
connection = psycopg2.connect(os.environ["PUSHSLOTS_DATABASE_URL"])

# Commits at the end of the block, or rolls back after an exception.
with connection, connection.cursor() as cursor:
    cursor.execute(
        "update example.appointment_slot set is_free = true where id = 2 returning starts_at"
    )
    (starts_at,) = cursor.fetchone()
    message = {
        "Meta": {"Destinations": [{"ID": destination}]},
        "Slots": [{"ID": "2", "DateTime": starts_at.isoformat(), "Duration": 15}],
    }
    cursor.execute("select pushslots.enqueue_json(%s, lane => 'clinic-7')", [Json(message)])
    (message_id,) = cursor.fetchone()

print(message_id)
