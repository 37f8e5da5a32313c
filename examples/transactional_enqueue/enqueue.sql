-- Frees a slot and enqueues its message in one transaction. Prints the message id.
begin;

update example.appointment_slot set is_free = true where id = 1;

select pushslots.enqueue_json(
    json_build_object(
        'Meta', json_build_object(
            'Destinations', json_build_array(json_build_object('ID', :'destination'))),
        'Slots', json_agg(
            json_build_object('ID', id::text, 'DateTime', starts_at, 'Duration', 15))),
    lane => 'clinic-7')
from example.appointment_slot where id = 1;

commit;
