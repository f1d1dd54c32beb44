-- Users' uploads of attachments, whose contents are files; and how many bytes they are, by user, and of all under ''.
CREATE TABLE upload (
    hash BLOB NOT NULL,
    user TEXT NOT NULL,
    size INTEGER NOT NULL,
    received INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (hash, user)
) WITHOUT ROWID;
CREATE INDEX upload_by_expiry ON upload (expires_at);
CREATE TABLE upload_bytes (user TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
