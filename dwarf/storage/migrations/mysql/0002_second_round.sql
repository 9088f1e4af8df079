ALTER TABLE dwarf_steps
    ADD COLUMN warnings LONGTEXT,
    ADD COLUMN called LONGTEXT,
    ADD COLUMN answered_by LONGTEXT;
