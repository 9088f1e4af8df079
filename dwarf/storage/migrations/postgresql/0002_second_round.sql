ALTER TABLE dwarf_steps ADD COLUMN warnings TEXT;
