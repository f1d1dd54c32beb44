//! A file that is being written for another device, or taken from one: some messages at a time, between other work.

use crate::attachments::ToTake;
use crate::engine_rows::{EngineRows, EngineRowsMut};
use crate::service::{now, os_rng};
use conclave_delivery_api::{DeviceId, GroupId};
use conclave_engine::Engine;
use conclave_history::{
    GIVEN_KEY_LEN, Given, Giver, Giving, History, Receiving, RoomPlace, RoomToGive, StreamError,
};
use conclave_mls::crypto::Secret;
use conclave_store::Store;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter};

pub(super) enum Job {
    Give {
        id: u64,
        key: Secret,
        giving: Giving,
        file: BufWriter<File>,
    },
    Take {
        id: u64,
        group: GroupId,
        by: DeviceId,
        places: BTreeMap<GroupId, RoomPlace>,
        receiving: Box<Receiving<BufReader<File>>>,
    },
}

impl Job {
    /// Begins to write a file, under a key of its own.
    pub(super) fn give(id: u64, rooms: Vec<RoomToGive>, file: File) -> Self {
        let key = Secret::random(GIVEN_KEY_LEN, &mut *os_rng());
        let giving = Giving::new(key.clone(), rooms);
        Self::Give { id, key, giving, file: BufWriter::new(file) }
    }

    /// Begins to take a file.
    pub(super) fn take(
        (id, group): (u64, GroupId),
        ToTake { by, sealed }: ToTake,
        file: File,
        places: BTreeMap<GroupId, RoomPlace>,
    ) -> Self {
        let receiving = Box::new(Receiving::new(sealed.key.key, BufReader::new(file)));
        Self::Take { id, group, by, places, receiving }
    }

    pub(super) fn id(&self) -> u64 {
        match self {
            Self::Give { id, .. } | Self::Take { id, .. } => *id,
        }
    }

    /// Goes on. Returns how much there was when it is done.
    pub(super) fn step<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        history: &History,
    ) -> Result<Option<Given>, StreamError> {
        let (provider, now) = (engine.provider(), now() / 1000);
        match self {
            Self::Give { giving, file, .. } => {
                let rows = EngineRows(&*engine);
                let is_complete = giving.step(&history.read(&rows), (&*provider, file), now)?;
                Ok(is_complete.then(|| giving.given()))
            }
            Self::Take { by, places, receiving, .. } => {
                let device = by.to_string();
                let place = |group: &GroupId| places.get(group).cloned();
                let giver = Giver { device: &device, place: &place };
                receiving.step(history, &mut EngineRowsMut(engine), (&*provider, &giver), now)
            }
        }
    }
}
