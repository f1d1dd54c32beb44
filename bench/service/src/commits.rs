//! Commits to tracked groups, which the service checks, beside the check alone.

use crate::Failure;
use crate::people;
use crate::process::{Service, cpu};
use crate::results::Results;
use conclave_delivery_api::{Bytes, CreateGroup, GroupId, GroupKind, Outcome, SubmitCommit};
use conclave_mls::credential::LeafParams;
use conclave_mls::group::{CommitOptions, GroupParams, TreeRead as _};
use conclave_mls::join::GroupInfoOptions;
use conclave_mls::observe::ObserverStage;
use conclave_mls::wire::{CipherSuite, Credential, Lifetime};
use conclave_mls::{Config, Group, Verdict};
use core::convert::Infallible;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
const INFO: GroupInfoOptions = GroupInfoOptions { ratchet_tree: false, external_pub: true };

/// A group of one member, and its commits one after the other.
struct Chain {
    device: people::Device,
    group_id: GroupId,
    first: (Bytes, Bytes),
    commits: Vec<SubmitCommit>,
}

fn chain(url: &str, name: &str, length: usize) -> Result<Chain, Failure> {
    let device = people::user(url, name, 1)?.remove(0);
    let (provider, mut rng, now) = (people::provider(), people::rng(), people::now()?);
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let group_id = GroupId::from(id);
    let params = GroupParams {
        group_id: group_id.clone(),
        cipher_suite: SUITE,
        extensions: vec![],
        leaf: LeafParams::new(Credential::basic(&device.id.identity()), &[SUITE]),
        lifetime: Lifetime::starting_at(now, Duration::from_secs(1_000_000)),
    };
    let new = Group::create(&*provider, &mut rng, Config::default(), params, device.keys.clone())?;
    let mut group = new.store(|_| Ok::<_, Infallible>(()))?;
    let info = group.group_info(&*provider, INFO)?;
    let tree = group.tree().to_extension_bytes()?;
    let mut commits = Vec::new();
    for _ in 0..length {
        let options = CommitOptions { group_info: Some(INFO), ..CommitOptions::default() };
        let step = group.commit(&*provider, &mut rng, now, options)?;
        let messages = conclave_mls::apply(&mut group, step, |_| Ok::<_, Infallible>(()))?;
        commits.push(SubmitCommit {
            group_info: messages.group_info.map(Into::into),
            ..SubmitCommit::new(messages.commit.into())
        });
        let id = group.pending_commit().ok_or("no commit is pending")?.id.clone();
        let step = group.commit_accepted(&*provider, now, &id)?;
        conclave_mls::apply(&mut group, step, |_| Ok::<_, Infallible>(()))?;
    }
    Ok(Chain { device, group_id, first: (info.into(), tree.into()), commits })
}

/// The commits of a chain, checked by an observer and by nobody else; in seconds.
fn floor(chain: &Chain) -> Result<f64, Failure> {
    let provider = people::provider();
    let accept = |n: usize| vec![Verdict::Accept; n];
    let (info, tree) = &chain.first;
    let stage = ObserverStage::open(&*provider, Config::default(), info, Some(tree))?;
    let verdicts = accept(stage.credentials().len());
    let mut observer = stage.resolve(&verdicts)?;
    let before = cpu("self")?;
    for commit in &chain.commits {
        let stage = observer.process(&*provider, &commit.commit)?;
        let verdicts = accept(stage.credentials().len());
        let step = stage.resolve(&observer, &*provider, &verdicts.into())?;
        conclave_mls::apply(&mut observer, step, |_| Ok::<_, Infallible>(()))?;
        if let Some(info) = &commit.group_info {
            let step = observer.take_group_info(&*provider, info)?;
            conclave_mls::apply(&mut observer, step, |_| Ok::<_, Infallible>(()))?;
        }
    }
    Ok(cpu("self")? - before)
}

pub fn tracked(results: &mut Results, service: &Service, length: usize) -> Result<(), Failure> {
    for groups in [1usize, 16, 64] {
        let chains =
            (0..groups).map(|n| chain(&service.url, &format!("chain-{groups}-{n}"), length));
        let chains = chains.collect::<Result<Vec<_>, _>>()?;
        // Of one chain it would be less than the clock of CPU time tells apart.
        let alone: f64 = chains.iter().map(floor).sum::<Result<f64, _>>()?;
        let failed = Mutex::new(None);
        for Chain { device, group_id, first: (group_info, ratchet_tree), .. } in &chains {
            let (group_info, ratchet_tree) = (group_info.clone(), ratchet_tree.clone());
            let kind = GroupKind::Tracked { group_info, ratchet_tree };
            device.client.call(&CreateGroup { group_id: group_id.clone(), kind })?;
        }
        let (begun, before) = (Instant::now(), service.cpu()?);
        std::thread::scope(|scope| {
            for chain in &chains {
                let failed = &failed;
                scope.spawn(move || {
                    for commit in &chain.commits {
                        let what = match chain.device.client.call(commit) {
                            Ok(Outcome::Accepted { .. }) => continue,
                            other => format!("{other:?}"),
                        };
                        if let Ok(mut failed) = failed.lock() {
                            *failed = Some(what);
                        }
                        return;
                    }
                });
            }
        });
        if let Ok(Some(what)) = failed.into_inner() {
            return Err(what.into());
        }
        let all = (groups * length) as f64;
        let what = format!("commits to {groups} tracked groups");
        results.put(&what, all / begun.elapsed().as_secs_f64(), "/s");
        let took = (service.cpu()? - before) * 1e6 / all;
        let each = (groups > 1).then_some(alone * 1e6 / all);
        results.beside(format!("{what}: CPU of the service each"), took, "µs", each);
    }
    Ok(())
}
