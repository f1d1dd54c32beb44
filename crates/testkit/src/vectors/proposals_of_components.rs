//! Proposals of components and what they do to a dictionary (draft-ietf-mls-extensions-10): a part of the
//! vectors of [`super::components`].

use super::compare::same;
use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use crate::SeededRng;
use conclave_wire::{
    AppDataDictionary, AppDataUpdate, AppDataUpdateOperation, Bytes, ComponentData, ComponentId,
    Encode, Proposal, SelfRemove,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Proposals {
    app_data_dictionary: Hex,
    proposals: Vec<Hex>,
    new_app_data_dictionary: Hex,
    ephemeral: Vec<Ephemeral>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Ephemeral {
    component_id: u16,
    data: Hex,
}

impl Proposals {
    /// The dictionary that the proposals lead to, in their order, and the ephemeral data. In these vectors a
    /// component appends its updates to its data.
    fn applied(&self) -> Result<(AppDataDictionary, Vec<Ephemeral>), Problem> {
        let mut ephemeral = Vec::new();
        let mut dictionary: AppDataDictionary =
            self.app_data_dictionary.decode("app_data_dictionary")?;
        for bytes in &self.proposals {
            let proposal: Proposal = bytes.decode("proposals")?;
            same("a proposal, encoded again,", &proposal.to_bytes()?, bytes)?;
            let AppDataUpdate { component_id, operation } = match proposal {
                Proposal::AppDataUpdate(update) => update,
                Proposal::AppEphemeral(ComponentData { component_id, data }) => {
                    ephemeral
                        .push(Ephemeral { component_id: component_id.0, data: Hex::of(&data) });
                    continue;
                }
                _ => continue,
            };
            match operation {
                AppDataUpdateOperation::Update(update) => {
                    let mut data =
                        dictionary.get(component_id).map_or_else(Vec::new, |data| data.to_vec());
                    data.extend_from_slice(&update);
                    dictionary.set(component_id, data.into());
                }
                AppDataUpdateOperation::Remove => {
                    dictionary.remove(component_id).at("a removal of data that is not there")?;
                }
            }
        }
        Ok((dictionary, ephemeral))
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let (dictionary, ephemeral) = self.applied()?;
        same("new_app_data_dictionary", &dictionary.to_bytes()?, &self.new_app_data_dictionary)?;
        ensure(ephemeral == self.ephemeral, "other ephemeral data")
    }

    pub(super) fn generate(rng: &mut SeededRng) -> Result<Self, Problem> {
        let [lowest, middle, highest] =
            [0x8000, 0x9000, 0xa000].map(|base| ComponentId(base | rng.below(1 << 12) as u16));
        let update = |component_id, update: Vec<u8>| {
            let operation = AppDataUpdateOperation::Update(update.into());
            Proposal::AppDataUpdate(AppDataUpdate { component_id, operation })
        };
        let before = AppDataDictionary::default()
            .with(middle, Bytes::from(rng.bytes(20)))
            .with(highest, Bytes::from(rng.bytes(30)));
        let remove = AppDataUpdateOperation::Remove;
        let list = [
            Proposal::AppEphemeral(ComponentData {
                component_id: highest,
                data: rng.bytes(10).into(),
            }),
            update(highest, rng.bytes(10)),
            Proposal::AppDataUpdate(AppDataUpdate { component_id: middle, operation: remove }),
            update(lowest, rng.bytes(15)),
            Proposal::SelfRemove(SelfRemove::DRAFT),
            update(highest, rng.bytes(5)),
        ];

        let mut vector = Self {
            app_data_dictionary: before.to_bytes()?.into(),
            proposals: list
                .iter()
                .map(|p| Ok(p.to_bytes()?.into()))
                .collect::<Result<_, Problem>>()?,
            new_app_data_dictionary: Hex::default(),
            ephemeral: Vec::new(),
        };
        let (dictionary, ephemeral) = vector.applied()?;
        vector.new_app_data_dictionary = dictionary.to_bytes()?.into();
        vector.ephemeral = ephemeral;
        Ok(vector)
    }
}
