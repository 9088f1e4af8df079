ALTER TABLE dwarf_steps ADD COLUMN warnings TEXT;

ALTER TABLE dwarf_steps ADD COLUMN called TEXT;

ALTER TABLE dwarf_steps ADD COLUMN answered_by TEXT;
