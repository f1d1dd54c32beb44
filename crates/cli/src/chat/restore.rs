//! Gives the terminal back as it was, however the process ends.

use crate::failure::Failure;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;
use std::io::Write;

/// Turns bracketed paste off, which the line editor turns on.
const BRACKETED_PASTE_OFF: &[u8] = b"\x1b[?2004l";

/// Restores the terminal when it is dropped, and before a signal ends the process: the thread that
/// edits a line has it in raw mode then.
pub(super) struct Restore {
    before: Termios,
    signals: Handle,
}

impl Restore {
    pub(super) fn at_end() -> Result<Self, Failure> {
        let before = tcgetattr(stdin())?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        let (handle, modes) = (signals.handle(), before.clone());

        let wait = move || {
            if let Some(signal) = signals.forever().next() {
                restore(&modes);
                // Ends the process by that signal, so that its parent sees why.
                let _ = emulate_default_handler(signal);
            }
        };
        std::thread::Builder::new().name("conclave-signals".into()).spawn(wait)?;
        Ok(Self { before, signals: handle })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.signals.close();
        restore(&self.before);
    }
}

/// The terminal may be gone, so errors are ignored.
fn restore(modes: &Termios) {
    let raw = tcgetattr(stdin()).is_ok_and(|now| now.local_modes != modes.local_modes);
    if raw {
        let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
        let mut out = std::io::stdout();
        let _ = out.write_all(BRACKETED_PASTE_OFF).and_then(|()| out.write_all(b"\n"));
        let _ = out.flush();
    }
}
