-- Users whom an administrator has blocked, and invitations that were made and may still be open.
CREATE TABLE blocked_user (user TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE issued_invitation (
    hash BLOB PRIMARY KEY,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
