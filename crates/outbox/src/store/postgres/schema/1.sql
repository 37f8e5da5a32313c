-- Version 1 of the schema of an outbox.
--
-- All decisions about entries are made by the workers. The functions here only find, lock and store.
-- Names are compared byte by byte, whatever the collation of the database.

-- One row: the version of the schema, and the oldest version that a program must know to use it.
create table pushslots.meta (
    version integer not null,
    required integer not null,
    migrated timestamptz not null default now()
);

-- The time of all leases, due times and permits. Tests replace it.
create function pushslots.clock() returns timestamptz
language sql volatile
as $$ select date_trunc('milliseconds', clock_timestamp()) $$;

create sequence pushslots.entry_number;
create sequence pushslots.lease_number;
create sequence pushslots.attempt_id;

-- The lanes that have entries, are leased, or are held. `due` is the due time of the first entry.
create table pushslots.lane (
    name text collate "C" primary key,
    due timestamptz not null,
    held boolean not null default false,
    lease bigint,
    leased_until timestamptz,
    holder uuid,
    check ((lease is null) = (leased_until is null))
) with (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
create index lane_due on pushslots.lane (due, name) where lease is null and not held;
create index lane_leased on pushslots.lane (leased_until) where lease is not null;

-- The values that workers can read. `enqueue` and `save` keep columns consistent with one another:
-- `state` with `lease`, and `batch_id` with `batch_entries`. The condition of a domain is prepared once for each connection,
-- and that of a table for each statement, which takes longer than the insertion.
create domain pushslots.lane_name as text collate "C" check (octet_length(value) <= 200);
create domain pushslots.entry_key as text collate "C" check (octet_length(value) between 1 and 200);
create domain pushslots.digest as bytea check (octet_length(value) = 32);
create domain pushslots.count as integer check (value >= 0);
create domain pushslots.on_dead as text check (value in ('continue', 'hold'));
create domain pushslots.open_state as text check (value in ('waiting', 'sending'));
create domain pushslots.delivery as text
    check (value in ('accepted', 'rejected', 'not_sent', 'unknown'));
create domain pushslots.time as timestamptz
    check (value between '0001-01-01 00:00+00' and '9999-12-31 00:00+00');

-- The entries that wait or are being sent. No index contains a column that a send changes, so that
-- its updates stay within a page.
create table pushslots.entry (
    number bigint primary key default nextval('pushslots.entry_number'),
    message_id uuid not null unique,
    lane pushslots.lane_name not null,
    position bigint not null,
    key pushslots.entry_key,
    batch_id text collate "C",
    batch_entries pushslots.count,
    digest pushslots.digest not null,
    slots pushslots.count not null,
    on_dead pushslots.on_dead not null,
    enqueued timestamptz not null,
    expires pushslots.time,
    state pushslots.open_state not null,
    lease bigint,
    superseded_by uuid,
    delivery pushslots.delivery,
    due pushslots.time not null,
    failures integer not null default 0,
    failing_since timestamptz,
    lost_leases integer not null default 0,
    attempts integer not null default 0,
    changed timestamptz not null
) with (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
create index entry_queue on pushslots.entry (lane, position, number);
create index entry_key on pushslots.entry (lane, key, number) where key is not null;

-- The messages of waiting entries, entries that are being sent, and dead letters: compressed, and
-- perhaps encrypted. They are inserted and deleted, and never updated.
create table pushslots.body (
    number bigint primary key,
    bytes bytea not null
);
alter table pushslots.body alter column bytes set storage external;

-- The dead letters, with all attempts.
create table pushslots.dead (
    like pushslots.entry,
    attempt_records text[] not null,
    receipt text,
    primary key (number),
    unique (message_id)
);
alter table pushslots.dead alter column state type text,
    add check (state in ('rejected', 'abandoned', 'unknown', 'expired', 'poison', 'invalid'));
create index dead_changed on pushslots.dead (changed, number);

-- The entries that are accepted, superseded or cancelled, with all attempts and the receipt: a
-- partition for each day.
create table pushslots.settled (
    like pushslots.entry,
    attempt_records text[] not null,
    receipt text
) partition by range (changed);
alter table pushslots.settled alter column state type text,
    add check (state in ('accepted', 'superseded', 'cancelled'));
create index settled_message_id on pushslots.settled (message_id);
create index settled_number on pushslots.settled (number);

-- The message ids of all final entries, so that adding an entry looks in one place.
create table pushslots.final_id (
    message_id uuid primary key,
    changed timestamptz not null
);

-- The attempts of entries that aren't final: a partition for each day.
create table pushslots.attempt (
    id bigint not null default nextval('pushslots.attempt_id'),
    number bigint not null,
    at timestamptz not null,
    record text not null
) partition by range (at);
create index attempt_number on pushslots.attempt (number);

-- The numbers of final entries by state, as changes that add up.
create table pushslots.tally (
    state text not null,
    count bigint not null
);

-- Shared rate limits, and the permits that still count.
create table pushslots.rate_limit (
    name text collate "C" primary key,
    throttled_until timestamptz not null
);
create table pushslots.permits (
    id bigint generated always as identity primary key,
    name text collate "C" not null,
    count integer not null,
    counts_until timestamptz not null
);
create index permits_name on pushslots.permits (name, counts_until);

-- Creates the partitions from yesterday to a week ahead.
create function pushslots.ensure_partitions() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    first date := (pushslots.clock() at time zone 'UTC')::date - 1;
    day date;
    parent text;
    partition text;
begin
    foreach parent in array array['settled', 'attempt'] loop
        for days in 0..8 loop
            day := first + days;
            partition := parent || '_' || to_char(day, 'YYYYMMDD');
            continue when to_regclass('pushslots.' || partition) is not null;
            perform set_config('lock_timeout', '3s', true);
            perform pg_advisory_xact_lock(hashtextextended('pushslots.partitions', 0));
            continue when to_regclass('pushslots.' || partition) is not null;
            execute format(
                'create table pushslots.%I (like pushslots.%I including all)', partition, parent);
            -- Attaching it doesn't wait for queries, as creating it in its place would.
            execute format(
                'alter table pushslots.%I attach partition pushslots.%I for values from (%L) to (%L)',
                parent, partition, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
        end loop;
    end loop;
end
$$;

-- Drops the partitions of days that ended longer ago than `age`, and returns the number of their
-- entries. Attempts of entries that aren't final are kept. One process does it at a time.
create function pushslots.drop_partitions(age interval) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    last date := ((pushslots.clock() - age) at time zone 'UTC')::date - 1;
    parent text;
    partition text;
    is_used boolean;
    dropped bigint;
    total bigint := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('pushslots.drop', 0)) then
        return 0;
    end if;
    perform set_config('lock_timeout', '1s', true);
    for parent, partition in
        select p.relname, c.relname from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        where i.inhparent in ('pushslots.settled'::regclass, 'pushslots.attempt'::regclass)
        order by c.relname
    loop
        continue when to_date(right(partition, 8), 'YYYYMMDD') > last;
        if parent = 'attempt' then
            execute format(
                'select exists (select from pushslots.%I join pushslots.entry using (number))',
                partition) into is_used;
            continue when is_used;
            -- Queries lock the parent first, too.
            lock table only pushslots.attempt in access exclusive mode;
            execute format(
                'select exists (select from pushslots.%I join pushslots.entry using (number))',
                partition) into is_used;
            continue when is_used;
        else
            execute format(
                'delete from pushslots.final_id i using pushslots.%I s '
                'where i.message_id = s.message_id and i.changed = s.changed', partition);
            lock table only pushslots.settled in access exclusive mode;
            execute format(
                'insert into pushslots.tally select state, -count(*) from pushslots.%I group by state',
                partition);
            execute format('select count(*) from pushslots.%I', partition) into dropped;
            total := total + dropped;
        end if;
        execute format('drop table pushslots.%I', partition);
    end loop;
    return total;
end
$$;

-- Adds the changes of the tally up, so that reading it stays cheap.
create function pushslots.fold_tally() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_try_advisory_xact_lock(hashtextextended('pushslots.tally', 0)) then
        with old as (delete from pushslots.tally returning state, count)
        insert into pushslots.tally select state, sum(count) from old group by state;
    end if;
end
$$;

-- Adds a prepared message in the caller's transaction. Returns `added`, or `present` if it was added
-- before. With `waits` false it returns `busy` if another transaction adds to the same lane.
--
-- Otherwise transactions that add to the same lane wait for one another, so that the numbers of a
-- lane are in the order of commits. Workers don't wait for them.
create function pushslots.enqueue(entry text, body bytea, waits boolean default true) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    new record;
    new_number bigint;
    time timestamptz;
    known bytea;
    lock bigint;
begin
    select * into strict new from json_to_record(entry::json) as x(
        message_id uuid, lane text, key text, batch_id text, batch_entries integer, digest bytea,
        slots integer, on_dead text, not_before timestamptz, expires timestamptz);
    if (new.batch_id is null) <> (new.batch_entries is null) or new.batch_entries = 0 then
        raise exception 'batch_id needs batch_entries of at least 1, and batch_entries needs batch_id'
            using errcode = 'invalid_parameter_value';
    end if;
    lock := hashtextextended('pushslots.lane:' || new.lane, 0);
    if waits then
        perform pg_advisory_xact_lock(lock);
    elsif not pg_try_advisory_xact_lock(lock) then
        return 'busy';
    end if;
    new_number := nextval('pushslots.entry_number');
    time := pushslots.clock();
    new.not_before := greatest(new.not_before, time);

    loop
        insert into pushslots.entry (
            number, message_id, lane, position, key, batch_id, batch_entries, digest, slots,
            on_dead, enqueued, expires, state, due, changed)
        values (
            new_number, new.message_id, new.lane, new_number, new.key, new.batch_id,
            new.batch_entries, new.digest, new.slots, new.on_dead, time, new.expires, 'waiting',
            new.not_before, time)
        on conflict (message_id) do nothing;
        exit when found;
        select e.digest into known from pushslots.entry e where e.message_id = new.message_id;
        exit when found;
        -- It became final after the insertion met it.
    end loop;
    if known is null then
        -- Later statements than the insertion, so that they see an entry that has just become final.
        if current_setting('transaction_isolation') <> 'read committed' then
            -- They don't see it, but this fails with the code 40001 if there is one.
            insert into pushslots.final_id values (new.message_id, time) on conflict do nothing;
            delete from pushslots.final_id i
            where i.message_id = new.message_id and i.changed = time;
        end if;
        perform from pushslots.final_id i where i.message_id = new.message_id;
        if found then
            select f.digest into known from (
                select d.message_id, d.digest from pushslots.dead d
                union all select s.message_id, s.digest from pushslots.settled s) f
            where f.message_id = new.message_id;
        end if;
        if known is not null then
            delete from pushslots.entry e where e.number = new_number;
        end if;
    end if;
    if known = new.digest then
        return 'present';
    elsif known is not null then
        raise exception 'the outbox has another message with the id %', new.message_id
            using errcode = 'unique_violation', hint = 'Use another message id.';
    end if;

    insert into pushslots.body values (new_number, body);
    loop
        -- The lane isn't removed before the end of this transaction.
        perform from pushslots.lane l where l.name = new.lane for key share;
        exit when found;
        insert into pushslots.lane (name, due) values (new.lane, new.not_before)
        on conflict do nothing;
    end loop;
    return 'added';
end
$$;

-- Adds entries, all or none. Returns the entries, or the message id of an entry with other bytes, or
-- that a lane is busy.
create function pushslots.add_entries(entries json[], bodies bytea[]) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    id uuid;
    record json;
    records json[] := '{}';
begin
    for place in 1..cardinality(entries) loop
        id := entries[place]->>'message_id';
        if pushslots.enqueue(entries[place]::text, bodies[place], false) = 'busy' then
            raise exception using errcode = 'PS001';
        end if;
        select f.entry into strict record from pushslots.find(array[id]) f;
        records := records || record;
    end loop;
    return json_build_object('entries', to_json(records));
exception
    when sqlstate 'PS001' then
        return json_build_object('is_busy', true);
    when unique_violation then
        return json_build_object('other_bytes', id);
end
$$;

-- Adds a PushSlots message as JSON in the caller's transaction. Returns its message id. A worker
-- checks the message when it sends it, and an invalid one becomes a dead letter.
create function pushslots.enqueue_json(
    message json,
    message_id uuid default gen_random_uuid(),
    lane text default null,
    supersedes text default null,
    not_before timestamptz default null,
    expires_at timestamptz default null,
    on_dead text default 'continue'
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    bytes bytea := convert_to(message::text, 'UTF8');
    destinations uuid[];
    names text;
    slots json := message->'Slots';
begin
    if json_typeof(message->'Meta'->'Destinations') = 'array' then
        destinations := array(
            select (d->>'ID')::uuid
            from json_array_elements(message->'Meta'->'Destinations') d order by 1);
    end if;
    if coalesce(cardinality(destinations), 0) = 0 or array_position(destinations, null) is not null
    then
        raise exception 'the message has no destinations'
            using errcode = 'invalid_parameter_value',
                hint = 'Set Meta.Destinations to objects with an ID.';
    end if;
    if json_typeof(slots) is distinct from 'array' or json_array_length(slots) = 0 then
        raise exception 'the message has no slots'
            using errcode = 'invalid_parameter_value', hint = 'Set Slots to an array of slots.';
    end if;
    if supersedes is not null and message->'Meta'->>'BatchID' is not null
        and message->'Meta'->>'TotalBatches' is distinct from '1'
    then
        raise exception 'supersedes is not possible for one message of a batch'
            using errcode = 'invalid_parameter_value',
                hint = 'The others would be lost. Leave supersedes out.';
    end if;
    if octet_length(lane) not between 1 and 200 or octet_length(supersedes) not between 1 and 200
    then
        raise exception 'lane and supersedes must have 1 to 200 bytes'
            using errcode = 'invalid_parameter_value';
    end if;
    names := array_to_string(destinations, ',');
    if octet_length(names) > 200 then
        names := cardinality(destinations) || ' destinations, '
            || encode(sha256(convert_to(names, 'UTF8')), 'hex');
    end if;
    if expires_at is null then
        begin
            select max((s->>'DateTime')::timestamptz) into expires_at
            from json_array_elements(slots) s;
            if expires_at not between '0001-01-01 00:00+00' and '9999-12-31 00:00+00' then
                expires_at := null;
            end if;
        exception when data_exception then
            -- A worker reports what is wrong with the slots.
            expires_at := null;
        end;
    end if;
    perform pushslots.enqueue(
        json_build_object(
            'message_id', message_id, 'lane', coalesce(lane, names), 'key', supersedes,
            'digest', sha256(bytes), 'slots', json_array_length(slots), 'on_dead', on_dead,
            'not_before', not_before, 'expires', date_trunc('milliseconds', expires_at))::text,
        '\x03'::bytea || bytes);
    return message_id;
end
$$;

-- The functions of each send (`retire`, `claim`, `find`, `open`, `save`) keep plans that use indexes.
-- Otherwise the planner, which knows only the size of the tables, reads all lanes to find a few.

-- Removes lanes without entries, unless they are leased or held. A lane to which a transaction adds
-- an entry stays, and is looked at again soon.
create function pushslots.retire(names text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    free text[] := array(
        select l.name from pushslots.lane l
        where l.name = any(names) and l.lease is null and not l.held for update skip locked);
begin
    -- Entries can't be added any more, and a statement after the lock sees those that were.
    delete from pushslots.lane l
    where l.name = any(free) and not exists (select from pushslots.entry e where e.lane = l.name);
    update pushslots.lane l
    set due = coalesce(
        (select e.due from pushslots.entry e
            where e.lane = l.name order by e.position, e.number limit 1),
        pushslots.clock() + interval '250 milliseconds')
    where l.name = any(names) and l.lease is null and not l.held;
end
$$;

-- Leases up to `wanted` lanes that are free and due, and returns their first entries.
--
-- Leases nothing but returns lanes with the step `over` if the time of their leases is over. A lane
-- with the step `decide` has an entry that is expired, or others with its key. Any other step means
-- that another call may find more.
create function pushslots.claim(
    wanted integer, term interval, claimer uuid, avoided text, known_version integer)
returns table (step text, lane text, lease bigint, entry json, body bytea, at timestamptz)
language plpgsql set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    time timestamptz := pushslots.clock();
    names text[];
    empty text[];
    required_version integer := (select required from pushslots.meta);
begin
    if required_version > known_version then
        raise exception 'the schema pushslots requires programs that know version %, and this one '
            'only knows %; update the program', required_version, known_version;
    end if;
    names := array(
        select l.name from pushslots.lane l where l.lease is not null and l.leased_until <= time
        order by l.leased_until limit 100 for no key update skip locked);
    if cardinality(names) > 0 then
        return query select 'over', n, null::bigint, null::json, null::bytea, time
        from unnest(names) n;
        return;
    end if;

    names := array(
        select l.name from pushslots.lane l
        where l.lease is null and not l.held and l.due <= time
            and (avoided is null or l.name <> avoided)
        order by l.due, l.name limit wanted for no key update skip locked);
    if cardinality(names) = 0 and avoided is not null then
        names := array(
            select l.name from pushslots.lane l
            where l.lease is null and not l.held and l.due <= time and l.name = avoided
            for no key update skip locked);
    end if;
    if cardinality(names) = 0 then
        return query select 'nothing', null, null::bigint, null::json, null::bytea, (
            select min(l.due) from pushslots.lane l
            where l.lease is null and not l.held and l.due > time);
        return;
    end if;

    -- A statement after the locks, so that it sees the entries as they are now.
    return query
    with head as materialized (
        select n.name, e as row, e.number,
            case
                when e.number is null then 'empty'
                when e.due > time then 'later'
                when e.expires <= time or e.key is not null and exists (
                    select from pushslots.entry r
                    where r.lane = e.lane and r.key = e.key and r.number <> e.number
                        and (r.batch_id is null or r.batch_id is distinct from e.batch_id))
                then 'decide'
                else 'lease'
            end as step
        from unnest(names) n(name) left join lateral (
            select * from pushslots.entry e
            where e.lane = n.name order by e.position, e.number limit 1) e on true
    ), leased as (
        update pushslots.lane l
        set lease = nextval('pushslots.lease_number'), leased_until = time + term,
            holder = claimer
        from head where l.name = head.name and head.step = 'lease'
        returning l.name, l.lease
    ), later as (
        update pushslots.lane l set due = (head.row).due
        from head where l.name = head.name and head.step = 'later'
    )
    select head.step, head.name, leased.lease,
        case when head.step = 'lease' then row_to_json(head.row) end, b.bytes, time
    from head
    left join leased on leased.name = head.name
    left join pushslots.body b on b.number = head.number and head.step = 'lease';

    empty := array(
        select n from unnest(names) n
        where not exists (select from pushslots.entry e where e.lane = n));
    if cardinality(empty) > 0 then
        perform pushslots.retire(empty);
    end if;
end
$$;

-- Leases locked lanes, and returns their first entries.
create function pushslots.lease(names text[], term interval, claimer uuid)
returns table (lane text, lease bigint, body bytea)
language sql set search_path = pg_catalog, pg_temp
as $$
    update pushslots.lane l
    set lease = nextval('pushslots.lease_number'), leased_until = pushslots.clock() + term,
        holder = claimer
    where l.name = any(names) and l.lease is null
    returning l.name, l.lease, (
        select b.bytes from pushslots.body b where b.number = (
            select e.number from pushslots.entry e
            where e.lane = l.name order by e.position, e.number limit 1))
$$;

-- Ends a lease, unless its entry is being sent.
create function pushslots.hand_back(lane_name text, lease_number bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    update pushslots.lane l set lease = null, leased_until = null, holder = null
    where l.name = lane_name and l.lease = lease_number and not exists (
        select from pushslots.entry e where e.lane = lane_name and e.lease = lease_number);
    if found then
        -- Its entries may have been cancelled meanwhile.
        perform pushslots.retire(array[lane_name]);
    end if;
end
$$;

-- Ends the leases of a process that it doesn't know of, because it never received them.
create function pushslots.hand_back_unknown(claimer uuid, known bigint[]) returns void
language sql set search_path = pg_catalog, pg_temp
as $$
    select pushslots.hand_back(l.name, l.lease) from pushslots.lane l
    where l.holder = claimer and l.lease <> all(known)
$$;

-- Returns entries with their attempts.
create function pushslots.find(ids uuid[])
returns table (source text, entry json, attempt_records json, receipt text)
language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    found_entries bigint;
begin
    return query
    select 'entry', row_to_json(e), case when e.attempts > 0 then (
        select json_agg(a.record order by a.id) from pushslots.attempt a where a.number = e.number
    ) end, null
    from pushslots.entry e where e.message_id = any(ids);
    get diagnostics found_entries = row_count;
    if found_entries < cardinality(ids) then
        return query
        select 'dead', row_to_json(d), to_json(d.attempt_records), d.receipt
        from pushslots.dead d where d.message_id = any(ids)
        union all
        select 'settled', row_to_json(s), to_json(s.attempt_records), s.receipt
        from pushslots.final_id i
        join pushslots.settled s on s.changed = i.changed and s.message_id = i.message_id
        where i.message_id = any(ids);
    end if;
end
$$;

-- Locks lanes, and returns their leases, the entries with these ids, and the time.
create function pushslots.open(names text[], ids uuid[]) returns json
language plpgsql set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    locked pushslots.lane[] := array(
        select l from pushslots.lane l where l.name = any(names) order by l.name for no key update);
begin
    return json_build_object(
        'time', pushslots.clock(),
        'leases', (
            select json_agg(json_build_object('lane', l.name, 'number', l.lease, 'over',
                l.leased_until <= pushslots.clock()))
            from unnest(locked) l where l.lease is not null),
        'entries', (select json_agg(f) from pushslots.find(ids) f));
end
$$;

-- Returns the first entry of each lane, with the waiting entries of its key. The entry that is being
-- sent is always the first.
create function pushslots.heads(names text[]) returns json
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select json_agg(json_build_object(
        'head', row_to_json(h),
        'keyed', (
            select json_agg(row_to_json(k) order by k.number) from pushslots.entry k
            where k.lane = h.lane and k.key = h.key and k.state = 'waiting')))
    from unnest(names) n cross join lateral (
        select * from pushslots.entry e where e.lane = n order by e.position, e.number limit 1) h
$$;

-- Stores the changes of entries and lanes. Absent changes are null.
create function pushslots.save(
    updated json,
    removed json,
    live json,
    dead json,
    settled json,
    attempts json,
    tally json,
    lanes json
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    -- An array is used because a join with the list alone reads all lanes.
    names text[] := array(select t.name from json_to_recordset(lanes) t(name text));
    empty text[];
begin
    if updated is not null then
        update pushslots.entry e
        set position = u.position, expires = u.expires, state = u.state, lease = u.lease,
            delivery = u.delivery, due = u.due, failures = u.failures,
            failing_since = u.failing_since, lost_leases = u.lost_leases, attempts = u.attempts,
            changed = u.changed
        from json_populate_recordset(null::pushslots.entry, updated) u
        where e.number = u.number;
    end if;
    if removed is not null then
        delete from pushslots.entry e using json_to_recordset(removed) r(number bigint, source text)
        where r.source = 'entry' and e.number = r.number;
        delete from pushslots.dead d using json_to_recordset(removed) r(number bigint, source text)
        where r.source = 'dead' and d.number = r.number;
        if removed::text like '%"settled"%' then
            delete from pushslots.settled s
            using json_to_recordset(removed) r(number bigint, source text)
            where r.source = 'settled' and s.number = r.number;
        end if;
    end if;
    if live is not null then
        -- A dead letter has them too, and they are inserted again.
        delete from pushslots.attempt a using json_to_recordset(live) l(number bigint)
        where a.number = l.number;
        delete from pushslots.final_id i using json_to_recordset(live) l(message_id uuid)
        where i.message_id = l.message_id;
        insert into pushslots.entry
        select * from json_populate_recordset(null::pushslots.entry, live);
    end if;
    if dead is not null then
        insert into pushslots.dead select * from json_populate_recordset(null::pushslots.dead, dead);
        insert into pushslots.final_id
        select d.message_id, d.changed
        from json_to_recordset(dead) d(message_id uuid, changed timestamptz)
        on conflict (message_id) do update set changed = excluded.changed;
    end if;
    if settled is not null then
        insert into pushslots.settled
        select * from json_populate_recordset(null::pushslots.settled, settled);
        insert into pushslots.final_id
        select s.message_id, s.changed
        from json_to_recordset(settled) s(message_id uuid, changed timestamptz)
        on conflict (message_id) do update set changed = excluded.changed;
        delete from pushslots.body b using json_to_recordset(settled) s(number bigint)
        where b.number = s.number;
    end if;
    if attempts is not null then
        insert into pushslots.attempt (number, at, record)
        select a.number, pushslots.clock(), a.record
        from json_to_recordset(attempts) a(number bigint, record text);
    end if;
    if tally is not null then
        insert into pushslots.tally
        select t.state, t.count from json_to_recordset(tally) t(state text, count bigint);
    end if;
    if lanes is not null then
        with changed as (
            update pushslots.lane l
            set lease = case when l.lease = t.lease then null else l.lease end,
                leased_until = case when l.lease = t.lease then null else l.leased_until end,
                holder = case when l.lease = t.lease then null else l.holder end,
                held = l.held or t.held,
                due = coalesce(h.due, l.due)
            from json_to_recordset(lanes) t(name text, lease bigint, held boolean)
            left join lateral (
                select e.due from pushslots.entry e
                where e.lane = t.name order by e.position, e.number limit 1) h on true
            where l.name = any(names) and l.name = t.name
            returning l.name, l.lease is null and not l.held and h.due is null as is_empty
        )
        select array_agg(name) into empty from changed where is_empty;
        if empty is not null then
            perform pushslots.retire(empty);
        end if;
    end if;
end
$$;

-- Removes dead letters that last changed longer ago than `age`, up to `most`, and returns their
-- number.
create function pushslots.remove_dead(age interval, most bigint) returns bigint
language sql set search_path = pg_catalog, pg_temp
as $$
    with old as (
        select d.number from pushslots.dead d where d.changed < pushslots.clock() - age
        order by d.changed, d.number limit most
    ), removed as (
        delete from pushslots.dead d using old where d.number = old.number
        returning d.number, d.message_id, d.state
    ), ids as (
        delete from pushslots.final_id i using removed where i.message_id = removed.message_id
    ), bodies as (
        delete from pushslots.body b using removed where b.number = removed.number
    ), tallied as (
        insert into pushslots.tally select state, -count(*) from removed group by state
    )
    select count(*) from removed
$$;

-- Returns the numbers of entries by state, the oldest one that isn't final, and the held lanes.
create function pushslots.summary() returns json
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select json_build_object(
        'waiting', count(*) filter (where state = 'waiting'),
        'sending', count(*) filter (where state = 'sending'),
        'oldest', min(enqueued),
        'final', (
            select json_object_agg(t.state, t.count)
            from (select state, sum(count) as count from pushslots.tally group by state) t),
        'held', (select json_agg(l.name order by l.name) from pushslots.lane l where l.held))
    from pushslots.entry
$$;

-- Takes up to `wanted` permits, and returns their number, their id, and the time after which to ask
-- again. A permit counts until one window after its request has ended, or for `longest` before that.
create function pushslots.take_permits(
    limit_name text, wanted integer, requests integer, rate_window interval, longest interval
) returns table (granted integer, permit_id bigint, retry_after interval)
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    throttled timestamptz;
    time timestamptz;
    used bigint;
    next_end timestamptz;
begin
    loop
        select r.throttled_until into throttled
        from pushslots.rate_limit r where r.name = limit_name for update;
        exit when found;
        insert into pushslots.rate_limit values (limit_name, pushslots.clock()) on conflict do nothing;
    end loop;
    time := pushslots.clock();
    if throttled > time then
        return query select 0, null::bigint, throttled - time;
        return;
    end if;
    delete from pushslots.permits p where p.name = limit_name and p.counts_until <= time;
    select coalesce(sum(p.count), 0), min(p.counts_until) into used, next_end
    from pushslots.permits p where p.name = limit_name;
    granted := least(wanted, requests - used)::integer;
    if granted <= 0 then
        return query select 0, null::bigint, next_end - time;
        return;
    end if;
    insert into pushslots.permits (name, count, counts_until)
    values (limit_name, granted, time + longest + rate_window) returning id into permit_id;
    return query select granted, permit_id, null::interval;
end
$$;

-- Ends requests: of the permits with each id, `used` may have been used, and count for one more
-- window.
create function pushslots.end_permits(ids bigint[], used integer[], rate_window interval)
returns void
language sql set search_path = pg_catalog, pg_temp
as $$
    update pushslots.permits p
    set count = ended.used, counts_until = pushslots.clock() + rate_window
    from unnest(ids, used) ended(id, used) where p.id = ended.id
$$;

-- Gives no permits for a time, because the service responded with 429.
create function pushslots.throttle(limit_name text, delay interval) returns void
language sql set search_path = pg_catalog, pg_temp
as $$
    insert into pushslots.rate_limit values (limit_name, pushslots.clock() + delay)
    on conflict (name) do update
    set throttled_until = greatest(rate_limit.throttled_until, excluded.throttled_until)
$$;

-- Returns the version of the schema, and the oldest version that a program must know to use it.
create function pushslots.version() returns integer[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select array[version, required] from pushslots.meta $$;

-- Allows a role to add entries, and nothing else.
create function pushslots.grant_enqueuer(grantee name) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('grant usage on schema pushslots to %I', grantee);
    execute format(
        'grant execute on function pushslots.version(), pushslots.enqueue(text, bytea, boolean), '
        'pushslots.enqueue_json(json, uuid, text, text, timestamptz, timestamptz, text), '
        'pushslots.add_entries(json[], bytea[]) to %I', grantee);
end
$$;

-- Allows a role everything that workers and operators do.
create function pushslots.grant_worker(grantee name) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('grant usage on schema pushslots to %I', grantee);
    execute format('grant execute on all functions in schema pushslots to %I', grantee);
    execute format('grant usage on all sequences in schema pushslots to %I', grantee);
    execute format(
        'grant select, insert, update, delete on pushslots.lane, pushslots.entry, pushslots.body, '
        'pushslots.dead, pushslots.settled, pushslots.final_id, pushslots.attempt, '
        'pushslots.tally, '
        'pushslots.rate_limit, pushslots.permits to %I', grantee);
    execute format('grant select on pushslots.meta to %I', grantee);
end
$$;

revoke all on all functions in schema pushslots from public;

select pushslots.ensure_partitions();
