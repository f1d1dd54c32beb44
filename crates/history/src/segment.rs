//! A segment of the index of words: which words up to 256 successive messages have.
//!
//! Words ascend and leave out the letters that they share with the one before, in blocks whose first word is whole: a search
//! reads the blocks that may have what it looks for. Before version 2 all words were one block.
//!
//! A segment is one row, so what the index shows of itself in a sealed store is how many segments there are and how
//! long each is.

use crate::codec::{In, Out};
use crate::error::HistoryError;
use crate::words::words;
use conclave_store::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// How many messages a segment has at most: their places in it are single octets.
pub(crate) const MAX_MESSAGES: usize = 256;
/// After how many octets of text a segment is closed.
pub(crate) const MAX_TEXT: u64 = 128 << 10;
/// After how many octets of words and places a segment takes no more messages between others.
const MAX_SIZE: usize = 256 << 10;
/// How many words a block has.
const BLOCK: usize = 32;
const VERSION: u8 = 2;
/// How many different words of a message are found.
const MAX_WORDS: usize = 1000;

/// A message of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) number: u64,
    /// Whether it counts as unread until it is read.
    pub(crate) counts: bool,
    pub(crate) mentions: bool,
}

/// A segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The number of the first message that it had.
    pub(crate) first: u64,
    /// The messages, ascending. Those that are gone are not among them.
    pub(crate) messages: Vec<Placed>,
    /// The places of the messages that have a word, ascending.
    words: BTreeMap<String, Vec<u8>>,
}

/// The different words of a text that are found.
pub(crate) fn indexed_words(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in words(text) {
        found.insert(word);
        if found.len() == MAX_WORDS {
            break;
        }
    }
    found
}

impl Segment {
    /// Adds a message after the others. There have to be fewer than [`MAX_MESSAGES`]; otherwise nothing changes.
    pub(crate) fn push(&mut self, placed: Placed, text: &str) {
        let Ok(place) = u8::try_from(self.messages.len()) else { return };
        if self.messages.is_empty() {
            self.first = placed.number;
        }
        self.messages.push(placed);
        self.add_words(place, text);
    }

    /// Whether it takes no more messages.
    pub(crate) fn is_full(&self) -> bool {
        let size = |(word, places): (&String, &Vec<u8>)| word.len() + places.len();
        self.messages.len() >= MAX_MESSAGES || self.words.iter().map(size).sum::<usize>() > MAX_SIZE
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        self.place_of(number).is_some()
    }

    /// Adds a message between the others. It must not be there already, and the segment must not be full.
    pub(crate) fn insert(&mut self, placed: Placed, text: &str) {
        let at = self.messages.partition_point(|other| other.number < placed.number);
        let Ok(place) = u8::try_from(at) else { return };
        self.first = self.first.min(placed.number);
        for other in self.words.values_mut().flatten().filter(|other| **other >= place) {
            *other += 1;
        }
        self.messages.insert(at, placed);
        self.add_words(place, text);
    }

    /// Takes the messages out from a number on, as a segment of their own.
    pub(crate) fn split_off(&mut self, number: u64) -> Self {
        let at = self.messages.partition_point(|other| other.number < number);
        let messages = self.messages.split_off(at);
        let first = messages.first().map_or(number, |placed| placed.number);
        let mut words = BTreeMap::new();
        self.words.retain(|word, places| {
            let taken = places.partition_point(|place| usize::from(*place) < at);
            let mut later = places.split_off(taken);
            later.iter_mut().for_each(|place| *place -= u8::try_from(at).unwrap_or_default());
            if !later.is_empty() {
                words.insert(word.clone(), later);
            }
            !places.is_empty()
        });
        Self { first, messages, words }
    }

    fn add_words(&mut self, place: u8, text: &str) {
        for word in indexed_words(text) {
            let places = self.words.entry(word).or_default();
            let at = places.partition_point(|other| *other < place);
            places.insert(at, place);
        }
    }

    fn remove_words(&mut self, place: u8) {
        self.words.retain(|_, places| {
            places.retain(|other| *other != place);
            !places.is_empty()
        });
    }

    fn place_of(&self, number: u64) -> Option<u8> {
        let at = self.messages.binary_search_by_key(&number, |placed| placed.number).ok()?;
        u8::try_from(at).ok()
    }

    /// Changes what a message says, and whether it counts.
    pub(crate) fn replace(&mut self, placed: Placed, text: &str) {
        let Some(place) = self.place_of(placed.number) else { return };
        self.remove_words(place);
        if let Some(message) = self.messages.get_mut(usize::from(place)) {
            *message = placed;
        }
        self.add_words(place, text);
    }

    /// Takes a message out.
    pub(crate) fn remove(&mut self, number: u64) {
        let Some(place) = self.place_of(number) else { return };
        self.remove_words(place);
        self.messages.remove(usize::from(place));
        for other in self.words.values_mut().flatten().filter(|other| **other > place) {
            *other -= 1;
        }
    }

    pub(crate) fn encode(&self) -> Secret {
        let mut out = Out::new(VERSION);
        out.number(self.first);
        out.number(self.messages.len() as u64);
        let mut before = self.first;
        for Placed { number, counts, mentions } in &self.messages {
            out.number(number - before);
            before = *number;
            out.byte(u8::from(*counts) | u8::from(*mentions) << 1);
        }

        let mut blocks = Vec::new();
        let mut before = "";
        for (at, (word, places)) in self.words.iter().enumerate() {
            if at % BLOCK == 0 {
                blocks.push(Out::part());
                before = "";
            }
            let Some(block) = blocks.last_mut() else { continue };
            let same = before.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
            let same = (0..=same).rev().find(|at| word.is_char_boundary(*at)).unwrap_or_default();
            block.number(same as u64);
            block.bytes(word.as_bytes().get(same..).unwrap_or_default());
            block.bytes(places);
            before = word;
        }
        out.number(blocks.len() as u64);
        let blocks: Vec<Secret> = blocks.into_iter().map(Out::finish).collect();
        blocks.iter().for_each(|block| out.number(block.len() as u64));
        blocks.iter().for_each(|block| out.raw(block.expose()));
        out.finish()
    }

    pub(crate) fn decode(bytes: &Secret) -> Result<Self, HistoryError> {
        let mut row = Rows::new(bytes)?;
        let mut words = BTreeMap::new();
        for at in 0..row.blocks.len() {
            row.go_to(at);
            while row.next_word()? {
                words.insert(row.word.clone(), row.places.to_vec());
            }
        }
        Ok(Self { first: row.first, messages: row.messages, words })
    }
}

/// A segment that is read word by word, without keeping them.
pub(crate) struct Rows<'a> {
    pub(crate) first: u64,
    pub(crate) messages: Vec<Placed>,
    /// The words, in blocks, each of which is read by itself.
    blocks: Vec<&'a [u8]>,
    row: In<'a>,
    word: String,
    places: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(bytes: &'a Secret) -> Result<Self, HistoryError> {
        let (mut row, version) = In::up_to("a segment of the index", VERSION, bytes.expose())?;
        let first = row.number()?;
        let count = row.count()?;
        if count > MAX_MESSAGES {
            return Err(row.damaged());
        }
        let mut messages = Vec::with_capacity(count);
        let mut number = first;
        for _ in 0..count {
            number = number.checked_add(row.number()?).ok_or_else(|| row.damaged())?;
            let flags = row.byte()?;
            messages.push(Placed { number, counts: flags & 1 != 0, mentions: flags & 2 != 0 });
        }

        let mut blocks = Vec::new();
        if version < 2 {
            blocks.push(row.rest());
        } else {
            let lengths = (0..row.count()?).map(|_| row.number()).collect::<Result<Vec<_>, _>>()?;
            for length in lengths {
                let length = usize::try_from(length).map_err(|_| row.damaged())?;
                blocks.push(row.raw(length)?);
            }
        }
        if !row.is_empty() {
            return Err(row.damaged());
        }
        Ok(Self { first, messages, blocks, row, word: String::new(), places: &[] })
    }

    /// Goes on with the words of a block.
    fn go_to(&mut self, block: usize) {
        self.row = self.row.within(self.blocks.get(block).copied().unwrap_or_default());
        self.word.clear();
    }

    /// The first block that may have a word that is this one or comes after it.
    fn block_of(&self, word: &str) -> usize {
        let begins_before = |block: &&[u8]| {
            let mut row = self.row.within(block);
            let first = row.number().and_then(|_| row.bytes());
            first.is_ok_and(|first| first < word.as_bytes())
        };
        self.blocks.partition_point(begins_before).saturating_sub(1)
    }

    fn next_word(&mut self) -> Result<bool, HistoryError> {
        if self.row.is_empty() {
            return Ok(false);
        }
        let same = usize::try_from(self.row.number()?).map_err(|_| self.row.damaged())?;
        let rest = core::str::from_utf8(self.row.bytes()?).map_err(|_| self.row.damaged())?;
        if !self.word.is_char_boundary(same) {
            return Err(self.row.damaged());
        }
        self.word.truncate(same);
        self.word.push_str(rest);
        self.places = self.row.bytes()?;
        Ok(true)
    }

    /// The numbers of the messages that have, for each of these beginnings, a word that begins so; the latest first.
    pub(crate) fn search(mut self, beginnings: &[String]) -> Result<Vec<u64>, HistoryError> {
        // The places that have all beginnings so far.
        let mut has_all = [true; MAX_MESSAGES];
        for beginning in beginnings {
            let mut hits = [false; MAX_MESSAGES];
            self.mark(beginning, &mut hits)?;
            has_all.iter_mut().zip(&hits).for_each(|(all, hit)| *all &= hit);
            if !has_all.contains(&true) {
                return Ok(Vec::new());
            }
        }
        let has_all = |place: usize| has_all.get(place) == Some(&true);
        let found = self.messages.iter().enumerate().rev().filter(|(place, _)| has_all(*place));
        Ok(found.map(|(_, placed)| placed.number).collect())
    }

    /// Marks the places of the messages that have a word that begins so.
    fn mark(
        &mut self,
        beginning: &str,
        hits: &mut [bool; MAX_MESSAGES],
    ) -> Result<(), HistoryError> {
        for block in self.block_of(beginning)..self.blocks.len() {
            self.go_to(block);
            while self.next_word()? {
                if self.word.starts_with(beginning) {
                    for place in self.places {
                        if let Some(hit) = hits.get_mut(usize::from(*place)) {
                            *hit = true;
                        }
                    }
                } else if self.word.as_str() > beginning {
                    // Words ascend.
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The numbers of a room's segments, in the order of their messages.
pub(crate) fn encode_order(segments: &[u64]) -> Secret {
    let mut out = Out::new(1);
    out.number(segments.len() as u64);
    segments.iter().for_each(|number| out.number(*number));
    out.finish()
}

pub(crate) fn decode_order(bytes: &Secret) -> Result<Vec<u64>, HistoryError> {
    let mut row = In::new("the order of the index", 1, bytes.expose())?;
    let segments = (0..row.count()?).map(|_| row.number()).collect::<Result<_, _>>()?;
    row.finish()?;
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(number: u64) -> Placed {
        Placed { number, counts: true, mentions: false }
    }

    fn found(segment: &Segment, beginnings: &[&str]) -> Vec<u64> {
        let beginnings: Vec<String> = beginnings.iter().map(ToString::to_string).collect();
        Rows::new(&segment.encode()).unwrap().search(&beginnings).unwrap()
    }

    #[test]
    fn a_segment_finds_messages_by_the_beginnings_of_all_words() {
        let mut segment = Segment::default();
        segment.push(placed(3), "Meeting at noon");
        segment.push(placed(7), "no meeting today");
        segment.push(placed(400), "näh");
        assert_eq!(found(&segment, &["meet"]), [7, 3]);
        assert_eq!(found(&segment, &["no", "meet"]), [7, 3]);
        assert_eq!(found(&segment, &["no", "noon"]), [3]);
        assert_eq!(found(&segment, &["noon", "meet"]), [3]);
        assert_eq!(found(&segment, &["na"]), [400]);
        assert_eq!(found(&segment, &["nah", "meet"]), [0; 0]);
        assert_eq!(Segment::decode(&segment.encode()).unwrap(), segment);
    }

    #[test]
    fn what_is_taken_out_of_a_segment_leaves_nothing() {
        let mut segment = Segment::default();
        segment.push(placed(1), "one both");
        segment.push(placed(2), "two both");
        segment.push(placed(3), "three both");
        segment.remove(2);
        assert_eq!((found(&segment, &["two"]), found(&segment, &["both"])), (vec![], vec![3, 1]));
        segment.replace(placed(3), "drei");
        assert_eq!((found(&segment, &["drei"]), found(&segment, &["both"])), (vec![3], vec![1]));
        let row = segment.encode();
        let shows = |word: &str| row.expose().windows(word.len()).any(|w| w == word.as_bytes());
        assert!(shows("drei") && !shows("two") && !shows("three"));
        segment.remove(1);
        segment.remove(3);
        assert_eq!(segment, Segment { first: 1, ..Segment::default() });
    }

    #[test]
    fn each_word_and_beginning_is_found_whatever_blocks_they_are_in() {
        for count in [1, 31, 32, 33, 64, 200] {
            let mut segment = Segment::default();
            for n in 0..count {
                segment.push(placed(n), &format!("w{n:03} every w{:03}", n / 2));
            }
            assert_eq!(Segment::decode(&segment.encode()).unwrap(), segment);
            let all: Vec<u64> = (0..count).rev().collect();
            assert_eq!((found(&segment, &["w"]), found(&segment, &["every"])), (all.clone(), all));
            for beginning in ["w0", "w00", "w03", "w1", "w19", "w064", "w199"] {
                let begins = |n: &u64| format!("w{n:03}").starts_with(beginning);
                let has = |n: &u64| begins(n) || begins(&(n / 2));
                let expected: Vec<u64> = (0..count).rev().filter(has).collect();
                assert_eq!(found(&segment, &[beginning]), expected, "{count} {beginning}");
                assert_eq!(found(&segment, &["every", beginning]), expected);
            }
            for none in ["a", "evf", "x", "w2000"] {
                assert_eq!(found(&segment, &[none]), [0; 0]);
            }
        }
    }

    #[test]
    fn segments_of_the_first_version_are_read() {
        // Messages 5 and 7, of which the first counts; `noon` in the first, `none` in both.
        let row = b"\x01\x05\x02\x00\x01\x02\x00\x00\x04none\x02\x00\x01\x02\x02on\x01\x00";
        let row = Secret::copy_from(row);
        let found = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            Rows::new(&row).unwrap().search(&words).unwrap()
        };
        assert_eq!(
            (found(&["none"]), found(&["noo", "no"]), found(&["x"])),
            (vec![7, 5], vec![5], vec![])
        );
        let segment = Segment::decode(&row).unwrap();
        assert_eq!(segment.messages.len(), 2);
        assert_eq!(Segment::decode(&segment.encode()).unwrap(), segment);
    }

    #[test]
    fn a_segment_in_parts_finds_what_the_whole_has_found() {
        let texts = ["zero both", "one both", "two both", "three both"];
        for order in [[3, 2, 1, 0], [1, 3, 0, 2], [0, 1, 2, 3]] {
            let mut segment = Segment::default();
            for n in order {
                segment.insert(placed(n), texts[n as usize]);
            }
            let mut pushed = Segment::default();
            (0..4).for_each(|n| pushed.push(placed(n), texts[n as usize]));
            assert_eq!(segment, pushed);
        }

        for at in 0..=4 {
            let mut earlier = Segment::default();
            (0..4).for_each(|n| earlier.push(placed(n), texts[n as usize]));
            let later = earlier.split_off(at);
            let both = [found(&later, &["both"]), found(&earlier, &["both"])].concat();
            assert_eq!(both, [3, 2, 1, 0], "{at}");
            for (n, text) in (0..).zip(texts) {
                let (part, other) = if n < at { (&earlier, &later) } else { (&later, &earlier) };
                let word = text.split(' ').next().unwrap();
                assert_eq!((found(part, &[word]), found(other, &[word])), (vec![n], vec![]));
            }
        }
    }

    #[test]
    fn a_segment_is_bounded_whatever_is_said() {
        let mut segment = Segment::default();
        let text: String = (0..10_000).map(|n| format!("w{n} ")).collect();
        for number in 0..300 {
            segment.push(placed(number), &text);
        }
        assert_eq!((segment.messages.len(), segment.words.len()), (MAX_MESSAGES, MAX_WORDS));
    }
}
