CREATE TABLE dwarf_breakpoints (
    flow_id INTEGER NOT NULL,
    changed_at BIGINT DEFAULT 0 NOT NULL,
    body TEXT,
    PRIMARY KEY (flow_id)
);

CREATE TABLE dwarf_cache (
    cache_key VARCHAR(64) NOT NULL,
    step_id INTEGER NOT NULL,
    task_url VARCHAR(512) NOT NULL,
    delay_ms INTEGER DEFAULT 0 NOT NULL,
    made_at BIGINT DEFAULT 0 NOT NULL,
    expires_at BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (cache_key, step_id)
);

CREATE INDEX dwarf_cache_expires ON dwarf_cache (expires_at) WHERE expires_at > 0;

CREATE TABLE dwarf_deadlines (
    flow_id INTEGER NOT NULL,
    due_at BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (flow_id)
);

CREATE INDEX dwarf_deadlines_due ON dwarf_deadlines (due_at);

CREATE TABLE dwarf_displays (
    display_id INTEGER NOT NULL,
    step_id BIGINT DEFAULT 0 NOT NULL,
    flow_id BIGINT DEFAULT 0 NOT NULL,
    slot VARCHAR(208) DEFAULT '' NOT NULL,
    attempt INTEGER DEFAULT 0 NOT NULL,
    run INTEGER DEFAULT 0 NOT NULL,
    number INTEGER DEFAULT 0 NOT NULL,
    shown_at BIGINT DEFAULT 0 NOT NULL,
    written_at BIGINT DEFAULT 0 NOT NULL,
    name VARCHAR(200) DEFAULT '' NOT NULL,
    data TEXT,
    PRIMARY KEY (display_id)
);

CREATE INDEX dwarf_displays_flow ON dwarf_displays (flow_id, written_at);

CREATE INDEX dwarf_displays_step ON dwarf_displays (step_id);

ALTER TABLE dwarf_flows ADD COLUMN scheduled_at BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_flows ADD COLUMN name VARCHAR(256) DEFAULT '' NOT NULL;

ALTER TABLE dwarf_flows ADD COLUMN tags TEXT;

ALTER TABLE dwarf_flows ADD COLUMN breakpoints TEXT;

ALTER TABLE dwarf_flows ADD COLUMN hook VARCHAR(16) DEFAULT '' NOT NULL;

CREATE TABLE dwarf_hooks (
    event VARCHAR(16) NOT NULL,
    workflow_url VARCHAR(512) NOT NULL,
    graph_hash VARCHAR(64) NOT NULL,
    priority INTEGER DEFAULT 100 NOT NULL,
    time_budget_ms INTEGER DEFAULT 0 NOT NULL,
    PRIMARY KEY (event)
);

CREATE TABLE dwarf_knowledge (
    engine_id INTEGER NOT NULL,
    told_at BIGINT DEFAULT 0 NOT NULL,
    tasks TEXT,
    PRIMARY KEY (engine_id)
);

CREATE TABLE dwarf_output (
    step_id INTEGER NOT NULL,
    run INTEGER NOT NULL,
    part INTEGER NOT NULL,
    flow_id BIGINT DEFAULT 0 NOT NULL,
    attempt INTEGER DEFAULT 0 NOT NULL,
    is_stream SMALLINT DEFAULT 0 NOT NULL,
    first_line INTEGER DEFAULT 0 NOT NULL,
    line_count INTEGER DEFAULT 0 NOT NULL,
    began_at BIGINT DEFAULT 0 NOT NULL,
    written_at BIGINT DEFAULT 0 NOT NULL,
    name VARCHAR(200) DEFAULT '' NOT NULL,
    body TEXT,
    PRIMARY KEY (step_id, run, part)
);

CREATE INDEX dwarf_output_flow ON dwarf_output (flow_id, written_at);

ALTER TABLE dwarf_replicas ADD COLUMN beats BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_replicas ADD COLUMN dead INTEGER DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_replicas ADD COLUMN lock_key BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_replicas ADD COLUMN server VARCHAR(64) DEFAULT '' NOT NULL;

ALTER TABLE dwarf_replicas ADD COLUMN direct SMALLINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_schedules ADD COLUMN overlap VARCHAR(8) DEFAULT '' NOT NULL;

ALTER TABLE dwarf_schedules ADD COLUMN last_flow_id BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_steps ADD COLUMN warnings TEXT;

ALTER TABLE dwarf_steps ADD COLUMN called TEXT;

ALTER TABLE dwarf_steps ADD COLUMN answered_by TEXT;

ALTER TABLE dwarf_steps ADD COLUMN ran_us BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_steps ADD COLUMN waited_us BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_steps ADD COLUMN labels VARCHAR(256) DEFAULT '' NOT NULL;

ALTER TABLE dwarf_steps ADD COLUMN code VARCHAR(32) DEFAULT '' NOT NULL;

ALTER TABLE dwarf_steps ADD COLUMN cached_from VARCHAR(64) DEFAULT '' NOT NULL;

CREATE INDEX dwarf_steps_apart ON dwarf_steps (labels, not_before) WHERE status = 'pending' AND parked = 0 AND asleep = 2;

CREATE TABLE dwarf_tags (
    flow_id INTEGER NOT NULL,
    name VARCHAR(128) NOT NULL,
    value VARCHAR(256) NOT NULL,
    created_at BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (flow_id, name)
);

CREATE INDEX dwarf_tags_name ON dwarf_tags (name, created_at, flow_id);

CREATE INDEX dwarf_tags_value ON dwarf_tags (name, value, created_at, flow_id);
