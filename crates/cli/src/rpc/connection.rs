//! One client of the daemon: lines in, lines out.

use super::ask::Ask;
use super::devices::Devices;
use super::fault::{Fault, response};
use super::request::{MAX_REQUEST, Method, parse};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

/// Serves a client until its input has ended and every request is answered, or the client is gone.
pub(crate) fn serve(
    input: impl Read,
    output: impl Write + Send + 'static,
    devices: &Devices,
) -> std::io::Result<()> {
    let outbox = devices.outbox();
    let writer = outbox.clone();
    let writing = std::thread::Builder::new()
        .name("conclave-client".into())
        .spawn(move || writer.write_to(output))?;

    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    while let Ok(read) = read_line(&mut input, &mut line) {
        let is_whole = match read {
            LineRead::End => break,
            LineRead::Line => true,
            LineRead::TooLong => false,
        };
        if is_whole && line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if !outbox.begin_request() {
            break;
        }
        let parsed = match is_whole {
            true => parse(&line),
            false => {
                let why = format!("a request has at most {MAX_REQUEST} bytes");
                Err((Value::Null, Fault::too_large(why)))
            }
        };
        match parsed {
            Err((id, fault)) => outbox.reply(Some(response(&id, &Err(fault)))),
            Ok(request) if matches!(request.method, Method::Devices) => {
                let line = request.id.map(|id| response(&id, &Ok(devices.list())));
                outbox.reply(line);
            }
            Ok(request) => {
                let (id, fresh, method) = (request.id, request.fresh, request.method);
                let ask = Ask { from: outbox.clone(), id, fresh, method };
                devices.ask(request.device.as_deref(), ask);
            }
        }
    }
    outbox.end();
    // The remaining answers are written first.
    let _ = writing.join();
    Ok(())
}

enum LineRead {
    Line,
    TooLong,
    End,
}

/// Reads a line without its end, and no more of one that is too long than fits.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<LineRead> {
    line.clear();
    let limit = MAX_REQUEST as u64 + 1;
    let read = input.by_ref().take(limit).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(LineRead::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(LineRead::Line);
    }
    if read as u64 == limit {
        line.clear();
        input.skip_until(b'\n')?;
        return Ok(LineRead::TooLong);
    }
    Ok(LineRead::Line)
}

/// Serves a client on a thread of its own.
pub(crate) fn serve_apart(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    devices: Arc<Devices>,
) -> std::io::Result<()> {
    std::thread::Builder::new().name("conclave-client".into()).spawn(move || {
        // A client that cannot be served is gone.
        let _ = serve(input, output, &devices);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let long = "x".repeat(MAX_REQUEST + 5);
        let text = format!("{}\n{long}\nnext\nlast", "y".repeat(MAX_REQUEST));
        let mut input = BufReader::new(text.as_bytes());
        let mut line = Vec::new();
        assert!(matches!(read_line(&mut input, &mut line), Ok(LineRead::Line)));
        assert_eq!(line.len(), MAX_REQUEST);
        assert!(matches!(read_line(&mut input, &mut line), Ok(LineRead::TooLong)));
        assert!(line.is_empty());
        for expected in [b"next", b"last"] {
            assert!(matches!(read_line(&mut input, &mut line), Ok(LineRead::Line)));
            assert_eq!(line, expected);
        }
        assert!(matches!(read_line(&mut input, &mut line), Ok(LineRead::End)));
    }
}
