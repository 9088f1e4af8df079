CREATE TABLE dwarf_blob_refs (
    holder_id BIGINT NOT NULL,
    blob_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    flow_id BIGINT NOT NULL,
    PRIMARY KEY (holder_id, blob_hash)
);

CREATE INDEX dwarf_blob_refs_flow ON dwarf_blob_refs (flow_id);

CREATE INDEX dwarf_blob_refs_hash ON dwarf_blob_refs (blob_hash);

CREATE TABLE dwarf_blobs (
    blob_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    body NVARCHAR(max) NOT NULL,
    PRIMARY KEY (blob_hash)
);

CREATE TABLE dwarf_facts (
    name NVARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE dwarf_flows (
    flow_id BIGINT NOT NULL,
    token NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    workflow_url NVARCHAR(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
    workflow_name NVARCHAR(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
    graph_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    status NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    parent_flow_id BIGINT NOT NULL DEFAULT 0,
    parent_step_id BIGINT NOT NULL DEFAULT 0,
    root_flow_id BIGINT NOT NULL DEFAULT 0,
    forked_from_step BIGINT NOT NULL DEFAULT 0,
    thread_id BIGINT NOT NULL DEFAULT 0,
    thread_token NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    trace_parent NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    delete_on_completion SMALLINT NOT NULL DEFAULT 0,
    delete_after_ms INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 100,
    fairness_key NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    fairness_weight FLOAT(53) NOT NULL DEFAULT 1,
    time_budget_ms INTEGER NOT NULL DEFAULT 0,
    engine_id BIGINT NOT NULL DEFAULT 0,
    idempotency_key NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NULL,
    request_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL DEFAULT 0,
    error NVARCHAR(max) NOT NULL,
    cancel_reason NVARCHAR(max) NOT NULL,
    baggage NVARCHAR(max) NOT NULL,
    final_state NVARCHAR(max) NOT NULL,
    PRIMARY KEY (flow_id)
);

CREATE INDEX dwarf_flows_all ON dwarf_flows (created_at, flow_id);

CREATE INDEX dwarf_flows_doomed ON dwarf_flows (delete_after_ms, updated_at) WHERE delete_after_ms > 0;

CREATE UNIQUE INDEX dwarf_flows_key ON dwarf_flows (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX dwarf_flows_name ON dwarf_flows (workflow_name, parent_flow_id, created_at, flow_id);

CREATE INDEX dwarf_flows_newest ON dwarf_flows (parent_flow_id, created_at, flow_id);

CREATE INDEX dwarf_flows_parent ON dwarf_flows (parent_step_id) WHERE parent_step_id > 0;

CREATE INDEX dwarf_flows_root ON dwarf_flows (root_flow_id);

CREATE INDEX dwarf_flows_status ON dwarf_flows (status, parent_flow_id, created_at, flow_id);

CREATE INDEX dwarf_flows_thread ON dwarf_flows (thread_id, flow_id);

CREATE INDEX dwarf_flows_url ON dwarf_flows (workflow_url, parent_flow_id, created_at, flow_id);

CREATE TABLE dwarf_graphs (
    graph_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    body NVARCHAR(max) NOT NULL,
    PRIMARY KEY (graph_hash)
);

CREATE TABLE dwarf_ids (
    kind NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    next_id BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (kind)
);

CREATE TABLE dwarf_limit_gates (
    limit_name NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    turn SMALLINT NOT NULL DEFAULT 0,
    PRIMARY KEY (limit_name)
);

CREATE TABLE dwarf_limit_starts (
    limit_name NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    step_id BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX dwarf_limit_starts_name ON dwarf_limit_starts (limit_name, started_at);

CREATE TABLE dwarf_replicas (
    engine_id BIGINT NOT NULL,
    nonce NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    workers INTEGER NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    seen_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (engine_id)
);

CREATE TABLE dwarf_schedules (
    name NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    definition_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    workflow_url NVARCHAR(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
    graph_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    cron NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    every_ms BIGINT NOT NULL DEFAULT 0,
    timezone NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    state NVARCHAR(max) NOT NULL,
    options NVARCHAR(max) NOT NULL,
    catch_up SMALLINT NOT NULL DEFAULT 0,
    paused SMALLINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (name)
);

CREATE INDEX dwarf_schedules_next ON dwarf_schedules (next_at);

CREATE TABLE dwarf_secrets (
    name NVARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(max) NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE dwarf_steps (
    step_id BIGINT NOT NULL,
    flow_id BIGINT NOT NULL DEFAULT 0,
    token NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    depth INTEGER NOT NULL DEFAULT 0,
    node NVARCHAR(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
    task_url NVARCHAR(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
    status NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    time_budget_ms INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    lineage_id BIGINT NOT NULL DEFAULT 0,
    cohort_size INTEGER NOT NULL DEFAULT 0,
    cohort_arrivals INTEGER NOT NULL DEFAULT 0,
    cohort_failures INTEGER NOT NULL DEFAULT 0,
    ordinal INTEGER NOT NULL DEFAULT 0,
    route NVARCHAR(520) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    predecessor_id BIGINT NOT NULL DEFAULT 0,
    successor_id BIGINT NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 100,
    fairness_key NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    fairness_weight FLOAT(53) NOT NULL DEFAULT 1,
    interrupt_deadline BIGINT NOT NULL DEFAULT 0,
    parked SMALLINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL DEFAULT 0,
    asleep SMALLINT NOT NULL DEFAULT 0,
    lease_expires BIGINT NOT NULL DEFAULT 0,
    lease_seq BIGINT NOT NULL DEFAULT 0,
    limit_name NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    limit_rule NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    crashes INTEGER NOT NULL DEFAULT 0,
    engine_id BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL DEFAULT 0,
    progress NVARCHAR(max) NOT NULL,
    error NVARCHAR(max) NOT NULL,
    traceback NVARCHAR(max) NOT NULL,
    answers NVARCHAR(max) NOT NULL,
    interrupt NVARCHAR(max) NOT NULL,
    refs NVARCHAR(max) NOT NULL,
    changes NVARCHAR(max) NOT NULL,
    state NVARCHAR(max) NOT NULL,
    PRIMARY KEY (step_id)
);

CREATE INDEX dwarf_steps_asleep ON dwarf_steps (not_before) WHERE status = 'pending' AND parked = 0 AND asleep = 1;

CREATE INDEX dwarf_steps_cohort ON dwarf_steps (lineage_id) WHERE lineage_id > 0;

CREATE INDEX dwarf_steps_deadline ON dwarf_steps (interrupt_deadline) WHERE status = 'interrupted' AND interrupt_deadline > 0;

CREATE INDEX dwarf_steps_due ON dwarf_steps (priority, fairness_key, created_at, step_id) WHERE status = 'pending' AND parked = 0 AND asleep = 0;

CREATE INDEX dwarf_steps_flow ON dwarf_steps (flow_id, status, lineage_id, step_id);

CREATE INDEX dwarf_steps_leased ON dwarf_steps (lease_expires) WHERE status = 'running' AND parked = 0;

CREATE INDEX dwarf_steps_limited ON dwarf_steps (limit_name) WHERE limit_name <> '' AND status = 'running' AND parked = 0;

INSERT INTO dwarf_ids (kind, next_id) VALUES ('flow', 1), ('step', 1);
