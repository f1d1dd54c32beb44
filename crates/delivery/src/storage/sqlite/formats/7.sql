-- A group's log is a chain of hashes. The tables are made anew, so that a hash lies before its message, which can be
-- long; `chain.rs` beside this fills them.
DROP INDEX group_by_creator;
ALTER TABLE mls_group RENAME TO group_before;
CREATE TABLE mls_group (
    id INTEGER PRIMARY KEY,
    group_id BLOB NOT NULL UNIQUE,
    tracked INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    head INTEGER NOT NULL,
    chain BLOB NOT NULL,
    handshake INTEGER NOT NULL,
    creator INTEGER NOT NULL,
    request_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX group_by_creator ON mls_group (creator);
DROP INDEX log_by_hash;
DROP INDEX commit_by_epoch;
ALTER TABLE log RENAME TO log_before;
CREATE TABLE log (
    grp INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    content_type INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    chain BLOB NOT NULL,
    message BLOB NOT NULL,
    UNIQUE (grp, seq)
);
CREATE UNIQUE INDEX log_by_hash ON log (grp, hash);
CREATE UNIQUE INDEX commit_by_epoch ON log (grp, epoch) WHERE content_type = 3;
-- The service tells clients which life of its state this is. `incarnation.rs` draws the first.
ALTER TABLE service RENAME TO service_before;
CREATE TABLE service (secret BLOB NOT NULL, incarnation BLOB NOT NULL, incarnations INTEGER NOT NULL);
INSERT INTO service (secret, incarnation, incarnations) SELECT secret, x'', 0 FROM service_before;
DROP TABLE service_before;
-- A Welcome says by which hash the log goes on, also when the commit that it came with is kept no longer.
ALTER TABLE inbox ADD COLUMN chain BLOB NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
