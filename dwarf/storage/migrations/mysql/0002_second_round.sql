CREATE TABLE dwarf_breakpoints (
    flow_id BIGINT NOT NULL,
    changed_at BIGINT NOT NULL DEFAULT 0,
    body LONGTEXT,
    PRIMARY KEY (flow_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_cache (
    cache_key VARCHAR(64) NOT NULL,
    step_id BIGINT NOT NULL,
    task_url VARCHAR(512) NOT NULL,
    delay_ms INTEGER NOT NULL DEFAULT 0,
    made_at BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (cache_key, step_id),
    KEY dwarf_cache_expires (expires_at)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_deadlines (
    flow_id BIGINT NOT NULL,
    due_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (flow_id),
    KEY dwarf_deadlines_due (due_at)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_displays (
    display_id BIGINT NOT NULL,
    step_id BIGINT NOT NULL DEFAULT 0,
    flow_id BIGINT NOT NULL DEFAULT 0,
    slot VARCHAR(208) NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 0,
    run INTEGER NOT NULL DEFAULT 0,
    number INTEGER NOT NULL DEFAULT 0,
    shown_at BIGINT NOT NULL DEFAULT 0,
    written_at BIGINT NOT NULL DEFAULT 0,
    name VARCHAR(200) NOT NULL DEFAULT '',
    data LONGTEXT,
    PRIMARY KEY (display_id),
    KEY dwarf_displays_flow (flow_id, written_at),
    KEY dwarf_displays_step (step_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE dwarf_flows
    ADD COLUMN scheduled_at BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN name VARCHAR(256) NOT NULL DEFAULT '',
    ADD COLUMN tags LONGTEXT,
    ADD COLUMN breakpoints LONGTEXT,
    ADD COLUMN hook VARCHAR(16) NOT NULL DEFAULT '';

CREATE TABLE dwarf_hooks (
    event VARCHAR(16) NOT NULL,
    workflow_url VARCHAR(512) NOT NULL,
    graph_hash VARCHAR(64) NOT NULL,
    priority INTEGER NOT NULL DEFAULT 100,
    time_budget_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (event)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_knowledge (
    engine_id BIGINT NOT NULL,
    told_at BIGINT NOT NULL DEFAULT 0,
    tasks LONGTEXT,
    PRIMARY KEY (engine_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE dwarf_output (
    step_id BIGINT NOT NULL,
    run INTEGER NOT NULL,
    part INTEGER NOT NULL,
    flow_id BIGINT NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    is_stream SMALLINT NOT NULL DEFAULT 0,
    first_line INTEGER NOT NULL DEFAULT 0,
    line_count INTEGER NOT NULL DEFAULT 0,
    began_at BIGINT NOT NULL DEFAULT 0,
    written_at BIGINT NOT NULL DEFAULT 0,
    name VARCHAR(200) NOT NULL DEFAULT '',
    body LONGTEXT,
    PRIMARY KEY (step_id, run, part),
    KEY dwarf_output_flow (flow_id, written_at)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE dwarf_replicas
    ADD COLUMN beats BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN dead INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN lock_key BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN server VARCHAR(64) NOT NULL DEFAULT '',
    ADD COLUMN direct SMALLINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_schedules
    ADD COLUMN overlap VARCHAR(8) NOT NULL DEFAULT '',
    ADD COLUMN last_flow_id BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_steps
    ADD COLUMN warnings LONGTEXT,
    ADD COLUMN called LONGTEXT,
    ADD COLUMN answered_by LONGTEXT,
    ADD COLUMN ran_us BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN waited_us BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN labels VARCHAR(256) NOT NULL DEFAULT '',
    ADD COLUMN code VARCHAR(32) NOT NULL DEFAULT '',
    ADD COLUMN cached_from VARCHAR(64) NOT NULL DEFAULT '';

CREATE TABLE dwarf_tags (
    flow_id BIGINT NOT NULL,
    name VARCHAR(128) NOT NULL,
    value VARCHAR(256) NOT NULL,
    created_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (flow_id, name),
    KEY dwarf_tags_name (name, created_at, flow_id),
    KEY dwarf_tags_value (name, value, created_at, flow_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
