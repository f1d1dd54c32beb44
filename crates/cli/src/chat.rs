//! `conclave chat`.

mod bar;
mod lines;
mod qr;
mod script;
mod terminal;

use crate::device::ServiceArgs;
use crate::exit_codes::{PENDING, REFUSED};
use crate::failure::{Failure, complain};
use crate::file_cipher::file_cipher;
use crate::folders::{self, read_file};
use crate::keys::KeyArgs;
use crate::sealing::{device_args, open_state};
use conclave_client::{
    CertificateFiles, DeviceId, Ended, Engine, Name, Options, Setup, SuiteError, find_suite,
    os_rng, suite_list,
};
use conclave_mls::CipherSuite;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How scripts use the command.
const FOR_SCRIPTS: &str = "\
At a terminal, /help lists the commands. In a script, each line of the input is
a command or a message, and each line of the output is one event: words
separated by spaces, free text last.

  message GROUP NUMBER USER/DEVICE TIME TEXT

TIME is when the service received the message, as 2026-01-31T18:30:00Z. Content
that is not text, from another application, is shown by size and media type:

  content GROUP NUMBER USER/DEVICE TIME BYTES MEDIA/TYPE

What belongs to a message follows on lines of its own, and what happens to it
later names its NUMBER:

  reply GROUP NUMBER to NUMBER             the message that it answers; '-' if
                                           that is not here
  attachment GROUP NUMBER BYTES MEDIA/TYPE NAME
  mention GROUP NUMBER                     it mentions you
  edited GROUP NUMBER USER/DEVICE TIME TEXT
                                           it has this text now
  deleted GROUP NUMBER USER/DEVICE         who deleted it
  reaction GROUP NUMBER USER/DEVICE SYMBOLS
  unreaction GROUP NUMBER USER/DEVICE SYMBOLS
                                           a reaction was taken back
  expires GROUP NUMBER TIME [read SECONDS] when it disappears; 'read SECONDS' if
                                           that counts from when it is read
  expired GROUP NUMBER                     it has expired, and is deleted
  upload GROUP N PERCENT NAME              /send: how far a file is, each ten
                                           percent; '/cancel N' stops it
  download GROUP N PERCENT NAME            /save: the same
  saved GROUP NUMBER BYTES PATH            /save: the file is there
  receipt GROUP USER/DEVICE read NUMBER... who has read these; or 'delivered'
  read GROUP NUMBER                        another device of yours has read it
  draft GROUP TEXT                         /draft, and when you come to a group:
                                           what you have kept and not sent
  unread GROUP N MENTIONS                  /unread: how many messages you have
                                           not read, and how many mention you

/history, /search and /mentions show such lines after the word 'history' or
'found', with 'reactions GROUP NUMBER N SYMBOL' for each symbol, and, if there
is more:

  more GROUP before NUMBER                 repeat it with 'before NUMBER'

What a room says of itself and how it is changed, with times in seconds:

  policy GROUP expiry required|optional|forbidden MIN MAX DEFAULT
                                           /room: whether messages disappear,
                                           and after which time; '-' for none
  policy GROUP reports DELIVERED READ      /room: whether members report what
                                           has arrived and was read: required,
                                           optional or forbidden
  policy GROUP history SECONDS             /room: of how long ago new devices
                                           are given messages; '-' for nothing
  preauthorized-user GROUP USER ROLE       /preauth: who may join by a link in
                                           this role
  preauthorized GROUP NUMBER by USER/DEVICE USER ROLE
                                           who has changed that; '-' for a user
                                           who is no longer preauthorized
  expiry-policy GROUP NUMBER by USER/DEVICE required|... MIN MAX DEFAULT
  reports-policy GROUP NUMBER by USER/DEVICE DELIVERED READ
  history-policy GROUP NUMBER by USER/DEVICE SECONDS
                                           who has changed it

Display names and pictures, which identify nobody:

  profile GROUP USER MEDIA/TYPE BYTES NAME a display name or a picture is new;
                                           '-' for none. '-' as GROUP: /profile
  called GROUP USER NAME                   /room, /members: a display name

Events of the account, where CHECK is the first part of a device's
verification code:

  link USER/DEVICE CODE                    this device waits: say '/link CODE'
                                           on another one of the user's
  admitting USER/DEVICE CHECK              /link: the device that is admitted
  device USER/DEVICE TIME by DEVICE CHECK  /devices: a device, when it was added
                                           and by which; '-' for the first one
  member GROUP USER/DEVICE CODE since TIME by DEVICE
                                           /members: the same, in a group
  certified USER/DEVICE TIME until TIME CHECK
                                           /devices where a CA certifies them:
                                           from when to when
  invite-link GROUP LINK uses N until TIME /invite-link: a link into a group,
                                           once the group has it
  link-into GROUP NUMBER USER/DEVICE used N of MAX until TIME
                                           /links: a link, and who made it
  joined GROUP NUMBER link USER/DEVICE SUITE
                                           /join: by whose link
  added GROUP NUMBER USER/DEVICE link USER/DEVICE CHECK
                                           who joined, and by whose link
  copied - TIME recovers|stopped           the folder is a copy, and another
                                           process has used it since TIME, or
                                           '-' if a log shows it; nothing is
                                           sent
  key-renewed -                            this device has a new key
  rejoined GROUP NUMBER missed N           this device is in the group again; it
                                           cannot read N messages before that
  rejoin-limited GROUP TIME                it came back too often, and waits
                                           until TIME
  alarm - TEXT                             the service contradicts itself, or is
                                           another one: TEXT says what to do

In free text, \\n is a line end, \\t a tab, \\\\ a backslash, and \\u{HEX} a
character that would disturb the text around it. '/say TEXT' understands the
same escapes; other lines are said as they are. A line is UTF-8 and has at most
65536 bytes; any other is refused whole.

Exit codes:
  0  everything in the input is done
  1  the messenger cannot go on; standard error says why
  2  an option or argument is wrong
  3  something in the input was refused: an 'error' or 'failed' line says what.
     The rest is done, or kept as under 4. At a terminal, refusals do not count
  4  something is not done yet, for example because the service does not answer.
     It is kept and tried again next time";

#[derive(Debug, clap::Args)]
#[command(override_usage = "conclave chat [OPTIONS] <USER>\n       conclave chat --suite list")]
#[command(after_help = FOR_SCRIPTS)]
pub(crate) struct Args {
    /// Who you are: a-z, 0-9, '.', '_' and '-', and not dots alone.
    // Nobody needs to be anybody to see the list of suites.
    user: Option<Name>,
    /// Which of your devices this is.
    #[arg(long, value_name = "NAME", default_value = "main")]
    device: Name,
    #[command(flatten)]
    service: ServiceArgs,
    /// The folder of all users' state [default: ~/.local/share/conclave]. This device's is in
    /// USER/DEVICE below it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The only cipher suite of a new device: its number or a part of its name; `list` shows all
    /// [default: hybrid, which is post-quantum, for the groups that you make, and classic for
    /// those of others who have no other].
    #[arg(long, value_name = "SUITE", value_parser = parse_suite)]
    suite: Option<SuiteArg>,
    /// What lets a new user in, where the service takes new users by invitation.
    #[arg(long, value_name = "CODE", value_parser = parse_invitation)]
    invitation: Option<Invitation>,
    /// This device's certificate, where a CA certifies devices: what `conclave ca issue` wrote (PEM). It is kept, and
    /// given again when it was renewed.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The root of the CA that certifies devices (PEM), which is trusted instead of accounts. It is kept.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// At the end of the input, listen for this many more seconds; a huge number means forever.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Go on at the end of the input, until a signal comes.
    #[arg(long)]
    stay: bool,
    /// Say how far a file is by a line each ten percent, not by a bar that is drawn again and again: for screen readers.
    #[arg(long)]
    no_bar: bool,
    #[command(flatten)]
    keys: KeyArgs,
}

/// An invitation's bytes.
#[derive(Clone, Debug)]
struct Invitation(Vec<u8>);

fn parse_invitation(text: &str) -> Result<Invitation, String> {
    crate::admin::parse_invitation(text).map(Invitation)
}

/// What can be said of suites.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SuiteArg {
    List,
    One(CipherSuite),
}

pub(crate) fn parse_suite(word: &str) -> Result<SuiteArg, SuiteError> {
    match word {
        "list" => Ok(SuiteArg::List),
        word => find_suite(word).map(SuiteArg::One),
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let cipher_suite = match args.suite {
        Some(SuiteArg::List) => {
            writeln!(stdout(), "{}", suite_list())?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(SuiteArg::One(suite)) => Some(suite),
        None => None,
    };
    let Some(user) = args.user else {
        return Err("USER is missing: conclave chat USER; --help shows the rest".into());
    };
    let folder = folders::device_folder(args.data, &user, &args.device)?;
    let certificates = CertificateFiles {
        certificate: args.certificate.as_deref().map(read_file).transpose()?,
        trust: args.trust.as_deref().map(read_file).transpose()?,
    };
    let store = open_state(&folder, &args.service.seal, &device_args(&user, &args.device))?;
    let engine = Engine::open(Setup {
        device: DeviceId::new(user, args.device),
        cipher_suite,
        provider: crate::provider::provider(),
        rng: os_rng(),
        store,
        invitation: args.invitation.map(|invitation| invitation.0),
        certificates,
        keys: args.keys.policy(),
        evidence_place: folder.display().to_string(),
    })?;
    let interactive = stdin().is_terminal() && stdout().is_terminal();
    let options = Options {
        roots: args.service.tls.roots()?,
        url: args.service.server,
        in_turn: !interactive,
        stay: args.stay,
        linger: Duration::from_secs(args.wait),
        patience: Duration::from_secs(60),
        folder,
        cipher: file_cipher(),
    };
    let ended = match interactive {
        true => terminal::run(engine, &options, !args.no_bar)?,
        false => script::run(engine, &options)?,
    };
    Ok(exit_code(ended, interactive))
}

/// The code of [`FOR_SCRIPTS`]. At a terminal a refusal was seen, and often corrected.
fn exit_code(ended: Ended, interactive: bool) -> ExitCode {
    let Ended { refused, waiting } = ended;
    if waiting > 0 {
        let what =
            format!("not done yet, and kept for the next time: {waiting} of what you wanted");
        complain(&what);
    }

    if refused > 0 && !interactive {
        ExitCode::from(REFUSED)
    } else if waiting > 0 {
        ExitCode::from(PENDING)
    } else {
        ExitCode::SUCCESS
    }
}
