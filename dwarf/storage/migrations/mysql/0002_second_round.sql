ALTER TABLE dwarf_flows
    ADD COLUMN scheduled_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_schedules
    ADD COLUMN overlap VARCHAR(8) NOT NULL DEFAULT '',
    ADD COLUMN last_flow_id BIGINT NOT NULL DEFAULT 0;

ALTER TABLE dwarf_steps
    ADD COLUMN warnings LONGTEXT,
    ADD COLUMN called LONGTEXT,
    ADD COLUMN answered_by LONGTEXT;
