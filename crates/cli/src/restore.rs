//! Gives the terminal back as it was, however the process ends.

use crate::failure::Failure;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;
use std::io::{IsTerminal, Write};

/// Restores the terminal when it is dropped, and before a signal ends the process: whoever edits a line or
/// asks for a passphrase has it in another mode then.
pub(crate) struct Restore {
    before: Termios,
    signals: Handle,
    farewell: &'static [u8],
}

impl Restore {
    /// `farewell` is written to the terminal if its mode has changed: it undoes what is no part of the mode.
    pub(crate) fn at_end(farewell: &'static [u8]) -> Result<Self, Failure> {
        let before = tcgetattr(stdin())?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        let (handle, modes) = (signals.handle(), before.clone());

        let wait = move || {
            if let Some(signal) = signals.forever().next() {
                restore(&modes, farewell);
                // Ends the process by that signal, so that its parent sees why.
                let _ = emulate_default_handler(signal);
            }
        };
        std::thread::Builder::new().name("conclave-signals".into()).spawn(wait)?;
        Ok(Self { before, signals: handle, farewell })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.signals.close();
        restore(&self.before, self.farewell);
    }
}

/// The terminal may be gone, so errors are ignored.
fn restore(modes: &Termios, farewell: &[u8]) {
    let raw = tcgetattr(stdin()).is_ok_and(|now| now.local_modes != modes.local_modes);
    if raw {
        let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
        let told = [farewell, b"\n"].concat();
        let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
        let _ = if out.is_terminal() {
            out.write_all(&told).and_then(|()| out.flush())
        } else {
            err.write_all(&told)
        };
    }
}
