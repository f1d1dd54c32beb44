//! A segment of the index of words: which words up to 256 successive messages have.
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
        let mut out = Out::new(1);
        out.number(self.first);
        out.number(self.messages.len() as u64);
        let mut before = self.first;
        for Placed { number, counts, mentions } in &self.messages {
            out.number(number - before);
            before = *number;
            out.byte(u8::from(*counts) | u8::from(*mentions) << 1);
        }

        let mut before = "";
        for (word, places) in &self.words {
            let same = before.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
            let same = (0..=same).rev().find(|at| word.is_char_boundary(*at)).unwrap_or_default();
            out.number(same as u64);
            out.bytes(word.as_bytes().get(same..).unwrap_or_default());
            out.bytes(places);
            before = word;
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &Secret) -> Result<Self, HistoryError> {
        let mut row = Rows::new(bytes)?;
        let mut words = BTreeMap::new();
        while row.next_word()? {
            words.insert(row.word.clone(), row.places.to_vec());
        }
        Ok(Self { first: row.first, messages: row.messages, words })
    }
}

/// A segment that is read word by word, without keeping them.
pub(crate) struct Rows<'a> {
    pub(crate) first: u64,
    pub(crate) messages: Vec<Placed>,
    row: In<'a>,
    word: String,
    places: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(bytes: &'a Secret) -> Result<Self, HistoryError> {
        let mut row = In::new("a segment of the index", 1, bytes.expose())?;
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
        Ok(Self { first, messages, row, word: String::new(), places: &[] })
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
        let mut hits = vec![[false; MAX_MESSAGES]; beginnings.len()];
        while self.next_word()? {
            // Words ascend: after a word that is beyond all beginnings there is nothing to find.
            let word = self.word.as_str();
            if beginnings.iter().all(|beginning| word > beginning && !word.starts_with(beginning)) {
                break;
            }
            for (beginning, hits) in beginnings.iter().zip(&mut hits) {
                if self.word.starts_with(beginning) {
                    for place in self.places {
                        if let Some(hit) = hits.get_mut(usize::from(*place)) {
                            *hit = true;
                        }
                    }
                }
            }
        }
        let has_all = |place: usize| hits.iter().all(|hits| hits.get(place) == Some(&true));
        let found = self.messages.iter().enumerate().rev().filter(|(place, _)| has_all(*place));
        Ok(found.map(|(_, placed)| placed.number).collect())
    }
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
    fn a_segment_is_bounded_whatever_is_said() {
        let mut segment = Segment::default();
        let text: String = (0..10_000).map(|n| format!("w{n} ")).collect();
        for number in 0..300 {
            segment.push(placed(number), &text);
        }
        assert_eq!((segment.messages.len(), segment.words.len()), (MAX_MESSAGES, MAX_WORDS));
    }
}
