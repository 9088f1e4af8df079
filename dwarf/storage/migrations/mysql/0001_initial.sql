CREATE TABLE dwarf_flows (
    flow_id BIGINT NOT NULL,
    token VARCHAR(16) NOT NULL,
    workflow_url VARCHAR(512) NOT NULL,
    workflow_name VARCHAR(512) NOT NULL,
    graph_hash VARCHAR(64) NOT NULL,
    baggage LONGTEXT NOT NULL,
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
    final_state LONGTEXT NOT NULL,
    error LONGTEXT NOT NULL,
    cancel_reason LONGTEXT NOT NULL,
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
    PRIMARY KEY (flow_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX dwarf_flows_doomed ON dwarf_flows (delete_after_ms);

CREATE UNIQUE INDEX dwarf_flows_key ON dwarf_flows (idempotency_key);

CREATE INDEX dwarf_flows_parent ON dwarf_flows (parent_step_id);

CREATE INDEX dwarf_flows_parent_flow ON dwarf_flows (parent_flow_id);

CREATE INDEX dwarf_flows_root ON dwarf_flows (root_flow_id);

CREATE INDEX dwarf_flows_status ON dwarf_flows (status, updated_at);

CREATE INDEX dwarf_flows_thread ON dwarf_flows (thread_id, flow_id);

CREATE INDEX dwarf_flows_url ON dwarf_flows (workflow_url(191));

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

CREATE TABLE dwarf_steps (
    step_id BIGINT NOT NULL,
    flow_id BIGINT NOT NULL DEFAULT 0,
    token VARCHAR(16) NOT NULL,
    depth INTEGER NOT NULL DEFAULT 0,
    node VARCHAR(512) NOT NULL,
    task_url VARCHAR(512) NOT NULL,
    state LONGTEXT NOT NULL,
    refs LONGTEXT NOT NULL,
    changes LONGTEXT NOT NULL,
    status VARCHAR(16) NOT NULL,
    error LONGTEXT NOT NULL,
    traceback LONGTEXT NOT NULL,
    time_budget_ms INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    lineage_id BIGINT NOT NULL DEFAULT 0,
    cohort_size INTEGER NOT NULL DEFAULT 0,
    cohort_arrivals INTEGER NOT NULL DEFAULT 0,
    cohort_failures INTEGER NOT NULL DEFAULT 0,
    ordinal INTEGER NOT NULL DEFAULT 0,
    predecessor_id BIGINT NOT NULL DEFAULT 0,
    successor_id BIGINT NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 100,
    fairness_key VARCHAR(256) NOT NULL DEFAULT '',
    fairness_weight FLOAT(53) NOT NULL DEFAULT 1,
    answers LONGTEXT NOT NULL,
    interrupt LONGTEXT NOT NULL,
    interrupt_deadline BIGINT NOT NULL DEFAULT 0,
    parked SMALLINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL DEFAULT 0,
    lease_expires BIGINT NOT NULL DEFAULT 0,
    lease_seq BIGINT NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    engine_id BIGINT NOT NULL DEFAULT 0,
    progress LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (step_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX dwarf_steps_cohort ON dwarf_steps (lineage_id);

CREATE INDEX dwarf_steps_deadline ON dwarf_steps (interrupt_deadline);

CREATE INDEX dwarf_steps_due ON dwarf_steps (priority, created_at, step_id, not_before);

CREATE INDEX dwarf_steps_flow ON dwarf_steps (flow_id, step_id);

CREATE INDEX dwarf_steps_later ON dwarf_steps (not_before);

CREATE INDEX dwarf_steps_leased ON dwarf_steps (lease_expires);

INSERT INTO dwarf_ids (kind, next_id) VALUES ('flow', 1), ('step', 1);
