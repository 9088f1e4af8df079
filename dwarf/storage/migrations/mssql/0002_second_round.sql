CREATE TABLE dwarf_breakpoints (
    flow_id BIGINT NOT NULL,
    changed_at BIGINT NOT NULL DEFAULT 0,
    body NVARCHAR(max) NULL,
    PRIMARY KEY (flow_id)
);

CREATE TABLE dwarf_cache (
    cache_key NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    step_id BIGINT NOT NULL,
    task_url NVARCHAR(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
    delay_ms INTEGER NOT NULL DEFAULT 0,
    made_at BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (cache_key, step_id)
);

CREATE INDEX dwarf_cache_expires ON dwarf_cache (expires_at) WHERE expires_at > 0;

CREATE TABLE dwarf_deadlines (
    flow_id BIGINT NOT NULL,
    due_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (flow_id)
);

CREATE INDEX dwarf_deadlines_due ON dwarf_deadlines (due_at);

CREATE TABLE dwarf_displays (
    display_id BIGINT NOT NULL,
    step_id BIGINT NOT NULL DEFAULT 0,
    flow_id BIGINT NOT NULL DEFAULT 0,
    slot NVARCHAR(208) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 0,
    run INTEGER NOT NULL DEFAULT 0,
    number INTEGER NOT NULL DEFAULT 0,
    shown_at BIGINT NOT NULL DEFAULT 0,
    written_at BIGINT NOT NULL DEFAULT 0,
    name NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    data NVARCHAR(max) NULL,
    PRIMARY KEY (display_id)
);

CREATE INDEX dwarf_displays_flow ON dwarf_displays (flow_id, written_at);

CREATE INDEX dwarf_displays_step ON dwarf_displays (step_id);

ALTER TABLE dwarf_flows ADD scheduled_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_flows ADD name NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '';

ALTER TABLE dwarf_flows ADD tags NVARCHAR(max) NULL;

ALTER TABLE dwarf_flows ADD breakpoints NVARCHAR(max) NULL;

ALTER TABLE dwarf_flows ADD hook NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '';

CREATE TABLE dwarf_hooks (
    event NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    workflow_url NVARCHAR(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
    graph_hash NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    priority INTEGER NOT NULL DEFAULT 100,
    time_budget_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (event)
);

CREATE TABLE dwarf_knowledge (
    engine_id BIGINT NOT NULL,
    told_at BIGINT NOT NULL DEFAULT 0,
    tasks NVARCHAR(max) NULL,
    PRIMARY KEY (engine_id)
);

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
    name NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '',
    body NVARCHAR(max) NULL,
    PRIMARY KEY (step_id, run, part)
);

CREATE INDEX dwarf_output_flow ON dwarf_output (flow_id, written_at);

ALTER TABLE dwarf_replicas ADD beats BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_replicas ADD dead INTEGER NOT NULL DEFAULT 0;

ALTER TABLE dwarf_replicas ADD lock_key BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_replicas ADD server NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '';

ALTER TABLE dwarf_replicas ADD direct SMALLINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_schedules ADD overlap NVARCHAR(8) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '';

ALTER TABLE dwarf_schedules ADD last_flow_id BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_steps ADD warnings NVARCHAR(max) NULL;

ALTER TABLE dwarf_steps ADD called NVARCHAR(max) NULL;

ALTER TABLE dwarf_steps ADD answered_by NVARCHAR(max) NULL;

ALTER TABLE dwarf_steps ADD ran_us BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_steps ADD waited_us BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_steps ADD labels NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '';

ALTER TABLE dwarf_steps ADD code NVARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '';

ALTER TABLE dwarf_steps ADD cached_from NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL DEFAULT '';

CREATE INDEX dwarf_steps_apart ON dwarf_steps (labels, not_before) WHERE status = 'pending' AND parked = 0 AND asleep = 2;

CREATE TABLE dwarf_tags (
    flow_id BIGINT NOT NULL,
    name NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (flow_id, name)
);

CREATE INDEX dwarf_tags_name ON dwarf_tags (name, created_at, flow_id);

CREATE INDEX dwarf_tags_value ON dwarf_tags (name, value, created_at, flow_id);
