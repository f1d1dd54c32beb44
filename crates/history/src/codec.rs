//! How rows are written: numbers in groups of seven bits, lengths before bytes.

use crate::error::HistoryError;
use conclave_store::Secret;

/// A row that is being written. It is secret: it ends as one.
pub(crate) struct Out(Vec<u8>);

impl Out {
    /// A row of a version of its kind.
    pub(crate) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    /// A part of a row.
    pub(crate) fn part() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Bytes whose number the reader knows.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.byte(1);
                self.bytes(bytes);
            }
            None => self.byte(0),
        }
    }

    pub(crate) fn finish(self) -> Secret {
        Secret::new(self.0)
    }
}

/// A row that is being read.
pub(crate) struct In<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> In<'a> {
    /// A row, whose version is the latest that is known.
    pub(crate) fn new(
        what: &'static str,
        version: u8,
        bytes: &'a [u8],
    ) -> Result<Self, HistoryError> {
        match bytes.split_first() {
            Some((found, rest)) if *found == version => Ok(Self { what, rest }),
            Some((found, _)) if *found > version => Err(HistoryError::Newer(what)),
            _ => Err(HistoryError::Damaged(what)),
        }
    }

    /// A row of one of the versions up to this one, and which.
    pub(crate) fn up_to(
        what: &'static str,
        latest: u8,
        bytes: &'a [u8],
    ) -> Result<(Self, u8), HistoryError> {
        let version = bytes.first().copied().unwrap_or_default().clamp(1, latest);
        Ok((Self::new(what, version, bytes)?, version))
    }

    /// A part of this row.
    pub(crate) fn within<'b>(&self, part: &'b [u8]) -> In<'b> {
        In { what: self.what, rest: part }
    }

    pub(crate) fn damaged(&self) -> HistoryError {
        HistoryError::Damaged(self.what)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, HistoryError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, HistoryError> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(self.damaged())
    }

    /// A number that counts things of at least one byte each, which are still to be read.
    pub(crate) fn count(&mut self) -> Result<usize, HistoryError> {
        let n = usize::try_from(self.number()?).map_err(|_| self.damaged())?;
        if n <= self.rest.len() { Ok(n) } else { Err(self.damaged()) }
    }

    pub(crate) fn raw(&mut self, n: usize) -> Result<&'a [u8], HistoryError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], HistoryError> {
        self.raw(N)?.try_into().map_err(|_| self.damaged())
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], HistoryError> {
        let n = self.count()?;
        self.raw(n)
    }

    pub(crate) fn text(&mut self) -> Result<String, HistoryError> {
        let bytes = self.bytes()?;
        core::str::from_utf8(bytes).map(Into::into).map_err(|_| self.damaged())
    }

    pub(crate) fn optional(&mut self) -> Result<Option<&'a [u8]>, HistoryError> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.bytes().map(Some),
            _ => Err(self.damaged()),
        }
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn finish(self) -> Result<(), HistoryError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written_and_no_longer_ones() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Out::new(1);
            out.number(n);
            let bytes = out.finish();
            let mut row = In::new("a row", 1, bytes.expose()).unwrap();
            assert_eq!(row.number().unwrap(), n);
            row.finish().unwrap();
        }
        let too_long = [&[1][..], &[0xff; 9], &[2]].concat();
        assert!(In::new("a row", 1, &too_long).unwrap().number().is_err());
    }

    #[test]
    fn a_row_of_a_later_version_is_named_and_not_guessed_at() {
        assert!(matches!(In::new("a row", 1, &[2, 0]), Err(HistoryError::Newer("a row"))));
        assert!(matches!(In::new("a row", 1, &[]), Err(HistoryError::Damaged("a row"))));
    }
}
