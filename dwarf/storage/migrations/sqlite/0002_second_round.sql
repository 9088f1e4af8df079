ALTER TABLE dwarf_flows ADD COLUMN scheduled_at BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_schedules ADD COLUMN overlap VARCHAR(8) DEFAULT '' NOT NULL;

ALTER TABLE dwarf_schedules ADD COLUMN last_flow_id BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE dwarf_steps ADD COLUMN warnings TEXT;

ALTER TABLE dwarf_steps ADD COLUMN called TEXT;

ALTER TABLE dwarf_steps ADD COLUMN answered_by TEXT;
