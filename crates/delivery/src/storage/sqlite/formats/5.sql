-- The certificates of devices, where a CA certifies them.
CREATE TABLE certificate (
    device INTEGER PRIMARY KEY,
    chain BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL
);
