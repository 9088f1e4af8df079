CREATE TABLE dwarf_blob_refs (
    holder_id BIGINT NOT NULL,
    blob_hash VARCHAR(64) NOT NULL,
    flow_id BIGINT NOT NULL,
    PRIMARY KEY (holder_id, blob_hash),
    KEY dwarf_blob_refs_flow (flow_id),
    KEY dwarf_blob_refs_hash (blob_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_blobs (
    blob_hash VARCHAR(64) NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (blob_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_facts (
    name VARCHAR(32) NOT NULL,
    value VARCHAR(64) NOT NULL,
    PRIMARY KEY (name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_flows (
    flow_id BIGINT NOT NULL,
    token VARCHAR(16) NOT NULL,
    workflow_url VARCHAR(512) NOT NULL,
    workflow_name VARCHAR(512) NOT NULL,
    graph_hash VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    parent_flow_id BIGINT NOT NULL DEFAULT 0,
    parent_step_id BIGINT NOT NULL DEFAULT 0,
    root_flow_id BIGINT NOT NULL DEFAULT 0,
    forked_from_step BIGINT NOT NULL DEFAULT 0,
    thread_id BIGINT NOT NULL DEFAULT 0,
    thread_token VARCHAR(16) NOT NULL DEFAULT '',
    trace_parent VARCHAR(128) NOT NULL DEFAULT '',
    delete_on_completion SMALLINT NOT NULL DEFAULT 0,
    delete_after_ms INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 100,
    fairness_key VARCHAR(256) NOT NULL DEFAULT '',
    fairness_weight FLOAT(53) NOT NULL DEFAULT 1,
    time_budget_ms INTEGER NOT NULL DEFAULT 0,
    engine_id BIGINT NOT NULL DEFAULT 0,
    idempotency_key VARCHAR(256),
    request_hash VARCHAR(64) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL DEFAULT 0,
    error LONGTEXT NOT NULL,
    cancel_reason LONGTEXT NOT NULL,
    baggage LONGTEXT NOT NULL,
    final_state LONGTEXT NOT NULL,
    PRIMARY KEY (flow_id),
    KEY dwarf_flows_all (created_at, flow_id),
    KEY dwarf_flows_doomed (delete_after_ms, updated_at),
    UNIQUE KEY dwarf_flows_key (idempotency_key),
    KEY dwarf_flows_name (workflow_name, parent_flow_id, created_at, flow_id),
    KEY dwarf_flows_newest (parent_flow_id, created_at, flow_id),
    KEY dwarf_flows_parent (parent_step_id),
    KEY dwarf_flows_root (root_flow_id),
    KEY dwarf_flows_status (status, parent_flow_id, created_at, flow_id),
    KEY dwarf_flows_thread (thread_id, flow_id),
    KEY dwarf_flows_url (workflow_url, parent_flow_id, created_at, flow_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_graphs (
    graph_hash VARCHAR(64) NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (graph_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_ids (
    kind VARCHAR(16) NOT NULL,
    next_id BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (kind)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_limit_gates (
    limit_name VARCHAR(64) NOT NULL,
    turn SMALLINT NOT NULL DEFAULT 0,
    PRIMARY KEY (limit_name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_limit_starts (
    limit_name VARCHAR(64) NOT NULL,
    step_id BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    KEY dwarf_limit_starts_name (limit_name, started_at)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_replicas (
    engine_id BIGINT NOT NULL,
    nonce VARCHAR(16) NOT NULL,
    workers INTEGER NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    seen_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (engine_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_schedules (
    name VARCHAR(256) NOT NULL,
    definition_hash VARCHAR(64) NOT NULL,
    workflow_url VARCHAR(512) NOT NULL,
    graph_hash VARCHAR(64) NOT NULL DEFAULT '',
    cron VARCHAR(256) NOT NULL DEFAULT '',
    every_ms BIGINT NOT NULL DEFAULT 0,
    timezone VARCHAR(64) NOT NULL,
    state LONGTEXT NOT NULL,
    options LONGTEXT NOT NULL,
    catch_up SMALLINT NOT NULL DEFAULT 0,
    paused SMALLINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (name),
    KEY dwarf_schedules_next (next_at)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_secrets (
    name VARCHAR(32) NOT NULL,
    value LONGTEXT NOT NULL,
    PRIMARY KEY (name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_steps (
    step_id BIGINT NOT NULL,
    flow_id BIGINT NOT NULL DEFAULT 0,
    token VARCHAR(16) NOT NULL,
    depth INTEGER NOT NULL DEFAULT 0,
    node VARCHAR(512) NOT NULL,
    task_url VARCHAR(512) NOT NULL,
    status VARCHAR(16) NOT NULL,
    time_budget_ms INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    lineage_id BIGINT NOT NULL DEFAULT 0,
    cohort_size INTEGER NOT NULL DEFAULT 0,
    cohort_arrivals INTEGER NOT NULL DEFAULT 0,
    cohort_failures INTEGER NOT NULL DEFAULT 0,
    ordinal INTEGER NOT NULL DEFAULT 0,
    route VARCHAR(520) NOT NULL DEFAULT '',
    predecessor_id BIGINT NOT NULL DEFAULT 0,
    successor_id BIGINT NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 100,
    fairness_key VARCHAR(256) NOT NULL DEFAULT '',
    fairness_weight FLOAT(53) NOT NULL DEFAULT 1,
    interrupt_deadline BIGINT NOT NULL DEFAULT 0,
    parked SMALLINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL DEFAULT 0,
    asleep SMALLINT NOT NULL DEFAULT 0,
    lease_expires BIGINT NOT NULL DEFAULT 0,
    lease_seq BIGINT NOT NULL DEFAULT 0,
    limit_name VARCHAR(64) NOT NULL DEFAULT '',
    limit_rule VARCHAR(64) NOT NULL DEFAULT '',
    crashes INTEGER NOT NULL DEFAULT 0,
    engine_id BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL DEFAULT 0,
    progress LONGTEXT NOT NULL,
    error LONGTEXT NOT NULL,
    traceback LONGTEXT NOT NULL,
    answers LONGTEXT NOT NULL,
    interrupt LONGTEXT NOT NULL,
    refs LONGTEXT NOT NULL,
    changes LONGTEXT NOT NULL,
    state LONGTEXT NOT NULL,
    PRIMARY KEY (step_id),
    KEY dwarf_steps_asleep (status, parked, asleep, not_before),
    KEY dwarf_steps_cohort (lineage_id),
    KEY dwarf_steps_deadline (status, interrupt_deadline),
    KEY dwarf_steps_due (status, parked, asleep, priority, fairness_key, created_at, step_id),
    KEY dwarf_steps_flow (flow_id, status, lineage_id, step_id),
    KEY dwarf_steps_leased (status, parked, lease_expires),
    KEY dwarf_steps_limited (status, parked, limit_name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO dwarf_ids (kind, next_id) VALUES ('flow', 1), ('step', 1);
