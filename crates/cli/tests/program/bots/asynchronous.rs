//! Devices of an asynchronous program.

use super::People;
use conclave_client::{
    AsyncDevice, CLASSIC, Content, EngineCommand, GroupId, KeyPolicy, News, Output, SUITES, Who,
    now,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_store::MemoryStore;
use std::sync::Arc;
use std::time::Duration;

type Device = AsyncDevice<MemoryStore>;

fn device(people: &People, id: &str) -> Device {
    let provider = Arc::new(AwsLc::new().with_suites(SUITES));
    let folder = people.data();
    let (store, keys) = (MemoryStore::new(), KeyPolicy::default());
    let engine = conclave_client::open_device(id.parse().unwrap(), provider, store, keys, &folder);
    AsyncDevice::start(engine.unwrap(), &people.server.url(), None, folder).unwrap()
}

/// Takes what a device says until there is this among it.
async fn until<T>(device: &mut Device, wanted: impl Fn(&Output) -> Option<T>) -> T {
    loop {
        let outputs = device.outputs().await.unwrap();
        device.device().engine().acknowledge(&outputs).unwrap();
        if let Some(found) = outputs.iter().find_map(&wanted) {
            return found;
        }
    }
}

/// The texts of the messages among what a device says.
fn texts(outputs: &[Output]) -> Vec<String> {
    let text = |output: &Output| match output {
        Output::News { news: News::Message { content, .. }, .. } => {
            content.text().map(str::to_string)
        }
        _ => None,
    };
    outputs.iter().filter_map(text).collect()
}

/// Takes what a device says until this is among it. Returns the texts of all messages.
async fn until_said(device: &mut Device, last: &str) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    while !said.iter().any(|text| text == last) {
        let outputs = device.outputs().await.unwrap();
        device.device().engine().acknowledge(&outputs).unwrap();
        said.extend(texts(&outputs));
    }
    said
}

fn command(device: &mut Device, command: EngineCommand) -> Option<GroupId> {
    device.device().engine().command(now(), command).unwrap()
}

fn say(device: &mut Device, group: &GroupId, text: &str) {
    let said = vec![Content::from_text(text.to_string())];
    device.device().engine().send(now(), group, said).unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn two_devices_talk_in_one_thread_beside_other_tasks_that_interrupt_them() {
    let people = People::new();
    let (mut alice, mut bob) = (device(&people, "alice/async"), device(&people, "bob/async"));
    let ready = |output: &Output| {
        matches!(output, Output::Answer(conclave_client::Answer::Ready { .. })).then_some(())
    };
    tokio::join!(until(&mut alice, ready), until(&mut bob, ready));

    let new = EngineCommand::New { name: "tea".into(), suite: Some(CLASSIC) };
    let room = command(&mut alice, new).unwrap();
    let who = vec![Who { user: "bob".parse().unwrap(), device: None }];
    command(&mut alice, EngineCommand::Invite { group: room.clone(), who });
    let invited = |output: &Output| {
        matches!(output, Output::News { news: News::Invited { .. }, .. }).then_some(())
    };
    tokio::select! {
        () = until(&mut bob, invited) => {}
        never = until(&mut alice, |_| None::<()>) => never,
    }
    command(&mut bob, EngineCommand::Accept(room.clone()));

    let mut bob_saw = Vec::new();
    for n in 0..20 {
        // The future is dropped at any moment.
        let soon = tokio::time::timeout(Duration::from_millis(n), bob.outputs()).await;
        if let Ok(outputs) = soon {
            let outputs = outputs.unwrap();
            bob.device().engine().acknowledge(&outputs).unwrap();
            bob_saw.extend(texts(&outputs));
        }
        say(&mut alice, &room, &format!("question {n}"));
        say(&mut bob, &room, &format!("remark {n}"));
    }
    say(&mut bob, &room, "over");
    let (alice_saw, more) =
        tokio::join!(until_said(&mut alice, "over"), until_said(&mut bob, "over"));
    bob_saw.extend(more);

    // Nothing was lost, and nothing came twice.
    let remarks: Vec<String> = (0..20).map(|n| format!("remark {n}")).collect();
    for mut saw in [alice_saw, bob_saw] {
        saw.retain(|text| text.starts_with("remark"));
        assert_eq!(saw, remarks);
    }
}
