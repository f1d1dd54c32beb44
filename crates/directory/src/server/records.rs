//! What an engine has to provide to keep a directory.

use core::fmt;

/// Why the engine could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordsError {
    /// The engine failed; nothing was written.
    Failed(String),
    /// The engine failed while it wrote: the batch may have been written. The directory reads before it
    /// publishes again.
    Unknown(String),
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => write!(f, "the directory's storage failed: {reason}"),
            Self::Unknown(reason) => {
                write!(f, "the directory's storage failed while writing: {reason}")
            }
        }
    }
}

impl core::error::Error for RecordsError {}

/// Records to be written at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// A key, and the value that it has to have still (none: no value) for the batch to be written.
    pub guard: (Vec<u8>, Option<Vec<u8>>),
    /// Keys, each once, and their new values.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What became of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is written, and durable.
    Written,
    /// The guard has another value. Nothing was written.
    Guarded,
}

/// Keys and values. Methods block, and may be called from several threads.
///
/// Keys have up to 264 bytes and are compared as bytes; values have up to 16 KiB, and most less than 200
/// bytes. Nothing is ever deleted. What is in here reveals who is in the directory, and nothing else.
#[allow(clippy::missing_errors_doc, reason = "all fail with RecordsError alone")]
pub trait Records: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError>;

    /// The values of many keys, in their order.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, RecordsError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Writes a batch, all or nothing, if its guard still has its value. It is durable when this returns.
    fn put(&self, batch: Batch) -> Result<Put, RecordsError>;
}

/// Checks an engine, which `open` opens with nothing in it.
///
/// # Panics
/// If the engine does not do what [`Records`] says.
#[cfg(any(test, feature = "testing"))]
pub fn conformance<R: Records>(open: impl Fn() -> R) {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let row = |key: &str, value: &str| (bytes(key), bytes(value));
    let put = |records: &R, guard: (&str, Option<&str>), rows: &[(&str, &str)]| {
        let guard = (bytes(guard.0), guard.1.map(bytes));
        let rows = rows.iter().map(|(key, value)| row(key, value)).collect();
        records.put(Batch { guard, rows }).unwrap_or(Put::Guarded)
    };

    let records = open();
    assert_eq!(records.get(b"a"), Ok(None), "there is something in a new engine");
    assert_eq!(put(&records, ("g", None), &[("a", "1"), ("g", "x")]), Put::Written);
    assert_eq!(records.get(b"a"), Ok(Some(bytes("1"))), "a row was not written");

    // A guard of a value, of no value, and of another value.
    assert_eq!(put(&records, ("g", None), &[("a", "2"), ("b", "2")]), Put::Guarded);
    assert_eq!(put(&records, ("g", Some("y")), &[("a", "2"), ("b", "2")]), Put::Guarded);
    assert_eq!(put(&records, ("h", Some("x")), &[("a", "2"), ("b", "2")]), Put::Guarded);
    assert_eq!(records.get(b"a"), Ok(Some(bytes("1"))), "a guarded batch was written");
    assert_eq!(records.get(b"b"), Ok(None), "a guarded batch was written in part");
    assert_eq!(put(&records, ("g", Some("x")), &[("a", "3"), ("g", "y")]), Put::Written);

    // Keys are bytes: their ends, their order and zeros in them mean nothing.
    let odd = [vec![0], vec![0, 0], vec![], vec![0xff; 264], bytes("a%"), bytes("A")];
    let rows: Vec<_> =
        odd.iter().map(|key| (key.clone(), [key.as_slice(), b"!"].concat())).collect();
    let guard = (bytes("g"), Some(bytes("y")));
    assert_eq!(records.put(Batch { guard, rows: rows.clone() }), Ok(Put::Written));
    assert_eq!(records.get(b"a"), Ok(Some(bytes("3"))), "another key's row was written");

    // Many at once, in order, with gaps and repetitions.
    let mut keys = vec![bytes("none")];
    keys.extend(odd.iter().rev().cloned());
    keys.push(bytes("a"));
    keys.push(bytes("a"));
    let mut want = vec![None];
    want.extend(rows.iter().rev().map(|(_, value)| Some(value.clone())));
    want.extend([Some(bytes("3")), Some(bytes("3"))]);
    assert_eq!(records.get_many(&keys), Ok(want));
    assert_eq!(records.get_many(&[]), Ok(vec![]));

    // One of many writers with the same guard wins.
    let wins: usize = std::thread::scope(|scope| {
        let records = &records;
        let race = |n: usize| {
            scope.spawn(move || {
                let guard = (b"g".to_vec(), Some(b"y".to_vec()));
                let value = n.to_string().into_bytes();
                let rows = vec![(b"g".to_vec(), value.clone()), (b"won".to_vec(), value)];
                usize::from(records.put(Batch { guard, rows }) == Ok(Put::Written))
            })
        };
        let racers: Vec<_> = (0..8).map(race).collect();
        racers.into_iter().filter_map(|racer| racer.join().ok()).sum()
    });
    assert_eq!(wins, 1, "a guard let several writers through, or none");
    assert_eq!(records.get(b"g"), records.get(b"won"), "the rows are of two writers");
}
