//! A client of a device: in this process, or in the one that has the device.

use crate::device::{RunArgs, open};
use crate::failure::Failure;
use crate::rpc::{self, Devices, Opened};
use crate::writer::InUse;
use conclave_client::DeviceId;
use core::fmt;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, PipeWriter, Read, Write, pipe};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// The wait between attempts to reach a device that another process has.
const RETRY: Duration = Duration::from_millis(50);

/// How long a device may take to be reached, or to answer a call that has no limit of its own, in seconds.
pub(crate) const PATIENCE: u64 = 60;

/// When to stop waiting: never, if there is none.
pub(crate) type Deadline = Option<Instant>;

/// A number of seconds from now.
pub(crate) fn in_seconds(seconds: u64) -> Deadline {
    Instant::now().checked_add(Duration::from_secs(seconds))
}

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum CallFailed {
    /// It was refused: JSON-RPC's number, and why.
    Refused(i64, String),
    /// There was no answer in time.
    Late,
    /// The process that has the device is gone.
    Gone,
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_, why) => f.write_str(why),
            Self::Late => f.write_str("the device does not answer"),
            Self::Gone => f.write_str("the process that has this device has ended"),
        }
    }
}

impl core::error::Error for CallFailed {}

/// A connection to a device.
pub(crate) struct Caller {
    lines: Receiver<Value>,
    output: Box<dyn Write + Send>,
    next: u64,
}

impl Caller {
    /// Opens a device, or connects to the process that has it open, if that takes requests. `serves` says whether others
    /// can ask for the device here as long as this is open.
    pub(crate) fn reach(args: &RunArgs, serves: bool, deadline: Deadline) -> Result<Self, Failure> {
        let RunArgs { device: args, keys } = args;
        let (device, folder) = args.place()?;
        let deadline = deadline.or_else(|| in_seconds(PATIENCE));
        loop {
            let failure = match open(&device, &folder, &args.service.seal, keys.policy()) {
                Ok(engine) => {
                    let opened = vec![Opened { engine, folder }];
                    let roots = args.service.tls.roots()?;
                    let url = &args.service.server;
                    let devices = match serves {
                        true => rpc::start(opened, url, roots.as_ref())?,
                        false => Devices::start(opened, url, roots.as_ref())?,
                    };
                    return Self::of(devices);
                }
                Err(failure) => failure,
            };
            if !failure.is::<InUse>() {
                return Err(failure);
            }
            if let Some(caller) = Self::at_socket(&device, &folder) {
                return Ok(caller);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(failure);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// A client of the devices of this process.
    pub(crate) fn of(devices: Arc<Devices>) -> Result<Self, Failure> {
        let (requests, output): (_, PipeWriter) = pipe()?;
        let (input, answers) = pipe()?;
        rpc::serve_apart(requests, answers, devices)?;
        Self::over(input, output)
    }

    #[cfg(unix)]
    fn at_socket(_: &DeviceId, folder: &Path) -> Option<Self> {
        let stream = std::os::unix::net::UnixStream::connect(rpc::of_device(folder)).ok()?;
        let output = stream.try_clone().ok()?;
        Self::over(stream, output).ok()
    }

    #[cfg(not(unix))]
    fn at_socket(_: &DeviceId, _: &Path) -> Option<Self> {
        None
    }

    fn over(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> Result<Self, Failure> {
        // Lines that nobody reads here wait at the sender.
        let (to, lines) = sync_channel(1);
        std::thread::Builder::new().name("conclave-answers".into()).spawn(move || {
            let mut input = BufReader::new(input);
            let mut line = String::new();
            while input.read_line(&mut line).is_ok_and(|read| read > 0) {
                let Ok(value) = serde_json::from_str(&line) else { break };
                if to.send(value).is_err() {
                    break;
                }
                line.clear();
            }
        })?;
        Ok(Self { lines, output: Box::new(output), next: 1 })
    }

    fn line(&self, deadline: Deadline) -> Result<Value, CallFailed> {
        let Some(deadline) = deadline else {
            return self.lines.recv().map_err(|_| CallFailed::Gone);
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(wait).map_err(|e| match e {
            RecvTimeoutError::Timeout => CallFailed::Late,
            RecvTimeoutError::Disconnected => CallFailed::Gone,
        })
    }

    /// Makes a call, and waits for its result. Events that come before it are dropped.
    pub(crate) fn call(
        &mut self,
        method: &str,
        params: &Value,
        deadline: Deadline,
    ) -> Result<Value, CallFailed> {
        let id = self.next;
        self.next += 1;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(&request)?;
        loop {
            let mut answer = self.line(deadline)?;
            if answer.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(error) = answer.get("error") {
                let number = error.get("code").and_then(Value::as_i64).unwrap_or_default();
                let why = error.get("message").and_then(Value::as_str).unwrap_or_default();
                return Err(CallFailed::Refused(number, why.to_string()));
            }
            return Ok(answer.get_mut("result").map(Value::take).unwrap_or_default());
        }
    }

    /// Asks for something that is not answered.
    pub(crate) fn tell(&mut self, method: &str, params: &Value) -> Result<(), CallFailed> {
        self.write(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    fn write(&mut self, request: &Value) -> Result<(), CallFailed> {
        let line = format!("{request}\n");
        let written = self.output.write_all(line.as_bytes());
        written.and_then(|()| self.output.flush()).map_err(|_| CallFailed::Gone)
    }

    /// The next event, after `subscribe`.
    pub(crate) fn event(&mut self, deadline: Deadline) -> Result<Value, CallFailed> {
        loop {
            let mut line = self.line(deadline)?;
            if line.get("method").is_some() {
                return Ok(line.get_mut("params").map(Value::take).unwrap_or_default());
            }
        }
    }
}
