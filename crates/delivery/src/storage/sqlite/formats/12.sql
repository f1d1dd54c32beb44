-- What an administrator has given single users.
CREATE TABLE user_quota (
    user TEXT NOT NULL,
    kind INTEGER NOT NULL,
    most INTEGER NOT NULL,
    PRIMARY KEY (user, kind)
) WITHOUT ROWID;
-- When a Welcome came. Where the log has dropped the commit that it came with, its age counts from now.
ALTER TABLE inbox ADD COLUMN received_at INTEGER NOT NULL DEFAULT 0;
UPDATE inbox SET received_at = ifnull(
    (SELECT received_at FROM log WHERE log.grp = inbox.grp AND log.seq = inbox.seq), unixepoch());
CREATE INDEX inbox_by_age ON inbox (received_at);
