//! What the service pushes, over streams that break.

use super::calls::unreachable;
use super::{Event, World};
use conclave_delivery::service::Notice;
use conclave_delivery_api::{DeviceId, ErrorCode, StreamEvent};
use core::time::Duration;
use std::collections::HashSet;

/// After how long a stream that broke is opened again.
const RECONNECT: (u64, u64) = (200, 10_000);
/// How much longer a hint takes that others overtake.
const DETOUR: (u64, u64) = (100, 3_000);

impl World {
    /// A device opens its stream of events.
    pub(super) fn listen(&mut self, i: usize, life: u64) {
        let now = self.now;
        let device = &mut self.devices[i];
        if device.life != life || !device.is_running() {
            return;
        }
        let Some(session) = &mut device.session else { return };
        if device.cut_off > now {
            self.try_later(i, life);
            return;
        }
        let signer = session.signer();
        let opened = self.server_of(i).stream(&signer, now);

        let stream = self.ticket();
        self.devices[i].stream = Some(stream);
        self.devices[i].listens = opened.is_ok();
        match opened {
            Ok(events) => {
                let events = events.into_iter().map(StreamEvent::Event);
                for hint in core::iter::once(StreamEvent::Connected).chain(events) {
                    self.push(i, hint, false);
                }
            }
            Err(error) => {
                if error.code() != Some(ErrorCode::Unauthorized) {
                    self.try_later(i, life);
                }
                let retry_in = Duration::default();
                self.push(i, StreamEvent::Disconnected { error, retry_in }, false);
            }
        }
    }

    /// Sends a hint along a device's stream, on which the network may do what it does.
    fn push(&mut self, i: usize, hint: StreamEvent, may_fail: bool) {
        let device = &self.devices[i];
        let (Some(stream), life) = (device.stream, device.life) else { return };
        if may_fail && self.strikes(self.knobs.network.lost_hints) {
            self.break_stream(i);
            return;
        }
        let mut at = self.now + self.delay();
        if may_fail && self.strikes(self.knobs.network.overtaken_hints) {
            at += self.chance.between(DETOUR);
        }
        if may_fail && self.strikes(self.knobs.network.repeated_hints) {
            let again = at + self.chance.between(DETOUR);
            let hint = hint.clone();
            self.at(again, Event::Hint { device: i, life, stream, hint });
        }
        self.at(at, Event::Hint { device: i, life, stream, hint });
    }

    /// Tells the devices that listen and are shown the log in question: the other one if `elsewhere`.
    pub(super) fn tell(&mut self, notices: Vec<Notice>, elsewhere: bool) {
        for notice in notices {
            let to: HashSet<&DeviceId> = notice.to.iter().collect();
            for i in 0..self.devices.len() {
                let device = &self.devices[i];
                let is_told = device.listens && to.contains(&device.id);
                if is_told && self.is_elsewhere(i) == elsewhere {
                    self.push(i, StreamEvent::Event(notice.event.clone()), true);
                }
            }
        }
    }

    /// A device's stream breaks, with all that is on its way, and is opened again after a while.
    pub(super) fn break_stream(&mut self, i: usize) {
        let device = &mut self.devices[i];
        if !core::mem::take(&mut device.listens) {
            return;
        }
        self.count("broken streams");
        let life = self.devices[i].life;
        let (stream, retry_in) = (self.ticket(), Duration::default());
        self.devices[i].stream = Some(stream);
        let hint = StreamEvent::Disconnected { error: unreachable(), retry_in };
        let at = self.now + self.delay();
        self.at(at, Event::Hint { device: i, life, stream, hint });
        self.try_later(i, life);
    }

    fn try_later(&mut self, i: usize, life: u64) {
        let at = self.now + self.chance.between(RECONNECT);
        self.at(at, Event::Listen { device: i, life });
    }

    /// The service ends the streams of a device, which comes back to see why.
    pub(super) fn cut_streams(&mut self, id: &DeviceId) {
        for i in 0..self.devices.len() {
            if self.devices[i].id == *id {
                self.break_stream(i);
            }
        }
    }

    /// A device hears something.
    pub(super) fn hear(&mut self, i: usize, life: u64, stream: u64, hint: StreamEvent) {
        let device = &self.devices[i];
        if device.life != life || device.stream != Some(stream) {
            return;
        }
        self.with(i, |engine, now| {
            engine.heard(now, hint);
            Ok(())
        });
        self.pump(i);
    }
}
