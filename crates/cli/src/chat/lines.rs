//! Lines from a pipe, a file, or a terminal without editing.

use conclave_client::{MAX_LINE, Message};
use std::io::{self, BufRead, Read};
use std::sync::mpsc::Sender;

/// Reads a line, which becomes a message whole or not at all. Returns nothing at the end.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut line = Vec::new();
    // A line end is up to two bytes more.
    let limit = MAX_LINE as u64 + 2;
    let read = input.by_ref().take(limit).read_until(b'\n', &mut line)? as u64;
    if read == 0 {
        return Ok(None);
    }

    if read == limit && line.last() != Some(&b'\n') {
        // What is left of it is no line: it could pass for a command.
        input.skip_until(b'\n')?;
        let why =
            format!("the line is longer than {MAX_LINE} bytes: nothing of it is said or done");
        return Ok(Some(Message::NoLine(why)));
    }
    Ok(Some(match String::from_utf8(line) {
        Ok(line) => Message::Line(line),
        Err(_) => Message::NoLine("the line is not UTF-8: nothing of it is said or done".into()),
    }))
}

/// Reads standard input to its end.
pub(super) fn read_all(to: &Sender<Message>) {
    let mut input = io::stdin().lock();
    loop {
        let message = match read_line(&mut input) {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(e) => {
                let _ = to.send(Message::NoLine(format!("the input cannot be read: {e}")));
                break;
            }
        };
        if to.send(message).is_err() {
            return;
        }
    }
    let _ = to.send(Message::End);
}
