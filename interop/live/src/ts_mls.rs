//! ts-mls: for each version a process of Node that holds all its clients. The program talks to it over pipes.

use crate::member::{
    Change, Commit, Drafts, EXPORT_LABEL, EXPORT_LENGTH, Extension, How, LEEWAY, LIFETIME, Linked,
    Member, Outside, ReInit, Received, Result, TOPIC, View, encode_external_sender,
};
use crate::suite::Suite;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

/// The process. It ends when its input is closed.
struct Driver {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    clients: u64,
}

thread_local! {
    /// The processes that run, by the version that they drive.
    static DRIVERS: RefCell<BTreeMap<u8, Rc<RefCell<Driver>>>> = const { RefCell::new(BTreeMap::new()) };
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../ts")
}

/// Whether Node and this version of the package are installed; if not, the error says what to do.
pub fn available(version: u8) -> Result<()> {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        return Err("Node is not installed".into());
    }
    if !folder().join(format!("node_modules/ts-mls-{version}")).is_dir() {
        return Err("it is not installed: run `npm ci` in interop/ts".into());
    }
    Ok(())
}

impl Driver {
    fn start(version: u8) -> Result<Self> {
        let mut child = Command::new("node")
            .args(["driver.mjs", &version.to_string()])
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self { child, input, output, clients: 0 })
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        let input = self.input.as_mut().ok_or("no pipe")?;
        writeln!(input, "{request}")?;
        input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line)
            .map_err(|e| format!("the driver's answer is not JSON: {e}"))?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.into()),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

struct TsMls {
    driver: Rc<RefCell<Driver>>,
    id: u64,
    name: Vec<u8>,
}

/// A new client. The first of each version starts its process.
pub fn client(version: u8, name: &str, suite: Suite) -> Result<Box<dyn Member>> {
    let driver = DRIVERS.with(|drivers| -> Result<_> {
        let mut drivers = drivers.borrow_mut();
        if let Some(running) = drivers.get(&version) {
            return Ok(running.clone());
        }
        let started = Rc::new(RefCell::new(Driver::start(version)?));
        drivers.insert(version, started.clone());
        Ok(started)
    })?;

    let id = {
        let mut driver = driver.borrow_mut();
        driver.clients += 1;
        driver.clients
    };

    let client = TsMls { driver, id, name: name.into() };
    let name = hex(name.as_bytes());
    let suite = suite.code_point();
    client.ask(json!({ "op": "client", "name": name, "suite": suite }))?;
    Ok(Box::new(client))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(value: &Value) -> Result<Vec<u8>> {
    let text = value.as_str().ok_or("not a string")?;
    let digit = |place: usize| {
        let pair = text.get(place..place + 2)?;
        u8::from_str_radix(pair, 16).ok()
    };
    let all: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
    all.ok_or_else(|| "not hexadecimal".into())
}

fn optional(value: &Value) -> Result<Option<Vec<u8>>> {
    if value.is_null() { Ok(None) } else { bytes(value).map(Some) }
}

fn extensions(list: &[Extension]) -> Value {
    list.iter().map(|e| json!({ "kind": e.kind, "data": hex(&e.data) })).collect()
}

fn change(change: &Change) -> Value {
    match change {
        Change::Add(message) => json!({ "kind": "add", "key_package": hex(message) }),
        Change::Remove(leaf) => json!({ "kind": "remove", "leaf": leaf }),
        Change::Update => json!({ "kind": "update" }),
        Change::ExternalPsk(id) => json!({ "kind": "external_psk", "id": hex(id) }),
        Change::ResumptionPsk(epoch) => json!({ "kind": "resumption_psk", "epoch": epoch }),
        Change::Extensions(list) => {
            json!({ "kind": "extensions", "extensions": extensions(list) })
        }
        Change::ReInit(next) => json!({
            "kind": "reinit",
            "group_id": hex(&next.group_id),
            "suite": next.suite.code_point(),
            "extensions": extensions(&next.extensions),
        }),
        // The driver has none of the drafts' and says so.
        Change::SelfRemove
        | Change::AppData(..)
        | Change::AppDataRemoval(_)
        | Change::Ephemeral(..)
        | Change::ApplicationPsk(_) => json!({ "kind": "of a draft" }),
    }
}

impl TsMls {
    fn ask(&self, mut request: Value) -> Result<Value> {
        request["id"] = json!(self.id);
        request["lifetime"] = json!(LIFETIME.as_secs());
        request["leeway"] = json!(LEEWAY.as_secs());
        request["topic"] = json!(TOPIC);
        request["suites"] = json!(Suite::code_points());
        self.driver.borrow_mut().ask(&request)
    }

    fn ask_bytes(&self, request: Value) -> Result<Vec<u8>> {
        bytes(&self.ask(request)?)
    }

    fn tell(&self, request: Value) -> Result<()> {
        self.ask(request).map(|_| ())
    }

    /// Asks for a linked group. ts-mls puts no tree into the Welcome of one.
    fn linked(&mut self, request: Value) -> Result<Linked> {
        let welcome = self.ask_bytes(request)?;
        Ok(Linked { welcome, tree: Some(self.tree()?) })
    }
}

impl Drop for TsMls {
    fn drop(&mut self) {
        let _ = self.tell(json!({ "op": "drop" }));
    }
}

impl Drafts for TsMls {}

impl Member for TsMls {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        self.ask_bytes(json!({ "op": "key_package" }))
    }

    fn stack_keys(&mut self) -> Result<()> {
        self.tell(json!({ "op": "stack_keys" }))
    }

    fn create(&mut self, group_id: &[u8], list: &[Extension]) -> Result<()> {
        let group_id = hex(group_id);
        let list = extensions(list);
        self.tell(json!({ "op": "create", "group_id": group_id, "extensions": list }))
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        self.tell(json!({ "op": "join", "welcome": hex(welcome), "tree": tree.map(hex) }))
    }

    fn join_external(
        &mut self,
        group_info: &[u8],
        tree: Option<&[u8]>,
        psk: Option<&[u8]>,
        resync: bool,
    ) -> Result<Vec<u8>> {
        self.ask_bytes(json!({
            "op": "join_external",
            "group_info": hex(group_info),
            "tree": tree.map(hex),
            "psk": psk.map(hex),
            "resync": resync,
        }))
    }

    fn group_info(&mut self, tree: bool) -> Result<Vec<u8>> {
        self.ask_bytes(json!({ "op": "group_info", "tree": tree }))
    }

    fn tree(&mut self) -> Result<Vec<u8>> {
        self.ask_bytes(json!({ "op": "tree" }))
    }

    fn know_psk(&mut self, id: &[u8], secret: &[u8]) -> Result<()> {
        self.tell(json!({ "op": "know_psk", "psk": hex(id), "secret": hex(secret) }))
    }

    fn propose(&mut self, what: &Change, private: bool) -> Result<Vec<u8>> {
        self.ask_bytes(json!({ "op": "propose", "change": change(what), "private": private }))
    }

    fn commit(&mut self, changes: &[Change], how: How) -> Result<Commit> {
        let changes: Value = changes.iter().map(change).collect();
        let private = how.private;
        let tree = how.tree;
        let made = self
            .ask(json!({ "op": "commit", "changes": changes, "private": private, "tree": tree }))?;
        Ok(Commit { commit: bytes(&made["commit"])?, welcome: optional(&made["welcome"])? })
    }

    fn accept(&mut self) -> Result<()> {
        self.tell(json!({ "op": "accept" }))
    }

    fn discard(&mut self) -> Result<()> {
        self.tell(json!({ "op": "discard" }))
    }

    fn receive(&mut self, message: &[u8]) -> Result<Received> {
        let got = self.ask(json!({ "op": "receive", "message": hex(message) }))?;
        Ok(match got["kind"].as_str().unwrap_or_default() {
            "data" => Received::Data {
                data: bytes(&got["data"])?,
                authenticated_data: optional(&got["authenticated_data"])?,
            },
            "proposal" => Received::Proposal,
            "epoch" => Received::Epoch,
            "removed" => Received::Removed,
            "closed" => Received::Closed,
            other => return Err(format!("unexpected: {other}").into()),
        })
    }

    fn send(&mut self, data: &[u8], authenticated_data: &[u8]) -> Result<Vec<u8>> {
        let data = hex(data);
        let authenticated_data = hex(authenticated_data);
        self.ask_bytes(
            json!({ "op": "send", "data": data, "authenticated_data": authenticated_data }),
        )
    }

    fn view(&mut self, context: &[u8]) -> Result<View> {
        let view = self.ask(json!({
            "op": "view",
            "label": EXPORT_LABEL,
            "length": EXPORT_LENGTH,
            "context": hex(context),
        }))?;
        let number = |value: &Value| value.as_u64().ok_or("not a number");
        let mut roster = Vec::new();
        for member in view["roster"].as_array().ok_or("no roster")? {
            roster.push((u32::try_from(number(&member[0])?)?, bytes(&member[1])?));
        }

        let mut list = Vec::new();
        for extension in view["extensions"].as_array().ok_or("no extensions")? {
            let kind = u16::try_from(number(&extension["kind"])?)?;
            list.push(Extension { kind, data: bytes(&extension["data"])? });
        }

        Ok(View {
            epoch: number(&view["epoch"])?,
            authenticator: bytes(&view["authenticator"])?,
            exported: bytes(&view["exported"])?,
            roster,
            extensions: list,
        })
    }

    fn external_sender(&mut self) -> Result<Vec<u8>> {
        let key = self.ask_bytes(json!({ "op": "signature_key" }))?;
        encode_external_sender(&key, &self.name)
    }

    fn propose_outside(&mut self, group_info: &[u8], what: &Outside) -> Result<Vec<u8>> {
        let what = match what {
            Outside::Add(message) => change(&Change::Add(message.clone())),
            Outside::Remove(leaf) => change(&Change::Remove(*leaf)),
            Outside::ExternalPsk(id) => change(&Change::ExternalPsk(id.clone())),
            Outside::AppData(..) => return Err("ts-mls has no AppDataUpdate".into()),
            Outside::Itself => Value::Null,
        };
        self.ask_bytes(
            json!({ "op": "propose_outside", "group_info": hex(group_info), "change": what }),
        )
    }

    fn reinit_key_package(&mut self, suite: Suite) -> Result<Vec<u8>> {
        let suite = suite.code_point();
        self.ask_bytes(json!({ "op": "reinit_key_package", "suite": suite }))
    }

    fn reinit(&mut self, next: &ReInit, key_packages: &[Vec<u8>]) -> Result<Linked> {
        let key_packages: Value = key_packages.iter().map(|kp| hex(kp)).collect();
        self.linked(json!({
            "op": "reinit",
            "group_id": hex(&next.group_id),
            "suite": next.suite.code_point(),
            "extensions": extensions(&next.extensions),
            "key_packages": key_packages,
        }))
    }

    fn join_reinit(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        self.tell(json!({ "op": "join_reinit", "welcome": hex(welcome), "tree": tree.map(hex) }))
    }

    fn branch(
        &mut self,
        group_id: &[u8],
        other: Option<&[Extension]>,
        key_packages: &[Vec<u8>],
    ) -> Result<Linked> {
        if other.is_some() {
            return Err("ts-mls takes no extensions for a branch".into());
        }

        let key_packages: Value = key_packages.iter().map(|kp| hex(kp)).collect();
        self.linked(json!({
            "op": "branch",
            "group_id": hex(group_id),
            "key_packages": key_packages,
        }))
    }

    fn join_branch(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        self.tell(json!({ "op": "join_branch", "welcome": hex(welcome), "tree": tree.map(hex) }))
    }
}
