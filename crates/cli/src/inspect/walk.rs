//! Reading field by field: what was read stays when a later field cannot be.
//!
//! The decoders of `wire` give a structure or nothing. Here they read the fields one at a time, so that an error has a
//! place and a name. Tests hold both to the same bytes.

use super::names::Registered;
use super::value::{Field, Value};
use conclave_mls::wire::{CipherSuite, Decode, DecodeError, GroupId, LeafIndex, Reader};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The most fields of an input.
const MAX_FIELDS: usize = 1 << 20;
/// How many times content may be in content that is a structure of its own.
const MAX_DEPTH: usize = 6;

/// Whether something was read.
pub(super) type Read = Result<(), Stop>;

/// Where and why reading stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// How many bytes of the decoded input come before what cannot be read.
    pub(super) at: usize,
    /// The path of the field: names and indices.
    pub(super) field: String,
    pub(super) reason: String,
    /// Whether it is a limit of this program.
    over_limit: bool,
}

impl Stop {
    pub(super) fn new(at: usize, field: &str, reason: impl Into<String>) -> Self {
        Self { at, field: field.into(), reason: reason.into(), over_limit: false }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "byte {}: {}", self.at, self.reason),
            field => write!(f, "byte {}, {field}: {}", self.at, self.reason),
        }
    }
}

/// A structure that can be judged, and where it is.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) field: String,
    pub(super) bytes: Range<usize>,
    pub(super) what: Structure,
    pub(super) context: Context,
}

#[derive(Clone, Debug)]
pub(super) enum Structure {
    KeyPackage,
    /// A leaf node that is no key package's.
    Leaf,
    GroupInfo,
    /// The data of a `ratchet_tree` extension.
    Tree,
    PublicMessage,
}

/// What is known of the group that a structure belongs to.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    pub(super) suite: Option<CipherSuite>,
    /// Shared: an input can have many structures, and the identifier can be most of its bytes.
    pub(super) group: Option<Arc<GroupId>>,
    /// The member who sent the message.
    pub(super) sender: Option<LeafIndex>,
}

#[derive(Clone, Copy)]
enum Step {
    Name(&'static str),
    Index(usize),
}

/// A place in an input, and what was read before it.
pub(super) struct Walk<'a> {
    reader: Reader<'a>,
    /// Where the bytes of the reader end in the input.
    end: usize,
    path: Vec<Step>,
    fields: Vec<Field>,
    fields_left: usize,
    depth: usize,
    found: Vec<Found>,
    given: Context,
    /// What is known at this place.
    pub(super) context: Context,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8], given: &Context) -> Self {
        Self {
            reader: Reader::new(bytes),
            end: bytes.len(),
            path: Vec::new(),
            fields: Vec::new(),
            fields_left: MAX_FIELDS,
            depth: MAX_DEPTH,
            found: Vec::new(),
            given: given.clone(),
            context: given.clone(),
        }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.end - self.reader.rest().len()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.reader.is_empty()
    }

    /// The bytes that are left here.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }

    /// Takes out what was read since it was last taken out.
    pub(super) fn take(&mut self) -> (Vec<Field>, Vec<Found>) {
        self.context = self.given.clone();
        (std::mem::take(&mut self.fields), std::mem::take(&mut self.found))
    }

    /// Why reading stops at a place in a field.
    pub(super) fn stop(&self, at: usize, name: &'static str, reason: impl fmt::Display) -> Stop {
        Stop::new(at, &self.path_to(name), reason.to_string())
    }

    fn path_to(&self, name: &'static str) -> String {
        let mut path = String::new();
        for step in self.path.iter().chain(&[Step::Name(name)]) {
            match step {
                Step::Name("") => {}
                Step::Name(name) if path.is_empty() => path.push_str(name),
                Step::Name(name) => path.extend([".", name]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// Why reading stops at a value that a field cannot have.
    pub(super) fn invalid(
        &self,
        at: usize,
        name: &'static str,
        field: &'static str,
        value: impl Into<u64>,
    ) -> Stop {
        self.stop(at, name, DecodeError::InvalidValue { field, value: value.into() })
    }

    /// Adds a field.
    pub(super) fn put(&mut self, name: &'static str, value: Value) -> Read {
        let Some(left) = self.fields_left.checked_sub(1) else {
            let reason = format!("there are more than {MAX_FIELDS} fields");
            return Err(Stop { over_limit: true, ..self.stop(self.at(), name, reason) });
        };
        self.fields_left = left;
        self.fields.push(Field { name, value });
        Ok(())
    }

    /// Adds fields that were read. They count, but are kept whatever the limit is.
    fn put_container(&mut self, name: &'static str, value: Value) {
        self.fields_left = self.fields_left.saturating_sub(1);
        self.fields.push(Field { name, value });
    }

    /// Remembers a structure that began at a place and ends here.
    pub(super) fn found(&mut self, start: usize, what: Structure) {
        let (field, bytes) = (self.path_to(""), start..self.at());
        self.found.push(Found { field, bytes, what, context: self.context.clone() });
    }

    /// Checks that nothing is left.
    pub(super) fn finish(&self) -> Read {
        match self.reader.rest().len() {
            0 => Ok(()),
            n => Err(self.stop(self.at(), "", DecodeError::TrailingBytes(n))),
        }
    }

    /// Reads a value without adding a field.
    pub(super) fn read<T: Decode>(&mut self, name: &'static str) -> Result<T, Stop> {
        let at = self.at();
        T::decode(&mut self.reader).map_err(|e| self.stop(at, name, e))
    }

    pub(super) fn number<T: Decode + Into<u64>>(
        &mut self,
        name: &'static str,
    ) -> Result<u64, Stop> {
        let number = self.read::<T>(name)?.into();
        self.put(name, Value::Number(number))?;
        Ok(number)
    }

    pub(super) fn time(&mut self, name: &'static str) -> Read {
        let time = self.read(name)?;
        self.put(name, Value::Time(time))
    }

    /// Reads a code point of a registry.
    pub(super) fn code<T: Decode + Registered>(&mut self, name: &'static str) -> Result<T, Stop> {
        let code: T = self.read(name)?;
        self.put(name, Value::Code(code.number(), code.name()))?;
        Ok(code)
    }

    /// Reads a vector of code points of a registry.
    pub(super) fn codes<T: Decode + Registered>(&mut self, name: &'static str) -> Read {
        self.list(name, |w, _| w.code::<T>("").map(drop))
    }

    /// Reads the number of one of several cases.
    pub(super) fn case(
        &mut self,
        name: &'static str,
        of: &'static str,
        cases: &[(u8, &str)],
    ) -> Result<u8, Stop> {
        let at = self.at();
        let number: u8 = self.read(name)?;
        let case = cases.iter().find(|(n, _)| *n == number);
        self.put(name, Value::Code(number.into(), case.map(|(_, name)| name.to_string())))?;
        case.map(|_| number).ok_or_else(|| self.invalid(at, name, of, number))
    }

    /// Reads an `opaque<V>` without adding a field. Returns its contents and where they are.
    pub(super) fn opaque(&mut self, name: &'static str) -> Result<(&'a [u8], usize), Stop> {
        let at = self.at();
        let bytes = self.reader.opaque().map_err(|e| self.stop(at, name, e))?;
        Ok((bytes, self.at() - bytes.len()))
    }

    pub(super) fn bytes(&mut self, name: &'static str) -> Result<&'a [u8], Stop> {
        let (bytes, _) = self.opaque(name)?;
        self.put(name, Value::Bytes(bytes.to_vec()))?;
        Ok(bytes)
    }

    /// Reads an `opaque<V>` of at most so many bytes.
    pub(super) fn bounded(&mut self, name: &'static str, most: usize) -> Result<&'a [u8], Stop> {
        let at = self.at();
        let bytes = self.bytes(name)?;
        if bytes.len() > most {
            return Err(self.invalid(at, name, name, bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// Reads an `opaque<V>` that may be a text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<&'a [u8], Stop> {
        let (bytes, _) = self.opaque(name)?;
        self.put(name, Value::Text(bytes.to_vec()))?;
        Ok(bytes)
    }

    /// Reads bytes whose number is known.
    pub(super) fn array<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], Stop> {
        let at = self.at();
        let bytes = self.reader.take_array::<N>().map_err(|e| self.stop(at, name, e))?;
        self.put(name, Value::Bytes(bytes.to_vec()))?;
        Ok(bytes)
    }

    /// Reads a structure.
    pub(super) fn object(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Read,
    ) -> Read {
        let outer = std::mem::take(&mut self.fields);
        self.path.push(Step::Name(name));
        let done = read(self);
        self.path.pop();

        let inner = std::mem::replace(&mut self.fields, outer);
        self.put_container(name, Value::Object(inner));
        done
    }

    /// Reads an optional value.
    pub(super) fn optional(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Read,
    ) -> Read {
        let at = self.at();
        match self.read::<u8>(name)? {
            0 => self.put(name, Value::Absent),
            1 => self.object(name, read),
            other => Err(self.stop(at, name, DecodeError::InvalidPresence(other))),
        }
    }

    /// Reads a vector of structures; of values, if `item` reads a field without a name.
    ///
    /// Of a vector that the input ends in, those that are there are read.
    pub(super) fn list(
        &mut self,
        name: &'static str,
        item: impl FnMut(&mut Self, usize) -> Read,
    ) -> Read {
        let start = self.at();
        let length = self.reader.length().map_err(|e| self.stop(start, name, e))?;
        let there = length.min(self.reader.rest().len());
        let begin = self.at();
        let contents = self.reader.take(there).map_err(|e| self.stop(start, name, e))?;
        self.within((contents, begin), |w| w.items(name, item))?;
        if there < length {
            return Err(self.stop(self.at(), name, DecodeError::Truncated));
        }
        Ok(())
    }

    /// Reads all that is left here as a list, like [`Self::list`].
    pub(super) fn items(
        &mut self,
        name: &'static str,
        mut item: impl FnMut(&mut Self, usize) -> Read,
    ) -> Read {
        let mut items = Vec::new();
        let mut done = Ok(());
        self.path.push(Step::Name(name));
        while done.is_ok() && !self.is_at_end() {
            self.path.push(Step::Index(items.len()));
            let before = std::mem::take(&mut self.fields);
            done = item(self, items.len());
            items.push(as_item(std::mem::replace(&mut self.fields, before)));
            self.path.pop();
        }
        self.path.pop();
        self.put_container(name, Value::List(items));
        done
    }

    /// Reads content that is a structure by itself. If it is none, the rest of the input is read all the same.
    pub(super) fn inside(
        &mut self,
        name: &'static str,
        content: (&'a [u8], usize),
        read: impl FnOnce(&mut Self) -> Read,
    ) -> Read {
        let Some(below) = self.depth.checked_sub(1) else {
            return self.put("malformed", Value::Words("the content is nested too deeply".into()));
        };
        let depth = std::mem::replace(&mut self.depth, below);
        let done = self.whole(name, content, read);
        self.depth = depth;

        match done {
            Err(stop) if !stop.over_limit => self.put("malformed", Value::Words(stop.to_string())),
            other => other,
        }
    }

    /// Reads content that is one structure to its end.
    pub(super) fn whole(
        &mut self,
        name: &'static str,
        content: (&'a [u8], usize),
        read: impl FnOnce(&mut Self) -> Read,
    ) -> Read {
        self.within(content, |w| {
            w.object(name, |w| {
                read(w)?;
                w.finish()
            })
        })
    }

    /// Reads in bytes of the input that begin at a place, and goes on where it was.
    fn within(
        &mut self,
        (bytes, start): (&'a [u8], usize),
        read: impl FnOnce(&mut Self) -> Read,
    ) -> Read {
        let outer = (self.reader, self.end);
        (self.reader, self.end) = (Reader::new(bytes), start + bytes.len());
        let done = read(self);
        (self.reader, self.end) = outer;
        done
    }
}

/// An element of a list: a field without a name is the element.
fn as_item(mut fields: Vec<Field>) -> Value {
    match fields.pop() {
        Some(Field { name: "", value }) if fields.is_empty() => value,
        Some(last) => {
            fields.push(last);
            Value::Object(fields)
        }
        None => Value::Object(fields),
    }
}
