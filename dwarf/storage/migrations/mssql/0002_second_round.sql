ALTER TABLE dwarf_steps ADD warnings NVARCHAR(max) NULL;

ALTER TABLE dwarf_steps ADD called NVARCHAR(max) NULL;

ALTER TABLE dwarf_steps ADD answered_by NVARCHAR(max) NULL;
