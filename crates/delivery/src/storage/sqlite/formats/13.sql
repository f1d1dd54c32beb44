-- The mark that each device's state has. It goes with the device's key.
CREATE TABLE state_mark (
    device INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    id BLOB NOT NULL,
    marked_at INTEGER NOT NULL
);
