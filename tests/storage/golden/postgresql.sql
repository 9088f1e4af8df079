-- postgresql: every statement as it is sent. Written by: python -m tests.storage.write_golden

-- all_hooks
SELECT dwarf_hooks.event, dwarf_hooks.workflow_url, dwarf_hooks.graph_hash, dwarf_hooks.priority, dwarf_hooks.time_budget_ms
FROM dwarf_hooks ORDER BY dwarf_hooks.event;

-- all_replicas
SELECT dwarf_replicas.engine_id, dwarf_replicas.nonce, dwarf_replicas.seen_at, dwarf_replicas.beats, dwarf_replicas.dead, dwarf_replicas.lock_key, dwarf_replicas.server, dwarf_replicas.direct
FROM dwarf_replicas;

-- all_schedules
SELECT dwarf_schedules.name, dwarf_schedules.definition_hash, dwarf_schedules.workflow_url, dwarf_schedules.graph_hash, dwarf_schedules.cron, dwarf_schedules.every_ms, dwarf_schedules.timezone, dwarf_schedules.state, dwarf_schedules.options, dwarf_schedules.catch_up, dwarf_schedules.paused, dwarf_schedules.next_at, dwarf_schedules.overlap, dwarf_schedules.last_flow_id
FROM dwarf_schedules ORDER BY dwarf_schedules.name;

-- anchors
SELECT dwarf_steps.step_id, dwarf_steps.state, dwarf_steps.changes
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[]));

-- annotate_flow
UPDATE dwarf_flows SET name=$1::VARCHAR, tags=$2::VARCHAR WHERE dwarf_flows.flow_id = $3::BIGINT;

-- answers_of_steps
SELECT dwarf_steps.step_id, dwarf_steps.answers
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_steps.answers != $2::VARCHAR;

-- answers_of_tree
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.node, dwarf_steps.answers
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_steps.answers != '' ORDER BY dwarf_steps.step_id;

-- arrive
UPDATE dwarf_steps SET cohort_arrivals=(dwarf_steps.cohort_arrivals + $1::INTEGER), cohort_failures=(dwarf_steps.cohort_failures + $2::INTEGER) WHERE dwarf_steps.step_id = $3::BIGINT RETURNING dwarf_steps.step_id, dwarf_steps.cohort_size, dwarf_steps.cohort_arrivals, dwarf_steps.cohort_failures, dwarf_steps.lineage_id;

-- ask_step
UPDATE dwarf_steps SET status='interrupted', interrupt_deadline=$1::BIGINT, crashes=0, updated_at=$2::BIGINT, interrupt=$3::VARCHAR, changes=$4::VARCHAR, ran_us=(dwarf_steps.ran_us + $5::BIGINT), waited_us=(dwarf_steps.waited_us + $6::BIGINT), code=$7::VARCHAR WHERE dwarf_steps.step_id = $8::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $9::BIGINT;

-- ask_step_warning
UPDATE dwarf_steps SET status='interrupted', interrupt_deadline=$1::BIGINT, crashes=0, updated_at=$2::BIGINT, interrupt=$3::VARCHAR, changes=$4::VARCHAR, warnings=$5::VARCHAR, ran_us=(dwarf_steps.ran_us + $6::BIGINT), waited_us=(dwarf_steps.waited_us + $7::BIGINT), code=$8::VARCHAR WHERE dwarf_steps.step_id = $9::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $10::BIGINT;

-- asleep_and_due
SELECT dwarf_steps.step_id
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 1 AND dwarf_steps.not_before <= $1::BIGINT ORDER BY dwarf_steps.not_before
 LIMIT 1000 FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- awake_of_task
SELECT dwarf_steps.step_id
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 AND dwarf_steps.task_url = $1::VARCHAR ORDER BY dwarf_steps.priority, dwarf_steps.fairness_key, dwarf_steps.created_at, dwarf_steps.step_id
 LIMIT 1000 FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- beginning_of_flow
SELECT dwarf_flows.workflow_url, dwarf_steps.state
FROM dwarf_flows JOIN dwarf_steps ON dwarf_steps.flow_id = dwarf_flows.flow_id
WHERE dwarf_flows.flow_id = $1::BIGINT AND dwarf_steps.predecessor_id = $2::BIGINT AND dwarf_steps.depth = $3::INTEGER;

-- best_band
SELECT (SELECT dwarf_steps.priority
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 AND dwarf_steps.lease_expires <= $1::BIGINT AND NOT dwarf_steps.limit_name = ANY(CAST($2 AS TEXT[])) AND NOT dwarf_steps.task_url = ANY(CAST($3 AS TEXT[])) AND dwarf_steps.crashes < $4::INTEGER AND dwarf_steps.priority > $5::INTEGER ORDER BY dwarf_steps.priority
 LIMIT 1) AS anon_1, (SELECT dwarf_steps.not_before
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 1 ORDER BY dwarf_steps.not_before
 LIMIT 1) AS anon_2;

-- blobs_of_rows
SELECT dwarf_blob_refs.holder_id, dwarf_blob_refs.blob_hash
FROM dwarf_blob_refs
WHERE dwarf_blob_refs.holder_id = ANY(CAST($1 AS BIGINT[]));

-- breakpoints_of_flow
SELECT dwarf_flows.token, dwarf_flows.parent_flow_id, dwarf_flows.status, dwarf_flows.graph_hash, dwarf_flows.breakpoints
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- bring_strays_back
UPDATE dwarf_steps SET asleep=0, labels='' WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND (dwarf_steps.status || '') = 'pending' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.asleep = 2;

-- bury_replica
UPDATE dwarf_replicas SET dead=$1::INTEGER WHERE dwarf_replicas.engine_id = $2::BIGINT AND dwarf_replicas.nonce = $3::VARCHAR AND dwarf_replicas.dead = 0 AND dwarf_replicas.beats = $4::BIGINT;

-- call_step
UPDATE dwarf_steps SET parked=1, crashes=0, updated_at=$1::BIGINT, changes=$2::VARCHAR, called=$3::VARCHAR, ran_us=(dwarf_steps.ran_us + $4::BIGINT), waited_us=(dwarf_steps.waited_us + $5::BIGINT), code=$6::VARCHAR WHERE dwarf_steps.step_id = $7::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $8::BIGINT;

-- call_step_warning
UPDATE dwarf_steps SET parked=1, crashes=0, updated_at=$1::BIGINT, changes=$2::VARCHAR, warnings=$3::VARCHAR, called=$4::VARCHAR, ran_us=(dwarf_steps.ran_us + $5::BIGINT), waited_us=(dwarf_steps.waited_us + $6::BIGINT), code=$7::VARCHAR WHERE dwarf_steps.step_id = $8::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $9::BIGINT;

-- callers
SELECT dwarf_steps.step_id, dwarf_steps.answers, dwarf_steps.changes, dwarf_steps.lease_seq, dwarf_steps.called
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND (dwarf_steps.parked + 0) = 1 AND (dwarf_steps.status || '') IN ('running', 'interrupted');

-- callers_whole
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.node, dwarf_steps.depth, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.attempt, dwarf_steps.lineage_id, dwarf_steps.ordinal, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_steps.created_at, dwarf_steps.crashes, dwarf_steps.started_at, dwarf_steps.limit_name, dwarf_flows.flow_id AS flow_id_1, dwarf_flows.token AS token_1, dwarf_flows.workflow_url, dwarf_flows.graph_hash, dwarf_flows.baggage, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.created_at AS created_at_1, dwarf_flows.updated_at, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.status, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook, dwarf_steps.called
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND (dwarf_steps.parked + 0) = 1 AND (dwarf_steps.status || '') IN ('running', 'interrupted');

-- cancel_below_roots
UPDATE dwarf_flows SET status='cancelled', updated_at=$1::BIGINT WHERE dwarf_flows.flow_id = ANY(CAST($2 AS BIGINT[])) AND dwarf_flows.status IN ('running', 'interrupted');

-- cancel_steps
UPDATE dwarf_steps SET status='cancelled', interrupt_deadline=0, parked=0, updated_at=$1::BIGINT WHERE dwarf_steps.flow_id = ANY(CAST($2 AS BIGINT[])) AND dwarf_steps.status IN ('pending', 'running', 'interrupted');

-- cancel_target
SELECT dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.workflow_url, dwarf_flows.graph_hash, dwarf_flows.baggage, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.created_at, dwarf_flows.updated_at, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.status, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- change_secret
UPDATE dwarf_secrets SET value=$1::VARCHAR WHERE dwarf_secrets.name = $2::VARCHAR;

-- changed_breakpoints
SELECT dwarf_breakpoints.flow_id, dwarf_breakpoints.body, dwarf_breakpoints.changed_at
FROM dwarf_breakpoints
WHERE dwarf_breakpoints.changed_at >= $1::BIGINT;

-- children_of_flows
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.parent_flow_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_flows.parent_flow_id > 0;

-- children_of_step
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.parent_step_id = $1::BIGINT AND dwarf_flows.parent_step_id > 0;

-- claim_any_steps
UPDATE dwarf_steps SET status='running', lease_expires=($1::BIGINT + dwarf_steps.time_budget_ms + $2::BIGINT), lease_seq=(dwarf_steps.lease_seq + 1), engine_id=$3::BIGINT, started_at=CASE WHEN (dwarf_steps.started_at = 0) THEN $1::BIGINT ELSE dwarf_steps.started_at END, updated_at=$1::BIGINT, waited_us=CASE WHEN (dwarf_steps.not_before < $1::BIGINT) THEN dwarf_steps.waited_us + ($1::BIGINT - dwarf_steps.not_before) * 1000 ELSE dwarf_steps.waited_us END WHERE dwarf_steps.step_id = ANY(CAST($4 AS BIGINT[])) AND (dwarf_steps.status || '') = 'pending' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_expires <= $1::BIGINT RETURNING dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.node, dwarf_steps.depth, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.attempt, dwarf_steps.lineage_id, dwarf_steps.ordinal, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_steps.created_at, dwarf_steps.crashes, dwarf_steps.started_at;

-- claim_steps
UPDATE dwarf_steps SET status='running', lease_expires=($1::BIGINT + dwarf_steps.time_budget_ms + $2::BIGINT), lease_seq=(dwarf_steps.lease_seq + 1), engine_id=$3::BIGINT, started_at=CASE WHEN (dwarf_steps.started_at = 0) THEN $1::BIGINT ELSE dwarf_steps.started_at END, updated_at=$1::BIGINT, waited_us=CASE WHEN (dwarf_steps.not_before < $1::BIGINT) THEN dwarf_steps.waited_us + ($1::BIGINT - dwarf_steps.not_before) * 1000 ELSE dwarf_steps.waited_us END WHERE dwarf_steps.step_id = ANY(CAST($4 AS BIGINT[])) AND (dwarf_steps.status || '') = 'pending' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_expires <= $1::BIGINT AND (dwarf_steps.asleep + 0) = 0 RETURNING dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.node, dwarf_steps.depth, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.attempt, dwarf_steps.lineage_id, dwarf_steps.ordinal, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_steps.created_at, dwarf_steps.crashes, dwarf_steps.started_at;

-- claimed_flows
SELECT dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.workflow_url, dwarf_flows.graph_hash, dwarf_flows.baggage, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.created_at, dwarf_flows.updated_at, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.status, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook
FROM dwarf_flows
WHERE dwarf_flows.flow_id = ANY(CAST($1 AS BIGINT[]));

-- converge_ended
UPDATE dwarf_steps SET status=$1::VARCHAR, parked=0, updated_at=$2::BIGINT WHERE dwarf_steps.step_id = $3::BIGINT AND (dwarf_steps.status || '') = 'running';

-- copy_display
INSERT INTO dwarf_displays (display_id, step_id, flow_id, slot, attempt, run, number, shown_at, written_at, name, data) VALUES ($1::BIGINT, $2::BIGINT, $3::BIGINT, $4::VARCHAR, $5::INTEGER, $6::INTEGER, $7::INTEGER, $8::BIGINT, $9::BIGINT, $10::VARCHAR, $11::VARCHAR);

-- copy_flow
INSERT INTO dwarf_flows (flow_id, token, workflow_url, workflow_name, graph_hash, status, parent_flow_id, parent_step_id, root_flow_id, forked_from_step, thread_id, thread_token, trace_parent, delete_on_completion, delete_after_ms, priority, fairness_key, fairness_weight, time_budget_ms, engine_id, idempotency_key, request_hash, created_at, started_at, updated_at, error, cancel_reason, baggage, final_state, scheduled_at, name, tags, breakpoints, hook) VALUES ($1::BIGINT, $2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR, $6::VARCHAR, $7::BIGINT, $8::BIGINT, $9::BIGINT, $10::BIGINT, $11::BIGINT, $12::VARCHAR, $13::VARCHAR, $14::SMALLINT, $15::INTEGER, $16::INTEGER, $17::VARCHAR, $18::FLOAT(53), $19::INTEGER, $20::BIGINT, $21::VARCHAR, $22::VARCHAR, $23::BIGINT, $24::BIGINT, $25::BIGINT, $26::VARCHAR, $27::VARCHAR, $28::VARCHAR, $29::VARCHAR, $30::BIGINT, $31::VARCHAR, $32::VARCHAR, $33::VARCHAR, $34::VARCHAR);

-- copy_output
INSERT INTO dwarf_output (step_id, run, part, flow_id, attempt, is_stream, first_line, line_count, began_at, written_at, name, body) VALUES ($1::BIGINT, $2::INTEGER, $3::INTEGER, $4::BIGINT, $5::INTEGER, $6::SMALLINT, $7::INTEGER, $8::INTEGER, $9::BIGINT, $10::BIGINT, $11::VARCHAR, $12::VARCHAR);

-- copy_step
INSERT INTO dwarf_steps (step_id, flow_id, token, depth, node, task_url, status, time_budget_ms, attempt, lineage_id, cohort_size, cohort_arrivals, cohort_failures, ordinal, route, predecessor_id, successor_id, priority, fairness_key, fairness_weight, interrupt_deadline, parked, not_before, asleep, lease_expires, lease_seq, limit_name, limit_rule, crashes, engine_id, created_at, started_at, updated_at, progress, error, traceback, answers, interrupt, refs, changes, state, warnings, called, answered_by, ran_us, waited_us, labels, code, cached_from) VALUES ($1::BIGINT, $2::BIGINT, $3::VARCHAR, $4::INTEGER, $5::VARCHAR, $6::VARCHAR, $7::VARCHAR, $8::INTEGER, $9::INTEGER, $10::BIGINT, $11::INTEGER, $12::INTEGER, $13::INTEGER, $14::INTEGER, $15::VARCHAR, $16::BIGINT, $17::BIGINT, $18::INTEGER, $19::VARCHAR, $20::FLOAT(53), $21::BIGINT, $22::SMALLINT, $23::BIGINT, $24::SMALLINT, $25::BIGINT, $26::BIGINT, $27::VARCHAR, $28::VARCHAR, $29::INTEGER, $30::BIGINT, $31::BIGINT, $32::BIGINT, $33::BIGINT, $34::VARCHAR, $35::VARCHAR, $36::VARCHAR, $37::VARCHAR, $38::VARCHAR, $39::VARCHAR, $40::VARCHAR, $41::VARCHAR, $42::VARCHAR, $43::VARCHAR, $44::VARCHAR, $45::BIGINT, $46::BIGINT, $47::VARCHAR, $48::VARCHAR, $49::VARCHAR);

-- count_flows
SELECT dwarf_flows.status, count(*) AS count_1
FROM dwarf_flows GROUP BY dwarf_flows.status ORDER BY dwarf_flows.status;

-- count_flows_by_status_kept_led_roots_upto
SELECT dwarf_flows.status, count(*) AS count_1
FROM dwarf_flows, dwarf_tags
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_tags.name = $1::VARCHAR AND dwarf_tags.value = $2::VARCHAR AND dwarf_tags.flow_id = dwarf_flows.flow_id AND dwarf_tags.created_at <= $3::BIGINT GROUP BY dwarf_flows.status ORDER BY dwarf_flows.status;

-- count_flows_by_status_kept_node_roots_upto
SELECT dwarf_flows.status, count(*) AS count_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND dwarf_steps.node = $1::VARCHAR)) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $2::BIGINT GROUP BY dwarf_flows.status ORDER BY dwarf_flows.status;

-- count_flows_by_status_kept_roots_upto
SELECT dwarf_flows.status, count(*) AS count_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $1::BIGINT GROUP BY dwarf_flows.status ORDER BY dwarf_flows.status;

-- count_flows_by_status_kept_roots_upto_workflow_name
SELECT dwarf_flows.status, count(*) AS count_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $1::BIGINT AND dwarf_flows.workflow_name = $2::VARCHAR GROUP BY dwarf_flows.status ORDER BY dwarf_flows.status;

-- count_steps
SELECT dwarf_steps.status, count(*) AS count_1
FROM dwarf_steps GROUP BY dwarf_steps.status ORDER BY dwarf_steps.status;

-- database_identity
SELECT dwarf_facts.value
FROM dwarf_facts
WHERE dwarf_facts.name = $1::VARCHAR;

-- delete_hooks
DELETE FROM dwarf_hooks;

-- delete_schedule
DELETE FROM dwarf_schedules WHERE dwarf_schedules.name = $1::VARCHAR;

-- delete_target
SELECT dwarf_flows.token, dwarf_flows.parent_flow_id, dwarf_flows.status, dwarf_flows.delete_after_ms
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- details_of_node
SELECT dwarf_steps.step_id, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_steps.node = $2::VARCHAR;

-- details_of_steps
SELECT dwarf_steps.step_id, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[]));

-- displays_of_one_step
SELECT dwarf_displays.step_id, dwarf_displays.attempt, dwarf_displays.run, dwarf_displays.number, dwarf_displays.shown_at, dwarf_displays.written_at, dwarf_displays.name, dwarf_displays.data, dwarf_steps.token, dwarf_steps.node, dwarf_displays.display_id
FROM dwarf_displays JOIN dwarf_steps ON dwarf_steps.step_id = dwarf_displays.step_id
WHERE dwarf_displays.step_id = $1::BIGINT AND dwarf_displays.written_at >= $2::BIGINT;

-- displays_of_steps
SELECT dwarf_displays.display_id, dwarf_displays.step_id, dwarf_displays.slot
FROM dwarf_displays
WHERE dwarf_displays.step_id = ANY(CAST($1 AS BIGINT[]));

-- displays_of_tree
SELECT dwarf_displays.step_id, dwarf_displays.attempt, dwarf_displays.run, dwarf_displays.number, dwarf_displays.shown_at, dwarf_displays.written_at, dwarf_displays.name, dwarf_displays.data, dwarf_steps.token, dwarf_steps.node, dwarf_displays.display_id
FROM dwarf_displays JOIN dwarf_steps ON dwarf_steps.step_id = dwarf_displays.step_id JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_displays.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_displays.written_at >= $2::BIGINT;

-- doom_of_root
SELECT dwarf_flows.delete_after_ms
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- doomed_flows
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms > 0 AND dwarf_flows.updated_at + dwarf_flows.delete_after_ms <= $1::BIGINT ORDER BY dwarf_flows.delete_after_ms, dwarf_flows.updated_at
 LIMIT $2::INTEGER;

-- drop_displays
DELETE FROM dwarf_displays WHERE dwarf_displays.display_id = ANY(CAST($1 AS BIGINT[]));

-- drop_displays_of_flows
DELETE FROM dwarf_displays WHERE dwarf_displays.flow_id = ANY(CAST($1 AS BIGINT[]));

-- drop_flows
DELETE FROM dwarf_flows WHERE dwarf_flows.flow_id = ANY(CAST($1 AS BIGINT[]));

-- drop_output_of_flows
DELETE FROM dwarf_output WHERE dwarf_output.flow_id = ANY(CAST($1 AS BIGINT[]));

-- drop_output_part
DELETE FROM dwarf_output WHERE dwarf_output.step_id = $1::BIGINT AND dwarf_output.run = $2::INTEGER AND dwarf_output.part = $3::INTEGER;

-- drop_steps
DELETE FROM dwarf_steps WHERE dwarf_steps.flow_id = ANY(CAST($1 AS BIGINT[]));

-- drop_tags
DELETE FROM dwarf_tags WHERE dwarf_tags.flow_id = ANY(CAST($1 AS BIGINT[]));

-- due_of_key
SELECT dwarf_steps.step_id, dwarf_steps.task_url, dwarf_steps.limit_name, dwarf_steps.limit_rule, dwarf_steps.crashes
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 AND dwarf_steps.lease_expires <= $1::BIGINT AND NOT dwarf_steps.limit_name = ANY(CAST($2 AS TEXT[])) AND NOT dwarf_steps.task_url = ANY(CAST($3 AS TEXT[])) AND dwarf_steps.crashes < $4::INTEGER AND dwarf_steps.priority = $5::INTEGER AND dwarf_steps.fairness_key = $6::VARCHAR ORDER BY dwarf_steps.created_at, dwarf_steps.step_id
 LIMIT $7 FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- due_schedules
SELECT dwarf_schedules.name, dwarf_schedules.definition_hash, dwarf_schedules.workflow_url, dwarf_schedules.graph_hash, dwarf_schedules.cron, dwarf_schedules.every_ms, dwarf_schedules.timezone, dwarf_schedules.state, dwarf_schedules.options, dwarf_schedules.catch_up, dwarf_schedules.paused, dwarf_schedules.next_at, dwarf_schedules.overlap, dwarf_schedules.last_flow_id
FROM dwarf_schedules
WHERE dwarf_schedules.next_at <= $1::BIGINT AND dwarf_schedules.paused = 0 ORDER BY dwarf_schedules.next_at
 LIMIT $2::INTEGER;

-- due_steps_of_flow
SELECT dwarf_steps.node, dwarf_steps.task_url, dwarf_steps.labels
FROM dwarf_steps, dwarf_flows
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND (dwarf_flows.flow_id = $1::BIGINT OR dwarf_flows.root_flow_id = $1::BIGINT) AND dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep != 1 ORDER BY dwarf_steps.step_id
 LIMIT 100;

-- edit_input
UPDATE dwarf_steps SET refs=$1::VARCHAR, state=$2::VARCHAR WHERE dwarf_steps.step_id = $3::BIGINT AND (dwarf_steps.status || '') = 'interrupted' AND dwarf_steps.lease_seq = $4::BIGINT;

-- end_flow
UPDATE dwarf_flows SET status=$1::VARCHAR, delete_after_ms=$2::INTEGER, updated_at=$3::BIGINT, error=$4::VARCHAR, cancel_reason=$5::VARCHAR, final_state=$6::VARCHAR WHERE dwarf_flows.flow_id = $7::BIGINT AND (dwarf_flows.status || '') IN ('running', 'interrupted');

-- enter_tasks
INSERT INTO dwarf_knowledge (engine_id, told_at, tasks) VALUES ($1::BIGINT, $2::BIGINT, $3::VARCHAR);

-- fail_step
UPDATE dwarf_steps SET status='failed', updated_at=$1::BIGINT, error=$2::VARCHAR, traceback=$3::VARCHAR, ran_us=(dwarf_steps.ran_us + $4::BIGINT), waited_us=(dwarf_steps.waited_us + $5::BIGINT), code=$6::VARCHAR WHERE dwarf_steps.step_id = $7::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $8::BIGINT;

-- fail_step_keeping
UPDATE dwarf_steps SET status='failed', updated_at=$1::BIGINT, error=$2::VARCHAR, traceback=$3::VARCHAR, changes=$4::VARCHAR, ran_us=(dwarf_steps.ran_us + $5::BIGINT), waited_us=(dwarf_steps.waited_us + $6::BIGINT), code=$7::VARCHAR WHERE dwarf_steps.step_id = $8::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $9::BIGINT;

-- fail_step_keeping_warning
UPDATE dwarf_steps SET status='failed', updated_at=$1::BIGINT, error=$2::VARCHAR, traceback=$3::VARCHAR, changes=$4::VARCHAR, warnings=$5::VARCHAR, ran_us=(dwarf_steps.ran_us + $6::BIGINT), waited_us=(dwarf_steps.waited_us + $7::BIGINT), code=$8::VARCHAR WHERE dwarf_steps.step_id = $9::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $10::BIGINT;

-- fail_step_warning
UPDATE dwarf_steps SET status='failed', updated_at=$1::BIGINT, error=$2::VARCHAR, traceback=$3::VARCHAR, warnings=$4::VARCHAR, ran_us=(dwarf_steps.ran_us + $5::BIGINT), waited_us=(dwarf_steps.waited_us + $6::BIGINT), code=$7::VARCHAR WHERE dwarf_steps.step_id = $8::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $9::BIGINT;

-- failed_step_of_flow
SELECT dwarf_steps.step_id, dwarf_steps.token, dwarf_steps.node
FROM dwarf_steps
WHERE dwarf_steps.flow_id = $1::BIGINT AND dwarf_steps.status = 'failed' ORDER BY dwarf_steps.updated_at DESC, dwarf_steps.step_id DESC
 LIMIT $2::INTEGER;

-- find_cached
SELECT dwarf_cache.cache_key, dwarf_cache.step_id, dwarf_cache.delay_ms, dwarf_cache.made_at, dwarf_steps.token, dwarf_steps.route, dwarf_steps.changes, (SELECT count(*) AS count_1
FROM dwarf_output
WHERE dwarf_output.step_id = dwarf_cache.step_id) AS anon_1, (SELECT count(*) AS count_2
FROM dwarf_displays
WHERE dwarf_displays.step_id = dwarf_cache.step_id) AS anon_2
FROM dwarf_cache JOIN dwarf_steps ON dwarf_steps.step_id = dwarf_cache.step_id
WHERE dwarf_cache.cache_key = ANY(CAST($1 AS TEXT[])) AND dwarf_steps.status = 'completed' ORDER BY dwarf_cache.made_at, dwarf_cache.step_id;

-- finish_step
UPDATE dwarf_steps SET status='completed', cohort_size=0, cohort_arrivals=0, route='', successor_id=$1::BIGINT, updated_at=$2::BIGINT, changes=$3::VARCHAR, ran_us=(dwarf_steps.ran_us + $4::BIGINT), waited_us=(dwarf_steps.waited_us + $5::BIGINT), code=$6::VARCHAR WHERE dwarf_steps.step_id = $7::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $8::BIGINT;

-- finish_step_whole
UPDATE dwarf_steps SET status='completed', cohort_size=$1::INTEGER, cohort_arrivals=$2::INTEGER, route=$3::VARCHAR, successor_id=$4::BIGINT, updated_at=$5::BIGINT, changes=$6::VARCHAR, ran_us=(dwarf_steps.ran_us + $7::BIGINT), waited_us=(dwarf_steps.waited_us + $8::BIGINT), code=$9::VARCHAR WHERE dwarf_steps.step_id = $10::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $11::BIGINT;

-- finish_step_whole_cached
UPDATE dwarf_steps SET status='completed', cohort_size=$1::INTEGER, cohort_arrivals=$2::INTEGER, route=$3::VARCHAR, successor_id=$4::BIGINT, updated_at=$5::BIGINT, changes=$6::VARCHAR, ran_us=(dwarf_steps.ran_us + $7::BIGINT), waited_us=(dwarf_steps.waited_us + $8::BIGINT), code=$9::VARCHAR, cached_from=$10::VARCHAR WHERE dwarf_steps.step_id = $11::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $12::BIGINT;

-- finish_step_whole_warning
UPDATE dwarf_steps SET status='completed', cohort_size=$1::INTEGER, cohort_arrivals=$2::INTEGER, route=$3::VARCHAR, successor_id=$4::BIGINT, updated_at=$5::BIGINT, changes=$6::VARCHAR, warnings=$7::VARCHAR, ran_us=(dwarf_steps.ran_us + $8::BIGINT), waited_us=(dwarf_steps.waited_us + $9::BIGINT), code=$10::VARCHAR WHERE dwarf_steps.step_id = $11::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $12::BIGINT;

-- finish_step_whole_warning_cached
UPDATE dwarf_steps SET status='completed', cohort_size=$1::INTEGER, cohort_arrivals=$2::INTEGER, route=$3::VARCHAR, successor_id=$4::BIGINT, updated_at=$5::BIGINT, changes=$6::VARCHAR, warnings=$7::VARCHAR, ran_us=(dwarf_steps.ran_us + $8::BIGINT), waited_us=(dwarf_steps.waited_us + $9::BIGINT), code=$10::VARCHAR, cached_from=$11::VARCHAR WHERE dwarf_steps.step_id = $12::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $13::BIGINT;

-- first_error
SELECT dwarf_steps.error
FROM dwarf_steps
WHERE dwarf_steps.flow_id = $1::BIGINT AND dwarf_steps.status IN ('failed', 'cancelled') AND dwarf_steps.error != $2::VARCHAR ORDER BY dwarf_steps.created_at, dwarf_steps.step_id
 LIMIT $3::INTEGER;

-- flow_by_idempotency_key
SELECT dwarf_flows.idempotency_key, dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.request_hash
FROM dwarf_flows
WHERE dwarf_flows.idempotency_key = $1::VARCHAR;

-- flow_ended
SELECT dwarf_flows.status
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- flow_movement
SELECT count(*) AS count_1, max(dwarf_steps.updated_at) AS max_1, sum(length(dwarf_steps.progress)) AS sum_1, sum(dwarf_steps.lease_seq + dwarf_steps.attempt) AS sum_2, sum(CASE WHEN (dwarf_steps.status = 'running') THEN $1::INTEGER ELSE $2::INTEGER END) AS sum_3, sum(CASE WHEN (dwarf_steps.status = 'interrupted') THEN $3::INTEGER ELSE $4::INTEGER END) AS sum_4, sum(CASE WHEN (dwarf_steps.status = 'completed') THEN $5::INTEGER ELSE $6::INTEGER END) AS sum_5
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $7::BIGINT;

-- flow_outcome
SELECT dwarf_flows.token, dwarf_flows.status, dwarf_flows.final_state, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.root_flow_id, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $3::BIGINT;

-- flow_place
SELECT dwarf_flows.token, dwarf_flows.parent_flow_id
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- flow_statuses
SELECT dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.status
FROM dwarf_flows
WHERE dwarf_flows.flow_id = ANY(CAST($1 AS BIGINT[]));

-- flows_by_idempotency_key
SELECT dwarf_flows.idempotency_key, dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.request_hash
FROM dwarf_flows
WHERE dwarf_flows.idempotency_key = ANY(CAST($1 AS TEXT[]));

-- flows_having_tag
SELECT count(*) AS count_1
FROM (SELECT dwarf_tags.flow_id AS flow_id
FROM dwarf_tags
WHERE dwarf_tags.name = $1::VARCHAR
 LIMIT $2::INTEGER) AS anon_1;

-- flows_having_tag_value
SELECT count(*) AS count_1
FROM (SELECT dwarf_tags.flow_id AS flow_id
FROM dwarf_tags
WHERE dwarf_tags.name = $1::VARCHAR AND dwarf_tags.value = $2::VARCHAR
 LIMIT $3::INTEGER) AS anon_1;

-- flows_of_steps
SELECT dwarf_steps.step_id, dwarf_steps.flow_id
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[]));

-- flows_of_trees
SELECT dwarf_flows.flow_id, CASE WHEN (dwarf_flows.tags IS NOT NULL) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id = ANY(CAST($3 AS BIGINT[]));

-- flows_overdue
SELECT dwarf_deadlines.flow_id
FROM dwarf_deadlines
WHERE dwarf_deadlines.due_at <= $1::BIGINT ORDER BY dwarf_deadlines.due_at
 LIMIT 100;

-- flows_there
SELECT dwarf_flows.flow_id, dwarf_flows.token
FROM dwarf_flows
WHERE dwarf_flows.flow_id = ANY(CAST($1 AS BIGINT[]));

-- forget_blob
DELETE FROM dwarf_blob_refs WHERE dwarf_blob_refs.holder_id = $1::BIGINT AND dwarf_blob_refs.blob_hash = $2::VARCHAR;

-- forget_blobs
DELETE FROM dwarf_blob_refs WHERE dwarf_blob_refs.flow_id = ANY(CAST($1 AS BIGINT[]));

-- forget_deadlines
DELETE FROM dwarf_deadlines WHERE dwarf_deadlines.flow_id = ANY(CAST($1 AS BIGINT[]));

-- forget_holders
DELETE FROM dwarf_blob_refs WHERE dwarf_blob_refs.holder_id = ANY(CAST($1 AS BIGINT[]));

-- forget_starts
DELETE FROM dwarf_limit_starts WHERE dwarf_limit_starts.limit_name = $1::VARCHAR AND dwarf_limit_starts.started_at <= $2::BIGINT;

-- forget_tags
DELETE FROM dwarf_tags WHERE dwarf_tags.flow_id = $1::BIGINT AND dwarf_tags.name = ANY(CAST($2 AS TEXT[]));

-- free_blobs
DELETE FROM dwarf_blobs WHERE dwarf_blobs.blob_hash = ANY(CAST($1 AS TEXT[])) AND NOT (EXISTS (SELECT *
FROM dwarf_blob_refs
WHERE dwarf_blob_refs.blob_hash = dwarf_blobs.blob_hash));

-- free_cache
DELETE FROM dwarf_cache;

-- free_cache_of_task
DELETE FROM dwarf_cache WHERE dwarf_cache.task_url = $1::VARCHAR;

-- free_expired_cache
DELETE FROM dwarf_cache WHERE dwarf_cache.expires_at > 0 AND dwarf_cache.expires_at <= $1::BIGINT;

-- free_orphaned_cache
DELETE FROM dwarf_cache WHERE NOT (EXISTS (SELECT dwarf_steps.step_id
FROM dwarf_steps
WHERE dwarf_steps.step_id = dwarf_cache.step_id));

-- free_steps
SELECT dwarf_steps.step_id
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) ORDER BY dwarf_steps.step_id FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- graph_body
SELECT dwarf_graphs.body
FROM dwarf_graphs
WHERE dwarf_graphs.graph_hash = $1::VARCHAR;

-- graph_hashes
SELECT dwarf_graphs.graph_hash
FROM dwarf_graphs ORDER BY dwarf_graphs.graph_hash
 LIMIT $1::INTEGER;

-- graph_known
SELECT dwarf_graphs.graph_hash
FROM dwarf_graphs
WHERE dwarf_graphs.graph_hash = $1::VARCHAR;

-- graph_of_flow
SELECT dwarf_flows.token, dwarf_graphs.body
FROM dwarf_flows JOIN dwarf_graphs ON dwarf_graphs.graph_hash = dwarf_flows.graph_hash
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- graphs_of_steps
SELECT dwarf_steps.step_id, dwarf_steps.node, dwarf_flows.graph_hash
FROM dwarf_steps, dwarf_flows
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_flows.flow_id = dwarf_steps.flow_id;

-- greatest_flow_id
SELECT max(dwarf_flows.flow_id) AS max_1
FROM dwarf_flows;

-- greatest_step_id
SELECT max(dwarf_steps.step_id) AS max_1
FROM dwarf_steps;

-- input_of_step
SELECT dwarf_steps.state, dwarf_steps.refs
FROM dwarf_steps
WHERE dwarf_steps.step_id = $1::BIGINT;

-- insert_blob
INSERT INTO dwarf_blobs (blob_hash, body) VALUES ($1::VARCHAR, $2::VARCHAR);

-- insert_deadline
INSERT INTO dwarf_deadlines (flow_id, due_at) VALUES ($1::BIGINT, $2::BIGINT);

-- insert_display
INSERT INTO dwarf_displays (display_id, step_id, flow_id, slot, attempt, run, number, shown_at, written_at, name, data) VALUES ($1::BIGINT, $2::BIGINT, $3::BIGINT, $4::VARCHAR, $5::INTEGER, $6::INTEGER, $7::INTEGER, $8::BIGINT, $9::BIGINT, $10::VARCHAR, $11::VARCHAR);

-- insert_flow
INSERT INTO dwarf_flows (flow_id, token, workflow_url, workflow_name, graph_hash, status, parent_flow_id, parent_step_id, root_flow_id, forked_from_step, thread_id, thread_token, trace_parent, delete_on_completion, priority, fairness_key, fairness_weight, time_budget_ms, engine_id, idempotency_key, request_hash, created_at, started_at, updated_at, error, cancel_reason, baggage, final_state) VALUES ($1::BIGINT, $2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR, $6::VARCHAR, $7::BIGINT, $8::BIGINT, $9::BIGINT, $10::BIGINT, $11::BIGINT, $12::VARCHAR, $13::VARCHAR, $14::SMALLINT, $15::INTEGER, $16::VARCHAR, $17::FLOAT(53), $18::INTEGER, $19::BIGINT, $20::VARCHAR, $21::VARCHAR, $22::BIGINT, $23::BIGINT, $24::BIGINT, '', '', $25::VARCHAR, '');

-- insert_graph
INSERT INTO dwarf_graphs (graph_hash, body) VALUES ($1::VARCHAR, $2::VARCHAR);

-- insert_hook
INSERT INTO dwarf_hooks (event, workflow_url, graph_hash, priority, time_budget_ms) VALUES ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR, $4::INTEGER, $5::INTEGER);

-- insert_labelled_step
INSERT INTO dwarf_steps (step_id, flow_id, token, depth, node, task_url, status, time_budget_ms, lineage_id, ordinal, predecessor_id, priority, fairness_key, fairness_weight, not_before, asleep, lease_expires, lease_seq, limit_name, limit_rule, engine_id, created_at, started_at, updated_at, progress, error, traceback, answers, interrupt, refs, changes, state, labels) VALUES ($1::BIGINT, $2::BIGINT, $3::VARCHAR, $4::INTEGER, $5::VARCHAR, $6::VARCHAR, $7::VARCHAR, $8::INTEGER, $9::BIGINT, $10::INTEGER, $11::BIGINT, $12::INTEGER, $13::VARCHAR, $14::FLOAT(53), $15::BIGINT, $16::SMALLINT, $17::BIGINT, $18::BIGINT, $19::VARCHAR, $20::VARCHAR, $21::BIGINT, $22::BIGINT, $23::BIGINT, $24::BIGINT, '', '', '', '', '', $25::VARCHAR, '', $26::VARCHAR, $27::VARCHAR);

-- insert_output
INSERT INTO dwarf_output (step_id, run, part, flow_id, attempt, is_stream, first_line, line_count, began_at, written_at, name, body) VALUES ($1::BIGINT, $2::INTEGER, $3::INTEGER, $4::BIGINT, $5::INTEGER, $6::SMALLINT, $7::INTEGER, $8::INTEGER, $9::BIGINT, $10::BIGINT, $11::VARCHAR, $12::VARCHAR);

-- insert_ready_step
INSERT INTO dwarf_steps (step_id, flow_id, token, depth, node, task_url, status, time_budget_ms, lineage_id, ordinal, predecessor_id, priority, fairness_key, fairness_weight, not_before, asleep, lease_expires, lease_seq, limit_name, limit_rule, engine_id, created_at, started_at, updated_at, progress, error, traceback, answers, interrupt, refs, changes, state) VALUES ($1::BIGINT, $2::BIGINT, $3::VARCHAR, $4::INTEGER, $5::VARCHAR, $6::VARCHAR, 'running', $7::INTEGER, $8::BIGINT, $9::INTEGER, $10::BIGINT, 100, '', 1.0, $11::BIGINT, 0, ($11::BIGINT + $7::INTEGER + $12::BIGINT), 1, '', '', $13::BIGINT, $11::BIGINT, $11::BIGINT, $11::BIGINT, '', '', '', '', '', $14::VARCHAR, '', $15::VARCHAR);

-- insert_schedule
INSERT INTO dwarf_schedules (name, definition_hash, workflow_url, graph_hash, cron, every_ms, timezone, state, options, catch_up, paused, next_at, overlap, last_flow_id) VALUES ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR, $6::BIGINT, $7::VARCHAR, $8::VARCHAR, $9::VARCHAR, $10::SMALLINT, $11::SMALLINT, $12::BIGINT, $13::VARCHAR, $14::BIGINT);

-- insert_step
INSERT INTO dwarf_steps (step_id, flow_id, token, depth, node, task_url, status, time_budget_ms, lineage_id, ordinal, predecessor_id, priority, fairness_key, fairness_weight, not_before, asleep, lease_expires, lease_seq, limit_name, limit_rule, engine_id, created_at, started_at, updated_at, progress, error, traceback, answers, interrupt, refs, changes, state) VALUES ($1::BIGINT, $2::BIGINT, $3::VARCHAR, $4::INTEGER, $5::VARCHAR, $6::VARCHAR, $7::VARCHAR, $8::INTEGER, $9::BIGINT, $10::INTEGER, $11::BIGINT, $12::INTEGER, $13::VARCHAR, $14::FLOAT(53), $15::BIGINT, $16::SMALLINT, $17::BIGINT, $18::BIGINT, $19::VARCHAR, $20::VARCHAR, $21::BIGINT, $22::BIGINT, $23::BIGINT, $24::BIGINT, '', '', '', '', '', $25::VARCHAR, '', $26::VARCHAR);

-- insert_tag
INSERT INTO dwarf_tags (flow_id, name, value, created_at) VALUES ($1::BIGINT, $2::VARCHAR, $3::VARCHAR, $4::BIGINT);

-- insert_whole_flow
INSERT INTO dwarf_flows (flow_id, token, workflow_url, workflow_name, graph_hash, status, parent_flow_id, parent_step_id, root_flow_id, forked_from_step, thread_id, thread_token, trace_parent, delete_on_completion, priority, fairness_key, fairness_weight, time_budget_ms, engine_id, idempotency_key, request_hash, created_at, started_at, updated_at, error, cancel_reason, baggage, final_state, scheduled_at, name, tags, breakpoints, hook) VALUES ($1::BIGINT, $2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR, $6::VARCHAR, $7::BIGINT, $8::BIGINT, $9::BIGINT, $10::BIGINT, $11::BIGINT, $12::VARCHAR, $13::VARCHAR, $14::SMALLINT, $15::INTEGER, $16::VARCHAR, $17::FLOAT(53), $18::INTEGER, $19::BIGINT, $20::VARCHAR, $21::VARCHAR, $22::BIGINT, $23::BIGINT, $24::BIGINT, '', '', $25::VARCHAR, '', $26::BIGINT, $27::VARCHAR, $28::VARCHAR, $29::VARCHAR, $30::VARCHAR);

-- interrupt_caller
UPDATE dwarf_steps SET status='interrupted', updated_at=$1::BIGINT WHERE dwarf_steps.step_id = $2::BIGINT AND (dwarf_steps.parked + 0) = 1 AND (dwarf_steps.status || '') = 'running';

-- interrupt_flow
UPDATE dwarf_flows SET status='interrupted', updated_at=$1::BIGINT WHERE dwarf_flows.flow_id = $2::BIGINT AND (dwarf_flows.status || '') IN ('running', 'interrupted');

-- interrupted_child
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.parent_step_id = $1::BIGINT AND dwarf_flows.parent_step_id > 0 AND dwarf_flows.status = 'interrupted' ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $2::INTEGER;

-- keep_outcome
INSERT INTO dwarf_cache (cache_key, step_id, task_url, delay_ms, made_at, expires_at) VALUES ($1::VARCHAR, $2::BIGINT, $3::VARCHAR, $4::INTEGER, $5::BIGINT, $6::BIGINT);

-- keep_secret
INSERT INTO dwarf_secrets (name, value) VALUES ($1::VARCHAR, $2::VARCHAR);

-- keys_of_band
WITH RECURSIVE known(fairness_key) AS
(SELECT (SELECT dwarf_steps.fairness_key
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 AND dwarf_steps.priority = $1::INTEGER ORDER BY dwarf_steps.fairness_key
 LIMIT 1) AS fairness_key UNION ALL SELECT (SELECT dwarf_steps.fairness_key
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 AND dwarf_steps.priority = $1::INTEGER AND dwarf_steps.fairness_key > known.fairness_key ORDER BY dwarf_steps.fairness_key
 LIMIT 1) AS anon_2
FROM known
WHERE known.fairness_key IS NOT NULL)
 SELECT known.fairness_key, (SELECT dwarf_steps.fairness_weight
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 AND dwarf_steps.priority = $1::INTEGER AND dwarf_steps.fairness_key = known.fairness_key ORDER BY dwarf_steps.created_at, dwarf_steps.step_id
 LIMIT 1) AS anon_1
FROM known
WHERE known.fairness_key IS NOT NULL;

-- known_blobs
SELECT dwarf_blobs.blob_hash
FROM dwarf_blobs
WHERE dwarf_blobs.blob_hash = ANY(CAST($1 AS TEXT[])) ORDER BY dwarf_blobs.blob_hash;

-- last_scheduled_flows
SELECT dwarf_flows.flow_id, dwarf_flows.status, dwarf_flows.updated_at
FROM dwarf_flows
WHERE dwarf_flows.flow_id = ANY(CAST($1 AS BIGINT[]));

-- latest_turn
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.thread_id = $1::BIGINT AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.forked_from_step = 0 AND dwarf_flows.delete_after_ms = 0 ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $2::INTEGER;

-- lease_owners
SELECT DISTINCT dwarf_steps.engine_id
FROM dwarf_steps
WHERE dwarf_steps.status = 'running' AND dwarf_steps.parked = 0;

-- leases_of_engine
SELECT dwarf_steps.step_id, dwarf_steps.lease_seq
FROM dwarf_steps
WHERE dwarf_steps.status = 'running' AND dwarf_steps.parked = 0 AND dwarf_steps.engine_id = $1::BIGINT;

-- leave_replicas
DELETE FROM dwarf_replicas WHERE dwarf_replicas.engine_id = $1::BIGINT AND dwarf_replicas.nonce = $2::VARCHAR;

-- leave_tasks
DELETE FROM dwarf_knowledge WHERE dwarf_knowledge.engine_id = $1::BIGINT;

-- left_by_flows
SELECT dwarf_blob_refs.blob_hash
FROM dwarf_blob_refs
WHERE dwarf_blob_refs.flow_id = ANY(CAST($1 AS BIGINT[])) UNION SELECT '1'
FROM dwarf_output
WHERE dwarf_output.flow_id = ANY(CAST($1 AS BIGINT[])) UNION SELECT '2'
FROM dwarf_displays
WHERE dwarf_displays.flow_id = ANY(CAST($1 AS BIGINT[]));

-- limit_gate
UPDATE dwarf_limit_gates SET turn=(1 - dwarf_limit_gates.turn) WHERE dwarf_limit_gates.limit_name = $1::VARCHAR;

-- limit_running
SELECT count(*) AS count_1
FROM dwarf_steps
WHERE dwarf_steps.limit_name = $1::VARCHAR AND dwarf_steps.limit_name != '' AND dwarf_steps.status = 'running' AND dwarf_steps.parked = 0;

-- limit_start
INSERT INTO dwarf_limit_starts (limit_name, step_id, started_at) VALUES ($1::VARCHAR, $2::BIGINT, $3::BIGINT);

-- limit_starts
SELECT count(*) AS count_1, min(dwarf_limit_starts.started_at) AS min_1
FROM dwarf_limit_starts
WHERE dwarf_limit_starts.limit_name = $1::VARCHAR;

-- link_members
UPDATE dwarf_steps SET successor_id=$1::BIGINT WHERE dwarf_steps.lineage_id = $2::BIGINT AND dwarf_steps.lineage_id > 0 AND (dwarf_steps.status || '') = 'completed' AND dwarf_steps.successor_id = 0;

-- link_spawn
UPDATE dwarf_steps SET successor_id=$1::BIGINT WHERE dwarf_steps.step_id = $2::BIGINT AND dwarf_steps.successor_id = 0;

-- list_flows_arm_key_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $3::BIGINT AND dwarf_flows.token LIKE $4::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_arm_key_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $3::BIGINT AND dwarf_flows.token LIKE $4::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_arm_name_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.workflow_name = $3::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_arm_name_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.workflow_name = $3::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_arm_tags_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE LOWER(dwarf_tags.value) LIKE LOWER($3::VARCHAR) ESCAPE '~') AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_arm_tags_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE LOWER(dwarf_tags.value) LIKE LOWER($3::VARCHAR) ESCAPE '~') AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_arm_tags_unicode_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE LOWER(dwarf_tags.value) LIKE LOWER($3::VARCHAR) ESCAPE '~') AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_arm_tags_unicode_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE LOWER(dwarf_tags.value) LIKE LOWER($3::VARCHAR) ESCAPE '~') AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_arm_url_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.workflow_url = $3::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_arm_url_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.workflow_url = $3::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_before_kept_led_roots_status_tag_0_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows, dwarf_tags
WHERE (dwarf_tags.created_at < $3::BIGINT OR dwarf_tags.flow_id < $4::BIGINT) AND dwarf_flows.delete_after_ms = 0 AND dwarf_tags.name = $5::VARCHAR AND dwarf_tags.value = $6::VARCHAR AND dwarf_tags.flow_id = dwarf_flows.flow_id AND dwarf_flows.status = $7::VARCHAR AND (EXISTS (SELECT *
FROM dwarf_tags AS tag_0
WHERE tag_0.flow_id = dwarf_flows.root_flow_id AND tag_0.name = $8::VARCHAR AND tag_0.value = $9::VARCHAR)) AND dwarf_tags.created_at <= $10::BIGINT ORDER BY dwarf_tags.created_at DESC, dwarf_tags.flow_id DESC
 LIMIT $11;

-- list_flows_before_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE (dwarf_flows.created_at < $3::BIGINT OR dwarf_flows.flow_id < $4::BIGINT) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_before_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE (dwarf_flows.created_at < $3::BIGINT OR dwarf_flows.flow_id < $4::BIGINT) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_before_kept_tree_kept_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE (dwarf_flows.created_at < $3::BIGINT OR dwarf_flows.flow_id < $4::BIGINT) AND dwarf_flows.delete_after_ms = 0 AND NOT (EXISTS (SELECT *
FROM dwarf_flows AS root
WHERE root.flow_id = dwarf_flows.root_flow_id AND root.delete_after_ms > 0)) AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_begun_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE NOT (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_begun_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE NOT (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_cancelled_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'cancelled' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_cancelled_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'cancelled' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_cancelled_text_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'cancelled' AND LOWER(dwarf_flows.cancel_reason) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_cancelled_text_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'cancelled' AND LOWER(dwarf_flows.cancel_reason) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_cancelled_text_unicode_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'cancelled' AND LOWER(dwarf_flows.cancel_reason) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_cancelled_text_unicode_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'cancelled' AND LOWER(dwarf_flows.cancel_reason) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_failed_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'failed' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_failed_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'failed' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_failed_text_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'failed' AND LOWER(dwarf_flows.error) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_failed_text_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'failed' AND LOWER(dwarf_flows.error) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_failed_text_unicode_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'failed' AND LOWER(dwarf_flows.error) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_failed_text_unicode_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.status = 'failed' AND LOWER(dwarf_flows.error) LIKE LOWER($3::VARCHAR) ESCAPE '~' AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_fairness_key_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.fairness_key = $3::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_fairness_key_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.fairness_key = $3::VARCHAR AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_few_any_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE dwarf_tags.name = $3::VARCHAR) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_few_any_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE dwarf_tags.name = $3::VARCHAR) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_few_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE dwarf_tags.name = $3::VARCHAR AND dwarf_tags.value = $4::VARCHAR) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_few_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id IN (SELECT dwarf_tags.flow_id
FROM dwarf_tags
WHERE dwarf_tags.name = $3::VARCHAR AND dwarf_tags.value = $4::VARCHAR) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_kept_key_text_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND LOWER($3::VARCHAR || CAST(dwarf_flows.flow_id AS VARCHAR(20)) || '-' || dwarf_flows.token) LIKE LOWER($4::VARCHAR) ESCAPE '~' AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_kept_key_text_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND LOWER($3::VARCHAR || CAST(dwarf_flows.flow_id AS VARCHAR(20)) || '-' || dwarf_flows.token) LIKE LOWER($4::VARCHAR) ESCAPE '~' AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_kept_later_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_kept_later_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_kept_led_any_roots_upto_workflow_url
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows, dwarf_tags
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_tags.name = $3::VARCHAR AND dwarf_tags.flow_id = dwarf_flows.flow_id AND dwarf_tags.created_at <= $4::BIGINT AND dwarf_flows.workflow_url = $5::VARCHAR ORDER BY dwarf_tags.created_at DESC, dwarf_tags.flow_id DESC
 LIMIT $6;

-- list_flows_kept_led_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows, dwarf_tags
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_tags.name = $3::VARCHAR AND dwarf_tags.value = $4::VARCHAR AND dwarf_tags.flow_id = dwarf_flows.flow_id AND dwarf_tags.created_at <= $5::BIGINT ORDER BY dwarf_tags.created_at DESC, dwarf_tags.flow_id DESC
 LIMIT $6;

-- list_flows_kept_names_text_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (LOWER(dwarf_flows.workflow_url) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR LOWER(dwarf_flows.workflow_name) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~'))) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_names_text_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (LOWER(dwarf_flows.workflow_url) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR LOWER(dwarf_flows.workflow_name) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~'))) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_names_text_unicode_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (LOWER(dwarf_flows.workflow_url) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR LOWER(dwarf_flows.workflow_name) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~'))) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_names_text_unicode_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (LOWER(dwarf_flows.workflow_url) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR LOWER(dwarf_flows.workflow_name) LIKE LOWER($3::VARCHAR) ESCAPE '~' OR (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~'))) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_newer_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.updated_at >= $3::BIGINT AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_newer_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.updated_at >= $3::BIGINT AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_node_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND dwarf_steps.node = $3::VARCHAR)) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_node_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND dwarf_steps.node = $3::VARCHAR)) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_node_text_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~')) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_node_text_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~')) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_node_text_unicode_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~')) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_node_text_unicode_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0 AND LOWER(dwarf_steps.node) LIKE LOWER($3::VARCHAR) ESCAPE '~')) AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_not_running_older_roots_status_upto_oldest_first
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.status != 'running' AND dwarf_flows.updated_at < $3::BIGINT AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.status = $4::VARCHAR AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at, dwarf_flows.flow_id
 LIMIT $6;

-- list_flows_kept_not_running_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.status != 'running' AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_kept_not_running_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.status != 'running' AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_kept_older_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.updated_at < $3::BIGINT AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_older_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.updated_at < $3::BIGINT AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_priority_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.priority = $3::INTEGER AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_priority_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.priority = $3::INTEGER AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_rare_workflow_name_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.workflow_name = $3::VARCHAR AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_rare_workflow_name_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.workflow_name = $3::VARCHAR AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_rare_workflow_url_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.workflow_url = $3::VARCHAR AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_rare_workflow_url_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.workflow_url = $3::VARCHAR AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_of_thread_since_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at >= $3::BIGINT AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_of_thread_status_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.status = $3::VARCHAR AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_of_thread_tag_0_any_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND (EXISTS (SELECT *
FROM dwarf_tags AS tag_0
WHERE tag_0.flow_id = dwarf_flows.root_flow_id AND tag_0.name = $3::VARCHAR)) AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_of_thread_tag_0_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND (EXISTS (SELECT *
FROM dwarf_tags AS tag_0
WHERE tag_0.flow_id = dwarf_flows.root_flow_id AND tag_0.name = $3::VARCHAR AND tag_0.value = $4::VARCHAR)) AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_kept_roots_of_thread_thread_id_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.thread_id = $3::BIGINT AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_of_thread_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_kept_roots_of_thread_upto_workflow_name
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT AND dwarf_flows.workflow_name = $4::VARCHAR ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_of_thread_upto_workflow_url
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT AND dwarf_flows.workflow_url = $4::VARCHAR ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_since_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at >= $3::BIGINT AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_status_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.status = $3::VARCHAR AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_tag_0_any_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND (EXISTS (SELECT *
FROM dwarf_tags AS tag_0
WHERE tag_0.flow_id = dwarf_flows.root_flow_id AND tag_0.name = $3::VARCHAR)) AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_tag_0_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND (EXISTS (SELECT *
FROM dwarf_tags AS tag_0
WHERE tag_0.flow_id = dwarf_flows.root_flow_id AND tag_0.name = $3::VARCHAR AND tag_0.value = $4::VARCHAR)) AND dwarf_flows.created_at <= $5::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $6;

-- list_flows_kept_roots_thread_id_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.thread_id = $3::BIGINT AND dwarf_flows.created_at <= $4::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_upto
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $4;

-- list_flows_kept_roots_upto_workflow_name
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT AND dwarf_flows.workflow_name = $4::VARCHAR ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- list_flows_kept_roots_upto_workflow_url
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.delete_after_ms = 0 AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.created_at <= $3::BIGINT AND dwarf_flows.workflow_url = $4::VARCHAR ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $5;

-- listed_flow
SELECT dwarf_flows.flow_id, dwarf_flows.created_at, dwarf_flows.token, dwarf_flows.status, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.trace_parent, dwarf_flows.parent_flow_id, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.forked_from_step, dwarf_flows.root_flow_id, dwarf_flows.name, dwarf_flows.tags, CASE WHEN (dwarf_flows.started_at > dwarf_flows.created_at AND dwarf_flows.started_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $3::BIGINT;

-- live_below_roots
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id = ANY(CAST($1 AS BIGINT[])) AND (dwarf_flows.status IN ('running', 'interrupted') OR dwarf_flows.flow_id = ANY(CAST($1 AS BIGINT[])));

-- live_step
SELECT dwarf_steps.step_id
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_steps.status IN ('pending', 'running', 'interrupted')
 LIMIT $2::INTEGER;

-- live_tree
SELECT dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.workflow_url, dwarf_flows.graph_hash, dwarf_flows.baggage, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.created_at, dwarf_flows.updated_at, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.status, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_flows.status IN ('running', 'interrupted');

-- lock_blobs
SELECT dwarf_blobs.blob_hash
FROM dwarf_blobs
WHERE dwarf_blobs.blob_hash = ANY(CAST($1 AS TEXT[])) ORDER BY dwarf_blobs.blob_hash FOR UPDATE OF dwarf_blobs;

-- lock_flow
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT FOR UPDATE OF dwarf_flows;

-- lock_live_steps
SELECT dwarf_steps.step_id
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_steps.status IN ('pending', 'running', 'interrupted') ORDER BY dwarf_flows.created_at DESC, dwarf_steps.step_id FOR UPDATE OF dwarf_steps;

-- lock_running_steps
SELECT dwarf_steps.step_id, dwarf_steps.lease_seq
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_steps.status = 'running' AND dwarf_steps.parked = 0 ORDER BY dwarf_steps.step_id FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- lock_turn
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT FOR UPDATE OF dwarf_flows;

-- mark_ended_flows
UPDATE dwarf_flows SET delete_after_ms=$1::INTEGER, idempotency_key=NULL WHERE dwarf_flows.flow_id = ANY(CAST($2 AS BIGINT[])) AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.status IN ('completed', 'failed', 'cancelled');

-- mark_waiting_flow
UPDATE dwarf_flows SET status='cancelled', delete_after_ms=$1::INTEGER, idempotency_key=NULL, updated_at=$2::BIGINT WHERE dwarf_flows.flow_id = $3::BIGINT AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.status = 'interrupted';

-- members
SELECT dwarf_steps.step_id, dwarf_steps.depth, dwarf_steps.changes, dwarf_steps.lineage_id
FROM dwarf_steps
WHERE dwarf_steps.lineage_id = ANY(CAST($1 AS BIGINT[])) AND (dwarf_steps.parked + 0) = 0 AND (dwarf_steps.status || '') = 'completed' AND dwarf_steps.lineage_id > 0 ORDER BY dwarf_steps.ordinal, dwarf_steps.depth, dwarf_steps.step_id;

-- move_schedule
UPDATE dwarf_schedules SET next_at=$1::BIGINT, last_flow_id=coalesce($2::BIGINT, dwarf_schedules.last_flow_id) WHERE dwarf_schedules.name = $3::VARCHAR AND dwarf_schedules.next_at = $4::BIGINT AND dwarf_schedules.paused = 0;

-- name_database
INSERT INTO dwarf_facts (name, value) VALUES ($1::VARCHAR, $2::VARCHAR);

-- new_limit_gate
INSERT INTO dwarf_limit_gates (limit_name) VALUES ($1::VARCHAR);

-- news_of_breakpoints
INSERT INTO dwarf_breakpoints (flow_id, changed_at, body) VALUES ($1::BIGINT, $2::BIGINT, $3::VARCHAR);

-- next_deadline
SELECT (SELECT min(dwarf_steps.interrupt_deadline) AS min_1
FROM dwarf_steps
WHERE dwarf_steps.status = 'interrupted' AND dwarf_steps.interrupt_deadline > 0) AS anon_1, (SELECT min(dwarf_deadlines.due_at) AS min_2
FROM dwarf_deadlines) AS anon_2;

-- next_due
SELECT (SELECT dwarf_steps.not_before
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 1 ORDER BY dwarf_steps.not_before
 LIMIT 1) AS anon_1;

-- next_schedule
SELECT min(dwarf_schedules.next_at) AS min_1
FROM dwarf_schedules
WHERE dwarf_schedules.paused = 0;

-- next_set_aside
SELECT min(dwarf_steps.not_before) AS min_1
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 2 AND dwarf_steps.labels = ANY(CAST($1 AS TEXT[]));

-- next_stray
SELECT dwarf_steps.labels, dwarf_steps.task_url
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 2 AND dwarf_steps.labels > $1::VARCHAR ORDER BY dwarf_steps.labels
 LIMIT 1;

-- next_workflow_url
SELECT min(dwarf_flows.workflow_url) AS min_1
FROM dwarf_flows
WHERE dwarf_flows.workflow_url > $1::VARCHAR;

-- nodes_of_flows
SELECT dwarf_steps.flow_id, dwarf_steps.node
FROM dwarf_steps
WHERE dwarf_steps.flow_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_steps.lineage_id = 0 AND dwarf_steps.successor_id = 0;

-- now
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS anon_1;

-- old_breakpoints
DELETE FROM dwarf_breakpoints WHERE dwarf_breakpoints.flow_id = $1::BIGINT OR dwarf_breakpoints.changed_at < $2::BIGINT;

-- oldest_waiting
SELECT roots.token, roots.parent_flow_id, roots.status, dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token AS token_1, dwarf_steps.changes, dwarf_steps.lineage_id, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_flows.parent_flow_id AS parent_flow_id_1, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_steps.interrupt, dwarf_steps.updated_at
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id JOIN dwarf_flows AS roots ON roots.flow_id = $1::BIGINT
WHERE dwarf_steps.step_id = (SELECT steps_below.step_id
FROM dwarf_steps AS steps_below JOIN dwarf_flows AS flows_below ON flows_below.flow_id = steps_below.flow_id
WHERE flows_below.root_flow_id = $1::BIGINT AND steps_below.parked = 0 AND steps_below.status = 'interrupted' ORDER BY steps_below.updated_at, steps_below.step_id
 LIMIT 1) AND (dwarf_flows.root_flow_id + 0) = $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted';

-- oldest_waiting_in_tree
SELECT dwarf_steps.interrupt
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted' ORDER BY dwarf_steps.updated_at, dwarf_steps.step_id
 LIMIT $2::INTEGER;

-- oldest_waiting_whole
SELECT roots.token, roots.parent_flow_id, roots.status, dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token AS token_1, dwarf_steps.node, dwarf_steps.depth, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.attempt, dwarf_steps.lineage_id, dwarf_steps.ordinal, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_steps.created_at, dwarf_steps.crashes, dwarf_steps.started_at, dwarf_steps.limit_name, dwarf_flows.flow_id AS flow_id_1, dwarf_flows.token AS token_2, dwarf_flows.workflow_url, dwarf_flows.graph_hash, dwarf_flows.baggage, dwarf_flows.parent_flow_id AS parent_flow_id_1, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.created_at AS created_at_1, dwarf_flows.updated_at, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.status AS status_1, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook, dwarf_steps.interrupt, dwarf_steps.updated_at AS updated_at_1
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id JOIN dwarf_flows AS roots ON roots.flow_id = $1::BIGINT
WHERE dwarf_steps.step_id = (SELECT steps_below.step_id
FROM dwarf_steps AS steps_below JOIN dwarf_flows AS flows_below ON flows_below.flow_id = steps_below.flow_id
WHERE flows_below.root_flow_id = $1::BIGINT AND steps_below.parked = 0 AND steps_below.status = 'interrupted' ORDER BY steps_below.updated_at, steps_below.step_id
 LIMIT 1) AND (dwarf_flows.root_flow_id + 0) = $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted';

-- one_schedule
SELECT dwarf_schedules.name, dwarf_schedules.definition_hash, dwarf_schedules.workflow_url, dwarf_schedules.graph_hash, dwarf_schedules.cron, dwarf_schedules.every_ms, dwarf_schedules.timezone, dwarf_schedules.state, dwarf_schedules.options, dwarf_schedules.catch_up, dwarf_schedules.paused, dwarf_schedules.next_at, dwarf_schedules.overlap, dwarf_schedules.last_flow_id
FROM dwarf_schedules
WHERE dwarf_schedules.name = $1::VARCHAR;

-- one_step
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.depth, dwarf_steps.ordinal, dwarf_steps.node, dwarf_steps.status, dwarf_steps.attempt, dwarf_steps.engine_id, dwarf_steps.predecessor_id, dwarf_steps.successor_id, dwarf_steps.interrupt, dwarf_steps.interrupt_deadline, dwarf_steps.progress, dwarf_steps.parked, dwarf_steps.error, dwarf_steps.traceback, dwarf_steps.created_at, dwarf_steps.started_at, dwarf_steps.updated_at, dwarf_steps.not_before, dwarf_steps.warnings, dwarf_steps.answered_by, dwarf_steps.ran_us, dwarf_steps.waited_us, dwarf_steps.task_url, dwarf_steps.code, dwarf_steps.cached_from, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes
FROM dwarf_steps
WHERE dwarf_steps.step_id = $1::BIGINT;

-- one_waiting
SELECT roots.token, roots.parent_flow_id, roots.status, dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token AS token_1, dwarf_steps.changes, dwarf_steps.lineage_id, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_flows.parent_flow_id AS parent_flow_id_1, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_steps.interrupt, dwarf_steps.updated_at
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id JOIN dwarf_flows AS roots ON roots.flow_id = $1::BIGINT
WHERE dwarf_steps.step_id = $2::BIGINT AND (dwarf_flows.root_flow_id + 0) = $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted';

-- one_waiting_whole
SELECT roots.token, roots.parent_flow_id, roots.status, dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token AS token_1, dwarf_steps.node, dwarf_steps.depth, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.attempt, dwarf_steps.lineage_id, dwarf_steps.ordinal, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_steps.created_at, dwarf_steps.crashes, dwarf_steps.started_at, dwarf_steps.limit_name, dwarf_flows.flow_id AS flow_id_1, dwarf_flows.token AS token_2, dwarf_flows.workflow_url, dwarf_flows.graph_hash, dwarf_flows.baggage, dwarf_flows.parent_flow_id AS parent_flow_id_1, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.created_at AS created_at_1, dwarf_flows.updated_at, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.status AS status_1, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook, dwarf_steps.interrupt, dwarf_steps.updated_at AS updated_at_1
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id JOIN dwarf_flows AS roots ON roots.flow_id = $1::BIGINT
WHERE dwarf_steps.step_id = $2::BIGINT AND (dwarf_flows.root_flow_id + 0) = $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted';

-- origin_flows
SELECT dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.graph_hash, dwarf_flows.status, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.forked_from_step, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.delete_after_ms, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.engine_id, dwarf_flows.idempotency_key, dwarf_flows.request_hash, dwarf_flows.created_at, dwarf_flows.started_at, dwarf_flows.updated_at, dwarf_flows.error, dwarf_flows.cancel_reason, dwarf_flows.baggage, dwarf_flows.final_state, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook, CASE WHEN (EXISTS (SELECT *
FROM dwarf_output
WHERE dwarf_output.flow_id = dwarf_flows.flow_id)) THEN $1::INTEGER ELSE $2::INTEGER END AS says, CASE WHEN (EXISTS (SELECT *
FROM dwarf_displays
WHERE dwarf_displays.flow_id = dwarf_flows.flow_id)) THEN $3::INTEGER ELSE $4::INTEGER END AS shows
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id = $5::BIGINT ORDER BY dwarf_flows.flow_id;

-- origin_shape
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.status, dwarf_steps.lineage_id, dwarf_steps.ordinal, dwarf_steps.predecessor_id, dwarf_steps.successor_id, dwarf_steps.cohort_size
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT ORDER BY dwarf_steps.step_id;

-- origin_stands
SELECT dwarf_flows.token, dwarf_flows.status, dwarf_flows.delete_after_ms
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- output_of_step
SELECT dwarf_output.step_id, dwarf_output.run, dwarf_output.part, dwarf_output.attempt, dwarf_output.is_stream, dwarf_output.first_line, dwarf_output.line_count, dwarf_output.began_at, dwarf_output.written_at, dwarf_output.name, dwarf_output.body, dwarf_steps.token, dwarf_steps.node
FROM dwarf_output JOIN dwarf_steps ON dwarf_steps.step_id = dwarf_output.step_id
WHERE dwarf_output.step_id = $1::BIGINT AND dwarf_output.written_at >= $2::BIGINT;

-- output_of_tree
SELECT dwarf_output.step_id, dwarf_output.run, dwarf_output.part, dwarf_output.attempt, dwarf_output.is_stream, dwarf_output.first_line, dwarf_output.line_count, dwarf_output.began_at, dwarf_output.written_at, dwarf_output.name, dwarf_output.body, dwarf_steps.token, dwarf_steps.node
FROM dwarf_output JOIN dwarf_steps ON dwarf_steps.step_id = dwarf_output.step_id JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_output.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_output.written_at >= $2::BIGINT;

-- overdue_in_tree
SELECT count(*) AS count_1
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted' AND dwarf_steps.interrupt_deadline > 0 AND dwarf_steps.interrupt_deadline <= $2::BIGINT;

-- overdue_steps
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.changes, dwarf_steps.lineage_id, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_steps.interrupt, dwarf_steps.updated_at
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_steps.interrupt_deadline > 0 AND dwarf_steps.interrupt_deadline <= $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted' ORDER BY dwarf_steps.interrupt_deadline, dwarf_steps.step_id
 LIMIT $2::INTEGER;

-- parent_flow
SELECT dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.token
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- pause_schedule
UPDATE dwarf_schedules SET paused=1 WHERE dwarf_schedules.name = $1::VARCHAR;

-- pending_by_priority
SELECT dwarf_steps.priority, count(*) AS count_1, min(CASE WHEN (dwarf_steps.not_before > dwarf_steps.updated_at) THEN dwarf_steps.not_before ELSE dwarf_steps.updated_at END) AS min_1, count(DISTINCT dwarf_steps.fairness_key) AS count_2
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 AND dwarf_steps.lease_expires <= $1::BIGINT GROUP BY dwarf_steps.priority;

-- place_of_step
SELECT dwarf_steps.token, dwarf_steps.node, dwarf_steps.status, dwarf_steps.parked, dwarf_steps.flow_id, dwarf_flows.root_flow_id
FROM dwarf_steps, dwarf_flows
WHERE dwarf_steps.step_id = $1::BIGINT AND dwarf_flows.flow_id = dwarf_steps.flow_id;

-- read_blobs
SELECT dwarf_blobs.blob_hash, dwarf_blobs.body
FROM dwarf_blobs
WHERE dwarf_blobs.blob_hash = ANY(CAST($1 AS TEXT[]));

-- rebase_deadlines
UPDATE dwarf_steps SET interrupt_deadline=($1::BIGINT + (dwarf_steps.interrupt_deadline - dwarf_steps.updated_at)), updated_at=$1::BIGINT WHERE dwarf_steps.status = 'interrupted' AND dwarf_steps.interrupt_deadline > 0 AND dwarf_steps.updated_at > $2::BIGINT;

-- rebase_leases
UPDATE dwarf_steps SET lease_expires=($1::BIGINT + (dwarf_steps.lease_expires - dwarf_steps.updated_at)), updated_at=$1::BIGINT WHERE dwarf_steps.status = 'running' AND dwarf_steps.parked = 0 AND dwarf_steps.updated_at > $2::BIGINT;

-- rebase_schedules
UPDATE dwarf_schedules SET next_at=($1::BIGINT + (dwarf_schedules.next_at - $1::BIGINT) % dwarf_schedules.every_ms) WHERE dwarf_schedules.every_ms > 0 AND dwarf_schedules.paused = 0 AND dwarf_schedules.next_at > $2::BIGINT + dwarf_schedules.every_ms;

-- rebase_sleeping
UPDATE dwarf_steps SET not_before=($1::BIGINT + (dwarf_steps.not_before - dwarf_steps.updated_at)), updated_at=$1::BIGINT WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 1 AND (dwarf_steps.predecessor_id != 0 OR dwarf_steps.attempt > 0) AND dwarf_steps.updated_at > $2::BIGINT;

-- rebase_starts
UPDATE dwarf_limit_starts SET started_at=$1::BIGINT WHERE dwarf_limit_starts.started_at > $2::BIGINT;

-- record_schema_version
INSERT INTO dwarf_migrations (version, applied_at) VALUES ($1::INTEGER, $2::BIGINT);

-- recover_abandoned
SELECT dwarf_steps.step_id
FROM dwarf_steps
WHERE dwarf_steps.status = 'running' AND dwarf_steps.parked = 0 AND dwarf_steps.engine_id = ANY(CAST($1 AS BIGINT[])) ORDER BY dwarf_steps.lease_expires
 LIMIT 1000 FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- recover_expired
SELECT dwarf_steps.step_id
FROM dwarf_steps
WHERE dwarf_steps.status = 'running' AND dwarf_steps.parked = 0 AND dwarf_steps.lease_expires <= $1::BIGINT AND (NOT dwarf_steps.engine_id = ANY(CAST($2 AS BIGINT[])) OR dwarf_steps.lease_expires <= $3::BIGINT) ORDER BY dwarf_steps.lease_expires
 LIMIT 1000 FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- refer_to_blob
INSERT INTO dwarf_blob_refs (holder_id, blob_hash, flow_id) VALUES ($1::BIGINT, $2::VARCHAR, $3::BIGINT);

-- register_replica
INSERT INTO dwarf_replicas (engine_id, nonce, workers, started_at, seen_at, beats) VALUES ($1::BIGINT, $2::VARCHAR, $3::INTEGER, $4::BIGINT, $4::BIGINT, 1);

-- release_lease
UPDATE dwarf_steps SET status='pending', lease_expires=0, crashes=(dwarf_steps.crashes + $1::INTEGER), updated_at=$2::BIGINT WHERE dwarf_steps.step_id = $3::BIGINT AND dwarf_steps.lease_seq = $4::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0;

-- remove_stale_replicas
DELETE FROM dwarf_replicas WHERE dwarf_replicas.engine_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_replicas.seen_at < $2::BIGINT AND (dwarf_replicas.beats = 0 OR dwarf_replicas.dead > 0);

-- renew_replica
UPDATE dwarf_replicas SET seen_at=CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), beats=(dwarf_replicas.beats + 1), lock_key=$1::BIGINT, server=$2::VARCHAR, direct=$3::SMALLINT WHERE dwarf_replicas.engine_id = $4::BIGINT AND dwarf_replicas.nonce = $5::VARCHAR AND dwarf_replicas.dead = 0;

-- renew_tasks
UPDATE dwarf_knowledge SET told_at=$1::BIGINT WHERE dwarf_knowledge.engine_id = $2::BIGINT;

-- reserve_ids
UPDATE dwarf_ids SET next_id=(dwarf_ids.next_id + $1::BIGINT) WHERE dwarf_ids.kind = $2::VARCHAR RETURNING dwarf_ids.next_id;

-- reserve_ids_beyond
UPDATE dwarf_ids SET next_id=(CASE WHEN (dwarf_ids.next_id < $1::BIGINT) THEN $1::BIGINT ELSE dwarf_ids.next_id END + $2::BIGINT) WHERE dwarf_ids.kind = $3::VARCHAR RETURNING dwarf_ids.next_id;

-- resumable_flow
SELECT dwarf_flows.token, dwarf_flows.parent_flow_id, dwarf_flows.status
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- resume_caller
UPDATE dwarf_steps SET status='running', updated_at=$1::BIGINT WHERE dwarf_steps.step_id = $2::BIGINT AND (dwarf_steps.parked + 0) = 1 AND (dwarf_steps.status || '') = 'interrupted';

-- resume_flow
UPDATE dwarf_flows SET status='running', updated_at=$1::BIGINT WHERE dwarf_flows.flow_id = $2::BIGINT AND (dwarf_flows.status || '') = 'interrupted' AND NOT (EXISTS (SELECT *
FROM dwarf_steps
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND dwarf_steps.status = 'interrupted' AND dwarf_steps.step_id != $3::BIGINT));

-- resume_leased
UPDATE dwarf_steps SET status='running', interrupt_deadline=0, not_before=$1::BIGINT, lease_expires=($1::BIGINT + dwarf_steps.time_budget_ms + $2::BIGINT), lease_seq=(dwarf_steps.lease_seq + 1), engine_id=$3::BIGINT, started_at=CASE WHEN (dwarf_steps.started_at = 0) THEN $1::BIGINT ELSE dwarf_steps.started_at END, updated_at=$1::BIGINT, answers=$4::VARCHAR, interrupt='', waited_us=CASE WHEN (dwarf_steps.not_before < $1::BIGINT) THEN dwarf_steps.waited_us + ($1::BIGINT - dwarf_steps.not_before) * 1000 ELSE dwarf_steps.waited_us END WHERE dwarf_steps.step_id = $5::BIGINT AND (dwarf_steps.parked + 0) = 0 AND (dwarf_steps.status || '') = 'interrupted' AND dwarf_steps.lease_seq = $6::BIGINT;

-- resume_leased_by
UPDATE dwarf_steps SET status='running', interrupt_deadline=0, not_before=$1::BIGINT, lease_expires=($1::BIGINT + dwarf_steps.time_budget_ms + $2::BIGINT), lease_seq=(dwarf_steps.lease_seq + 1), engine_id=$3::BIGINT, started_at=CASE WHEN (dwarf_steps.started_at = 0) THEN $1::BIGINT ELSE dwarf_steps.started_at END, updated_at=$1::BIGINT, answers=$4::VARCHAR, interrupt='', answered_by=$5::VARCHAR, waited_us=CASE WHEN (dwarf_steps.not_before < $1::BIGINT) THEN dwarf_steps.waited_us + ($1::BIGINT - dwarf_steps.not_before) * 1000 ELSE dwarf_steps.waited_us END WHERE dwarf_steps.step_id = $6::BIGINT AND (dwarf_steps.parked + 0) = 0 AND (dwarf_steps.status || '') = 'interrupted' AND dwarf_steps.lease_seq = $7::BIGINT;

-- resume_schedule
UPDATE dwarf_schedules SET paused=0, next_at=$1::BIGINT WHERE dwarf_schedules.name = $2::VARCHAR AND dwarf_schedules.paused = 1;

-- resume_step
UPDATE dwarf_steps SET status='pending', interrupt_deadline=0, not_before=$1::BIGINT, lease_expires=0, updated_at=$1::BIGINT, answers=$2::VARCHAR, interrupt='' WHERE dwarf_steps.step_id = $3::BIGINT AND (dwarf_steps.parked + 0) = 0 AND (dwarf_steps.status || '') = 'interrupted' AND dwarf_steps.lease_seq = $4::BIGINT;

-- resume_step_by
UPDATE dwarf_steps SET status='pending', interrupt_deadline=0, not_before=$1::BIGINT, lease_expires=0, updated_at=$1::BIGINT, answers=$2::VARCHAR, interrupt='', answered_by=$3::VARCHAR WHERE dwarf_steps.step_id = $4::BIGINT AND (dwarf_steps.parked + 0) = 0 AND (dwarf_steps.status || '') = 'interrupted' AND dwarf_steps.lease_seq = $5::BIGINT;

-- retired_flows
SELECT dwarf_flows.flow_id
FROM dwarf_flows
WHERE dwarf_flows.status = $1::VARCHAR AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.delete_after_ms = 0 AND dwarf_flows.created_at <= $2::BIGINT AND dwarf_flows.updated_at <= $2::BIGINT ORDER BY dwarf_flows.created_at, dwarf_flows.flow_id
 LIMIT $3::INTEGER;

-- retry_step
UPDATE dwarf_steps SET status='pending', attempt=$1::INTEGER, not_before=$2::BIGINT, asleep=$3::SMALLINT, lease_expires=0, updated_at=$4::BIGINT, progress='', answers='', changes=$5::VARCHAR, ran_us=(dwarf_steps.ran_us + $6::BIGINT), waited_us=(dwarf_steps.waited_us + $7::BIGINT), code=$8::VARCHAR WHERE dwarf_steps.step_id = $9::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $10::BIGINT;

-- retry_step_warning
UPDATE dwarf_steps SET status='pending', attempt=$1::INTEGER, not_before=$2::BIGINT, asleep=$3::SMALLINT, lease_expires=0, updated_at=$4::BIGINT, progress='', answers='', changes=$5::VARCHAR, warnings=$6::VARCHAR, ran_us=(dwarf_steps.ran_us + $7::BIGINT), waited_us=(dwarf_steps.waited_us + $8::BIGINT), code=$9::VARCHAR WHERE dwarf_steps.step_id = $10::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $11::BIGINT;

-- revive_caller
UPDATE dwarf_steps SET status='pending', parked=0, lease_expires=0, updated_at=$1::BIGINT, answers=$2::VARCHAR WHERE dwarf_steps.step_id = $3::BIGINT AND (dwarf_steps.parked + 0) = 1 AND (dwarf_steps.status || '') IN ('running', 'interrupted') AND dwarf_steps.lease_seq = $4::BIGINT;

-- revive_leased
UPDATE dwarf_steps SET status='running', parked=0, lease_expires=($1::BIGINT + dwarf_steps.time_budget_ms + $2::BIGINT), lease_seq=(dwarf_steps.lease_seq + 1), engine_id=$3::BIGINT, started_at=CASE WHEN (dwarf_steps.started_at = 0) THEN $1::BIGINT ELSE dwarf_steps.started_at END, updated_at=$1::BIGINT, answers=$4::VARCHAR, waited_us=CASE WHEN (dwarf_steps.not_before < $1::BIGINT) THEN dwarf_steps.waited_us + ($1::BIGINT - dwarf_steps.not_before) * 1000 ELSE dwarf_steps.waited_us END WHERE dwarf_steps.step_id = $5::BIGINT AND (dwarf_steps.parked + 0) = 1 AND (dwarf_steps.status || '') IN ('running', 'interrupted') AND dwarf_steps.lease_seq = $6::BIGINT;

-- rewind_steps
UPDATE dwarf_steps SET status='pending', lease_expires=0, crashes=(dwarf_steps.crashes + $1::INTEGER), updated_at=$2::BIGINT WHERE dwarf_steps.step_id = ANY(CAST($3 AS BIGINT[])) AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0;

-- root_of
SELECT dwarf_flows.root_flow_id
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- root_of_event
SELECT dwarf_flows.token, dwarf_flows.workflow_url, dwarf_flows.name, dwarf_flows.tags
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- roots_and_live_below
SELECT dwarf_flows.flow_id, dwarf_flows.workflow_url, dwarf_flows.token
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id = ANY(CAST($1 AS BIGINT[])) AND (dwarf_flows.parent_flow_id = 0 OR dwarf_flows.status IN ('running', 'interrupted'));

-- routed_step
SELECT dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes
FROM dwarf_steps
WHERE dwarf_steps.step_id = $1::BIGINT;

-- running_steps
SELECT dwarf_steps.step_id, dwarf_steps.lease_seq
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND dwarf_steps.status = 'running' AND dwarf_steps.parked = 0 ORDER BY dwarf_steps.step_id;

-- said_by_steps
SELECT dwarf_output.step_id, dwarf_output.run, dwarf_output.part, dwarf_output.flow_id, dwarf_output.attempt, dwarf_output.is_stream, dwarf_output.first_line, dwarf_output.line_count, dwarf_output.began_at, dwarf_output.written_at, dwarf_output.name, dwarf_output.body
FROM dwarf_output
WHERE dwarf_output.step_id = ANY(CAST($1 AS BIGINT[]));

-- schema_versions
SELECT dwarf_migrations.version
FROM dwarf_migrations;

-- secret
SELECT dwarf_secrets.value
FROM dwarf_secrets
WHERE dwarf_secrets.name = $1::VARCHAR;

-- set_aside_and_due
SELECT dwarf_steps.step_id, dwarf_steps.task_url, dwarf_steps.limit_name, dwarf_steps.limit_rule
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 2 AND dwarf_steps.labels = ANY(CAST($1 AS TEXT[])) AND dwarf_steps.not_before <= $2::BIGINT AND dwarf_steps.lease_expires <= $2::BIGINT ORDER BY dwarf_steps.priority, dwarf_steps.created_at, dwarf_steps.step_id
 LIMIT $3 FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- set_breakpoints
UPDATE dwarf_flows SET breakpoints=$1::VARCHAR WHERE dwarf_flows.flow_id = $2::BIGINT;

-- set_strays_aside
UPDATE dwarf_steps SET asleep=2, labels=$1::VARCHAR WHERE dwarf_steps.step_id = ANY(CAST($2 AS BIGINT[])) AND (dwarf_steps.status || '') = 'pending' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.asleep = 0;

-- shown_by_steps
SELECT dwarf_displays.display_id, dwarf_displays.step_id, dwarf_displays.flow_id, dwarf_displays.slot, dwarf_displays.attempt, dwarf_displays.run, dwarf_displays.number, dwarf_displays.shown_at, dwarf_displays.written_at, dwarf_displays.name, dwarf_displays.data
FROM dwarf_displays
WHERE dwarf_displays.step_id = ANY(CAST($1 AS BIGINT[]));

-- spawns
SELECT dwarf_steps.step_id, dwarf_steps.node, dwarf_steps.depth, dwarf_steps.lineage_id, dwarf_steps.ordinal, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.successor_id
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[]));

-- spoil_step
UPDATE dwarf_steps SET status='failed', updated_at=$1::BIGINT, error=$2::VARCHAR WHERE dwarf_steps.step_id = $3::BIGINT AND (dwarf_steps.status || '') = 'completed';

-- step_place
SELECT dwarf_steps.token, dwarf_flows.root_flow_id
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_steps.step_id = $1::BIGINT;

-- step_progress
UPDATE dwarf_steps SET updated_at=$1::BIGINT, progress=$2::VARCHAR WHERE dwarf_steps.step_id = $3::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $4::BIGINT;

-- steps_of_trees
SELECT dwarf_flows.root_flow_id, count(*) AS count_1
FROM dwarf_flows JOIN dwarf_steps ON dwarf_steps.flow_id = dwarf_flows.flow_id
WHERE dwarf_flows.root_flow_id = ANY(CAST($1 AS BIGINT[])) GROUP BY dwarf_flows.root_flow_id;

-- steps_under_way
SELECT dwarf_steps.node, dwarf_steps.status, dwarf_steps.parked, dwarf_steps.not_before > $1::BIGINT AS anon_1, count(*) AS count_1, max(dwarf_steps.labels) AS max_1
FROM dwarf_steps, dwarf_flows
WHERE dwarf_steps.flow_id = dwarf_flows.flow_id AND (dwarf_flows.flow_id = $2::BIGINT OR dwarf_flows.root_flow_id = $2::BIGINT) AND dwarf_steps.status IN ('pending', 'running', 'interrupted') GROUP BY dwarf_steps.node, dwarf_steps.status, dwarf_steps.parked, dwarf_steps.not_before > $1::BIGINT ORDER BY min(dwarf_steps.step_id)
 LIMIT 6;

-- stopped_branches
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.changes, dwarf_steps.lineage_id, dwarf_steps.answers, dwarf_steps.lease_seq, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_steps.interrupt, dwarf_steps.updated_at
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_steps.lineage_id = $1::BIGINT AND dwarf_steps.lineage_id > 0 AND dwarf_steps.node = $2::VARCHAR AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted';

-- stored_in_steps
SELECT dwarf_steps.step_id, dwarf_steps.answers, dwarf_steps.interrupt, dwarf_steps.changes, dwarf_steps.state
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[]));

-- strays_of_task
SELECT dwarf_steps.step_id
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 2 AND dwarf_steps.labels = $1::VARCHAR ORDER BY dwarf_steps.not_before
 LIMIT 1000 FOR UPDATE OF dwarf_steps SKIP LOCKED;

-- tag_rows_of_flow
SELECT dwarf_tags.name, dwarf_tags.value
FROM dwarf_tags
WHERE dwarf_tags.flow_id = $1::BIGINT;

-- tagged_flow
SELECT dwarf_flows.token, dwarf_flows.parent_flow_id, dwarf_flows.created_at, dwarf_flows.name, dwarf_flows.tags
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- tags_of_flows
SELECT dwarf_flows.flow_id, dwarf_flows.tags
FROM dwarf_flows
WHERE dwarf_flows.flow_id = ANY(CAST($1 AS BIGINT[]));

-- tails
SELECT dwarf_steps.step_id, dwarf_steps.lineage_id, CASE WHEN (dwarf_steps.status = 'completed') THEN $1::INTEGER ELSE $2::INTEGER END AS anon_1, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes
FROM dwarf_steps
WHERE dwarf_steps.flow_id = $3::BIGINT AND dwarf_steps.successor_id = 0 ORDER BY dwarf_steps.created_at, dwarf_steps.step_id;

-- take_replica
UPDATE dwarf_replicas SET nonce=$1::VARCHAR, workers=$2::INTEGER, started_at=$3::BIGINT, seen_at=$3::BIGINT, beats=1, dead=0, lock_key=0, server='', direct=0 WHERE dwarf_replicas.engine_id = $4::BIGINT;

-- tasks_of_due_steps
SELECT dwarf_steps.task_url
FROM dwarf_steps
WHERE dwarf_steps.status = 'pending' AND dwarf_steps.parked = 0 AND dwarf_steps.asleep = 0 ORDER BY dwarf_steps.priority, dwarf_steps.fairness_key, dwarf_steps.created_at, dwarf_steps.step_id
 LIMIT 1000;

-- tasks_of_others
SELECT dwarf_knowledge.tasks, dwarf_knowledge.told_at
FROM dwarf_knowledge
WHERE dwarf_knowledge.engine_id != $1::BIGINT;

-- tell_tasks
UPDATE dwarf_knowledge SET told_at=$1::BIGINT, tasks=$2::VARCHAR WHERE dwarf_knowledge.engine_id = $3::BIGINT;

-- thread
SELECT dwarf_flows.token, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.parent_flow_id
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- thread_of_flow
SELECT dwarf_flows.token, dwarf_flows.thread_id
FROM dwarf_flows
WHERE dwarf_flows.flow_id = $1::BIGINT;

-- tree_flows
SELECT dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.workflow_url, dwarf_flows.workflow_name, dwarf_flows.status, dwarf_flows.parent_step_id
FROM dwarf_flows
WHERE dwarf_flows.root_flow_id = $1::BIGINT ORDER BY dwarf_flows.created_at, dwarf_flows.flow_id;

-- tree_rows
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.depth, dwarf_steps.node, dwarf_steps.task_url, dwarf_steps.status, dwarf_steps.time_budget_ms, dwarf_steps.attempt, dwarf_steps.lineage_id, dwarf_steps.cohort_size, dwarf_steps.cohort_arrivals, dwarf_steps.cohort_failures, dwarf_steps.ordinal, dwarf_steps.route, dwarf_steps.predecessor_id, dwarf_steps.successor_id, dwarf_steps.priority, dwarf_steps.fairness_key, dwarf_steps.fairness_weight, dwarf_steps.interrupt_deadline, dwarf_steps.parked, dwarf_steps.not_before, dwarf_steps.asleep, dwarf_steps.lease_expires, dwarf_steps.lease_seq, dwarf_steps.limit_name, dwarf_steps.limit_rule, dwarf_steps.crashes, dwarf_steps.engine_id, dwarf_steps.created_at, dwarf_steps.started_at, dwarf_steps.updated_at, dwarf_steps.progress, dwarf_steps.error, dwarf_steps.traceback, dwarf_steps.answers, dwarf_steps.interrupt, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.state, dwarf_steps.warnings, dwarf_steps.called, dwarf_steps.answered_by, dwarf_steps.ran_us, dwarf_steps.waited_us, dwarf_steps.labels, dwarf_steps.code, dwarf_steps.cached_from
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT ORDER BY dwarf_steps.step_id;

-- tree_steps
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.depth, dwarf_steps.ordinal, dwarf_steps.node, dwarf_steps.status, dwarf_steps.attempt, dwarf_steps.engine_id, dwarf_steps.predecessor_id, dwarf_steps.successor_id, dwarf_steps.interrupt, dwarf_steps.interrupt_deadline, dwarf_steps.progress, dwarf_steps.parked, dwarf_steps.error, dwarf_steps.traceback, dwarf_steps.created_at, dwarf_steps.started_at, dwarf_steps.updated_at, dwarf_steps.not_before, dwarf_steps.warnings, dwarf_steps.answered_by, dwarf_steps.ran_us, dwarf_steps.waited_us, dwarf_steps.task_url, dwarf_steps.code, dwarf_steps.cached_from
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT ORDER BY dwarf_steps.depth, dwarf_steps.step_id;

-- try_step_again
UPDATE dwarf_steps SET status='pending', attempt=$1::INTEGER, not_before=$2::BIGINT, asleep=$3::SMALLINT, lease_expires=0, updated_at=$4::BIGINT, progress='', error=$5::VARCHAR, traceback=$6::VARCHAR, ran_us=(dwarf_steps.ran_us + $7::BIGINT), waited_us=(dwarf_steps.waited_us + $8::BIGINT), code=$9::VARCHAR WHERE dwarf_steps.step_id = $10::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $11::BIGINT;

-- try_step_again_warning
UPDATE dwarf_steps SET status='pending', attempt=$1::INTEGER, not_before=$2::BIGINT, asleep=$3::SMALLINT, lease_expires=0, updated_at=$4::BIGINT, progress='', error=$5::VARCHAR, traceback=$6::VARCHAR, warnings=$7::VARCHAR, ran_us=(dwarf_steps.ran_us + $8::BIGINT), waited_us=(dwarf_steps.waited_us + $9::BIGINT), code=$10::VARCHAR WHERE dwarf_steps.step_id = $11::BIGINT AND (dwarf_steps.status || '') = 'running' AND (dwarf_steps.parked + 0) = 0 AND dwarf_steps.lease_seq = $12::BIGINT;

-- turn_to_continue
SELECT dwarf_flows.flow_id, dwarf_flows.token, dwarf_flows.workflow_url, dwarf_flows.graph_hash, dwarf_flows.baggage, dwarf_flows.parent_flow_id, dwarf_flows.parent_step_id, dwarf_flows.root_flow_id, dwarf_flows.priority, dwarf_flows.fairness_key, dwarf_flows.fairness_weight, dwarf_flows.time_budget_ms, dwarf_flows.created_at, dwarf_flows.updated_at, dwarf_flows.thread_id, dwarf_flows.thread_token, dwarf_flows.trace_parent, dwarf_flows.delete_on_completion, dwarf_flows.status, dwarf_flows.scheduled_at, dwarf_flows.name, dwarf_flows.tags, dwarf_flows.breakpoints, dwarf_flows.hook, dwarf_flows.final_state
FROM dwarf_flows
WHERE dwarf_flows.thread_id = $1::BIGINT AND dwarf_flows.parent_flow_id = 0 AND dwarf_flows.forked_from_step = 0 AND dwarf_flows.delete_after_ms = 0 ORDER BY dwarf_flows.created_at DESC, dwarf_flows.flow_id DESC
 LIMIT $2::INTEGER;

-- update_schedule
UPDATE dwarf_schedules SET definition_hash=$1::VARCHAR, workflow_url=$2::VARCHAR, graph_hash=$3::VARCHAR, cron=$4::VARCHAR, every_ms=$5::BIGINT, timezone=$6::VARCHAR, state=$7::VARCHAR, options=$8::VARCHAR, catch_up=$9::SMALLINT, next_at=$10::BIGINT, overlap=$11::VARCHAR, last_flow_id=$12::BIGINT WHERE dwarf_schedules.name = $13::VARCHAR;

-- waiting_in_flow
SELECT dwarf_steps.step_id, dwarf_steps.state, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.interrupt, dwarf_steps.parked
FROM dwarf_steps
WHERE dwarf_steps.flow_id = $1::BIGINT AND dwarf_steps.status = 'interrupted' ORDER BY dwarf_steps.updated_at, dwarf_steps.step_id;

-- waiting_steps_of_tree
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.depth, dwarf_steps.ordinal, dwarf_steps.node, dwarf_steps.status, dwarf_steps.attempt, dwarf_steps.engine_id, dwarf_steps.predecessor_id, dwarf_steps.successor_id, dwarf_steps.interrupt, dwarf_steps.interrupt_deadline, dwarf_steps.progress, dwarf_steps.parked, dwarf_steps.error, dwarf_steps.traceback, dwarf_steps.created_at, dwarf_steps.started_at, dwarf_steps.updated_at, dwarf_steps.not_before, dwarf_steps.warnings, dwarf_steps.answered_by, dwarf_steps.ran_us, dwarf_steps.waited_us, dwarf_steps.task_url, dwarf_steps.code, dwarf_steps.cached_from
FROM dwarf_steps JOIN dwarf_flows ON dwarf_flows.flow_id = dwarf_steps.flow_id
WHERE dwarf_flows.root_flow_id = $1::BIGINT AND dwarf_steps.parked = 0 AND dwarf_steps.status = 'interrupted' ORDER BY dwarf_steps.updated_at, dwarf_steps.step_id;

-- wake_steps
UPDATE dwarf_steps SET asleep=0 WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) AND (dwarf_steps.status || '') = 'pending' AND (dwarf_steps.parked + 0) = 0 AND (dwarf_steps.asleep + 0) = 1;

-- whole_steps
SELECT dwarf_steps.step_id, dwarf_steps.flow_id, dwarf_steps.token, dwarf_steps.depth, dwarf_steps.node, dwarf_steps.task_url, dwarf_steps.status, dwarf_steps.time_budget_ms, dwarf_steps.attempt, dwarf_steps.lineage_id, dwarf_steps.cohort_size, dwarf_steps.cohort_arrivals, dwarf_steps.cohort_failures, dwarf_steps.ordinal, dwarf_steps.route, dwarf_steps.predecessor_id, dwarf_steps.successor_id, dwarf_steps.priority, dwarf_steps.fairness_key, dwarf_steps.fairness_weight, dwarf_steps.interrupt_deadline, dwarf_steps.parked, dwarf_steps.not_before, dwarf_steps.asleep, dwarf_steps.lease_expires, dwarf_steps.lease_seq, dwarf_steps.limit_name, dwarf_steps.limit_rule, dwarf_steps.crashes, dwarf_steps.engine_id, dwarf_steps.created_at, dwarf_steps.started_at, dwarf_steps.updated_at, dwarf_steps.progress, dwarf_steps.error, dwarf_steps.traceback, dwarf_steps.answers, dwarf_steps.interrupt, dwarf_steps.refs, dwarf_steps.changes, dwarf_steps.state, dwarf_steps.warnings, dwarf_steps.called, dwarf_steps.answered_by, dwarf_steps.ran_us, dwarf_steps.waited_us, dwarf_steps.labels, dwarf_steps.code, dwarf_steps.cached_from
FROM dwarf_steps
WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[])) ORDER BY dwarf_steps.step_id;
