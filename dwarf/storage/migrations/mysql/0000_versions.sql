CREATE TABLE IF NOT EXISTS dwarf_migrations (
    version INTEGER NOT NULL,
    applied_at BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (version)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
