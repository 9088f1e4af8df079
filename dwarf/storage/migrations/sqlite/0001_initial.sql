CREATE TABLE dwarf_blob_refs (
    holder_id INTEGER NOT NULL,
    blob_hash VARCHAR(64) NOT NULL,
    flow_id INTEGER NOT NULL,
    PRIMARY KEY (holder_id, blob_hash)
);

CREATE INDEX dwarf_blob_refs_flow ON dwarf_blob_refs (flow_id);

CREATE INDEX dwarf_blob_refs_hash ON dwarf_blob_refs (blob_hash);

CREATE TABLE dwarf_blobs (
    blob_hash VARCHAR(64) NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (blob_hash)
);

CREATE TABLE dwarf_facts (
    name VARCHAR(32) NOT NULL,
    value VARCHAR(64) NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE dwarf_flows (
    flow_id INTEGER NOT NULL,
    token VARCHAR(16) NOT NULL,
    workflow_url VARCHAR(512) NOT NULL,
    workflow_name VARCHAR(512) NOT NULL,
    graph_hash VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    parent_flow_id BIGINT DEFAULT 0 NOT NULL,
    parent_step_id BIGINT DEFAULT 0 NOT NULL,
    root_flow_id BIGINT DEFAULT 0 NOT NULL,
    forked_from_step BIGINT DEFAULT 0 NOT NULL,
    thread_id BIGINT DEFAULT 0 NOT NULL,
    thread_token VARCHAR(16) DEFAULT '' NOT NULL,
    trace_parent VARCHAR(128) DEFAULT '' NOT NULL,
    delete_on_completion SMALLINT DEFAULT 0 NOT NULL,
    delete_after_ms INTEGER DEFAULT 0 NOT NULL,
    priority INTEGER DEFAULT 100 NOT NULL,
    fairness_key VARCHAR(256) DEFAULT '' NOT NULL,
    fairness_weight FLOAT DEFAULT 1 NOT NULL,
    time_budget_ms INTEGER DEFAULT 0 NOT NULL,
    engine_id BIGINT DEFAULT 0 NOT NULL,
    idempotency_key VARCHAR(256),
    request_hash VARCHAR(64) DEFAULT '' NOT NULL,
    created_at BIGINT DEFAULT 0 NOT NULL,
    started_at BIGINT DEFAULT 0 NOT NULL,
    updated_at BIGINT DEFAULT 0 NOT NULL,
    error TEXT NOT NULL,
    cancel_reason TEXT NOT NULL,
    baggage TEXT NOT NULL,
    final_state TEXT NOT NULL,
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
    graph_hash VARCHAR(64) NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (graph_hash)
);

CREATE TABLE dwarf_ids (
    kind VARCHAR(16) NOT NULL,
    next_id BIGINT DEFAULT 1 NOT NULL,
    PRIMARY KEY (kind)
);

CREATE TABLE dwarf_limit_gates (
    limit_name VARCHAR(64) NOT NULL,
    turn SMALLINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (limit_name)
);

CREATE TABLE dwarf_limit_starts (
    limit_name VARCHAR(64) NOT NULL,
    step_id BIGINT DEFAULT 0 NOT NULL,
    started_at BIGINT DEFAULT 0 NOT NULL
);

CREATE INDEX dwarf_limit_starts_name ON dwarf_limit_starts (limit_name, started_at);

CREATE TABLE dwarf_replicas (
    engine_id INTEGER NOT NULL,
    nonce VARCHAR(16) NOT NULL,
    workers INTEGER DEFAULT 0 NOT NULL,
    started_at BIGINT DEFAULT 0 NOT NULL,
    seen_at BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (engine_id)
);

CREATE TABLE dwarf_schedules (
    name VARCHAR(256) NOT NULL,
    definition_hash VARCHAR(64) NOT NULL,
    workflow_url VARCHAR(512) NOT NULL,
    graph_hash VARCHAR(64) DEFAULT '' NOT NULL,
    cron VARCHAR(256) DEFAULT '' NOT NULL,
    every_ms BIGINT DEFAULT 0 NOT NULL,
    timezone VARCHAR(64) NOT NULL,
    state TEXT NOT NULL,
    options TEXT NOT NULL,
    catch_up SMALLINT DEFAULT 0 NOT NULL,
    paused SMALLINT DEFAULT 0 NOT NULL,
    next_at BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (name)
);

CREATE INDEX dwarf_schedules_next ON dwarf_schedules (next_at);

CREATE TABLE dwarf_secrets (
    name VARCHAR(32) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE dwarf_steps (
    step_id INTEGER NOT NULL,
    flow_id BIGINT DEFAULT 0 NOT NULL,
    token VARCHAR(16) NOT NULL,
    depth INTEGER DEFAULT 0 NOT NULL,
    node VARCHAR(512) NOT NULL,
    task_url VARCHAR(512) NOT NULL,
    status VARCHAR(16) NOT NULL,
    time_budget_ms INTEGER DEFAULT 0 NOT NULL,
    attempt INTEGER DEFAULT 0 NOT NULL,
    lineage_id BIGINT DEFAULT 0 NOT NULL,
    cohort_size INTEGER DEFAULT 0 NOT NULL,
    cohort_arrivals INTEGER DEFAULT 0 NOT NULL,
    cohort_failures INTEGER DEFAULT 0 NOT NULL,
    ordinal INTEGER DEFAULT 0 NOT NULL,
    route VARCHAR(520) DEFAULT '' NOT NULL,
    predecessor_id BIGINT DEFAULT 0 NOT NULL,
    successor_id BIGINT DEFAULT 0 NOT NULL,
    priority INTEGER DEFAULT 100 NOT NULL,
    fairness_key VARCHAR(256) DEFAULT '' NOT NULL,
    fairness_weight FLOAT DEFAULT 1 NOT NULL,
    interrupt_deadline BIGINT DEFAULT 0 NOT NULL,
    parked SMALLINT DEFAULT 0 NOT NULL,
    not_before BIGINT DEFAULT 0 NOT NULL,
    asleep SMALLINT DEFAULT 0 NOT NULL,
    lease_expires BIGINT DEFAULT 0 NOT NULL,
    lease_seq BIGINT DEFAULT 0 NOT NULL,
    limit_name VARCHAR(64) DEFAULT '' NOT NULL,
    limit_rule VARCHAR(64) DEFAULT '' NOT NULL,
    crashes INTEGER DEFAULT 0 NOT NULL,
    engine_id BIGINT DEFAULT 0 NOT NULL,
    created_at BIGINT DEFAULT 0 NOT NULL,
    started_at BIGINT DEFAULT 0 NOT NULL,
    updated_at BIGINT DEFAULT 0 NOT NULL,
    progress TEXT NOT NULL,
    error TEXT NOT NULL,
    traceback TEXT NOT NULL,
    answers TEXT NOT NULL,
    interrupt TEXT NOT NULL,
    refs TEXT NOT NULL,
    changes TEXT NOT NULL,
    state TEXT NOT NULL,
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
