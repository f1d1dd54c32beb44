//! SQLite's write-ahead log on disk: the pages of its committed transactions.
//!
//! The format is described at <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use crate::Secret;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};

const HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 24;
/// The first word of a log. Its lowest bit is the byte order in which the checksums are computed.
const MAGIC: u32 = 0x377f_0682;

/// What a log holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// Where in the log the newest content of each page begins.
    pub(super) pages: BTreeMap<u32, u64>,
    /// How many pages the database has after the last transaction; none if there is no transaction.
    pub(super) database_pages: Option<u32>,
    /// The checksum up to that transaction.
    sum: (u32, u32),
}

impl Log {
    /// Reads a log up to its last committed transaction. Like SQLite it ignores what follows that transaction, and what is
    /// left from before the log was restarted.
    pub(super) fn read(mut file: impl Read, page_len: usize) -> io::Result<Self> {
        let mut log = Self::default();
        let mut header = [0; HEADER_LEN];
        if !fill(&mut file, &mut header)? {
            return Ok(log);
        }

        let [magic, _version, page, _checkpoint, salt_1, salt_2, sum_1, sum_2] = numbers(&header);
        let (begin, _) = header.split_at(HEADER_LEN - 8);
        let mut sum = Checksum { is_big_endian: magic & 1 == 1, sum: (0, 0) };
        sum.add(begin);
        let page_is_known = usize::try_from(page) == Ok(page_len);
        if magic & !1 != MAGIC || !page_is_known || sum.sum != (sum_1, sum_2) {
            return Ok(log);
        }

        let mut frame = Secret::zero(FRAME_HEADER_LEN + page_len);
        let mut at = HEADER_LEN as u64;
        let mut pages = BTreeMap::new();
        while fill(&mut file, frame.expose_mut())? {
            let (header, page) = frame.expose().split_at(FRAME_HEADER_LEN);
            let [number, database_pages, its_salt_1, its_salt_2, sum_1, sum_2] = numbers(header);
            sum.add(header.get(..8).unwrap_or_default());
            sum.add(page);
            let is_of_log = (its_salt_1, its_salt_2) == (salt_1, salt_2);
            if !is_of_log || sum.sum != (sum_1, sum_2) || number == 0 {
                break;
            }

            pages.insert(number, at + FRAME_HEADER_LEN as u64);
            at += frame.len() as u64;
            if database_pages > 0 {
                log.pages.append(&mut pages);
                log.database_pages = Some(database_pages);
                log.sum = sum.sum;
            }
        }
        Ok(log)
    }
}

/// Fills a buffer; false if the file ends before it is full.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// The numbers that a header is made of.
fn numbers<const N: usize>(header: &[u8]) -> [u32; N] {
    let (words, _) = header.as_chunks::<4>();
    core::array::from_fn(|n| words.get(n).map_or(0, |word| u32::from_be_bytes(*word)))
}

/// The log's checksum, which runs on from its header through all frames.
struct Checksum {
    is_big_endian: bool,
    sum: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let number = |word: [u8; 4]| {
            if self.is_big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        let (mut first, mut second) = self.sum;
        for [one, other] in pairs {
            first = first.wrapping_add(number(*one)).wrapping_add(second);
            second = second.wrapping_add(number(*other)).wrapping_add(first);
        }
        self.sum = (first, second);
    }
}
