-- Revoked devices that are still members of tracked groups, and whether their removal is to be proposed. No group of
-- before takes proposals of the service.
CREATE TABLE to_remove (
    grp INTEGER NOT NULL,
    device INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (grp, device)
) WITHOUT ROWID;
CREATE INDEX to_remove_due ON to_remove (grp) WHERE due;
-- The group that took a group's place when it was reset.
ALTER TABLE mls_group ADD COLUMN successor BLOB;
