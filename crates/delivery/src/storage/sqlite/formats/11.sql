-- What is remembered of key packages ends with them.
CREATE INDEX key_package_by_expiry ON key_package (not_after);
-- Kept when the package is gone, until a day after it has expired: Welcomes name it, and its init key must not come
-- again.
CREATE TABLE known_key_package (
    reference BLOB PRIMARY KEY,
    init_key BLOB NOT NULL UNIQUE,
    device INTEGER NOT NULL,
    not_after INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX known_key_package_by_expiry ON known_key_package (not_after);
-- When those that are remembered so far expire was not noted. None is valid for longer than 400 days.
INSERT INTO known_key_package (reference, init_key, device, not_after)
    SELECT o.reference, i.hash, o.device, unixepoch() + 34560000
    FROM init_key i JOIN key_package_owner o ON o.reference = i.reference;
DROP TABLE key_package_owner;
DROP TABLE init_key;
