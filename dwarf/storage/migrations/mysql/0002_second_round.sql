ALTER TABLE dwarf_steps
    ADD COLUMN warnings LONGTEXT;
