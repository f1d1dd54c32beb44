//! Answers every message once, whatever dies meanwhile: `cargo run --example echo -- USER/DEVICE SERVER FOLDER`

use conclave_client::{AppRows, Arrived, Content, Headless, News, Output, SUITES, text_of};
use conclave_provider_aws_lc::AwsLc;
use conclave_store::SqliteStore;
use std::{path::Path, slice::from_ref, sync::Arc, sync::mpsc::channel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [device, server, folder] = args.as_slice() else { return Err("see above".into()) };
    let provider = Arc::new(AwsLc::new().with_suites(SUITES));
    let store = SqliteStore::open(Path::new(folder).join("state.sqlite"))?;
    let (to, inbox) = channel::<Arrived>();
    let mut bot = Headless::open(device.parse()?, provider, store, server, folder.into(), to)?;
    loop {
        bot.advance()?;
        for event in bot.outputs() {
            let Output::News { group: Some(room), news, .. } = &event else { continue };
            let said = text_of(bot.engine(), room, news);
            let (News::Message { own: false, .. }, Some(said)) = (news, said) else {
                bot.engine().acknowledge(&[event])?;
                continue;
            };
            let answer = format!("You said: {said}");
            // The answer is kept and the event acknowledged in one write.
            bot.send_with(room, Content::from_text(answer), from_ref(&event), AppRows::new())?;
        }
        bot.wait(&inbox)?;
    }
}
