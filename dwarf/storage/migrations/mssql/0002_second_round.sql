ALTER TABLE dwarf_steps ADD warnings NVARCHAR(max) NULL;
