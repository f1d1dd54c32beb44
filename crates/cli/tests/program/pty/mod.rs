//! Messengers at a terminal: a real one, as far as the process can tell.

use crate::common::{CONCLAVE, PATIENCE, People};
use pty_process::blocking::{Command, Pty};
use rustix::termios::{LocalModes, tcgetattr};
use std::io::{Read, Write};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A messenger at a terminal, and all that was shown there.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    pub(crate) child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub(crate) fn start(people: &People, user: &str, term: &str) -> Self {
        let terminal = Self::open(people, user, term);
        terminal.wait_for(&format!("you are {user}/main"));
        terminal
    }

    /// One that may not come so far.
    pub(crate) fn open(people: &People, user: &str, term: &str) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(24, 100)).unwrap();
        let child = Command::new(CONCLAVE)
            .args(people.args(user))
            .env("TERM", term)
            .env("TZ", "UTC")
            .spawn(pts)
            .unwrap();
        let (pty, screen) = (Arc::new(pty), Arc::new(Mutex::new(Vec::new())));
        let (from, to) = (pty.clone(), screen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = (&*from).read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { pty, child, screen }
    }

    pub(crate) fn write(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).replace("\r\n", "\n")
    }

    pub(crate) fn wait_until(&self, what: &str, mut is: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < end, "no {what:?} in {:?}", self.shown());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_until(text, |terminal| terminal.shown().contains(text));
    }

    /// Whether a line is being edited: the terminal hands over each key, and shows none itself.
    pub(crate) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        !modes.intersects(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Whether it is as a shell expects it.
    pub(crate) fn is_usable(&self) -> bool {
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    pub(crate) fn signal(&self, signal: &str) {
        crate::common::signal(&self.child, signal);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
