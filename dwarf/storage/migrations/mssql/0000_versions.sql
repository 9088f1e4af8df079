IF OBJECT_ID('dwarf_migrations') IS NULL
CREATE TABLE dwarf_migrations (
    version INTEGER NOT NULL,
    applied_at BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (version)
);
