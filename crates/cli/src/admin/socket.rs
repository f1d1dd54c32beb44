//! The socket by which `conclave admin` asks a running service. Whoever can open it administers: it is its owner's.
//!
//! One line is asked, `SHAPE ACT`; the answer is a line `ok` or `error`, and then a text, until the connection ends.

use super::act::{from_text, to_text};
use super::report::Shape;
use crate::failure::Failure;
use crate::private_socket;
use conclave_delivery::http::Administer;
use conclave_delivery::service::Act;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest line that is asked, in bytes.
const LONGEST: u64 = 1024;
/// How long whoever is connected may take to ask, and to read.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// The socket of a service, which is deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    path: PathBuf,
}

impl AdminSocket {
    /// Opens the socket of the service that has this data folder. A socket that is there is one of a service that died.
    pub(crate) fn open(data: &Path, administer: Administer) -> Result<Self, Failure> {
        let path = path(data);
        let failed = |e: std::io::Error| -> Failure {
            format!("the socket of `conclave admin`, {}, cannot be opened: {e}", path.display())
                .into()
        };
        let listener = private_socket::bind(&path).map_err(failed)?;
        std::thread::Builder::new()
            .name("conclave-admin".into())
            .spawn(move || {
                for stream in listener.incoming() {
                    // Whatever goes wrong with it is its client's affair.
                    let _ = stream.and_then(|stream| answer(&stream, &administer));
                }
            })
            .map_err(failed)?;
        Ok(Self { path })
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One at a time: an administrator is one person.
fn answer(mut stream: &UnixStream, administer: &Administer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    let done = asked(line.trim_end_matches('\n')).and_then(|(shape, act)| {
        let report = administer.run(act).map_err(|e| e.detail)?;
        Ok(shape.show(&report))
    });
    match done {
        Ok(text) => write!(stream, "ok\n{text}"),
        Err(why) => write!(stream, "error\n{why}"),
    }
}

fn asked(line: &str) -> Result<(Shape, Act), String> {
    let (shape, act) = line.split_once(' ').ok_or("that is no question")?;
    let shape = Shape::from_name(shape).ok_or("there is no such shape of an answer")?;
    Ok((shape, from_text(act)?))
}

/// Asks the service of this data folder; none if none runs.
pub(super) fn ask(data: &Path, act: &Act, shape: Shape) -> Result<Option<String>, Failure> {
    let path = path(data);
    let stream = UnixStream::connect(&path);
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(e) => return Err(format!("{}: {e}", path.display()).into()),
    };
    writeln!(stream, "{} {}", shape.name(), to_text(act))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once('\n') {
        Some(("ok", text)) => Ok(Some(text.to_string())),
        Some(("error", why)) => Err(why.to_string().into()),
        _ => Err(format!("the service behind {} broke off", path.display()).into()),
    }
}
